//! Each of Mesos' rules for flags, on a small table.

use std::{collections::BTreeMap, io, path::Path};

use super::*;
use crate::flags::flags;

const TABLE: &[Group] = &[
    (
        "Some",
        flags! {
            port: Integer = "5050" => does "";
            quiet: Boolean = "false" => does "";
            agent_ping_timeout | slave_ping_timeout: Duration = "15secs" => does "";
            roles: Text => does "";
            log_dir: Path => does "";
        },
    ),
    (
        "Others",
        flags! {
            domain: Json => does "";
            authenticate_agents | authenticate_slaves: Boolean = "false" => refuses "authentication";
            zk: Text => refuses "ZooKeeper" but takes "none";
        },
    ),
];

fn read(path: &Path) -> io::Result<String> {
    match path.to_str() {
        Some("/roles") => Ok("web,db\n".to_owned()),
        Some("/domain") => Ok("{}\n".to_owned()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    }
}

fn load(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Parsed, FlagError> {
    let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
    let environment: BTreeMap<String, String> = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let sources = Sources {
        arguments: &arguments,
        environment: &environment,
        read: &read,
    };
    parse(&[TABLE], &sources)
}

fn values(arguments: &[&str], environment: &[(&str, &str)]) -> Values {
    match load(arguments, environment) {
        Ok(Parsed::Values(values)) => values,
        other => panic!("{arguments:?}: {other:?}"),
    }
}

fn error(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    load(arguments, environment).unwrap_err().to_string()
}

#[test]
fn defaults_hold_where_nothing_is_given() {
    let values = values(&[], &[]);
    assert_eq!(values.parsed::<u16>("port"), Some(5050));
    assert_eq!(values.duration("agent_ping_timeout").unwrap().as_secs(), 15);
    assert_eq!(values.text("roles"), None);
    assert!(!values.boolean("quiet"));
}

#[test]
fn values_come_behind_an_equals_sign_and_booleans_alone() {
    let values = values(&["--port=6000", "--quiet", "--ROLES=a,b=c"], &[]);
    assert_eq!(values.parsed::<u16>("port"), Some(6000));
    assert!(values.boolean("quiet"));
    assert_eq!(values.text("roles"), Some("a,b=c"));
    for (argument, expected) in [
        ("--no-quiet", false),
        ("--quiet=1", true),
        ("--quiet=0", false),
    ] {
        assert_eq!(
            self::values(&[argument], &[]).boolean("quiet"),
            expected,
            "{argument}"
        );
    }
}

#[test]
fn what_is_wrong_on_the_command_line_is_named() {
    let cases: [(&[&str], &str); 11] = [
        (&["--nosuch=1"], "Failed to load unknown flag 'nosuch'"),
        (&["--no-such"], "Failed to load unknown flag 'no-such'"),
        (
            &["--port"],
            "Failed to load non-boolean flag 'port': Missing value",
        ),
        (
            &["--no-port"],
            "Failed to load non-boolean flag 'port' via 'no-port'",
        ),
        (
            &["--no-quiet=true"],
            "Failed to load boolean flag 'quiet' via 'no-quiet' with value 'true'",
        ),
        (
            &["--port=1", "--port=2"],
            "Flag 'port' is already loaded via command line",
        ),
        (
            &["--quiet", "--no-quiet"],
            "Flag 'quiet' is already loaded via command line",
        ),
        (
            &["--agent_ping_timeout=1secs", "--slave_ping_timeout=1secs"],
            "Flag 'agent_ping_timeout' is already loaded via command line",
        ),
        (
            &["--port=x"],
            "Failed to load flag 'port': Failed to load value 'x': Failed to convert 'x' to number",
        ),
        (
            &["--agent_ping_timeout=9"],
            "Failed to load flag 'agent_ping_timeout': Failed to load value '9': \
             Invalid duration '9'",
        ),
        (
            &["--quiet=yes"],
            "Failed to load flag 'quiet': Failed to load value 'yes': \
             Expecting a boolean (e.g., true or false)",
        ),
    ];
    for (arguments, expected) in cases {
        assert_eq!(error(arguments, &[]), expected, "{arguments:?}");
    }
}

#[test]
fn the_command_line_wins_over_tepui_and_tepui_over_mesos() {
    let both = [
        ("MESOS_PORT", "1"),
        ("TEPUI_PORT", "2"),
        ("MESOS_NOSUCH", "x"),
        ("PORT", "9"),
    ];
    assert_eq!(values(&["--port=3"], &both).parsed::<u16>("port"), Some(3));
    assert_eq!(values(&[], &both).parsed::<u16>("port"), Some(2));
    let typo = values(&[], &[("TEPUI_PROT", "1"), ("MESOS_PROT", "1")]);
    assert_eq!(
        typo.warnings,
        ["ignored TEPUI_PROT: this command has no such flag"]
    );
    assert_eq!(values(&[], &both[..1]).parsed::<u16>("port"), Some(1));
    let twice = [
        ("MESOS_AGENT_PING_TIMEOUT", "1secs"),
        ("MESOS_SLAVE_PING_TIMEOUT", "1secs"),
    ];
    let expected = "Flag 'agent_ping_timeout' is already loaded via MESOS_AGENT_PING_TIMEOUT";
    assert_eq!(error(&[], &twice), expected);
}

#[test]
fn older_names_work_with_a_warning() {
    let values = values(&["--slave_ping_timeout=2mins"], &[]);
    assert_eq!(
        values.duration("agent_ping_timeout").unwrap().as_secs(),
        120
    );
    let expected = "flag 'slave_ping_timeout' is deprecated: use 'agent_ping_timeout'";
    assert_eq!(values.warnings, [expected]);
}

#[test]
fn a_file_stands_for_its_content_except_as_a_path() {
    let values = values(&["--roles=file:///roles", "--log_dir=file:///var/log"], &[]);
    assert_eq!(values.text("roles"), Some("web,db"));
    assert_eq!(values.path("log_dir"), Some("/var/log".into()));
    let expected = "Failed to load flag 'roles': Error reading file '/none': entity not found";
    assert_eq!(error(&["--roles=file:///none"], &[]), expected);
}

#[test]
fn json_is_checked_and_may_be_a_path() {
    assert_eq!(values(&["--domain={}"], &[]).warnings, [""; 0]);
    assert_eq!(values(&["--domain=file:///domain"], &[]).warnings, [""; 0]);
    let values = values(&["--domain=/domain"], &[]);
    assert_eq!(values.text("domain"), Some("{}"));
    let expected = "flag 'domain': a path without 'file://' in front of it is deprecated";
    assert_eq!(values.warnings, [expected]);
    for (argument, expected) in [
        ("--domain={", "it is not JSON: EOF"),
        ("--domain=/none", "Error reading file '/none'"),
    ] {
        let problem = error(&[argument], &[]);
        assert!(
            problem.starts_with("Failed to load flag 'domain': "),
            "{problem}"
        );
        assert!(problem.contains(expected), "{problem}");
    }
}

#[test]
fn a_flag_that_is_not_offered_takes_only_what_happens_anyway() {
    assert!(
        !values(&["--no-authenticate_slaves", "--zk=none"], &[])
            .warnings
            .is_empty()
    );
    let expected = "Flag 'authenticate_agents': Tepui does not offer authentication, \
                    so that 'true' cannot be honored";
    assert_eq!(error(&["--authenticate_agents"], &[]), expected);
    assert_eq!(
        error(&[], &[("MESOS_AUTHENTICATE_SLAVES", "true")]),
        expected
    );
    let expected = "Flag 'zk': Tepui does not offer ZooKeeper, so that 'zk://h' cannot be honored";
    assert_eq!(error(&["--zk=zk://h"], &[]), expected);
}

#[test]
fn flags_end_at_two_dashes_and_bare_words_are_ignored() {
    let values = values(&["word", "--port=1", "--", "--port=2"], &[]);
    assert_eq!(values.parsed::<u16>("port"), Some(1));
    assert_eq!(values.warnings, ["ignored the argument 'word'"]);
    assert_eq!(load(&["--port=1", "--help"], &[]), Ok(Parsed::Help));
    assert_eq!(load(&["--version"], &[]), Ok(Parsed::Version));
}

#[test]
fn of_several_flags_with_one_name_the_first_counts() {
    const FIRST: &[Group] = &[("First", flags! { port: Integer = "1" => does ""; })];
    let environment = BTreeMap::new();
    let sources = Sources {
        arguments: &[],
        environment: &environment,
        read: &read,
    };
    let Ok(Parsed::Values(values)) = parse(&[FIRST, TABLE], &sources) else {
        panic!()
    };
    assert_eq!(values.parsed::<u16>("port"), Some(1));
}

#[test]
fn what_libprocess_takes_from_the_environment_comes_last() {
    const TABLE: &[Group] = &[(
        "Listening",
        flags! {
            ip: Ip => does "";
            ip_discovery_command: Text => does "";
            port: Port = "5050" => does "";
        },
    )];
    let load = |arguments: &[&str], environment: &[(&str, &str)]| {
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment = environment.iter().map(own).collect();
        let sources = Sources {
            arguments: &arguments,
            environment: &environment,
            read: &read,
        };
        match parse(&[TABLE], &sources) {
            Ok(Parsed::Values(values)) => Ok(values),
            Ok(other) => panic!("{other:?}"),
            Err(problem) => Err(problem.to_string()),
        }
    };
    let ip = ("LIBPROCESS_IP", "10.0.0.1");
    assert_eq!(load(&[], &[ip]).unwrap().text("ip"), Some("10.0.0.1"));
    let given = load(&["--ip=10.0.0.2"], &[ip]).unwrap();
    assert_eq!(given.text("ip"), Some("10.0.0.2"));
    assert_eq!(
        load(&["--ip_discovery_command=x"], &[ip])
            .unwrap()
            .text("ip"),
        None
    );
    assert_eq!(
        load(&[], &[("LIBPROCESS_PORT", "1")]).unwrap().text("port"),
        Some("5050")
    );
    let threads = load(&[], &[("LIBPROCESS_NUM_WORKER_THREADS", "3")]).unwrap();
    assert_eq!(threads.parsed("LIBPROCESS_NUM_WORKER_THREADS"), Some(3));
    // Mesos' own default is what nobody asked for.
    let limit = "LIBPROCESS_METRICS_SNAPSHOT_ENDPOINT_RATE_LIMIT";
    assert!(load(&[], &[(limit, "")]).is_ok() && load(&[], &[(limit, "2/1secs")]).is_ok());
    assert!(
        load(&[], &[(limit, "5/1secs")])
            .unwrap_err()
            .contains(limit)
    );
    for variable in ["LIBPROCESS_SSL_ENABLED", "SSL_ENABLED"] {
        assert!(load(&[], &[(variable, "false")]).is_ok());
        let expected =
            format!("Flag '{variable}': Tepui does not offer TLS, so that '1' cannot be honored");
        assert_eq!(load(&[], &[(variable, "1")]).unwrap_err(), expected);
    }
}
