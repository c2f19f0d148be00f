"""Steps of tasks: launched, told of, killed; and what is refused in them, with which words."""

import base64
import json

from client import HERE
from script import FOREVER, UUID, resources, scalar, status

RUNS = (status("STARTING"), status("RUNNING"))


def task(name, agent, role=None, **parts):
    made = {
        "name": f"task {name}",
        "task_id": {"value": name},
        "agent_id": agent,
        "resources": resources(role=role),
    }
    return {key: value for key, value in {**made, **parts}.items() if value is not None}


def told(launch=RUNS, kill=()):
    """The data that tell `executor.py` what to do."""
    script = json.dumps({"launch": list(launch), "kill": list(kill)})
    return base64.b64encode(script.encode()).decode()


def executor(framework, name="scripted", role=None, **parts):
    return {
        "type": "CUSTOM",
        "executor_id": {"value": name},
        "framework_id": framework.id,
        "name": f"executor {name}",
        "command": {"value": f"exec python3 {HERE}/executor.py"},
        "resources": resources(role=role),
        **parts,
    }


def launch(*tasks):
    return {"type": "LAUNCH", "launch": {"task_infos": list(tasks)}}


def accept(script, framework, offers, *operations):
    accepted = {
        "offer_ids": [offer["id"] for offer in offers],
        "operations": list(operations),
        "filters": FOREVER,
    }
    reply = script.call(framework, "ACCEPT", accept=accepted)
    if reply.status == 202 and framework.held in offers:
        framework.held = None
    return reply


def fresh_offer(framework):
    """All that is free, and nothing after it until the next is asked for."""
    if framework.held is None:
        framework.call("REVIVE")
        framework.held = framework.offer()
        framework.call("SUPPRESS")
    return framework.held


def acknowledged(script, framework, name, state):
    """Waits for an update and acknowledges it."""
    update = framework.update(name, state)
    assert update, f"{name} is not {state}"
    if "uuid" in update:
        script.note(framework.acknowledge(update))
    return update


def lives(script, framework, role=None):
    """A task from its launch to its end, with all that can be asked of it."""
    name = framework.info["name"]
    script.step(f"{name}: launch")
    offer = fresh_offer(framework)
    agent = offer["agent_id"]
    made = task(
        "lives",
        agent,
        role,
        executor=executor(framework, role=role),
        data=told(kill=[status("KILLED", message="as told")]),
    )
    accept(script, framework, [offer], launch(made))
    acknowledged(script, framework, "lives", "TASK_STARTING")
    running = acknowledged(script, framework, "lives", "TASK_RUNNING")
    script.step(f"{name}: reconcile a running task")
    known = {"task_id": {"value": "lives"}}
    for about in ([known], [{**known, "agent_id": agent}], []):
        script.call(framework, "RECONCILE", reconcile={"tasks": about})
        framework.update("lives", "TASK_RUNNING")
    script.step(f"{name}: reconcile it on another agent")
    other = {**known, "agent_id": {"value": "unknown"}}
    script.call(framework, "RECONCILE", reconcile={"tasks": [other]})
    script.step(f"{name}: acknowledge twice, and with another uuid")
    script.note(framework.acknowledge(running))
    script.note(framework.acknowledge({**running, "uuid": UUID}))
    script.step(f"{name}: message")
    message = {"agent_id": agent, "executor_id": {"value": "scripted"}, "data": "aGVsbG8="}
    script.call(framework, "MESSAGE", message=message)
    framework.wait_type("MESSAGE")
    script.step(f"{name}: a second task of the executor ends by itself")
    offer = fresh_offer(framework)
    ended = [*RUNS, status("FINISHED", message="done", data="aGVsbG8=", healthy=False)]
    second = task("ends", agent, role, executor=executor(framework, role=role), data=told(ended))
    accept(script, framework, [offer], launch(second))
    for state in ("STARTING", "RUNNING", "FINISHED"):
        acknowledged(script, framework, "ends", f"TASK_{state}")
    script.step(f"{name}: reconcile the ended task")
    script.call(framework, "RECONCILE", reconcile={"tasks": [{"task_id": {"value": "ends"}}]})
    framework.wait_type("UPDATE")
    script.step(f"{name}: another executor of the same id")
    offer = fresh_offer(framework)
    changed = executor(framework, role=role, name="scripted", source="other")
    accept(script, framework, [offer], launch(task("changed", agent, role, executor=changed)))
    framework.wait_type("UPDATE")
    script.step(f"{name}: kill on the wrong agent")
    kill = {"task_id": {"value": "lives"}, "agent_id": {"value": "unknown"}}
    script.call(framework, "KILL", kill=kill)
    script.step(f"{name}: kill")
    script.call(framework, "KILL", kill={"task_id": {"value": "lives"}})
    acknowledged(script, framework, "lives", "TASK_KILLED")
    script.step(f"{name}: executor exits under a task")
    offer = fresh_offer(framework)
    dies = task(
        "dies",
        agent,
        role,
        executor=executor(framework, "mortal", role),
        data=told([*RUNS, {"exit": 3}]),
    )
    accept(script, framework, [offer], launch(dies))
    for state in ("STARTING", "RUNNING", "FAILED"):
        acknowledged(script, framework, "dies", f"TASK_{state}")
    failed(framework, "mortal")
    script.step(f"{name}: shut the executor down")
    shutdown = {"agent_id": agent, "executor_id": {"value": "scripted"}}
    script.call(framework, "SHUTDOWN", shutdown=shutdown)
    failed(framework, "scripted")
    return agent


def failed(framework, executor_id):
    """Waits until the framework was told that an executor ended, before or after other things."""
    framework.seen = 0
    framework.wait(
        lambda event: event["type"] == "FAILURE"
        and event["failure"]["executor_id"]["value"] == executor_id
    )


def offer_misuse(script, framework, stranger, role=None):
    name = framework.info["name"]
    script.step(f"{name}: launch on an unknown offer")
    offer = fresh_offer(framework)
    agent = offer["agent_id"]

    def command(task_name):
        return launch(task(task_name, agent, role, command={"value": "true"}))

    accept(script, framework, [{"id": {"value": "unknown"}}], command("on-unknown"))
    script.step(f"{name}: launch on one offer twice")
    accept(script, framework, [offer, offer], command("on-twice"))
    script.step(f"{name}: launch on another framework's offer")
    offer = fresh_offer(framework)
    accept(script, stranger, [offer], command("on-foreign"))
    script.step(f"{name}: launch on a used offer")
    accept(script, framework, [offer])
    accept(script, framework, [offer], command("on-used"))
    script.step(f"{name}: launch on no offer")
    accept(script, framework, [], command("on-none"))


def bad_tasks(agent, framework):
    """Tasks that no master launches: what is wrong with each."""
    command = {"value": "true"}

    def bad(name, /, **parts):
        return task(name, agent, **{"command": command, **parts})

    own = executor(framework, "of-bad-tasks")
    yield "a slash in its id", bad("a/b")
    yield "an id of dots", bad("..")
    yield "an empty id", bad("")
    yield "a long id", bad("x" * 256)
    yield "a control character in its id", bad("a\u0001b")
    yield "neither command nor executor", bad("neither", command=None)
    yield "both command and executor", bad("both", executor=own)
    yield "another agent", bad("elsewhere", agent_id={"value": "unknown"})
    yield "no resources", bad("nothing", resources=[])
    yield "negative resources", bad("negative", resources=[scalar("cpus", -1)])
    yield "more than offered", bad("greedy", resources=[scalar("cpus", 1000)])
    yield "a resource not offered", bad("other", resources=[scalar("cpus", 0.1), scalar("fish", 1)])
    yield "a role not offered", bad("role", resources=[{**scalar("cpus", 0.1), "role": "other"}])
    yield "another allocation", bad("allocation", resources=resources(role="other"))
    twice = {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 2, "end": 1}]}}
    yield "ranges upside down", bad("ranges", resources=[scalar("cpus", 0.1), twice])
    yield "a scalar without value", bad("value", resources=[{"name": "cpus", "type": "SCALAR"}])
    yield "a name that is empty", bad("unnamed", resources=[scalar("", 1)])
    yield "a negative grace period", bad(
        "grace", kill_policy={"grace_period": {"nanoseconds": -1}}
    )
    yield "a negative completion time", bad("time", max_completion_time={"nanoseconds": -1})
    yield "a health check of no type", bad("untyped", health_check={})
    yield "a health check without command", bad("health", health_check={"type": "COMMAND"})
    yield "a health check of http without port", bad("port", health_check={"type": "HTTP"})
    yield "a negative delay of its health check", bad(
        "delay", health_check={"type": "COMMAND", "command": command, "delay_seconds": -1.0}
    )
    yield "a check without command", bad("check", check={"type": "COMMAND"})
    yield "a check of http without port", bad("check-port", check={"type": "HTTP"})
    yield "limits below its request", bad("limits", limits={"cpus": {"value": 0.01}})
    yield "limits of disk", bad("limit", limits={"disk": {"value": 100}})
    yield "a docker container without docker", bad("docker", container={"type": "DOCKER"})
    for variable in ({"name": "A"}, {"name": "A", "type": "SECRET"}):
        environment = {"variables": [variable]}
        yield f"a variable of {json.dumps(variable)}", bad(
            f"variable-{len(variable)}", command={"value": "true", "environment": environment}
        )
    with_own = {"command": None}
    yield "an executor of another framework", bad(
        "foreign", executor={**own, "framework_id": {"value": "unknown"}}, **with_own
    )
    yield "an executor with a slash in its id", bad(
        "slash", executor=executor(framework, "a/b"), **with_own
    )
    yield "an executor with an empty id", bad(
        "empty", executor=executor(framework, ""), **with_own
    )
    yield "an executor without command", bad(
        "commandless", executor={key: own[key] for key in own if key != "command"}, **with_own
    )
    yield "a default executor with a command", bad(
        "default", executor={**own, "type": "DEFAULT"}, **with_own
    )
    yield "an executor of unknown type", bad(
        "type", executor={**own, "type": "UNKNOWN"}, **with_own
    )
    yield "an executor with a negative grace period", bad(
        "shutdown", executor={**own, "shutdown_grace_period": {"nanoseconds": -1}}, **with_own
    )
    yield "an executor with too much", bad(
        "much", executor={**own, "resources": resources(1000)}, **with_own
    )


def refusals(script, framework, agent):
    for name, made in bad_tasks(agent, framework):
        script.step(f"task with {name}")
        offer = fresh_offer(framework)
        accept(script, framework, [offer], launch(made))
        framework.wait_type("UPDATE")
    script.step("a task of zero resources")
    offer = fresh_offer(framework)
    zero = task(
        "zero",
        agent,
        resources=[scalar("cpus", 0)],
        executor=executor(framework),
        data=told([status("FINISHED")]),
    )
    accept(script, framework, [offer], launch(zero))
    update = framework.wait_type("UPDATE")["update"]["status"]
    if "uuid" in update:
        script.note(framework.acknowledge(update))
    script.step("two tasks of one id")
    offer = fresh_offer(framework)
    good = task("double", agent, executor=executor(framework), data=told())
    accept(script, framework, [offer], launch(good, good))
    framework.wait_type("UPDATE")
    for state in ("STARTING", "RUNNING"):
        framework.seen = 0
        acknowledged(script, framework, "double", f"TASK_{state}")
    script.step("a task of a running task's id")
    offer = fresh_offer(framework)
    accept(script, framework, [offer], launch(good))
    framework.wait_type("UPDATE")
    script.step("a bad task before a good one")
    offer = fresh_offer(framework)
    good = task("after", agent, executor=executor(framework), data=told([status("FINISHED")]))
    accept(script, framework, [offer], launch(task("before/it", agent, command={"value": "x"}), good))
    acknowledged(script, framework, "after", "TASK_FINISHED")


def bad_operations(script, framework):
    group = {"type": "LAUNCH_GROUP", "launch_group": {"task_group": {"tasks": []}}}
    operations = {
        "of no type": {},
        "of an unknown type": {"type": "FLY"},
        "of type UNKNOWN": {"type": "UNKNOWN"},
        "that launches nothing": {"type": "LAUNCH"},
        "that launches no task": {"type": "LAUNCH", "launch": {"task_infos": []}},
        "that launches a group without executor": group,
    }
    for name, operation in operations.items():
        script.step(f"an operation {name}")
        offer = fresh_offer(framework)
        accept(script, framework, [offer], operation)
    for seconds in (-1.0, 1e12):
        script.step(f"filters of {seconds} seconds")
        offer = fresh_offer(framework)
        filters = {"refuse_seconds": seconds}
        script.call(framework, "DECLINE", decline={"offer_ids": [offer["id"]], "filters": filters})
        framework.held = None


def play(script):
    stranger = script.framework("stranger")
    script.step("strangers come")
    script.come(stranger)
    plain = script.framework("plain")
    script.come(plain)
    agent = lives(script, plain)
    offer_misuse(script, plain, stranger)
    refusals(script, plain, agent)
    bad_operations(script, plain)
    script.step("plain goes")
    script.call(plain, "TEARDOWN")
    plain.wait_type("(end of stream)")
    aware = script.framework(
        "aware",
        roles=["front"],
        capabilities=[{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}],
    )
    script.step("one that is aware of partitions comes")
    script.come(aware)
    lives(script, aware, "front")
    offer_misuse(script, aware, stranger, "front")
    script.step("aware goes")
    script.call(aware, "TEARDOWN")
    aware.wait_type("(end of stream)")
