"""Steps of groups of tasks: what is refused in them, with which words, and what is found first.

Not here: two tasks of one id in a group, which end a master of Mesos 1.11; groups that run.
"""

from calls_tasks import accept, executor, fresh_offer, task
from script import resources, scalar

COMMAND = {"value": "true"}


def disk(cpus=0.1, mem=32, size=10):
    return [*resources(cpus, mem), scalar("disk", size)]


def ports(begin, end):
    return {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": begin, "end": end}]}}


def container(kind="MESOS", **parts):
    return {"type": kind, **parts}


def apart(share=False):
    return container(linux_info={"share_cgroups": share})


def without(made, *names):
    return {key: part for key, part in made.items() if key not in names}


NETWORKED = container(network_infos=[{}])
IMAGE = {"type": "DOCKER", "docker": {"name": "image"}}


def bad_executors(own):
    """Executors that no group is launched with: what is wrong with each."""

    def default(**parts):
        return {**without(own, "command"), "type": "DEFAULT", **parts}

    yield "of no framework", without(own, "framework_id")
    yield "of another framework", {**own, "framework_id": {"value": "unknown"}}
    yield "of no type", without(own, "type")
    yield "of type UNKNOWN", {**own, "type": "UNKNOWN"}
    yield "of type DEFAULT with a command", {**own, "type": "DEFAULT"}
    yield "without command", without(own, "command")
    yield "of type DEFAULT in a container of Docker", default(
        container=container("DOCKER", docker={"image": "image"})
    )
    yield "of type DEFAULT with an image", default(container=container(mesos={"image": IMAGE}))
    yield "with a slash in its id", {**own, "executor_id": {"value": "a/b"}}
    yield "with an empty id", {**own, "executor_id": {"value": ""}}
    yield "with a negative grace period", {**own, "shutdown_grace_period": {"nanoseconds": -1}}
    yield "with a variable of no value", {
        **own,
        "command": {**COMMAND, "environment": {"variables": [{"name": "A"}]}},
    }
    yield "without cpus", {**own, "resources": [scalar("mem", 32), scalar("disk", 10)]}
    yield "with little cpu", {**own, "resources": disk(cpus=0.005)}
    yield "without memory", {**own, "resources": [scalar("cpus", 0.1), scalar("disk", 10)]}
    yield "with little memory", {**own, "resources": disk(mem=16)}
    yield "without disk", {**own, "resources": resources()}
    yield "with too much", {**own, "resources": disk(cpus=1000)}
    yield "with negative resources", {**own, "resources": disk(cpus=-1)}


def bad_tasks(agent, own):
    """Tasks that make a group bad: what is wrong with each."""

    def bad(name="second", /, **parts):
        return task(name, agent, **{"command": COMMAND, **parts})

    http = {"type": "HTTP", "http": {"port": 80}}
    yield "with a slash in its id", bad("a/b")
    yield "for another agent", bad(agent_id={"value": "unknown"})
    yield "without resources", bad(resources=[])
    yield "with a negative grace period", bad(kill_policy={"grace_period": {"nanoseconds": -1}})
    yield "with a negative completion time", bad(max_completion_time={"nanoseconds": -1})
    yield "with a check of no command", bad(check={"type": "COMMAND"})
    yield "with a health check of no type", bad(health_check={})
    yield "with a container of Docker", bad(
        container=container("DOCKER", docker={"image": "image"})
    )
    yield "with http checked from a network of its own", bad(
        container=NETWORKED, health_check=http
    )
    yield "with limits in shared cgroups", bad(limits={"cpus": {"value": 1}})
    yield "with limits below its request", bad(
        container=apart(), limits={"cpus": {"value": 0.01}}
    )
    yield "with another executor", bad(executor={**own, "name": "other"}, command=None)
    yield "with cgroups of its own", bad(container=apart())
    yield "with too much", bad(resources=resources(1000))
    yield "with a resource not offered", bad(resources=[*resources(), scalar("fish", 1)])
    yield "with a port of another", bad(resources=[*resources(), ports(31000, 31001)])


def several_faults(agent, own):
    """Groups with two faults each: which of them is told."""
    little = {**own, "resources": disk(cpus=0.005)}
    untyped = without(own, "type")

    def made(name, **parts):
        return task(name, agent, **{"command": COMMAND, **parts})

    good = made("first")
    other = made("second", executor={**own, "name": "other"}, command=None)
    yield "a bad task and a bad executor", untyped, [good, made("a/b")]
    yield "two bad tasks", own, [made("c/d"), made("a/b")]
    yield "Docker and limits", own, [
        made(
            "first",
            container=container("DOCKER", docker={"image": "image"}),
            limits={"cpus": {"value": 1}},
        )
    ]
    yield "a type and a framework that are missing", without(untyped, "framework_id"), [good]
    yield "a bad id and no type", {**untyped, "executor_id": {"value": "a/b"}}, [good]
    yield "little cpu and another executor", little, [good, other]
    yield "little cpu and no disk", {**own, "resources": resources(cpus=0.005)}, [good]
    yield "another executor and cgroups of its own", own, [good, {**other, "container": apart()}]
    yield "cgroups of its own and too much", own, [
        good,
        made("second", container=apart(), resources=resources(1000)),
    ]
    shared = [*resources(1000), ports(31000, 31001)]
    yield "a port of another and too much", own, [
        made("first", resources=shared),
        made("second", resources=shared),
    ]


def play(script):
    framework = script.framework("grouped")
    script.step("one that launches groups comes")
    script.come(framework)
    agent = fresh_offer(framework)["agent_id"]
    own = {**executor(framework, "of-groups"), "resources": disk()}
    both = [task(name, agent, command=COMMAND) for name in ("first", "second")]
    held = [{**both[0], "resources": [*resources(), ports(31000, 31001)]}]
    groups = [(f"an executor {what}", bad, both) for what, bad in bad_executors(own)]
    groups += [(f"a task {what}", own, [*held, bad]) for what, bad in bad_tasks(agent, own)]
    groups += several_faults(agent, own)
    for what, runs, tasks in groups:
        script.step(f"group with {what}")
        launch = {"executor": runs, "task_group": {"tasks": tasks}}
        operation = {"type": "LAUNCH_GROUP", "launch_group": launch}
        accept(script, framework, [fresh_offer(framework)], operation)
        framework.wait_type("UPDATE")
    script.step("one that launches groups goes")
    script.call(framework, "TEARDOWN")
    framework.wait_type("(end of stream)")
