//! What Mesos writes into JSON for fields that nobody set: the values that its schema names as their
//! defaults. Executors written for Mesos find them there, and who reads views. In protobuf such
//! fields stay away, as each reader knows their defaults.

use tepui_protocol::mesos::v1::executor::Event;
use tepui_protocol::mesos::v1::network_info::Protocol;
use tepui_protocol::mesos::v1::{
    AgentInfo, CheckInfo, CommandInfo, ContainerInfo, ExecutorInfo, FrameworkInfo, HealthCheck,
    NetworkInfo, TaskInfo, environment::variable,
};

/// Fills in what an event of an executor says by default.
pub(crate) fn fill(event: &mut Event) {
    if let Some(subscribed) = &mut event.subscribed {
        executor(&mut subscribed.executor_info);
        framework(&mut subscribed.framework_info);
        agent(&mut subscribed.agent_info);
    }
    if let Some(launch) = &mut event.launch {
        task(&mut launch.task);
    }
    if let Some(launch) = &mut event.launch_group {
        launch.task_group.tasks.iter_mut().for_each(task);
    }
}

fn framework(info: &mut FrameworkInfo) {
    info.failover_timeout.get_or_insert(0.0);
    info.checkpoint.get_or_insert(false);
}

fn agent(info: &mut AgentInfo) {
    info.port.get_or_insert(5051);
}

fn executor(info: &mut ExecutorInfo) {
    info.command.iter_mut().for_each(command);
    info.container.iter_mut().for_each(container);
}

fn task(info: &mut TaskInfo) {
    info.executor.iter_mut().for_each(executor);
    info.command.iter_mut().for_each(command);
    info.container.iter_mut().for_each(container);
    info.health_check.iter_mut().for_each(health_check);
    info.check.iter_mut().for_each(check);
}

fn command(info: &mut CommandInfo) {
    info.shell.get_or_insert(true);
    for uri in &mut info.uris {
        uri.extract.get_or_insert(true);
    }
    let environment = info.environment.iter_mut();
    for variable in environment.flat_map(|environment| &mut environment.variables) {
        let value = variable::Type::Value as i32;
        variable.r#type.get_or_insert(value);
    }
}

fn container(info: &mut ContainerInfo) {
    if let Some(linux) = &mut info.linux_info {
        linux.share_cgroups.get_or_insert(true);
    }
    info.network_infos.iter_mut().for_each(network);
}

fn network(info: &mut NetworkInfo) {
    for address in &mut info.ip_addresses {
        address.protocol.get_or_insert(Protocol::IPv4 as i32);
    }
}

/// Fills in what a health check says by default.
pub(crate) fn health_check(info: &mut HealthCheck) {
    info.delay_seconds.get_or_insert(15.0);
    info.interval_seconds.get_or_insert(10.0);
    info.timeout_seconds.get_or_insert(20.0);
    info.consecutive_failures.get_or_insert(3);
    info.grace_period_seconds.get_or_insert(10.0);
    info.command.iter_mut().for_each(command);
    let http = info.http.iter_mut().map(|http| &mut http.protocol);
    let tcp = info.tcp.iter_mut().map(|tcp| &mut tcp.protocol);
    for protocol in http.chain(tcp) {
        protocol.get_or_insert(Protocol::IPv4 as i32);
    }
}

fn check(info: &mut CheckInfo) {
    info.delay_seconds.get_or_insert(15.0);
    info.interval_seconds.get_or_insert(10.0);
    info.timeout_seconds.get_or_insert(20.0);
    if let Some(inner) = &mut info.command {
        command(&mut inner.command);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tepui_protocol::json::{from_slice, to_vec};

    use super::*;

    fn filled(event: &Value) -> Value {
        let mut event: Event = from_slice(event.to_string().as_bytes()).unwrap();
        fill(&mut event);
        serde_json::from_slice(&to_vec(&event).unwrap()).unwrap()
    }

    /// What Apache Mesos 1.11 made of the same task, resources left out.
    #[test]
    fn a_task_is_written_as_mesos_writes_it() {
        let id = |value: &str| json!({"value": value});
        let task = json!({
            "name": "a", "task_id": id("a"), "agent_id": id("S0"),
            "command": {
                "value": "x", "uris": [{"value": "/etc/hostname"}],
                "environment": {"variables": [{"name": "A", "value": "b"}]},
            },
            "container": {
                "type": "MESOS", "linux_info": {}, "mesos": {},
                "network_infos": [{"ip_addresses": [{"ip_address": "1.2.3.4"}]}],
            },
            "executor": {"executor_id": id("e"), "command": {"value": "y"}},
            "health_check": {"type": "COMMAND", "command": {"value": "true"}},
            "check": {"type": "COMMAND", "command": {"command": {"value": "true"}}},
        });
        let written = json!({
            "name": "a", "task_id": id("a"), "agent_id": id("S0"),
            "command": {
                "value": "x", "uris": [{"value": "/etc/hostname", "extract": true}],
                "environment": {"variables": [{"name": "A", "type": "VALUE", "value": "b"}]},
                "shell": true,
            },
            "container": {
                "type": "MESOS", "linux_info": {"share_cgroups": true}, "mesos": {},
                "network_infos": [
                    {"ip_addresses": [{"protocol": "IPv4", "ip_address": "1.2.3.4"}]},
                ],
            },
            "executor": {"executor_id": id("e"), "command": {"value": "y", "shell": true}},
            "health_check": {
                "type": "COMMAND", "command": {"value": "true", "shell": true},
                "delay_seconds": 15.0, "interval_seconds": 10.0, "timeout_seconds": 20.0,
                "consecutive_failures": 3, "grace_period_seconds": 10.0,
            },
            "check": {
                "type": "COMMAND", "command": {"command": {"value": "true", "shell": true}},
                "delay_seconds": 15.0, "interval_seconds": 10.0, "timeout_seconds": 20.0,
            },
        });
        let launch = |task: &Value| json!({"type": "LAUNCH", "launch": {"task": task}});
        assert_eq!(filled(&launch(&task)), launch(&written));
        let group = |task: &Value| {
            let group = json!({"task_group": {"tasks": [task]}});
            json!({"type": "LAUNCH_GROUP", "launch_group": group})
        };
        assert_eq!(filled(&group(&task)), group(&written));
    }

    #[test]
    fn what_is_set_stays() {
        let info = json!({
            "name": "f", "user": "u", "failover_timeout": 5.0, "checkpoint": true,
        });
        let command = json!({"value": "x", "shell": false});
        let subscribed = json!({"type": "SUBSCRIBED", "subscribed": {
            "executor_info": {"executor_id": {"value": "e"}, "command": command},
            "framework_info": info,
            "agent_info": {"hostname": "h", "port": 1},
        }});
        assert_eq!(filled(&subscribed), subscribed);
    }
}
