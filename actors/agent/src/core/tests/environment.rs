//! What executors find in their environment.

use tepui_protocol::mesos::v1::Environment;
use tepui_protocol::mesos::v1::environment::Variable;

use super::*;

fn environment(launch: &Launch) -> BTreeMap<String, String> {
    let variables = &launch.command.environment.as_ref().unwrap().variables;
    let pair = |variable: &Variable| (variable.name.clone(), variable.value().to_owned());
    let all: BTreeMap<_, _> = variables.iter().map(pair).collect();
    assert_eq!(all.len(), variables.len(), "each name once");
    all
}

fn with(name: &str, value: &str) -> Option<Environment> {
    Some(Environment {
        variables: vec![Variable {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            ..Variable::default()
        }],
    })
}

fn launched(change: impl FnOnce(&mut AgentOptions), task: TaskInfo) -> BTreeMap<String, String> {
    let mut options = options();
    change(&mut options);
    let mut rig = Rig::registered_with(options);
    environment(&rig.run(framework(false), task))
}

#[test]
fn an_executor_of_a_frameworks_own_sees_exactly_this() {
    let mut rig = Rig::registered();
    let launch = rig.run(framework(false), custom_task("a", "e"));
    let directory = &launch.directory;
    let lines: Vec<String> = environment(&launch)
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(
        lines,
        [
            "LIBPROCESS_PORT=0".to_owned(),
            "MESOS_AGENT_ENDPOINT=10.0.0.2:5051".to_owned(),
            "MESOS_CHECKPOINT=0".to_owned(),
            format!("MESOS_DIRECTORY={directory}"),
            "MESOS_EXECUTOR_ID=e".to_owned(),
            "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD=5secs".to_owned(),
            "MESOS_FRAMEWORK_ID=F".to_owned(),
            "MESOS_HTTP_COMMAND_EXECUTOR=0".to_owned(),
            format!("MESOS_SANDBOX={directory}"),
            "MESOS_SLAVE_ID=S0".to_owned(),
            "MESOS_SLAVE_PID=slave(1)@10.0.0.2:5051".to_owned(),
            "PATH=/bin".to_owned(),
        ]
    );
}

#[test]
fn what_the_operator_names_stands_in_for_the_agents_own_environment() {
    let given = [("A", "1"), ("LIBPROCESS_IP", "10.9.9.9")];
    let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let seen = launched(
        |options| {
            options.executor_environment_variables = Some(given.into());
            options.libprocess_ip = Some("10.0.0.2".to_owned());
        },
        custom_task("a", "e"),
    );
    assert_eq!(seen["A"], "1");
    assert_eq!(seen["LIBPROCESS_IP"], "10.9.9.9");
    assert_eq!(
        seen["PATH"], "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "there is always one"
    );
}

#[test]
fn the_address_of_the_agent_is_handed_down_where_it_was_told_one() {
    let seen = launched(
        |options| options.libprocess_ip = Some("10.0.0.2".to_owned()),
        task("t"),
    );
    assert_eq!(seen["LIBPROCESS_IP"], "10.0.0.2");
}

#[test]
fn the_commands_own_variables_come_last() {
    let mut task = custom_task("a", "e");
    let executor = task.executor.as_mut().unwrap();
    executor.command.as_mut().unwrap().environment = with("MESOS_CHECKPOINT", "7");
    let seen = launched(|_| {}, task);
    assert_eq!(seen["MESOS_CHECKPOINT"], "7");
}
