//! A second agent in the place of a first one that had containers in containers.

use crate::Test;
use crate::host::{Host, Place, shell};
use crate::nested::{WAITS, end, finish, nothing_left, run};

pub(crate) const TESTS: &[Test] = &[
    ("nested_containers_outlive_the_containerizer", outlive),
    (
        "a_nested_containers_end_is_remembered_until_removed",
        remembered,
    ),
    ("nested_orphans_are_destroyed", orphans),
    ("what_got_no_word_is_not_nested_after_recovery", no_word),
    ("what_got_the_word_just_now_is_waited_for", just_now),
];

fn outlive() {
    let place = Place::new();
    let host = Host::start(&place);
    run(&host, &place, "p", WAITS);
    run(
        &host,
        &place,
        "p.c",
        "echo > ready; read line < ready; exit 7",
    );
    run(&host, &place, "p.c.a", WAITS);
    run(
        &host,
        &place,
        "p.d",
        "echo > ready; read line < ready; exit 8",
    );
    host.stop();
    // One ends with nobody there.
    let pid = std::fs::read_to_string(place.runtime("p.d").join("pid")).unwrap();
    std::fs::write(place.sandbox("p.d").join("ready"), "go\n").unwrap();
    let runs = || {
        let process = procfs::process::Process::new(pid.parse().unwrap());
        let stat = process.and_then(|process| process.stat());
        stat.is_ok_and(|stat| stat.state != 'Z')
    };
    while runs() {
        std::thread::yield_now();
    }
    let host = Host::start(&place);
    let recovered = host.recover(&place, &["p"]);
    assert_eq!((recovered.error, recovered.orphans.len()), (None, 0));
    let alive: Vec<String> = recovered.alive.iter().map(ToString::to_string).collect();
    assert_eq!(alive, ["p", "p.c", "p.c.a"]);
    end(&host, "p.d", 8 << 8);
    std::fs::write(place.sandbox("p.c").join("ready"), "go\n").unwrap();
    end(&host, "p.c.a", 9);
    end(&host, "p.c", 7 << 8);
    // It goes on being one that others can be nested in.
    host.launch_well(shell(&place, "p.e", "exit 2"));
    end(&host, "p.e", 2 << 8);
    finish(host, &place);
}

fn remembered() {
    let place = Place::new();
    let host = Host::start(&place);
    run(&host, &place, "p", WAITS);
    for (id, script) in [("p.c", "exit 6"), ("p.d", "exit 7")] {
        host.launch_well(shell(&place, id, script));
        host.terminated();
    }
    host.remove("p.d");
    while place.runtime("p.d").exists() {
        std::thread::yield_now();
    }
    host.stop();
    assert!(place.runtime("p.c").exists());
    let host = Host::start(&place);
    let recovered = host.recover(&place, &["p"]);
    assert_eq!(recovered.alive.len(), 1);
    end(&host, "p.c", 6 << 8);
    // An agent that comes again, to the same containerizer, is told again.
    assert_eq!(host.recover(&place, &["p"]).error, None);
    end(&host, "p.c", 6 << 8);
    host.remove("p.c");
    host.remove("p");
    assert_eq!(host.recover(&place, &["p"]).alive.len(), 1);
    host.launch_well(shell(&place, "p.d", "exit 1"));
    end(&host, "p.d", 1 << 8);
    finish(host, &place);
}

fn orphans() {
    let place = Place::new();
    let host = Host::start(&place);
    run(&host, &place, "p", WAITS);
    run(&host, &place, "q", WAITS);
    run(&host, &place, "q.c", WAITS);
    run(&host, &place, "p.c", WAITS);
    host.stop();
    // A cgroup that was being made.
    std::fs::create_dir_all(place.cgroup("freezer", "p.half", "")).unwrap();
    // A parent that is dead, without anybody who saw it.
    std::fs::write(place.runtime("p").join("init"), "{\"pi").unwrap();
    let host = Host::start(&place);
    let recovered = host.recover(&place, &["p"]);
    assert_eq!((recovered.error, recovered.alive.len()), (None, 0));
    assert_eq!(recovered.orphans.len(), 1, "{:?}", recovered.orphans);
    assert_eq!(recovered.orphans[0].to_string(), "q");
    // Of what never ran nobody is told.
    end(&host, "p.c", 9);
    end(&host, "p", 9);
    host.stop();
    nothing_left(&place);
}

fn no_word() {
    let place = Place::new();
    let host = Host::start(&place);
    run(&host, &place, "p", WAITS);
    run(&host, &place, "p.c", WAITS);
    run(&host, &place, "p.d", WAITS);
    host.stop();
    // As an agent leaves it that dies just before it gives the word.
    std::fs::remove_file(place.runtime("p.c").join("started")).unwrap();
    let host = Host::start(&place);
    let recovered = host.recover(&place, &["p"]);
    let alive: Vec<String> = recovered.alive.iter().map(ToString::to_string).collect();
    assert_eq!(alive, ["p", "p.d"]);
    host.launch_well(shell(&place, "p.c", "exit 4"));
    end(&host, "p.c", 4 << 8);
    host.destroy("p");
    end(&host, "p.d", 9);
    end(&host, "p", 9);
    host.stop();
    nothing_left(&place);
}

fn just_now() {
    let place = Place::new();
    let host = Host::start(&place);
    run(&host, &place, "p", WAITS);
    run(&host, &place, "p.c", WAITS);
    host.stop();
    // As an init leaves it that got the word of an agent that died then, and had no turn since.
    let started = place.runtime("p.c").join("started");
    std::fs::remove_file(&started).unwrap();
    let turn = std::thread::spawn(move || {
        std::thread::park_timeout(std::time::Duration::from_millis(200));
        std::fs::write(started, "").unwrap();
    });
    let host = Host::start(&place);
    let recovered = host.recover(&place, &["p"]);
    turn.join().unwrap();
    let alive: Vec<String> = recovered.alive.iter().map(ToString::to_string).collect();
    assert_eq!(alive, ["p", "p.c"]);
    host.destroy("p");
    end(&host, "p.c", 9);
    end(&host, "p", 9);
    host.stop();
    nothing_left(&place);
}
