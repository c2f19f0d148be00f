//! A framework may fail over at any point of what it does: nothing is lost, nothing is done twice.

use tepui_protocol::mesos::internal::RunTask;
use tepui_protocol::mesos::v1::scheduler::{call, event};
use tepui_protocol::mesos::v1::{FrameworkId, FrameworkInfo, TaskId, TaskState};

use super::bench::{Bench, command_task, framework_info, launch, resources};
use crate::core::{ToAgent, ToAllocator};
use tepui_protocol::resources::Resources;

const TOTAL: &str = "cpus:4;mem:1024";

/// How a framework changes hands between two steps.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Handover {
    /// Another process subscribes with its id while the first is connected.
    FailsOver,
    /// Its link breaks; another process subscribes in time.
    Returns,
    /// The same process subscribes again.
    TriesAgain,
}

/// A framework that runs one task to its end.
struct Walk {
    bench: Bench,
    id: String,
    agent: String,
    /// Where the framework is.
    at: &'static str,
    offer: Option<String>,
    offered: Resources,
}

/// What it does, one thing after the other.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Offer,
    Accept,
    Says(TaskState),
    Acknowledge,
    Kill,
}

use Step::{Accept, Acknowledge, Kill, Offer, Says};

const STEPS: [Step; 9] = [
    Offer,
    Accept,
    Says(TaskState::TaskStarting),
    Acknowledge,
    Says(TaskState::TaskRunning),
    Acknowledge,
    Kill,
    Says(TaskState::TaskKilled),
    Acknowledge,
];

impl Walk {
    fn new() -> Walk {
        let mut bench = Bench::new();
        let id = bench.framework("a");
        let agent = bench.agent("s", TOTAL);
        bench.take_agent_messages("s");
        bench.to_allocator.clear();
        Walk {
            bench,
            id,
            agent,
            at: "a",
            offer: None,
            offered: Resources::default(),
        }
    }

    fn step(&mut self, number: usize) {
        let (id, agent) = (self.id.clone(), self.agent.clone());
        match STEPS[number] {
            Offer => {
                self.offer = self.bench.offer(&id, &agent, TOTAL).pop();
                self.offered += &resources(TOTAL).allocate("*");
            }
            Accept => {
                let offer = self.offer.take().unwrap();
                let task = command_task("t", &agent, "cpus:1;mem:64");
                let operations = vec![launch(vec![task])];
                self.bench.accept(self.at, &id, &[&offer], operations, None);
            }
            Says(state) => {
                let uuid = u8::try_from(number).unwrap();
                self.bench
                    .status("s", &id, &agent, "t", (state, state), uuid);
                let statuses = self.bench.take_statuses(self.at);
                assert_eq!(statuses.len(), 1, "step {number}");
                assert_eq!(statuses[0].state(), state);
            }
            Acknowledge => {
                let uuid = u8::try_from(number - 1).unwrap();
                self.bench.acknowledge(self.at, &id, &agent, "t", uuid);
            }
            Kill => {
                let mut call = Bench::of(&id, call::Type::Kill);
                call.kill = Some(call::Kill {
                    task_id: TaskId { value: "t".into() },
                    ..call::Kill::default()
                });
                self.bench.call(self.at, call);
            }
        }
    }

    /// The framework changes hands before step `next`; what was lost by that is done again, as the
    /// allocator and the agent do.
    fn hand_over(&mut self, how: Handover, next: usize) {
        let info = FrameworkInfo {
            id: Some(FrameworkId {
                value: self.id.clone(),
            }),
            ..framework_info(&[])
        };
        let old = self.at;
        match how {
            Handover::Returns => {
                self.bench.exited(old);
                self.at = "b";
                self.bench.subscribe("b", info);
            }
            Handover::FailsOver | Handover::TriesAgain => {
                if how == Handover::FailsOver {
                    self.at = "b";
                }
                let subscribe = call::Subscribe {
                    framework_info: info,
                    ..call::Subscribe::default()
                };
                self.bench.subscribe_with(self.at, subscribe);
            }
        }
        let told = self.bench.take_types(old);
        // Offers of who failed over end without a word; of all others they are rescinded.
        let failed_over = how == Handover::FailsOver;
        assert_eq!(told.contains(&event::Type::Error), failed_over);
        let rescinded = told.contains(&event::Type::Rescind);
        assert_eq!(rescinded, self.offer.is_some() && !failed_over);
        self.bench.take_events(self.at);
        if self.offer.take().is_some() {
            self.step(0);
        }
        if next > 0 && matches!(STEPS[next - 1], Says(_)) {
            self.step(next - 1);
        }
    }

    /// Everything offered has come back, the task ran once and is done.
    fn check(&mut self) {
        let snapshot = self.bench.core.snapshot();
        let framework = snapshot.framework(&self.id).unwrap();
        assert!(framework.tasks.is_empty() && framework.used.is_empty());
        let completed: Vec<_> = framework.completed_tasks.iter().collect();
        assert_eq!(completed.len(), 1);
        assert_eq!(completed[0].1.state(), TaskState::TaskKilled);
        assert!(framework.active && framework.offers.is_empty());
        let mut back = Resources::default();
        for message in &self.bench.to_allocator {
            if let ToAllocator::Recover(message) = message {
                back += &Resources::from_proto(&message.resources).unwrap();
            }
        }
        assert_eq!(back, self.offered);
        let messages = self.bench.take_agent_messages("s");
        let count = |is: fn(&ToAgent) -> bool| messages.iter().filter(|m| is(m)).count();
        assert_eq!(count(|m| matches!(m, ToAgent::Run(RunTask { .. }))), 1);
        assert_eq!(count(|m| matches!(m, ToAgent::Kill(_))), 1);
        assert_eq!(count(|m| matches!(m, ToAgent::Acknowledge(_))), 3);
        assert_eq!(count(|m| matches!(m, ToAgent::ShutdownFramework(_))), 0);
    }
}

#[test]
fn a_framework_may_fail_over_at_every_point() {
    for how in [Handover::FailsOver, Handover::Returns, Handover::TriesAgain] {
        for point in 0..=STEPS.len() {
            let mut walk = Walk::new();
            for number in 0..STEPS.len() {
                if number == point {
                    walk.hand_over(how, number);
                }
                walk.step(number);
            }
            if point == STEPS.len() {
                walk.hand_over(how, point);
            }
            walk.check();
        }
    }
}

#[test]
fn what_the_former_connection_says_after_a_failover_is_not_heard() {
    for (point, step) in STEPS.iter().enumerate().skip(1) {
        if matches!(step, Offer | Says(_)) {
            continue;
        }
        let mut walk = Walk::new();
        for number in 0..point {
            walk.step(number);
        }
        walk.hand_over(Handover::FailsOver, point);
        let (before, offer) = (walk.bench.core.snapshot(), walk.offer.clone());
        walk.bench.take_agent_messages("s");
        walk.at = "a";
        walk.step(point);
        walk.at = "b";
        walk.offer = offer;
        assert!(walk.bench.take_agent_messages("s").is_empty());
        let after = walk.bench.core.snapshot();
        let tasks = |snapshot: &crate::Snapshot| {
            let framework = snapshot.framework(&walk.id).unwrap();
            (framework.tasks.size(), framework.completed_tasks.len())
        };
        assert_eq!(tasks(&before), tasks(&after));
        assert_eq!(before.offers.size(), after.offers.size());
    }
}
