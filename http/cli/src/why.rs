//! `tepui why framework ID` and `tepui why task ID`: asks a master why a framework has no offers,
//! or why a task is not running, and says it line by line.
//!
//! Not here: the reasons, which are the master's and its allocator's (`/why`).

use std::{fmt::Write as _, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use serde_json::Value;
use ureq::Agent;

use crate::{command, say};

/// How long the master may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most of an answer that is read: a line for each agent of a large cluster.
const MOST: u64 = 256 << 20;

/// Say why a framework has no offers, or why a task is not running
#[derive(Debug, Parser)]
#[command(name = "tepui why", disable_version_flag = true)]
struct Args {
    #[command(subcommand)]
    about: About,
    /// Where the master is
    #[arg(
        long,
        global = true,
        default_value = "127.0.0.1:5050",
        value_name = "HOST:PORT"
    )]
    master: String,
    /// Print the master's answer as it is, as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum About {
    /// For each agent: what is offered of it, or the one reason why nothing is
    Framework {
        /// The framework's id
        id: String,
    },
    /// Where the task is, and why it does not run
    Task {
        /// The task's id
        id: String,
        /// Only the task of this framework
        #[arg(long, value_name = "ID")]
        framework: Option<String>,
    },
}

impl About {
    /// What is asked for, as the query has it.
    fn query(&self) -> Vec<(&'static str, &str)> {
        match self {
            About::Framework { id } => vec![("framework_id", id)],
            About::Task { id, framework } => {
                let framework = framework.as_ref().map(|id| ("framework_id", id.as_str()));
                framework
                    .into_iter()
                    .chain([("task_id", id.as_str())])
                    .collect()
            }
        }
    }
}

/// Reads the arguments and asks.
pub(crate) fn main(arguments: &[String]) -> ExitCode {
    let args: Args = match command::arguments("tepui why", arguments) {
        Ok(args) => args,
        Err(status) => return status,
    };
    match ask(&args) {
        Ok(text) => {
            say::text(&text);
            ExitCode::SUCCESS
        }
        Err(problem) => {
            say::err(format_args!("tepui why: {problem}"));
            ExitCode::FAILURE
        }
    }
}

fn ask(args: &Args) -> Result<String, String> {
    let master = &args.master;
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(1)
        .proxy(None)
        .timeout_global(Some(PATIENCE))
        .build();
    let request = Agent::new_with_config(config).get(format!("http://{master}/master/why"));
    let unreachable = |problem: ureq::Error| format!("the master at {master}: {problem}");
    let mut response = request
        .query_pairs(args.about.query())
        .call()
        .map_err(unreachable)?;
    let body = response.body_mut().with_config().limit(MOST);
    let body = body.read_to_string().map_err(unreachable)?;
    if !response.status().is_success() {
        return Err(body.trim_end().to_owned());
    }
    if args.json {
        return Ok(body + "\n");
    }
    let answer: Value =
        serde_json::from_str(&body).map_err(|problem| format!("the master's answer: {problem}"))?;
    Ok(match args.about {
        About::Framework { .. } => of_framework(&answer),
        About::Task { .. } => of_task(&answer),
    })
}

fn text<'a>(of: &'a Value, key: &str) -> &'a str {
    of[key].as_str().unwrap_or_default()
}

fn list<'a>(of: &'a Value, key: &str) -> &'a [Value] {
    of[key].as_array().map_or(&[], Vec::as_slice)
}

fn joined(of: &Value, key: &str) -> String {
    let all: Vec<&str> = list(of, key).iter().filter_map(Value::as_str).collect();
    all.join(", ")
}

fn of_framework(answer: &Value) -> String {
    let (id, name, state) = (
        text(answer, "framework_id"),
        text(answer, "name"),
        text(answer, "state"),
    );
    let roles = joined(answer, "roles");
    let mut lines = format!("framework {id} '{name}' is {state}; roles: {roles}\n");
    for agent in list(answer, "agents") {
        let (id, hostname) = (text(agent, "agent_id"), text(agent, "hostname"));
        let offers = joined(agent, "offers");
        let _ = match offers.as_str() {
            "" => {
                let (why, role) = (text(agent, "why"), text(agent, "role"));
                writeln!(lines, "agent {id} ({hostname}), role {role}: {why}")
            }
            offers => writeln!(lines, "agent {id} ({hostname}): offered, as {offers}"),
        };
    }
    lines
}

fn of_task(answer: &Value) -> String {
    let id = text(answer, "task_id");
    let mut lines = String::new();
    for task in list(answer, "tasks") {
        let (framework, why) = (text(task, "framework_id"), text(task, "why"));
        let _ = writeln!(lines, "task {id} of framework {framework}: {why}");
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_becomes_a_line_for_each_agent() {
        let answer = json!({
            "framework_id": "f", "name": "batch", "state": "connected", "roles": ["a", "b"],
            "agents": [
                {"agent_id": "S0", "hostname": "h0", "offers": ["O1", "O2"]},
                {"agent_id": "S1", "hostname": "h1", "role": "a", "reason": "suppressed",
                 "why": "the framework suppressed offers for the role", "details": {}},
            ],
        });
        assert_eq!(
            of_framework(&answer),
            "framework f 'batch' is connected; roles: a, b\n\
             agent S0 (h0): offered, as O1, O2\n\
             agent S1 (h1), role a: the framework suppressed offers for the role\n"
        );
    }

    #[test]
    fn an_answer_becomes_a_line_for_each_task() {
        let task = |framework: &str| json!({"framework_id": framework, "why": "it is running"});
        let answer = json!({"task_id": "t", "tasks": [task("f"), task("g")]});
        assert_eq!(
            of_task(&answer),
            "task t of framework f: it is running\ntask t of framework g: it is running\n"
        );
    }

    #[test]
    fn arguments_become_a_query() {
        let query = |arguments: &[&str]| {
            let args = Args::try_parse_from([&["tepui why"], arguments].concat()).unwrap();
            let pairs = args.about.query().into_iter();
            let pairs: Vec<String> = pairs.map(|(key, value)| format!("{key}={value}")).collect();
            (args.master.clone(), pairs)
        };
        assert_eq!(
            query(&["framework", "f", "--master=h:1"]),
            ("h:1".to_owned(), vec!["framework_id=f".to_owned()])
        );
        let (master, pairs) = query(&["task", "t", "--framework", "f"]);
        assert_eq!(master, "127.0.0.1:5050");
        assert_eq!(pairs, ["framework_id=f", "task_id=t"]);
        for bad in [&[][..], &["framework"], &["task"], &["other", "x"]] {
            let whole = [&["tepui why"], bad].concat();
            assert!(Args::try_parse_from(whole).is_err(), "{bad:?}");
        }
    }
}
