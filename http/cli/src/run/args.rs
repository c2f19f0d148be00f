//! The command line of `tepui run`.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Parser;
use tepui_protocol::{
    mesos::v1::{CommandInfo, Environment, environment::Variable},
    resources::{self, Resources},
    roles,
};

/// Run a command as a task: a whole cluster in a temporary folder, for as long as the task runs
///
/// The task's output appears on stdout and stderr as it comes, each change of its state on stderr.
/// The exit status is that of the task; of several instances, the first that is not zero.
#[derive(Debug, Parser)]
#[command(name = "tepui run", disable_version_flag = true)]
pub(crate) struct Args {
    /// The command, run by `sh -c`; with ARGS the program itself, without a shell
    #[arg(required = true, value_name = "COMMAND", trailing_var_arg = true)]
    pub(crate) command: Vec<String>,
    /// CPUs of each instance
    #[arg(long, default_value_t = 1.0, value_name = "N")]
    cpus: f64,
    /// Memory of each instance, in megabytes
    #[arg(long, default_value_t = 128.0, value_name = "MB")]
    mem: f64,
    /// Further resources of each instance, such as `disk:100;ports:[31000-31001]`; cpus and mem
    /// named here win over --cpus and --mem
    #[arg(long, value_name = "RESOURCES")]
    resources: Option<String>,
    /// How many instances; with several, each line of output has its instance's number in front
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) instances: u16,
    /// How many agents; each offers all that this machine has
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) agents: u16,
    /// A variable of the tasks' environment; may be given several times
    #[arg(long = "env", value_name = "KEY=VALUE")]
    environment: Vec<String>,
    /// The name of framework and tasks
    #[arg(long, default_value = "run", value_name = "NAME")]
    pub(crate) name: String,
    /// The framework's role
    #[arg(long, default_value = "*", value_name = "ROLE")]
    pub(crate) role: String,
    /// The user that tasks run as; without it the one who runs this command
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Keep the cluster's folder, and say where it is
    #[arg(long)]
    pub(crate) keep: bool,
    /// Log at this level and above: INFO, WARNING, ERROR, or a filter of the tracing crates
    #[arg(
        long = "logging_level",
        alias = "logging-level",
        default_value = "ERROR"
    )]
    pub(crate) logging_level: String,
    /// Print nothing on stderr but the tasks' own output
    #[arg(long)]
    pub(crate) quiet: bool,
    /// Log into a file in this folder also
    #[arg(long = "log_dir", alias = "log-dir", value_name = "PATH")]
    pub(crate) log_dir: Option<PathBuf>,
}

impl Args {
    /// What each instance needs.
    ///
    /// # Errors
    ///
    /// A sentence that says what cannot be read.
    pub(crate) fn needs(&self) -> Result<Resources, String> {
        let given = resources::parse(self.resources.as_deref().unwrap_or_default(), "*")
            .map_err(|problem| format!("--resources: {problem}"))?;
        let mut needs = given.clone();
        for (name, amount) in [("cpus", self.cpus), ("mem", self.mem)] {
            if !given.names().contains(name) {
                let more = resources::parse(&format!("{name}:{amount}"), "*")
                    .map_err(|problem| format!("--{name}: {problem}"))?;
                needs.add_sharing(&more);
            }
        }
        for (name, flag) in [("cpus", "--cpus"), ("mem", "--mem")] {
            if needs.named(name).is_empty() {
                return Err(format!("{flag}: a task needs some {name}"));
            }
        }
        Ok(needs)
    }

    /// The tasks' command.
    ///
    /// # Errors
    ///
    /// A sentence that names the variable that is none.
    pub(crate) fn command_info(&self) -> Result<CommandInfo, String> {
        let mut variables = BTreeMap::new();
        for pair in &self.environment {
            let (name, value) = pair
                .split_once('=')
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| format!("--env: '{pair}' is not KEY=VALUE"))?;
            variables.insert(name.to_owned(), value.to_owned());
        }
        let shell = self.command.len() == 1;
        let variables = variables.into_iter().map(|(name, value)| Variable {
            name,
            value: Some(value),
            ..Variable::default()
        });
        Ok(CommandInfo {
            value: self.command.first().cloned(),
            shell: Some(shell),
            arguments: if shell {
                Vec::new()
            } else {
                self.command.clone()
            },
            user: self.user.clone(),
            environment: Some(Environment {
                variables: variables.collect(),
            }),
            ..CommandInfo::default()
        })
    }

    /// Refuses what no cluster could run.
    ///
    /// # Errors
    ///
    /// A sentence that names the argument.
    pub(crate) fn check(&self) -> Result<(), String> {
        roles::validate(&self.role).map_err(|problem| format!("--role: {problem}"))?;
        if self.instances == 0 || self.agents == 0 {
            return Err("--instances and --agents: at least one".to_owned());
        }
        if let Some(name) = &self.user {
            may_become(name, nix::unistd::geteuid())?;
        }
        let bad = |c: char| c.is_control() || c == '/' || c == '\\';
        if self.name.is_empty() || self.name.len() > 200 || self.name.contains(bad) {
            return Err("--name: up to 200 characters, no slashes".to_owned());
        }
        Ok(())
    }
}

/// Whether who runs this command may run tasks as that user.
fn may_become(name: &str, own: nix::unistd::Uid) -> Result<(), String> {
    match nix::unistd::User::from_name(name) {
        Ok(Some(user)) if own.is_root() || own == user.uid => Ok(()),
        Ok(Some(_)) => Err(format!(
            "--user: only root can run tasks as another user, here as '{name}'"
        )),
        _ => Err(format!("--user: there is no user '{name}' on this machine")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_runs_tasks_as_another_user() {
        let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap().uid;
        assert_eq!(may_become("nobody", nobody), Ok(()));
        assert_eq!(may_become("nobody", nix::unistd::Uid::from_raw(0)), Ok(()));
        let problem = may_become("root", nobody).unwrap_err();
        assert!(problem.contains("only root can"), "{problem}");
    }

    fn args(arguments: &[&str]) -> Args {
        Args::try_parse_from(std::iter::once(&"tepui run").chain(arguments)).unwrap()
    }

    #[test]
    fn one_word_is_for_the_shell_and_more_are_a_program_with_arguments() {
        let command = args(&["echo $HOME"]).command_info().unwrap();
        assert_eq!((command.value(), command.shell()), ("echo $HOME", true));
        assert!(command.arguments.is_empty());
        let command = args(&["ls", "-l", "--all"]).command_info().unwrap();
        assert_eq!((command.value(), command.shell()), ("ls", false));
        assert_eq!(command.arguments, ["ls", "-l", "--all"]);
    }

    #[test]
    fn resources_add_up() {
        let text = |arguments: &[&str]| args(arguments).needs().unwrap().to_text().unwrap();
        assert_eq!(text(&["x"]), "cpus:1;mem:128");
        assert_eq!(text(&["--cpus=0.5", "--mem", "32", "x"]), "cpus:0.5;mem:32");
        assert_eq!(
            text(&["--resources=mem:64;disk:10", "x"]),
            "mem:64;disk:10;cpus:1"
        );
        assert!(
            args(&["--cpus=0", "x"])
                .needs()
                .unwrap_err()
                .starts_with("--cpus")
        );
        assert!(
            args(&["--resources=nonsense", "x"])
                .needs()
                .unwrap_err()
                .contains("--resources")
        );
    }

    #[test]
    fn variables_are_pairs() {
        let command = args(&["--env", "A=b=c", "--env=D=", "x"])
            .command_info()
            .unwrap();
        let variables = command.environment.unwrap().variables;
        let pairs: Vec<_> = variables
            .iter()
            .map(|v| (v.name.as_str(), v.value()))
            .collect();
        assert_eq!(pairs, [("A", "b=c"), ("D", "")]);
        let problem = args(&["--env=novalue", "x"]).command_info().unwrap_err();
        assert_eq!(problem, "--env: 'novalue' is not KEY=VALUE");
    }

    #[test]
    fn what_cannot_be_run_is_refused_by_name() {
        for (arguments, flag) in [
            (["--role=a b", "x"], "--role"),
            (["--instances=0", "x"], "--instances"),
            (["--agents=0", "x"], "--instances and --agents"),
            (["--name=a/b", "x"], "--name"),
            (
                ["--user=no such user", "x"],
                "--user: there is no user 'no such user'",
            ),
        ] {
            let problem = args(&arguments).check().unwrap_err();
            assert!(problem.starts_with(flag), "{problem}");
        }
        assert!(args(&["x"]).check().is_ok());
    }
}
