//! Registration, pings, and the loss of the master.

use tepui_protocol::mesos::internal::{
    AgentReregistered, MasterAgentConnection, PingAgent, ReconcileTasks, Shutdown,
};

use super::*;

fn pauses(rig: &mut Rig, sendings: u64) -> Vec<Duration> {
    (1..=sendings)
        .map(|number| {
            let effects = rig.timer(Timer::Register(number));
            match effects.last() {
                Some(Effect::Timer(after, Timer::Register(next))) => {
                    assert_eq!(*next, number + 1);
                    *after
                }
                other => panic!("no further registration but {other:?}"),
            }
        })
        .collect()
}

#[test]
fn a_new_agent_registers_after_a_random_pause_until_the_master_answers() {
    let mut rig = Rig::new();
    assert_eq!(
        short(&rig.input(Input::Recovered(Box::default()))),
        ["recover 0"]
    );
    assert!(!rig.core.is_open());
    let effects = rig.input(Input::ContainersRecovered(Ok(vec![])));
    assert_eq!(short(&effects), ["link master", "timer register 1"]);
    assert_eq!(rig.core.state(), AgentState::Disconnected);
    assert!(rig.core.is_open());

    let effects = rig.timer(Timer::Register(1));
    assert_eq!(short(&effects), ["to master: register", "timer register 2"]);
    assert_eq!(
        short(&rig.timer(Timer::Register(1))),
        [""; 0],
        "a stale timer"
    );

    let effects = rig.master(FromMaster::Registered(AgentRegistered {
        agent_id: AgentId {
            value: "S0".to_owned(),
        },
        connection: Some(MasterAgentConnection {
            total_ping_timeout_seconds: Some(30.0),
        }),
    }));
    assert_eq!(
        short(&effects),
        [
            "folder slaves/S0",
            "file S0/slave.info",
            "symlink slaves/latest",
            "symlink slaves/latest",
            "timer ping 30s",
            "to master: update agent",
        ]
    );
    assert_eq!(rig.core.info().id.as_ref().unwrap().value, "S0");
    assert_eq!(short(&rig.timer(Timer::Register(2))), [""; 0]);
}

#[test]
fn the_bound_of_the_pause_doubles_up_to_a_minute() {
    // Every random number is the largest, so every pause is its bound.
    let mut rig = Rig::new();
    rig.input(Input::Recovered(Box::default()));
    rig.input(Input::ContainersRecovered(Ok(vec![])));
    let all = pauses(&mut rig, 9);
    let mut bound = Duration::from_secs(1);
    for pause in all {
        bound = (bound * 2).min(Duration::from_secs(60));
        assert!(pause <= bound, "{pause:?} is over {bound:?}");
    }
    let mut turn_random = || u64::MAX / 2;
    let mut turn = Turn {
        now: rig.now,
        random: &mut turn_random,
    };
    let pause = turn.random_up_to(Duration::from_secs(60));
    assert!(pause > Duration::ZERO && pause <= Duration::from_secs(60));
}

#[test]
fn what_does_not_come_from_the_master_is_refused() {
    let mut rig = Rig::registered();
    let message = FromMaster::Shutdown(Shutdown::default());
    let effects = rig.input(Input::Master(pid("master@10.9.9.9:5050"), message));
    assert!(
        matches!(&effects[..], [Effect::Note(Note::Refused { .. })]),
        "{effects:?}"
    );
    assert_eq!(rig.core.state(), AgentState::Running);
}

#[test]
fn another_id_than_its_own_ends_an_agent() {
    let mut rig = Rig::registered();
    let effects = rig.master(FromMaster::Registered(AgentRegistered {
        agent_id: AgentId {
            value: "S7".to_owned(),
        },
        ..AgentRegistered::default()
    }));
    assert_eq!(
        short(&effects),
        ["exit Err(\"registered as S7, but this agent is S0\")"]
    );
}

#[test]
fn a_ping_is_answered_and_one_that_says_disconnected_begins_anew() {
    let mut rig = Rig::registered();
    let observer = pid("slave-observer(1)@10.0.0.1:5050");
    let ping =
        |connected| Input::Master(observer.clone(), FromMaster::Ping(PingAgent { connected }));
    assert_eq!(
        short(&rig.input(ping(true))),
        ["to slave-observer(1): pong"]
    );
    let effects = rig.input(ping(false));
    assert_eq!(
        short(&effects),
        [
            "to slave-observer(1): pong",
            "link master",
            "timer register 3"
        ]
    );
    assert_eq!(rig.core.state(), AgentState::Disconnected);
    assert_eq!(
        short(&rig.timer(Timer::Register(3))),
        ["to master: reregister 0 tasks", "timer register 4"]
    );
}

#[test]
fn a_task_that_comes_after_the_list_of_tasks_is_not_run() {
    let mut rig = Rig::registered();
    let observer = pid("slave-observer(1)@10.0.0.1:5050");
    let ping = FromMaster::Ping(PingAgent { connected: false });
    rig.input(Input::Master(observer, ping));
    // It will be on the list.
    let effects = rig.run_task(framework(false), task("before"));
    assert!(
        short(&effects).contains(&"launch".to_owned()),
        "{effects:?}"
    );
    assert_eq!(
        short(&rig.timer(Timer::Register(3))),
        ["to master: reregister 1 tasks", "timer register 4"]
    );
    let effects = rig.run_task(framework(false), task("behind"));
    assert!(
        matches!(&effects[..], [Effect::Note(Note::Refused { .. })]),
        "{effects:?}"
    );
    // The next list has it no more than the first, and after the answer tasks are run again.
    let effects = rig.timer(Timer::Register(4));
    assert_eq!(short(&effects)[0], "to master: reregister 1 tasks");
    rig.master(FromMaster::Reregistered(AgentReregistered {
        agent_id: AgentId {
            value: "S0".to_owned(),
        },
        ..AgentReregistered::default()
    }));
    let effects = rig.run_task(framework(false), task("later"));
    assert!(
        short(&effects).contains(&"launch".to_owned()),
        "{effects:?}"
    );
}

#[test]
fn an_agent_that_loses_its_link_to_the_master_tells_it_again_what_runs() {
    let mut rig = Rig::registered();
    let lost = || Input::Exited(pid("master@10.0.0.1:5050"));
    assert_eq!(
        short(&rig.input(lost())),
        ["link master", "timer register 3"]
    );
    assert_eq!(rig.core.state(), AgentState::Disconnected);
    let effects = rig.timer(Timer::Register(3));
    assert_eq!(
        short(&effects),
        ["to master: reregister 0 tasks", "timer register 4"]
    );
    // It breaks again before the answer comes, which may be by another connection.
    assert_eq!(short(&rig.input(lost())), [""; 0]);
    let again = rig.master(FromMaster::Reregistered(AgentReregistered {
        agent_id: AgentId {
            value: "S0".to_owned(),
        },
        ..AgentReregistered::default()
    }));
    let again = short(&again);
    assert!(again.ends_with(&["link master".to_owned(), "timer register 5".to_owned()]));
    assert_eq!(rig.core.state(), AgentState::Disconnected);
    rig.input(lost());
    let effects = rig.timer(Timer::Register(5));
    assert_eq!(
        short(&effects)[..2],
        ["link master", "to master: reregister 0 tasks"]
    );
}

#[test]
fn an_executor_that_ends_while_the_master_is_asked_is_told_of_again_once_it_has_answered() {
    let (mut rig, container) = Rig::custom(framework(false));
    rig.input(Input::Exited(pid("master@10.0.0.1:5050")));
    assert_eq!(
        short(&rig.timer(Timer::Register(3))),
        ["to master: reregister 1 tasks", "timer register 4"]
    );
    let effects = short(&rig.terminated(&container));
    let told = "to master: exited executor e";
    let count = |effects: &[String]| effects.iter().filter(|it| it.starts_with(told)).count();
    assert_eq!(count(&effects), 1, "{effects:?}");
    let mut reregistered = || {
        let effects = rig.master(FromMaster::Reregistered(AgentReregistered {
            agent_id: AgentId {
                value: "S0".to_owned(),
            },
            ..AgentReregistered::default()
        }));
        count(&short(&effects))
    };
    assert_eq!((reregistered(), reregistered()), (1, 0));
}

/// What launched it was under way when an earlier list, without it, reached the master; so the
/// answer to that list comes behind it.
#[test]
fn an_executor_that_an_older_list_did_not_have_is_told_once_more() {
    let (mut rig, _) = Rig::custom(framework(false));
    let answer = |rig: &mut Rig| {
        short(&rig.master(FromMaster::Reregistered(AgentReregistered {
            agent_id: AgentId {
                value: "S0".to_owned(),
            },
            ..AgentReregistered::default()
        })))
    };
    assert!(answer(&mut rig).contains(&"timer register 3".to_owned()));
    assert_eq!(rig.core.state(), AgentState::Disconnected);
    // So is one that comes before the new list is sent.
    assert!(answer(&mut rig).contains(&"timer register 4".to_owned()));
    let effects = rig.timer(Timer::Register(4));
    let Some(Effect::Send(_, Outbound::Reregister(list))) = effects
        .iter()
        .find(|it| matches!(it, Effect::Send(_, Outbound::Reregister(_))))
    else {
        panic!("{:?}", short(&effects))
    };
    assert_eq!(list.executor_infos.len(), 1);
    answer(&mut rig);
    assert_eq!(rig.core.state(), AgentState::Running);
    assert_eq!(answer(&mut rig), Vec::<String>::new(), "it is on the list");
}

#[test]
fn silence_of_the_master_begins_anew() {
    let mut rig = Rig::registered();
    rig.after(Duration::from_secs(40));
    let ping = FromMaster::Ping(PingAgent { connected: true });
    rig.input(Input::Master(pid("x@10.0.0.1:5050"), ping));
    rig.after(Duration::from_secs(35));
    assert_eq!(short(&rig.timer(Timer::PingSilence)), ["timer ping 40s"]);
    rig.after(Duration::from_secs(40));
    let effects = rig.timer(Timer::PingSilence);
    assert_eq!(short(&effects), ["link master", "timer register 3"]);
    assert_eq!(rig.core.state(), AgentState::Disconnected);
}

#[test]
fn a_task_that_the_master_knows_and_the_agent_does_not_is_lost() {
    for (info, state) in [
        (framework(false), "TASK_LOST"),
        (partition_aware(framework(false)), "TASK_DROPPED"),
    ] {
        let mut rig = Rig::registered();
        let observer = pid("x@10.0.0.1:5050");
        let ping = FromMaster::Ping(PingAgent { connected: false });
        rig.input(Input::Master(observer, ping));
        rig.timer(Timer::Register(3));
        let effects = rig.master(FromMaster::Reregistered(AgentReregistered {
            agent_id: AgentId {
                value: "S0".to_owned(),
            },
            reconciliations: vec![ReconcileTasks {
                framework_id: framework_id("F"),
                statuses: vec![status("lost", TaskState::TaskStaging, 1)],
                framework: Some(info),
            }],
            connection: None,
        }));
        assert_eq!(
            short(&effects),
            [
                "to master: update agent".to_owned(),
                format!(
                    "to master: lost {state} REASON_RECONCILIATION 'Reconciliation: task \
                     unknown to the agent'"
                ),
                "timer retry 1 10s".to_owned(),
            ]
        );
        let uuid = sent_uuid(&effects);
        assert_eq!(short(&rig.acknowledge("lost", uuid)), [""; 0]);
    }
}

/// The master asked before the acknowledgement reached it.
#[test]
fn a_task_that_has_ended_meanwhile_is_told_to_have_that_end() {
    let (mut rig, container) = Rig::running(framework(false));
    rig.update(TaskState::TaskFinished, 1);
    rig.updated(1);
    rig.acknowledge("t", Bytes::from(vec![1; 16]));
    rig.terminated(&container);
    let effects = rig.master(FromMaster::Reregistered(AgentReregistered {
        agent_id: AgentId {
            value: "S0".to_owned(),
        },
        reconciliations: vec![ReconcileTasks {
            framework_id: framework_id("F"),
            statuses: vec![status("t", TaskState::TaskRunning, 1)],
            framework: Some(framework(false)),
        }],
        connection: None,
    }));
    let told =
        "to master: t TASK_FINISHED REASON_RECONCILIATION 'Reconciliation: the task has ended'";
    assert_eq!(short(&effects)[0], told);
}

/// It was killed, and the agent that said so has crashed since and kept nothing of it.
#[test]
fn a_task_whose_end_only_the_master_knows_is_told_to_have_that_end() {
    let mut rig = Rig::registered();
    let effects = rig.master(FromMaster::Reregistered(AgentReregistered {
        agent_id: AgentId {
            value: "S0".to_owned(),
        },
        reconciliations: vec![ReconcileTasks {
            framework_id: framework_id("F"),
            statuses: vec![status("t", TaskState::TaskKilled, 1)],
            framework: Some(framework(false)),
        }],
        connection: None,
    }));
    let told =
        "to master: t TASK_KILLED REASON_RECONCILIATION 'Reconciliation: the task has ended'";
    assert_eq!(short(&effects)[0], told);
}

#[test]
fn shutdown_ends_everything_and_then_the_agent() {
    let mut rig = Rig::registered();
    let effects = rig.master(FromMaster::Shutdown(Shutdown {
        message: Some("gone".into()),
    }));
    let anew = "remove slaves/latest";
    assert_eq!(short(&effects), [anew, "exit Ok(\"gone\")"]);

    let (mut rig, container) = Rig::running(framework(false));
    let effects = rig.master(FromMaster::Shutdown(Shutdown::default()));
    assert_eq!(
        short(&effects),
        [anew, "to x: SHUTDOWN", "timer shutdown 5s"]
    );
    let effects = rig.timer(Timer::ExecutorShutdown(container.clone()));
    assert_eq!(short(&effects), ["destroy"]);
    let effects = rig.terminated(&container);
    assert_eq!(
        short(&effects),
        ["exit Ok(\"all frameworks are shut down\")"]
    );
}

#[test]
fn an_agent_that_leaves_says_so_first() {
    let mut rig = Rig::registered();
    let effects = rig.input(Input::Unregister("SIGUSR1".to_owned()));
    assert_eq!(
        short(&effects),
        [
            "to master: unregister",
            "remove slaves/latest",
            "exit Ok(\"SIGUSR1\")"
        ]
    );
}
