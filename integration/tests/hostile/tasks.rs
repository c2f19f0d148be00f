//! Tasks that cannot be: each is answered by TASK_ERROR that says why, and its offer comes again.

use serde_json::{Value, json};
use tepui_integration::{command_task, resources, scalar};

use super::offers::long_task;
use super::{Rule, Stage, check_refused};

/// The rules of this file.
pub const RULES: &[Rule] = &[
    Rule {
        id: "TASK-1",
        sent: "a task that asks for more than was offered, by much or by a thousandth of a cpu",
        answer: "TASK_ERROR, REASON_TASK_INVALID",
        check: |stage| {
            for (cpus, mem) in [(0.001, 0.0), (1e9, 0.0), (0.0, 0.001), (0.0, 1.0)] {
                let name = stage.name();
                let offer = stage.framework.offer(|_| true);
                let all = ["cpus", "mem"].map(|what| scalar(&offer, what));
                let mut task = long_task(&name);
                task["resources"] = resources(all[0] + cpus, all[1] + mem);
                stage.framework.launch(&offer, vec![task]);
                is_error(stage, &name);
            }
            // All of it is not too much.
            let offer = stage.framework.offer(|_| true);
            let mut task = stage.task();
            task["resources"] = resources(scalar(&offer, "cpus"), scalar(&offer, "mem"));
            let name = task["name"].as_str().expect("a name").to_owned();
            stage.framework.launch(&offer, vec![task]);
            stage.framework.state(&name, "TASK_FINISHED");
        },
    },
    Rule {
        id: "TASK-2",
        sent: "a task whose resources are negative, without a value, not finite, or not named",
        answer: "TASK_ERROR, or 400 where it is no number",
        check: |stage| {
            let scalar = |name: &str, value: Value| json!({"name": name, "type": "SCALAR", "scalar": {"value": value}});
            for amount in [json!(-1), json!(-0.001), json!(1e308), json!(-1e308)] {
                refused(stage, |task| {
                    task["resources"] = json!([scalar("cpus", amount.clone())])
                });
            }
            refused(stage, |task| {
                task["resources"] = json!([scalar("", json!(1))])
            });
            refused(stage, |task| {
                task["resources"] = json!([{"name": "cpus", "type": "SCALAR"}])
            });
            refused(stage, |task| task["resources"] = json!([]));
            let name = stage.name();
            let mut task = long_task(&name);
            let offer = stage.framework.offer(|_| true);
            task["agent_id"] = offer["agent_id"].clone();
            for text in [json!("many"), json!(null), json!({}), json!("0x10")] {
                task["resources"] = json!([scalar("cpus", text)]);
                let launch = json!({"type": "LAUNCH", "launch": {"task_infos": [task]}});
                let accept = json!({"offer_ids": [offer["id"]], "operations": [launch]});
                let answer = stage.call(json!({"type": "ACCEPT", "accept": accept}));
                check_refused(&answer, 400, "resources");
            }
            // The offer is as good as before.
            stage
                .framework
                .launch(&offer, vec![command_task(&name, "exit 0", 0.1, 32.0)]);
            stage.framework.state(&name, "TASK_FINISHED");
            for text in ["NaN", "Infinity", "-Infinity"] {
                refused(stage, |task| {
                    task["resources"] = json!([scalar("cpus", json!(text))])
                });
            }
        },
    },
    Rule {
        id: "TASK-3",
        sent: "ranges and sets that are not offered, overlap, end before they begin, or are repeated",
        answer: "TASK_ERROR",
        check: |stage| {
            let ports = |ranges: Value| {
                let mut all = resources(0.1, 32.0);
                let ports = json!({"name": "ports", "type": "RANGES", "ranges": {"range": ranges}});
                all.as_array_mut().expect("a list").push(ports);
                all
            };
            for ranges in [
                json!([{"begin": 1, "end": 2}]),
                json!([{"begin": 31009, "end": 31000}]),
                json!([{"begin": 31000, "end": 31010}]),
                json!([{"begin": 0, "end": 18_446_744_073_709_551_615_u64}]),
                json!([{"begin": 31000, "end": 31002}, {"begin": 31002, "end": 31003}]),
                json!([{"begin": 31000, "end": 31001}, {"begin": 31000, "end": 31001}]),
            ] {
                refused(stage, |task| task["resources"] = ports(ranges.clone()));
            }
            for items in [json!(["c"]), json!(["a", "c"]), json!(["a", "a"])] {
                let mut all = resources(0.1, 32.0);
                let set = json!({"name": "gadgets", "type": "SET", "set": {"item": items}});
                all.as_array_mut().expect("a list").push(set);
                refused(stage, |task| task["resources"] = all.clone());
            }
        },
    },
    Rule {
        id: "TASK-4",
        sent: "two tasks of one id in one call, and a task with the id of one that runs",
        answer: "the first runs, the others are TASK_ERROR",
        check: |stage| {
            let name = stage.name();
            let offer = stage.framework.offer(|_| true);
            let twice = vec![long_task(&name), long_task(&name)];
            stage.framework.launch(&offer, twice);
            let error = stage
                .framework
                .status(&name, |status| status["state"] == "TASK_ERROR");
            assert_eq!(error["reason"], "REASON_TASK_INVALID", "{error:#}");
            stage.framework.state(&name, "TASK_RUNNING");
            let offer = stage.framework.offer(|_| true);
            stage.framework.launch(&offer, vec![long_task(&name)]);
            stage
                .framework
                .status(&name, |status| status["state"] == "TASK_ERROR");
            stage.framework.kill(&name);
            stage
                .framework
                .status(&name, |status| status["state"] == "TASK_KILLED");
        },
    },
    Rule {
        id: "TASK-5",
        sent: "task ids with `/`, `\\`, `..`, `.`, a control character, 256 bytes, or nothing",
        answer: "TASK_ERROR, REASON_TASK_INVALID",
        check: |stage| {
            let long = "x".repeat(256);
            for id in [
                "../../x", "a/b", "a\\b", "..", ".", "a\nb", "a\u{0}b", &long, "",
            ] {
                refused(stage, |task| task["task_id"] = json!({"value": id}));
            }
        },
    },
    Rule {
        id: "TASK-6",
        sent: "a task name that looks like a path",
        answer: "it is only a name: the task runs, and nothing is written elsewhere",
        check: |stage| {
            let mut task = stage.task();
            let id = task["name"].as_str().expect("a name").to_owned();
            task["name"] = json!(format!("{}tmp/tepui-hostile-name", "../".repeat(20)));
            let offer = stage.framework.offer(|_| true);
            stage.framework.launch(&offer, vec![task]);
            stage.framework.state(&id, "TASK_FINISHED");
            assert!(!std::path::Path::new("/tmp/tepui-hostile-name").exists());
        },
    },
    Rule {
        id: "TASK-7",
        sent: "executor ids with `/`, `..` or a control character",
        answer: "TASK_ERROR, REASON_TASK_INVALID",
        check: |stage| {
            for id in ["../../x", "a/b", "..", "a\nb", ""] {
                refused(stage, |task| {
                    task.as_object_mut().expect("a task").remove("command");
                    task["executor"] = json!({
                        "type": "CUSTOM",
                        "executor_id": {"value": id},
                        "command": {"value": "exit 0"},
                        "resources": resources(0.1, 32.0),
                    });
                });
            }
        },
    },
    Rule {
        id: "TASK-8",
        sent: "a task with neither command nor executor, or with both",
        answer: "TASK_ERROR, REASON_TASK_INVALID",
        check: |stage| {
            refused(stage, |task| {
                drop(task.as_object_mut().expect("a task").remove("command"))
            });
            refused(stage, |task| {
                let command = json!({"value": "exit 0"});
                task["executor"] = json!({"executor_id": {"value": "e"}, "command": command});
            });
        },
    },
    Rule {
        id: "TASK-9",
        sent: "a task for another agent than the offer's",
        answer: "TASK_ERROR, REASON_TASK_INVALID",
        check: |stage| {
            let offer = stage.framework.offer(|_| true);
            let name = stage.name();
            let mut task = long_task(&name);
            task["agent_id"] = json!({"value": "another"});
            let launch = json!({"type": "LAUNCH", "launch": {"task_infos": [task]}});
            let filters = json!({"refuse_seconds": 0});
            let accept =
                json!({"offer_ids": [offer["id"]], "operations": [launch], "filters": filters});
            let call = json!({"type": "ACCEPT", "accept": accept});
            assert_eq!(stage.framework.call(call), 202);
            is_error(stage, &name);
        },
    },
    Rule {
        id: "TASK-10",
        sent: "a kill policy or a completion time that is negative",
        answer: "TASK_ERROR, REASON_TASK_INVALID",
        check: |stage| {
            let negative = json!({"nanoseconds": -1});
            refused(stage, |task| {
                task["kill_policy"] = json!({"grace_period": negative})
            });
            refused(stage, |task| task["max_completion_time"] = negative.clone());
        },
    },
    Rule {
        id: "TASK-11",
        sent: "a URI whose `output_file` leads out of the sandbox",
        answer: "the task is refused or fails, and nothing is written outside",
        check: |stage| {
            let outside = "/tmp/tepui-hostile-output";
            let inside = tepui_integration::top().join("LICENSE");
            let up = format!("{}{outside}", "../".repeat(20));
            for output in [&up, outside] {
                let mut task = stage.task();
                let name = task["name"].as_str().expect("a name").to_owned();
                task["command"]["uris"] = json!([{
                    "value": inside, "output_file": output, "extract": false,
                }]);
                let offer = stage.framework.offer(|_| true);
                stage.framework.launch(&offer, vec![task]);
                let status = stage.framework.status(&name, |status| {
                    status["state"] != "TASK_STARTING" && status["state"] != "TASK_RUNNING"
                });
                let states = ["TASK_ERROR", "TASK_FAILED"].map(Value::from);
                assert!(states.contains(&status["state"]), "{status:#}");
                assert!(!std::path::Path::new(outside).exists());
            }
        },
    },
];

/// Launches a task that was changed for the worse and sees it refused.
fn refused(stage: &mut Stage, change: impl FnOnce(&mut Value)) {
    let name = stage.name();
    let mut task = long_task(&name);
    change(&mut task);
    let id = task["task_id"]["value"].as_str().expect("an id").to_owned();
    let offer = stage.framework.offer(|_| true);
    stage.framework.launch(&offer, vec![task]);
    is_error(stage, &id);
}

fn is_error(stage: &mut Stage, id: &str) {
    let status = stage.framework.status(id, |_| true);
    assert_eq!(status["state"], "TASK_ERROR", "{status:#}");
    assert_eq!(status["reason"], "REASON_TASK_INVALID", "{status:#}");
    assert_eq!(status["source"], "SOURCE_MASTER", "{status:#}");
    assert_ne!(
        status["message"].as_str().unwrap_or_default(),
        "",
        "{status:#}"
    );
}
