//! Flags as the binary takes and refuses them.

use crate::support::{finish, finish_unread, tepui};

/// The lists of all flags: name, older name, default, state, example, test.
const LISTS: [(&str, &str); 4] = [
    ("master", include_str!("../flags/master.txt")),
    ("agent", include_str!("../flags/agent.txt")),
    ("execute", include_str!("../flags/execute.txt")),
    ("simulate", include_str!("../flags/simulate.txt")),
];

#[test]
fn each_flag_that_is_not_offered_is_refused_by_name() {
    for (command, list) in LISTS {
        let mut refused = 0;
        for line in list.lines().filter(|line| !line.starts_with('#')) {
            let columns: Vec<&str> = line.split(" | ").collect();
            let (name, state, example) = (columns[0], columns[3], columns[4]);
            if state != "refused" || example == "(any)" {
                continue;
            }
            refused += 1;
            let (status, stdout, stderr) =
                finish(tepui(&[command, &format!("--{name}={example}")]));
            assert_eq!((status, stdout.as_str()), (1, ""), "{name}");
            let expected = format!("tepui {command}: Flag '{name}': ");
            assert!(stderr.starts_with(&expected), "{stderr}");
            assert!(stderr.contains("Tepui does not offer "), "{stderr}");
        }
        // Of Mesos' commands each has flags that are not offered.
        assert_eq!(refused > 5, command != "simulate", "{command}");
    }
}

#[test]
fn each_flag_is_in_the_help_once() {
    for (command, list) in LISTS {
        let (status, stdout, _) = finish(tepui(&[command, "--help"]));
        assert_eq!(status, 0);
        let (honoured, refused) = match command {
            "simulate" => (stdout.as_str(), ""),
            _ => stdout.split_once("Known from Mesos and refused").unwrap(),
        };
        for line in list.lines().filter(|line| !line.starts_with('#')) {
            let columns: Vec<&str> = line.split(" | ").collect();
            let words = |text: &str| {
                let lines = text.lines().filter(|line| line.starts_with("        "));
                let words = lines.flat_map(str::split_whitespace);
                words.filter(|word| *word == columns[0]).count()
            };
            let rows = |text: &str| {
                let form = |line: &str| {
                    let line = line.trim_start_matches("  --").trim_start_matches("[no-]");
                    line.split(['=', ' ']).next() == Some(columns[0])
                };
                text.lines()
                    .filter(|line| line.starts_with("  --"))
                    .filter(|it| form(it))
                    .count()
            };
            let expected = if columns[3] == "honoured" {
                (1, 0)
            } else {
                (0, 1)
            };
            assert_eq!(
                (rows(honoured), words(refused)),
                expected,
                "{command} --{}",
                columns[0]
            );
        }
        assert!(stdout.lines().all(|line| line.len() <= 110), "{stdout}");
    }
}

#[test]
fn whoever_does_not_read_to_the_end_is_told_of_no_panic() {
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["master", "--help"],
        &["run", "--help"],
        &["why", "--help"],
    ] {
        let unread = finish_unread(tepui(arguments));
        assert_eq!(unread, (0, String::new()), "{arguments:?}");
    }
}

#[test]
fn an_agent_on_loopback_does_not_start_for_a_master_elsewhere() {
    let command = tepui(&[
        "agent",
        "--master=192.0.2.1:5050",
        "--work_dir=/nonexistent",
    ]);
    let (status, stdout, stderr) = finish(command);
    assert_eq!((status, stdout.as_str()), (1, ""));
    for part in ["192.0.2.1:5050", "127.0.0.1", "--ip", "--advertise_ip"] {
        assert!(stderr.contains(part), "{stderr}");
    }
}

#[test]
fn flags_that_cannot_be_honored_are_errors() {
    let cases: [(&[&str], &str); 11] = [
        (
            &["master", "--nosuch=1"],
            "Failed to load unknown flag 'nosuch'",
        ),
        (
            &["master", "--port=1", "--port=2"],
            "Flag 'port' is already loaded via command line",
        ),
        (
            &["master", "--zk=zk://h:1/mesos"],
            "Flag 'zk': Tepui does not offer leader election by ZooKeeper, so",
        ),
        (
            &["master", "--registry=replicated_log"],
            "Flag 'registry': Tepui does not offer a registry that outlives",
        ),
        (
            &["agent", "--work_dir=/nonexistent"],
            "Flag 'master' is required",
        ),
        (
            &["agent", "--master=127.0.0.1:1"],
            "Flag 'work_dir' is required",
        ),
        (
            &["agent", "--image_providers=DOCKER"],
            "Flag 'image_providers': Tepui does not offer image stores, so",
        ),
        (
            &["local", "--num_agents=x"],
            "Failed to load flag 'num_agents'",
        ),
        (
            &["master", "--port=0", "--hostname="],
            "Failed to load flag 'hostname': expected a name",
        ),
        (
            &[
                "agent",
                "--work_dir=/nonexistent",
                "--master=file:///dev/null",
            ],
            "Failed to load flag 'master': expected host:port, and nothing is there, or in the \
             file",
        ),
        (
            &["master", "--port=0", "--allocation_log=/nonexistent/log"],
            "Failed to load flag 'allocation_log': cannot write it: /nonexistent/log: No such",
        ),
    ];
    for (arguments, expected) in cases {
        let (status, stdout, stderr) = finish(tepui(arguments));
        assert_eq!((status, stdout.as_str()), (1, ""), "{arguments:?}");
        let name = arguments[0];
        let lines: Vec<&str> = stderr.lines().collect();
        let [.., problem, hint] = lines[..] else {
            panic!("{stderr}")
        };
        assert!(
            problem.starts_with(&format!("tepui {name}: {expected}")),
            "{stderr}"
        );
        assert_eq!(hint, format!("Try 'tepui {name} --help'."));
        assert!(!stderr.contains("Usage:"), "{stderr}");
    }
    let mut command = tepui(&["master"]);
    command.env("MESOS_PORT", "x").env("TEPUI_PORT", "y");
    let (status, _, stderr) = finish(command);
    assert_eq!(status, 1);
    assert!(stderr.contains("Failed to load value 'y'"), "{stderr}");
}

#[test]
fn help_and_version_are_no_errors() {
    let version = format!(
        "tepui {} (compatible with mesos 1.12.0)\n",
        env!("CARGO_PKG_VERSION")
    );
    let cases: [&[&str]; 6] = [
        &["--version"],
        &["master", "--version"],
        &["agent", "--version"],
        &["local", "--version"],
        &["execute", "--version"],
        &["simulate", "--version"],
    ];
    for arguments in cases {
        assert_eq!(
            finish(tepui(arguments)),
            (0, version.clone(), String::new())
        );
    }
    for command in ["master", "agent", "local", "execute", "run", "simulate"] {
        let (status, stdout, stderr) = finish(tepui(&[command, "--help"]));
        assert_eq!((status, stderr.as_str()), (0, ""), "{command}");
        assert!(stdout.contains(&format!("tepui {command}")), "{stdout}");
        assert_eq!(finish(tepui(&["help", command])).1, stdout, "{command}");
    }
    let (status, stdout, _) = finish(tepui(&["help"]));
    assert_eq!(status, 0);
    assert!(stdout.contains("Commands:"), "{stdout}");
    let (status, _, stderr) = finish(tepui(&["nosuch"]));
    assert_eq!(status, 1);
    assert!(stderr.contains("there is no command 'nosuch'"), "{stderr}");
}
