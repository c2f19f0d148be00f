//! Each flag of `tepui execute` in what is sent.

use std::collections::BTreeMap;

use tepui_protocol::resources::Resources;

use super::*;
use crate::flags::{EXECUTE, Parsed, Sources, parse};

const LEAST: [&str; 3] = [
    "--master=127.0.0.1:5050",
    "--name=n",
    "--command=echo  a 'b'",
];

fn load(arguments: &[&str]) -> Result<Plan, String> {
    let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
    let sources = Sources {
        arguments: &arguments,
        environment: &BTreeMap::new(),
        read: &|_| Err(std::io::ErrorKind::NotFound.into()),
    };
    match parse(&[EXECUTE], &sources).map_err(|problem| problem.to_string())? {
        Parsed::Values(values) => plan(&values).map_err(|problem| problem.to_string()),
        other => panic!("{other:?}"),
    }
}

fn with(arguments: &[&str]) -> Result<Plan, String> {
    load(&[&LEAST, arguments].concat())
}

fn only_task(work: Work) -> TaskInfo {
    match work {
        Work::Task(task) => *task,
        Work::Group(..) => panic!("{work:?}"),
    }
}

#[test]
fn with_the_least_it_is_a_shell_command_as_mesos_execute_sends_it() {
    let plan = with(&[]).unwrap();
    assert_eq!(plan.master.to_string(), "127.0.0.1:5050");
    assert_eq!((plan.encoding, plan.kill_after), (Encoding::Protobuf, None));
    let task = only_task(plan.work);
    assert_eq!(
        (task.name.as_str(), task.task_id.value.as_str()),
        ("n", "n")
    );
    let needs = Resources::from_proto(&task.resources).unwrap();
    assert_eq!(needs.to_text().unwrap(), "cpus:1;mem:128");
    let command = task.command.unwrap();
    assert_eq!((command.value(), command.shell()), ("echo  a 'b'", true));
    assert_eq!((command.arguments.len(), command.environment), (0, None));
    assert_eq!(task.container, None);
    let framework = plan.framework;
    assert_eq!(framework.user, host::current_user());
    assert_eq!(
        (framework.roles, framework.checkpoint),
        (vec!["*".to_owned()], Some(false))
    );
    let capabilities: Vec<_> = framework
        .capabilities
        .iter()
        .map(|capability| capability.r#type().as_str_name())
        .collect();
    assert_eq!(
        capabilities,
        [
            "MULTI_ROLE",
            "RESERVATION_REFINEMENT",
            "TASK_KILLING_STATE",
            "PARTITION_AWARE"
        ]
    );
}

#[test]
fn every_flag_is_in_what_is_sent() {
    let plan = with(&[
        "--no-shell",
        "--content_type=json",
        r#"--env={"A":"b","C":""}"#,
        "--resources=cpus:0.5;mem:32;ports:[1-2]",
        "--kill_after=1.5secs",
        r#"--rlimits={"rlimits":[{"type":"RLMT_CORE","soft":0,"hard":0}]}"#,
        r#"--volumes=[{"container_path":"data","mode":"RW","host_path":"/srv"}]"#,
        "--role=a/b",
        "--checkpoint",
        "--no-partition_aware",
        "--framework_capabilities=GPU_RESOURCES, REGION_AWARE,MULTI_ROLE",
    ])
    .unwrap();
    assert_eq!(plan.encoding, Encoding::Json);
    assert_eq!(plan.kill_after, Some(Duration::from_millis(1500)));
    let task = only_task(plan.work);
    let command = task.command.unwrap();
    assert_eq!((command.value(), command.shell()), ("echo", false));
    assert_eq!(command.arguments, ["echo", "a", "'b'"]);
    let variables = command.environment.unwrap().variables;
    let pairs: Vec<_> = variables
        .iter()
        .map(|v| (v.name.as_str(), v.value()))
        .collect();
    assert_eq!(pairs, [("A", "b"), ("C", "")]);
    let container = task.container.unwrap();
    assert_eq!(container.rlimit_info.unwrap().rlimits.len(), 1);
    assert_eq!(container.volumes[0].host_path(), "/srv");
    assert_eq!(task.resources.len(), 3);
    let framework = plan.framework;
    assert_eq!(
        (framework.roles, framework.checkpoint),
        (vec!["a/b".to_owned()], Some(true))
    );
    let capabilities: Vec<_> = framework
        .capabilities
        .iter()
        .map(|capability| capability.r#type().as_str_name())
        .collect();
    assert_eq!(
        capabilities,
        [
            "MULTI_ROLE",
            "RESERVATION_REFINEMENT",
            "TASK_KILLING_STATE",
            "GPU_RESOURCES",
            "REGION_AWARE"
        ]
    );
}

#[test]
fn a_task_may_be_given_whole() {
    let whole = r#"--task={"name":"x","task_id":{"value":"x-1"},"command":{"value":"true"},
        "health_check":{"tcp":{"port":80},"type":"TCP","delay_seconds":0.5}}"#;
    let plan = load(&["--master=127.0.0.1:5050", whole]).unwrap();
    let task = only_task(plan.work);
    assert_eq!(task.task_id.value, "x-1");
    assert_eq!(task.agent_id.value, "");
    let check = task.health_check.unwrap();
    assert_eq!(check.delay_seconds, Some(0.5));
    assert_eq!(check.tcp.unwrap().port, 80);
    let problem = load(&["--master=127.0.0.1:5050", whole, "--name=x"]).unwrap_err();
    assert_eq!(problem, "--name and --task exclude each other");
    let problem = load(&["--master=127.0.0.1:5050", r#"--task={"name":"x"}"#]).unwrap_err();
    assert!(
        problem.contains("'task'") && problem.contains("task_id"),
        "{problem}"
    );
}

#[test]
fn what_cannot_be_is_refused_by_flag() {
    for name in ["master", "name", "command"] {
        let rest = LEAST
            .into_iter()
            .filter(|text| !text.starts_with(&format!("--{name}=")));
        let problem = load(&rest.collect::<Vec<_>>()).unwrap_err();
        assert_eq!(
            problem,
            format!("Flag '{name}' is required, but it was not provided")
        );
    }
    for argument in [
        "--content_type=xml",
        "--env=[1]",
        r#"--env={"A":1}"#,
        "--resources=cpus",
        "--volumes={}",
        r#"--volumes=[{"mode":"RW"}]"#,
        r#"--rlimits={"rlimits":[{"type":"RLMT_NONE"}]}"#,
        "--role=a b",
        "--framework_capabilities=NOSUCH",
        "--kill_after=1",
        "--docker_image=x",
    ] {
        let flag = argument.trim_start_matches("--").split('=').next().unwrap();
        let problem = with(&[argument]).unwrap_err();
        assert!(
            problem.contains(&format!("'{flag}'")),
            "{argument}: {problem}"
        );
    }
    let problem = load(&[LEAST[0], LEAST[1], "--command=  "]).unwrap_err();
    assert!(problem.contains("'command'"), "{problem}");
}

#[test]
fn a_group_has_a_default_executor_and_tasks_of_different_ids() {
    const MASTER: &str = "--master=127.0.0.1:5050";
    let group = |ids: &[&str]| {
        let task = |id: &&str| format!(r#"{{"name":"x","task_id":{{"value":"{id}"}}}}"#);
        let tasks: Vec<String> = ids.iter().map(task).collect();
        format!(r#"--task_group={{"tasks":[{}]}}"#, tasks.join(","))
    };
    let plan = load(&[MASTER, &group(&["a", "b"])]).unwrap();
    let Work::Group(executor, tasks) = plan.work else {
        panic!("{:?}", plan.work);
    };
    assert_eq!(executor.r#type(), executor_info::Type::Default);
    assert_eq!(executor.command, None);
    let needs = Resources::from_proto(&executor.resources).unwrap();
    assert_eq!(needs.to_text().unwrap(), "cpus:0.1;mem:32;disk:32");
    let ids: Vec<_> = tasks
        .iter()
        .map(|task| task.task_id.value.as_str())
        .collect();
    assert_eq!(ids, ["a", "b"]);
    for (arguments, problem) in [
        (vec![group(&[])], "it has no tasks"),
        (vec![group(&["a", "a"])], "two tasks have the id 'a'"),
        (
            vec![group(&["a"]), "--name=x".to_owned()],
            "--name and --task_group exclude each other",
        ),
        (
            vec![group(&["a"]), r#"--task={"name":"x"}"#.to_owned()],
            "--task and --task_group exclude each other",
        ),
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let told = load(&[&[MASTER], &arguments[..]].concat()).unwrap_err();
        assert!(told.contains(problem), "{told}");
    }
}
