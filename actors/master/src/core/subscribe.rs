//! SUBSCRIBE: a framework comes, tries again, comes back or fails over; and UPDATE_FRAMEWORK.
//!
//! Every subscriber is a PID. Who was connected before is told "Framework failed over" and
//! replaced; Mesos' `force`, stream ids and a stream's heartbeats are between an adapter and its
//! client. A scheduler of another node has its heartbeats from here: they tell it that the master
//! can still reach it.

use std::sync::Arc;
use std::time::Duration;

use tepui_invariants::PlantedBug;
use tepui_protocol::mesos::internal::UpdateFramework;
use tepui_protocol::mesos::v1::FrameworkInfo;
use tepui_protocol::mesos::v1::scheduler::call::{
    Subscribe, UpdateFramework as UpdateFrameworkCall,
};
use tepui_protocol::mesos::v1::scheduler::{Call, Event, OfferConstraints, event};
use tepui_protocol::tepui::allocator as to_allocator;
use tepui_runtime::Pid;

use super::frameworks::framework_id;
use super::operator::Refusal;
use super::{Effect, MasterCore, Timer, ToAgent, ToAllocator, validation};
use crate::snapshot::{Connection, Framework, framework_roles};

/// Mesos' `DEFAULT_HEARTBEAT_INTERVAL`.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);

/// What a framework says of the offers it wants, beside its FrameworkInfo. It says it anew each
/// time: what it leaves out does not hold any more.
struct Wishes {
    /// The roles in which it wants none.
    suppressed: Vec<String>,
    /// On which agents it wants them.
    constraints: OfferConstraints,
}

/// What an ERROR event says.
pub(super) fn error(message: &str) -> Event {
    Event {
        r#type: Some(event::Type::Error as i32),
        error: Some(event::Error {
            message: message.to_owned(),
        }),
        ..Event::default()
    }
}

impl MasterCore {
    pub(super) fn subscribe(&mut self, from: &Pid, subscribe: Subscribe) {
        let mut info = subscribe.framework_info;
        let id = info
            .id
            .take()
            .map(|id| id.value)
            .filter(|id| !id.is_empty());
        let wishes = Wishes {
            suppressed: subscribe.suppressed_roles,
            constraints: subscribe.offer_constraints.unwrap_or_default(),
        };
        let valid = validation::framework(
            id.as_deref(),
            &info,
            &wishes.suppressed,
            &wishes.constraints,
            &self.options,
        );
        if let Err(problem) = valid {
            return self.refuse(from, &info, &problem);
        }
        match id {
            None => self.subscribe_first(from, info, wishes),
            Some(id) => self.subscribe_with_id(from, &id, info, wishes),
        }
    }

    fn refuse(&mut self, from: &Pid, info: &FrameworkInfo, problem: &str) {
        self.warn(format!(
            "refusing subscription of framework '{}' at {from}: {problem}",
            info.name
        ));
        self.effects
            .push(Effect::Event(from.clone(), Box::new(error(problem))));
    }

    fn subscribe_first(&mut self, from: &Pid, mut info: FrameworkInfo, wishes: Wishes) {
        if let Some(id) = self.book.framework_of.get(from).cloned() {
            // It did not hear the answer to its first try.
            self.info(format!("framework {id} at {from} is subscribed already"));
            return self.subscribed(&id);
        }
        let id = format!(
            "{}-{:04}",
            self.state.master_info.id, self.book.next_framework
        );
        self.book.next_framework += 1;
        info.id = Some(framework_id(&id));
        self.connect_new(from, &id, info, wishes);
    }

    fn connect_new(&mut self, from: &Pid, id: &str, info: FrameworkInfo, wishes: Wishes) {
        let most = self.options.max_frameworks;
        if self.state.frameworks.size() >= most {
            let problem = format!("there are {most} frameworks, and no more may be");
            return self.refuse(from, &info, &problem);
        }
        let name = info.name.clone();
        let mut framework = self.new_framework(info, Connection::Connected(from.clone()));
        framework.suppressed_roles = Arc::new(wishes.suppressed.into_iter().collect());
        framework.offer_constraints = Arc::new(wishes.constraints);
        self.effects.push(Effect::Link(from.clone()));
        self.info(format!("framework {id} '{name}' at {from} subscribed"));
        // The framework hears that it is subscribed before it hears of offers.
        self.add_framework(framework);
        self.say_what_disconnecting_means(id);
        self.gauge_subscribed(id);
        self.subscribed(id);
    }

    fn subscribe_with_id(&mut self, from: &Pid, id: &str, mut info: FrameworkInfo, wishes: Wishes) {
        info.id = Some(framework_id(id));
        if self.state.is_completed(id) {
            return self.refuse(from, &info, "Framework has been removed");
        }
        if let Some(other) = self
            .book
            .framework_of
            .get(from)
            .filter(|other| *other != id)
        {
            let problem = format!("this process is subscribed as framework {other}");
            return self.refuse(from, &info, &problem);
        }
        let Some(framework) = self.state.framework(id) else {
            // There is no registry of frameworks: an id nobody knows is believed.
            self.connect_new(from, id, info, wishes);
            if let Some(framework) = self.framework_mut(id) {
                framework.reregistered_at = Some(framework.registered_at);
            }
            return;
        };
        if framework.info.principal != info.principal {
            return self.refuse(from, &info, validation::PRINCIPAL_CHANGED);
        }
        info.user.clone_from(&framework.info.user);
        info.checkpoint = framework.info.checkpoint;
        let was = framework.connection.clone();
        match &was {
            Connection::Connected(old) if old == from => {
                self.take_back_offers_of_framework(id, true);
            }
            Connection::Connected(old) => {
                self.info(format!("framework {id} fails over from {old} to {from}"));
                self.event(id, error("Framework failed over"));
                self.book.framework_of.remove(old);
                self.deactivate(id, false);
            }
            Connection::Disconnected | Connection::Recovered => {}
        }
        if !self.planted(PlantedBug::FailoverTimerKept) {
            let timer = Timer::FrameworkFailover(id.to_owned());
            self.effects.push(Effect::Cancel(timer));
        }
        self.replace_info(id, info, wishes);
        self.say_what_disconnecting_means(id);
        self.reconnect(from, id);
        self.info(format!("framework {id} at {from} subscribed again"));
        self.subscribed(id);
    }

    /// What becomes of an UPDATE_FRAMEWORK of this process when it is taken now: what stands against
    /// it, with the status of an HTTP answer.
    pub(crate) fn judge_update(&self, from: &Pid, call: &Call) -> Result<(), Refusal> {
        if !self.state.recovered {
            return Err((503, "Master has not finished recovery".to_owned()));
        }
        validation::call(call).map_err(|problem| (400, problem))?;
        let id = call.framework_id.as_ref().map(|id| id.value.as_str());
        let Some(framework) = id.and_then(|id| self.state.framework(id)) else {
            return Err((400, "Framework cannot be found".to_owned()));
        };
        if framework.pid() != Some(from) {
            return Err((403, "Framework is not subscribed".to_owned()));
        }
        match &call.update_framework {
            Some(update) => validation::update(framework, update, &self.options)
                .map_err(|problem| (400, problem)),
            None => Err((400, "Expecting 'update_framework' to be present".to_owned())),
        }
    }

    /// UPDATE_FRAMEWORK: a connected framework changes what it said of itself.
    pub(super) fn update_framework(&mut self, id: &str, update: UpdateFrameworkCall) {
        let Some(framework) = self.state.framework(id) else {
            return;
        };
        if let Err(problem) = validation::update(framework, &update, &self.options) {
            return self.warn(format!(
                "dropping UPDATE_FRAMEWORK call of framework {id}: {problem}"
            ));
        }
        let (since, old) = (framework.reregistered_at, framework.info.clone());
        let info = update.framework_info;
        let changed = *old != info;
        self.info(format!("framework {id} updates what it says of itself"));
        let wishes = Wishes {
            suppressed: update.suppressed_roles,
            constraints: update.offer_constraints.unwrap_or_default(),
        };
        self.replace_info(id, info, wishes);
        if let Some(framework) = self.framework_mut(id) {
            framework.reregistered_at = since;
        }
        let timeout = |info: &FrameworkInfo| info.failover_timeout();
        let now = self
            .state
            .framework(id)
            .map(|framework| timeout(&framework.info));
        if now != Some(timeout(&old)) {
            self.say_what_disconnecting_means(id);
        }
        if changed {
            self.tell_agents_of_framework(id);
        }
    }

    fn replace_info(&mut self, id: &str, info: FrameworkInfo, wishes: Wishes) {
        let Some(framework) = self.state.framework(id) else {
            return;
        };
        let roles = framework_roles(&info);
        let left: Vec<String> = framework
            .offers
            .iter()
            .filter(|offer| {
                self.state
                    .offers
                    .get(*offer)
                    .is_some_and(|offer| !roles.contains(&offer.role))
            })
            .cloned()
            .collect();
        for offer_id in left {
            self.take_back_offer(&offer_id, true);
        }
        let message = to_allocator::UpdateFramework {
            framework_info: info.clone(),
            suppressed_roles: wishes.suppressed.clone(),
            offer_constraints: Some(wishes.constraints.clone()),
        };
        self.tell_allocator(ToAllocator::UpdateFramework(message));
        let (now, keys) = (self.now, self.own_keys(id));
        if let Some(framework) = self.framework_mut(id) {
            framework.info = Arc::new(info);
            framework.suppressed_roles = Arc::new(wishes.suppressed.into_iter().collect());
            framework.offer_constraints = Arc::new(wishes.constraints);
            framework.reregistered_at = Some(now);
        }
        self.show_metrics_anew(id, keys);
    }

    fn reconnect(&mut self, from: &Pid, id: &str) {
        self.book.framework_of.insert(from.clone(), id.to_owned());
        self.effects.push(Effect::Link(from.clone()));
        let Some(framework) = self.framework_mut(id) else {
            return;
        };
        framework.connection = Connection::Connected(from.clone());
        let was_active = std::mem::replace(&mut framework.active, true);
        if !was_active {
            self.tell_allocator(ToAllocator::ActivateFramework(
                to_allocator::ActivateFramework {
                    framework_id: framework_id(id),
                },
            ));
        }
        self.gauge_subscribed(id);
        self.tell_agents_of_framework(id);
    }

    fn tell_agents_of_framework(&mut self, id: &str) {
        let Some(info) = self
            .state
            .framework(id)
            .map(|framework| framework.info.clone())
        else {
            return;
        };
        let agents: Vec<String> = self.state.agents.keys().cloned().collect();
        for agent_id in agents {
            let message = UpdateFramework {
                framework_id: framework_id(id),
                pid: None,
                framework_info: Some((*info).clone()),
            };
            self.tell_agent(&agent_id, ToAgent::UpdateFramework(message));
        }
    }

    /// Says in the log what it means to ask for no time to come back: many do so without knowing.
    fn say_what_disconnecting_means(&mut self, id: &str) {
        let note = self.state.framework(id).and_then(Framework::failover_note);
        if let Some(note) = note {
            self.warn(format!("framework {id}: {note}"));
        }
    }

    fn subscribed(&mut self, id: &str) {
        let subscribed = event::Subscribed {
            framework_id: framework_id(id),
            heartbeat_interval_seconds: Some(HEARTBEAT_INTERVAL.as_secs_f64()),
            master_info: Some((*self.state.master_info).clone()),
        };
        let event = Event {
            r#type: Some(event::Type::Subscribed as i32),
            subscribed: Some(subscribed),
            ..Event::default()
        };
        self.event(id, event);
        self.count_call(
            id,
            tepui_protocol::mesos::v1::scheduler::call::Type::Subscribe,
        );
        if self.remote(id).is_some() {
            self.arm(Timer::Heartbeat(id.to_owned()), HEARTBEAT_INTERVAL);
        }
    }

    /// A heartbeat: not counted, it is of the connection.
    pub(super) fn heartbeat_due(&mut self, id: &str) {
        let Some(pid) = self.remote(id) else {
            return;
        };
        let event = Event {
            r#type: Some(event::Type::Heartbeat as i32),
            ..Event::default()
        };
        self.effects.push(Effect::Event(pid, Box::new(event)));
        self.arm(Timer::Heartbeat(id.to_owned()), HEARTBEAT_INTERVAL);
    }

    /// Where a connected framework is, if that is another node. An adapter is on this one, and
    /// has heartbeats of its own.
    fn remote(&self, id: &str) -> Option<Pid> {
        let pid = self.state.framework(id)?.pid()?;
        let own: Option<Pid> = self.state.master_info.pid.as_ref()?.parse().ok();
        (own?.address() != pid.address()).then(|| pid.clone())
    }

    pub(super) fn allocator_revive(&mut self, id: &str, roles: Vec<String>) {
        self.tell_allocator(ToAllocator::Revive(to_allocator::ReviveOffers {
            framework_id: framework_id(id),
            roles,
        }));
    }

    pub(super) fn allocator_suppress(&mut self, id: &str, roles: Vec<String>) {
        self.tell_allocator(ToAllocator::Suppress(to_allocator::SuppressOffers {
            framework_id: framework_id(id),
            roles,
        }));
    }
}
