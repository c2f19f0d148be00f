//! Each rule between books, kept and broken.

use tepui_protocol::resources::parse_text;

use super::*;

fn resources(text: &str) -> Resources {
    parse_text(text, "*").unwrap()
}

fn of(framework: &str, text: &str) -> BTreeMap<String, Resources> {
    [(framework.to_owned(), resources(text))].into()
}

/// The executor of a task of one cpu and 64 MB.
fn executor(settled: bool) -> ExecutorBook {
    ExecutorBook {
        framework: "f".to_owned(),
        resources: resources("cpus:1.1;mem:96;disk:7"),
        settled,
    }
}

/// One agent, one framework with one running task: all is well.
fn well() -> Books {
    let agent = AgentBooks {
        total: resources("cpus:4;mem:4096"),
        used: of("f", "cpus:1;mem:64"),
        unreachable: Vec::new(),
        offered: of("f", "cpus:3;mem:4032"),
        held: Vec::new(),
        connected: true,
        allocated: Some(of("f", "cpus:4;mem:4096")),
        running: Some(of("f", "cpus:1;mem:64")),
        tasks: vec![TaskKey::new("f", "t")],
        waiting: vec![],
        executors: [("c".to_owned(), executor(true))].into(),
        executors_use: BTreeMap::new(),
        containers: Some([("c".to_owned(), resources("cpus:1.1;mem:96"))].into()),
    };
    let task = TaskBook {
        agent: "a".to_owned(),
        resources: resources("cpus:1;mem:64"),
        told: Some(TaskState::TaskRunning),
        group: None,
    };
    let framework = FrameworkBook {
        tasks: [("t".to_owned(), task)].into(),
        acknowledges: true,
        wants: true,
        subscribed: true,
        ..FrameworkBook::default()
    };
    Books {
        agents: [("a".to_owned(), agent)].into(),
        hosts: [("h".to_owned(), "a".to_owned())].into(),
        unreadable: None,
        frameworks: [("f".to_owned(), framework)].into(),
    }
}

fn ids(found: &[Violation]) -> Vec<&'static str> {
    found
        .iter()
        .map(|violation| violation.invariant.id)
        .collect()
}

/// What a change of the good books breaks.
fn changed(change: impl FnOnce(&mut AgentBooks, &mut FrameworkBook)) -> Vec<&'static str> {
    let mut books = well();
    let agent = books.agents.get_mut("a").unwrap();
    change(agent, books.frameworks.get_mut("f").unwrap());
    ids(&once_quiet(&books))
}

#[test]
fn good_books_break_no_rule() {
    assert_eq!(changed(|_, _| {}), Vec::<&str>::new());
}

#[test]
fn containers_are_those_of_the_executors() {
    let found = changed(|agent, _| agent.executors.clear());
    assert_eq!(found, ["containers-agree"]);
    let found = changed(|agent, _| agent.containers = Some(BTreeMap::new()));
    assert_eq!(found, ["containers-agree"]);
    let found = changed(|agent, _| agent.containers = None);
    assert!(found.is_empty(), "the agent is down");
}

#[test]
fn a_container_has_what_its_executor_and_tasks_have() {
    let with = |given: &str, settled| {
        let mut books = well();
        let agent = books.agents.get_mut("a").unwrap();
        agent.containers = Some([("c".to_owned(), resources(given))].into());
        agent.executors.insert("c".to_owned(), executor(settled));
        let details = |found: Vec<Violation>| {
            let rule = found
                .iter()
                .all(|it| it.invariant.id == "container-resources");
            assert!(rule, "{found:?}");
            found.into_iter().map(|it| it.detail).collect::<Vec<_>>()
        };
        (details(at_any_time(&books)), details(once_quiet(&books)))
    };
    let none: Vec<String> = Vec::new();
    for settled in [true, false] {
        let kept = with("cpus:1.1;mem:96", settled);
        assert_eq!(kept, (none.clone(), none.clone()));
    }
    let wrong = |amounts: &str| {
        vec![format!(
            "container c of agent a has {amounts}: its executor and tasks, 1.1 cpus, 96 MB"
        )]
    };
    let (more, less) = (wrong("1.101 cpus, 96 MB"), wrong("1.1 cpus, 32 MB"));
    assert_eq!(
        with("cpus:1.101;mem:96", true),
        (more.clone(), more.clone())
    );
    assert_eq!(with("cpus:1.1;mem:32", true), (less.clone(), less.clone()));
    // What is still to be said is said once it is quiet.
    assert_eq!(with("cpus:1.101;mem:96", false), (none.clone(), more));
    assert_eq!(with("cpus:1.1;mem:32", false), (none, less));
}

#[test]
fn executors_are_in_the_books_of_master_and_agent_only() {
    let both = |agent: &mut AgentBooks| {
        agent.used = of("f", "cpus:1.1;mem:96");
        agent.running = Some(of("f", "cpus:1.1;mem:96"));
        agent.offered = of("f", "cpus:2.9;mem:4000");
    };
    let found = changed(|agent, _| {
        both(agent);
        agent.executors_use = of("f", "cpus:0.1;mem:32");
    });
    assert!(found.is_empty(), "{found:?}");
    let found = changed(|agent, _| both(agent));
    assert_eq!(found, ["books-agree"], "no executor has it");
}

#[test]
fn no_executor_runs_for_a_framework_that_is_over() {
    let found = changed(|agent, framework| {
        (framework.over, framework.tasks) = (true, BTreeMap::new());
        agent.tasks.clear();
        agent.used.clear();
        agent.offered = of("f", "cpus:4;mem:4096");
        agent.running = Some(BTreeMap::new());
    });
    assert_eq!(found, ["nothing-for-the-dead"]);
}

#[test]
fn a_task_of_a_registered_agent_is_not_unreachable() {
    let found = changed(|agent, _| agent.unreachable.push(TaskKey::new("f", "gone")));
    assert_eq!(found, ["unreachable-is-away"]);
}

#[test]
fn who_wants_to_be_subscribed_is() {
    let found = changed(|_, framework| framework.subscribed = false);
    assert_eq!(found, ["is-subscribed"]);
    let found = changed(|_, framework| {
        (framework.subscribed, framework.wants) = (false, false);
    });
    assert!(found.is_empty());
}

#[test]
fn what_is_given_twice_is_seen() {
    let found = changed(|agent, _| {
        agent.offered = of("f", "cpus:3.001;mem:4032");
        agent.allocated = Some(of("f", "cpus:4.001;mem:4096"));
    });
    assert_eq!(found, ["in-one-place"]);
}

#[test]
fn a_message_that_is_not_read_back_is_seen() {
    let mut books = well();
    books.unreadable = Some("Event of 17 bytes".to_owned());
    let found = at_any_time(&books);
    assert_eq!(ids(&found), ["reads-back"]);
    assert_eq!(found[0].detail, "Event of 17 bytes");
}

#[test]
fn a_port_that_is_given_twice_is_seen() {
    let held = |by: &str, ports: &str| Held {
        by: by.to_owned(),
        resources: resources(&format!("cpus:1;ports:[{ports}]")),
    };
    let agent = |held| AgentBooks {
        total: resources("cpus:4;ports:[1-9]"),
        // What is summed shows nothing.
        used: of("f", "cpus:2;ports:[1-5]"),
        held,
        ..AgentBooks::default()
    };
    let apart = vec![held("a", "1-2"), held("b", "3-3"), held("c", "4-5")];
    assert_eq!(in_one_place("x", &agent(apart)), None);
    let twice = vec![held("a", "1-2"), held("b", "4-5"), held("c", "2-4")];
    let found = in_one_place("x", &agent(twice)).unwrap();
    assert_eq!(found.detail, "ports:[2-2] of agent x is a's and c's");
    let names = |by: &str| Held {
        by: by.to_owned(),
        resources: resources("disks:{red,blue}"),
    };
    let mut agent = agent(vec![names("a"), names("b")]);
    agent.total += resources("disks:{red,blue}");
    assert_eq!(
        in_one_place("x", &agent).unwrap().invariant.id,
        "in-one-place"
    );
}

#[test]
fn master_and_allocator_agree_at_any_time() {
    let mut books = well();
    assert_eq!(ids(&at_any_time(&books)), Vec::<&str>::new());
    let agent = books.agents.get_mut("a").unwrap();
    agent.running = None;
    agent.allocated = Some(of("f", "cpus:3"));
    assert_eq!(ids(&at_any_time(&books)), ["books-agree"]);
}

#[test]
fn books_that_differ_are_seen_whosever_they_are() {
    assert_eq!(
        changed(|agent, _| agent.allocated = Some(of("f", "cpus:3"))),
        ["books-agree"]
    );
    assert_eq!(
        changed(|agent, _| agent.running = Some(of("f", "cpus:1"))),
        ["books-agree"]
    );
    let forgotten = changed(|agent, _| {
        agent.used.clear();
        agent.offered = of("f", "cpus:4;mem:4096");
        agent.running = Some(BTreeMap::new());
    });
    assert_eq!(forgotten, ["books-agree"], "the framework still counts it");
    let deaf = changed(|agent, framework| {
        framework.acknowledges = false;
        agent.used.clear();
        agent.offered = of("f", "cpus:4;mem:4096");
        agent.running = Some(BTreeMap::new());
    });
    assert!(
        deaf.is_empty(),
        "it was not told, for it does not acknowledge"
    );
    let dead = changed(|agent, framework| {
        framework.over = true;
        (agent.running, agent.containers) = (None, None);
        agent.tasks.clear();
        agent.executors.clear();
    });
    assert_eq!(dead, ["books-agree"], "who is over uses nothing");
}

#[test]
fn who_outlives_another_of_its_group_is_seen() {
    let with = |state: TaskState, group: &str| {
        changed(|_, framework| {
            let one = framework.tasks.get_mut("t").unwrap();
            one.group = Some("g".to_owned());
            let other = TaskBook {
                told: Some(state),
                group: Some(group.to_owned()),
                ..one.clone()
            };
            framework.tasks.insert("u".to_owned(), other);
        })
    };
    assert_eq!(with(TaskState::TaskFailed, "g"), ["one-fate"]);
    assert_eq!(with(TaskState::TaskKilled, "g"), ["one-fate"]);
    assert!(with(TaskState::TaskFailed, "h").is_empty());
    assert!(with(TaskState::TaskFinished, "g").is_empty());
    assert!(with(TaskState::TaskLost, "g").is_empty(), "it may be back");
}

#[test]
fn a_task_that_vanished_is_seen() {
    let found = changed(|agent, _| {
        agent.used.clear();
        agent.offered = of("f", "cpus:4;mem:4096");
        agent.running = Some(BTreeMap::new());
        agent.tasks.clear();
    });
    assert_eq!(found, ["books-agree", "ends-or-runs"]);
    let away = |told| {
        let mut books = well();
        books.agents.clear();
        books.hosts.clear();
        let framework = books.frameworks.get_mut("f").unwrap();
        framework.tasks.get_mut("t").unwrap().told = Some(told);
        ids(&once_quiet(&books))
    };
    assert!(away(TaskState::TaskUnreachable).is_empty());
    assert!(away(TaskState::TaskLost).is_empty());
    assert_eq!(away(TaskState::TaskRunning), ["ends-or-runs"]);
    let mut books = well();
    books.agents.clear();
    let framework = books.frameworks.get_mut("f").unwrap();
    framework.tasks.get_mut("t").unwrap().told = Some(TaskState::TaskUnreachable);
    let found = ids(&once_quiet(&books));
    assert_eq!(found, ["is-registered", "ends-or-runs"], "its agent is up");
}

#[test]
fn an_agent_that_vanished_or_is_a_ghost_is_seen() {
    let changed = |change: fn(&mut Books)| {
        let mut books = well();
        books.frameworks.clear();
        let agent = books.agents.get_mut("a").unwrap();
        (agent.used, agent.running) = (BTreeMap::new(), Some(BTreeMap::new()));
        agent.allocated = Some(agent.offered.clone());
        assert_eq!(ids(&once_quiet(&books)), Vec::<&str>::new());
        change(&mut books);
        ids(&once_quiet(&books))
    };
    let up = |id: &str| BTreeMap::from([("h".to_owned(), id.to_owned())]);
    let rule = "is-registered";
    assert_eq!(changed(|books| books.agents.clear()), [rule], "vanished");
    assert_eq!(changed(|books| books.hosts.clear()), [rule], "a ghost");
    let mut books = well();
    books.hosts = up("b");
    assert_eq!(ids(&once_quiet(&books)), [rule; 2], "under another id");
    books.hosts = up("");
    assert_eq!(ids(&once_quiet(&books)), [rule; 2], "without an id");
    let away = changed(|books| {
        books
            .agents
            .values_mut()
            .for_each(|it| it.connected = false)
    });
    assert_eq!(away, [rule]);
}

#[test]
fn what_runs_for_the_dead_and_what_waits_is_seen() {
    let found = changed(|agent, framework| {
        framework.over = true;
        agent.used.clear();
        agent.offered.clear();
        agent.allocated = None;
        agent.running = None;
    });
    let both = ["nothing-for-the-dead"; 2];
    assert_eq!(found, both, "the task and its executor");
    let waits = |acknowledges| {
        changed(|agent, framework| {
            framework.acknowledges = acknowledges;
            agent.waiting.push(TaskKey::new("f", "t"));
        })
    };
    assert_eq!(waits(true), ["nothing-waits"]);
    assert!(waits(false).is_empty());
}

#[test]
fn what_is_free_and_wanted_has_to_be_offered() {
    let free = |filters| {
        changed(|agent, framework| {
            agent.offered.clear();
            agent.allocated = Some(of("f", "cpus:1;mem:64"));
            framework.demand = Some(Demand {
                task: resources("cpus:1;mem:64"),
                weight: 1.0,
                filters,
            });
        })
    };
    assert_eq!(free(false), ["free-is-offered"]);
    assert!(free(true).is_empty());
}

#[test]
fn shares_may_differ_by_one_task() {
    let with = |cpus: [f64; 2], weights: [f64; 2]| {
        let mut agent = AgentBooks {
            total: resources("cpus:10;mem:1000"),
            ..AgentBooks::default()
        };
        let mut frameworks = BTreeMap::new();
        for (number, (cpus, weight)) in cpus.into_iter().zip(weights).enumerate() {
            let id = format!("f{number}");
            agent
                .used
                .insert(id.clone(), resources(&format!("cpus:{cpus}")));
            let demand = Demand {
                task: resources("cpus:1"),
                weight,
                filters: true,
            };
            let book = FrameworkBook {
                demand: Some(demand),
                ..FrameworkBook::default()
            };
            frameworks.insert(id, book);
        }
        let agents = [("a".to_owned(), agent)].into();
        let mut found = Vec::new();
        let books = Books {
            agents,
            frameworks,
            ..Books::default()
        };
        fair(&books, &mut found);
        ids(&found)
    };
    assert!(with([5.0, 4.0], [1.0, 1.0]).is_empty());
    assert_eq!(with([6.0, 4.0], [1.0, 1.0]), ["fair"]);
    assert!(with([6.0, 3.0], [2.0, 1.0]).is_empty());
    assert_eq!(with([4.0, 4.0], [3.0, 1.0]), ["fair"]);
}
