//! The tables against the list of all flags in `tests/flags/`: none is missing, and none is taken
//! and does nothing.

use std::{collections::BTreeMap, io, path::Path};

use tepui_agent::AgentOptions;
use tepui_runtime::Pid;

use super::{parse::merge, *};
use crate::{agent, cluster, execute, listening::Listening, logging::Logging, master, simulate};

/// One line of a list.
struct Line {
    name: &'static str,
    alias: Option<&'static str>,
    default: Option<&'static str>,
    honoured: bool,
    example: &'static str,
    test: &'static str,
}

/// A command's flags, the list of them, and all that is started with their values.
type List = (&'static [Group], &'static str, fn(&Values) -> String);

const LISTS: [List; 4] = [
    (
        MASTER,
        include_str!("../../tests/flags/master.txt"),
        of_master,
    ),
    (AGENT, include_str!("../../tests/flags/agent.txt"), of_agent),
    (
        EXECUTE,
        include_str!("../../tests/flags/execute.txt"),
        of_execute,
    ),
    (
        SIMULATE,
        include_str!("../../tests/flags/simulate.txt"),
        of_simulate,
    ),
];

fn lines(text: &'static str) -> impl Iterator<Item = Line> {
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    rows.map(|row| {
        let columns: Vec<&str> = row.split(" | ").collect();
        let [name, alias, default, state, example, test] = columns[..] else {
            panic!("six columns: {row}")
        };
        assert!(["honoured", "refused"].contains(&state), "{row}");
        Line {
            name,
            alias: (alias != "-").then_some(alias),
            default: (default != "none").then_some(default),
            honoured: state == "honoured",
            example,
            test,
        }
    })
}

/// What must be given in any case.
fn least(groups: &[Group]) -> Vec<String> {
    let least: &[&str] = if groups == EXECUTE {
        &["--master=127.0.0.1:5050", "--name=n", "--command=true"]
    } else if groups == AGENT {
        &["--master=127.0.0.1:5050", "--work_dir=/tmp/w"]
    } else {
        &[]
    };
    least.iter().map(|text| (*text).to_owned()).collect()
}

fn load(groups: &'static [Group], argument: Option<String>) -> Result<Values, FlagError> {
    let mut arguments = least(groups);
    if let Some(argument) = argument {
        let name = argument.split_inclusive('=').next().unwrap().to_owned();
        // A whole task, or a group of them, stands instead of its parts.
        let whole = ["--task=", "--task_group="].contains(&name.as_str());
        let replaced =
            |given: &String| given.starts_with(&name) || (whole && !given.starts_with("--master="));
        arguments.retain(|given| !replaced(given));
        if name == "--advertise_port=" {
            arguments.push("--advertise_ip=10.0.0.8".to_owned());
        }
        arguments.push(argument);
    }
    let sources = Sources {
        arguments: &arguments,
        environment: &BTreeMap::new(),
        read: &|_| Err(io::ErrorKind::NotFound.into()),
    };
    match parse(&[groups], &sources)? {
        Parsed::Values(values) => Ok(values),
        other => panic!("{other:?}"),
    }
}

/// All that a master is started with, but the list of flags that it shows.
fn of_master(values: &Values) -> String {
    let api = cluster::api_options(&[MASTER], values, "master");
    format!(
        "{:?} {:?} {:?} {:?} {:?}",
        master::options(values).unwrap(),
        Listening::of(values, "master").unwrap(),
        Logging::of(values, "master"),
        values.path("work_dir"),
        api.log_file
    )
}

/// All that an agent is started with, but the list of flags that it shows.
fn of_agent(values: &Values) -> String {
    let listening = Listening::of(values, "agent").unwrap();
    let pid: Pid = "containerizer(1)@127.0.0.1:1".parse().unwrap();
    let work_dir = values.path("work_dir").unwrap();
    let master = crate::listening::master_pid(values).unwrap();
    let plan = agent::plan(values, listening, master, work_dir, 0, "agent").unwrap();
    let mut options = AgentOptions::new(plan.master.clone(), plan.work_dir.clone(), pid);
    (plan.adjust)(&mut options, values);
    format!(
        "{options:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        plan.node,
        plan.hostname,
        plan.resources,
        plan.attributes,
        plan.domain,
        plan.containers,
        plan.api.log_file,
        Logging::of(values, "agent")
    )
}

fn of_execute(values: &Values) -> String {
    let plan = execute::plan(values).unwrap();
    format!("{plan:?} {:?}", Logging::of(values, "execute"))
}

fn of_simulate(values: &Values) -> String {
    let plan = simulate::plan(values).unwrap();
    format!("{plan:?} {:?}", Logging::of(values, "simulate"))
}

#[test]
fn the_tables_have_every_flag_of_mesos_and_no_other() {
    for (groups, list, _) in LISTS {
        let mut flags: BTreeMap<&str, &Flag> = merge(&[groups])
            .into_iter()
            .map(|flag| (flag.name, flag))
            .collect();
        for line in lines(list) {
            let flag = flags.remove(line.name);
            let flag = flag.unwrap_or_else(|| panic!("'{}' is not known", line.name));
            assert_eq!(flag.alias, line.alias, "{}", line.name);
            assert_eq!(flag.default, line.default, "{}", line.name);
            let honoured = flag.support == Support::Honoured;
            assert_eq!(honoured, line.honoured, "{}", line.name);
            assert_eq!(flag.help.is_empty(), !honoured, "{}", line.name);
        }
        assert_eq!(
            flags.keys().collect::<Vec<_>>(),
            [&""; 0],
            "not in the list"
        );
    }
}

#[test]
fn what_is_refused_is_named_and_its_default_is_taken() {
    for (groups, list, _) in LISTS {
        for line in lines(list).filter(|line| !line.honoured) {
            let name = line.name;
            if let Some(default) = line.default {
                let values = load(groups, Some(format!("--{name}={default}"))).unwrap();
                assert_eq!(values.text(name), Some(default), "{name}");
            }
            if line.example == "(any)" {
                for value in ["true", "false"] {
                    load(groups, Some(format!("--{name}={value}"))).unwrap();
                }
                continue;
            }
            for name in [Some(name), line.alias].into_iter().flatten() {
                let refused = load(groups, Some(format!("--{name}={}", line.example)));
                let problem = refused.expect_err(name).to_string();
                assert!(
                    problem.starts_with(&format!("Flag '{}': ", line.name)),
                    "{problem}"
                );
            }
        }
    }
}

#[test]
fn what_is_honoured_changes_what_is_started() {
    for (groups, list, started) in LISTS {
        let plain = started(&load(groups, None).unwrap());
        for line in lines(list).filter(|line| line.honoured) {
            let name = line.name;
            // Without root there is no other launcher than this one.
            if name == "launcher" && !nix::unistd::geteuid().is_root() {
                continue;
            }
            let (example, same) = match line.example.strip_suffix(" (nothing changes)") {
                Some(example) => (example, true),
                None => (line.example, false),
            };
            for name in [Some(name), line.alias].into_iter().flatten() {
                let values = load(groups, Some(format!("--{name}={example}")));
                let values = values.unwrap_or_else(|problem| panic!("{name}: {problem}"));
                assert_eq!(started(&values) == plain, same, "{name}");
            }
        }
    }
}

#[test]
fn the_effect_of_each_honoured_flag_is_named_and_its_test_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut source = String::new();
    for folder in ["actors", "http", "integration", "runtime"] {
        read_all(&root.join(folder), &mut source);
    }
    for (_, list, _) in LISTS {
        for line in lines(list).filter(|line| line.honoured) {
            let there = match line.test.split_once("::") {
                _ if line.test.starts_with("seen: ") => true,
                Some((file, test)) => {
                    let text = read(&root.join(file));
                    text.contains(&format!("fn {test}("))
                }
                None if line.test.contains('/') => root.join(line.test).is_file(),
                None => source.contains(&format!("fn {}()", line.test)),
            };
            assert!(there, "{}: there is no test '{}'", line.name, line.test);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test reads the tree it is in"
)]
fn read_all(folder: &Path, source: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, source);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            source.push_str(&read(&path));
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test reads the tree it is in"
)]
fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()))
}
