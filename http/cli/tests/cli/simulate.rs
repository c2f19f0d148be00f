//! `tepui simulate` as a user runs it.

use crate::support::{finish, tepui};

/// A cluster that is simulated in no time.
const TINY: [&str; 4] = [
    "--agents=1",
    "--frameworks=1",
    "--hours=0.005",
    "--faults=0",
];

fn simulate(arguments: &[&str]) -> (i32, String, String) {
    finish(tepui(&[&["simulate"], arguments].concat()))
}

#[test]
fn a_run_tells_its_hash_what_happened_and_what_was_checked() {
    let (status, stdout, stderr) = simulate(&[&TINY[..], &["--seed=7"]].concat());
    assert_eq!((status, stderr.as_str()), (0, ""), "{stdout}");
    let lines: Vec<&str> = stdout.lines().collect();
    let hash = lines[0].strip_prefix("seed 7: hash ").expect(&stdout);
    assert!(hash.len() == 16 && u64::from_str_radix(hash, 16).is_ok());
    for what in [
        "seconds of virtual time",
        "deliveries",
        "frameworks",
        "agents registered",
        "offers",
    ] {
        let line = lines.iter().find(|line| line.ends_with(what));
        let number = line.and_then(|line| line.split_whitespace().next());
        assert!(number.is_some_and(|number| number != "0"), "{what}");
    }
    let last = lines.last().unwrap();
    assert!(
        last.contains("invariants checked: offer-id-once, "),
        "{last}"
    );
    let again = simulate(&[&TINY[..], &["--seed=7"]].concat());
    assert_eq!(again.1, stdout);
    let other = simulate(&[&TINY[..], &["--seed=8"]].concat());
    assert!(!other.1.contains(hash));
}

#[test]
fn the_size_of_a_simulated_cluster_is_that_of_its_flags() {
    let number = |arguments: &[&str], what: &str| {
        let (status, stdout, _) = simulate(arguments);
        assert_eq!(status, 0, "{stdout}");
        let line = stdout.lines().find(|line| line.ends_with(what));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.map_or(0_u64, |number| number.replace(',', "").parse().unwrap())
    };
    let of = |agents: &str, frameworks: &str, what: &str| {
        number(&[agents, frameworks, "--hours=0.01", "--faults=0"], what)
    };
    let (one, three) = ("--frameworks=1", "--frameworks=3");
    assert_eq!(of("--agents=2", one, "  agents registered"), 2);
    // Beside those that share what there is in the end.
    let more = of("--agents=1", three, "  frameworks") - of("--agents=1", one, "  frameworks");
    assert_eq!(more, 2);
    let small = [TINY[0], TINY[1], TINY[3]];
    let time = |hours: &'static str| {
        let arguments = [small[0], small[1], small[2], hours];
        number(&arguments, "seconds of virtual time")
    };
    let (brief, longer) = (time("--hours=0.01"), time("--hours=0.2"));
    assert!(longer >= brief + 300, "{brief} {longer}");
    let (_, stdout, _) = simulate(&["--hours=0.05", "--faults=400", "--seed=1"]);
    let faults = stdout.lines().filter(|line| line.contains("  faults: "));
    let faults = faults.map(|line| line.split_whitespace().next().unwrap());
    let faults: u64 = faults.map(|number| number.parse::<u64>().unwrap()).sum();
    // Some of the 20 that were drawn find nothing to befall, such as a host that is down.
    assert!((10..=20).contains(&faults), "{stdout}");
}

#[test]
fn many_seeds_are_run_and_summed_up() {
    let (status, stdout, stderr) = simulate(&[&TINY[..], &["--seeds=3..6"]].concat());
    assert_eq!((status, stderr.as_str()), (0, ""), "{stdout}");
    assert!(stdout.starts_with("3 seeds in "), "{stdout}");
    assert!(stdout.contains(" s: 0 broken; "), "{stdout}");
}

#[test]
fn what_cannot_be_simulated_is_an_error() {
    let cases: [(&[&str], &str); 12] = [
        (
            &["--seed=x"],
            "Failed to load flag 'seed': Failed to load value 'x'",
        ),
        (
            &["--seed=-1"],
            "Failed to load flag 'seed': Failed to load value '-1'",
        ),
        (
            &["--agents=0"],
            "Failed to load flag 'agents': expected from 1 to 10000",
        ),
        (
            &["--agents=10001"],
            "Failed to load flag 'agents': expected from 1 to 10000",
        ),
        (
            &["--frameworks=0"],
            "Failed to load flag 'frameworks': expected from 1 to 1000",
        ),
        (
            &["--faults=100001"],
            "Failed to load flag 'faults': expected from 0 to 100000",
        ),
        (
            &["--hours=-1"],
            "Failed to load flag 'hours': expected from 0 to 700",
        ),
        (
            &["--hours=NaN"],
            "Failed to load flag 'hours': expected from 0 to 700",
        ),
        (
            &["--seeds=3"],
            "Failed to load flag 'seeds': expected A..B instead of '3'",
        ),
        (
            &["--seeds=5..5"],
            "Failed to load flag 'seeds': there is no seed in '5..5'",
        ),
        (
            &["--seeds=1..3", "--seed=1"],
            "Flag 'seeds' goes with neither 'seed' nor 'trace'",
        ),
        (
            &["--seeds=1..3", "--trace"],
            "Flag 'seeds' goes with neither 'seed' nor 'trace'",
        ),
    ];
    for (arguments, expected) in cases {
        let (status, stdout, stderr) = simulate(arguments);
        assert_eq!((status, stdout.as_str()), (1, ""), "{arguments:?}");
        let expected = format!("tepui simulate: {expected}");
        assert!(stderr.starts_with(&expected), "{stderr}");
        assert!(
            stderr.ends_with("Try 'tepui simulate --help'.\n"),
            "{stderr}"
        );
    }
}

#[test]
fn a_trace_has_a_line_for_each_event_and_the_cluster_at_a_glance() {
    // With so many frameworks some speak HTTP.
    let size = ["--agents=2", "--frameworks=9", "--hours=0.03", "--faults=0"];
    let (status, stdout, _) = simulate(&[&size[..], &["--trace"]].concat());
    assert_eq!(status, 0, "{stdout}");
    let (mut names, mut glances) = (Vec::new(), 0);
    for line in stdout.lines().take_while(|line| !line.starts_with("seed ")) {
        let words: Vec<&str> = line.split(' ').collect();
        // Seconds and nanoseconds since the epoch: a world begins with the year 2026.
        assert!(
            words[0].starts_with("17672") && words[0].len() == 20,
            "{line}"
        );
        if words[1] == "--" {
            assert!(line.contains(" -- agents: 2 of 2 up, "), "{line}");
            glances += 1;
            continue;
        }
        assert!(
            words[1].contains("@10.") && words[3].contains("@10."),
            "{line}"
        );
        let [from, to] = [words[1], words[3]];
        assert!(words[2] == "->" && from.contains(':') && to.contains(':'));
        let hash = words.last().unwrap();
        let exited = words[4] == "exited";
        assert!(exited || (hash.len() == 16 && u64::from_str_radix(hash, 16).is_ok()));
        names.push(words[4..words.len() - 1].join(" "));
    }
    assert!(glances >= 2, "{glances}");
    for name in [
        "mesos.internal.RegisterSlaveMessage",
        "mesos.internal.PingSlaveMessage",
        "POST /api/v1/scheduler",
        "HTTP 200",
        "HTTP 202",
        "HTTP piece",
    ] {
        assert!(names.iter().any(|it| it == name), "{name}");
    }
}
