"""Containers within an executor's, by an agent's operator API: LAUNCH, WAIT, KILL, REMOVE.

What of them asks nothing of an executor is asked of one that rules share (`World.kept`).
"""

import signal

from containers import Containers
from suite import ensure, refused, rule, same
from wire import Json

JSON = "application/json"
CALLS = ("LAUNCH_CONTAINER", "WAIT_CONTAINER", "KILL_CONTAINER", "REMOVE_CONTAINER")
COMMAND = {"value": "true"}


def containers(trial):
    """Those in the container of an executor that other rules use as well."""
    worker, _ = trial.world.kept(trial.encoding)
    return Containers(trial.world, trial.encoding, worker)


def gone(reply, status=404):
    refused(reply, status)


@rule("NEST-1", "A container is launched with 200; to launch one of an id that runs is 202.")
def launched(trial):
    asked = containers(trial)
    made = asked.id()
    puppet = asked.launch(made)
    reply = asked.call("LAUNCH_CONTAINER", container_id=made, command=COMMAND)
    same("the status of the second", reply.status, 202)
    ensure(not reply.body, f"the second was answered {reply}")
    puppet.exit()
    asked.ended(made)


@rule("NEST-2", "It has a sandbox in its executor's, and nothing of its executor's environment.")
def sandbox(trial):
    worker, _ = trial.world.kept(trial.encoding)
    asked = Containers(trial.world, trial.encoding, worker)
    made = asked.id()
    variables = [{"name": "OWN", "value": "nested"}]
    command = {**trial.world.puppets.command(made["value"]), "environment": {"variables": variables}}
    asked.done("LAUNCH_CONTAINER", container_id=made, command=command)
    told, connection = trial.world.puppets.wait(made["value"])
    same("its folder", told["folder"], f"{worker.folder}/containers/{made['value']}")
    environment = told["environment"]
    same("MESOS_SANDBOX", environment.get("MESOS_SANDBOX"), told["folder"])
    same("a variable of its command", environment.get("OWN"), "nested")
    for name in ("MESOS_EXECUTOR_ID", "MESOS_FRAMEWORK_ID", "MESOS_SLAVE_PID"):
        ensure(name not in environment, f"it has {name}")
    connection.close()
    asked.ended(made)


@rule("NEST-3", "WAIT_CONTAINER is answered at the end with the wait status, as often as it is asked.")
def waited(trial):
    asked = containers(trial)
    made = asked.id()
    puppet = asked.launch(made)
    answers = [asked.waiting(made) for _ in range(2)]
    puppet.exit(3)
    for answer in answers:
        same("the end", answer(), {"exit_status": 3 << 8})
    same("the end, asked later", asked.ended(made), {"exit_status": 3 << 8})


@rule("NEST-4", "KILL_CONTAINER sends the signal that it names, or SIGKILL.")
def killed(trial):
    asked = containers(trial)
    for parts, number in (({"signal": int(signal.SIGTERM)}, 15), ({}, 9)):
        made = asked.id()
        asked.launch(made)
        answer = asked.waiting(made)
        ensure(not answer.came(), "it ended by itself")
        asked.done("KILL_CONTAINER", container_id=made, **parts)
        same("the end", answer(), {"exit_status": number})
        gone(asked.call("KILL_CONTAINER", container_id=made))


@rule("NEST-5", "A container that runs is not removed (500); one that has ended is, and is not known.")
def removed(trial):
    asked = containers(trial)
    made = asked.id()
    puppet = asked.launch(made)
    refused(asked.call("REMOVE_CONTAINER", container_id=made), 500)
    puppet.exit()
    asked.ended(made)
    asked.done("REMOVE_CONTAINER", container_id=made)
    gone(asked.call("WAIT_CONTAINER", container_id=made))
    # What is not there is removed.
    asked.done("REMOVE_CONTAINER", container_id=made)
    asked.done("REMOVE_CONTAINER", container_id=asked.id())
    # Its id can be used again.
    asked.launch(made).exit(4)
    same("the end", asked.ended(made), {"exit_status": 4 << 8})


@rule("NEST-6", "In what is not there nothing is launched (400), nor waited for or killed (404).")
def unknown(trial):
    asked = containers(trial)
    for made in (asked.id(), asked.id(parent={"value": "unknown"})):
        gone(asked.call("WAIT_CONTAINER", container_id=made))
        gone(asked.call("KILL_CONTAINER", container_id=made))
    refused(asked.call("LAUNCH_CONTAINER", container_id=made, command=COMMAND), 400)
    refused(asked.call("REMOVE_CONTAINER", container_id=made), 500)


@rule("NEST-7", "A container ends with the one that it is in.")
def within(trial):
    asked = containers(trial)
    outer = asked.id()
    asked.launch(outer)
    inner = asked.id(parent=outer)
    asked.launch(inner)
    answer = asked.waiting(inner)
    ensure(not answer.came(), "it ended by itself")
    asked.done("KILL_CONTAINER", container_id=outer)
    same("the end of the outer one", asked.ended(outer), {"exit_status": 9})
    same("the end of the inner one", answer(), {"exit_status": 9})


@rule("NEST-8", "All end with the executor, and whoever waits is told.")
def with_executor(trial):
    worker, _ = trial.subscribed(trial.framework())
    asked = Containers(trial.world, trial.encoding, worker)
    made = asked.id()
    asked.launch(made)
    answer = asked.waiting(made)
    ensure(not answer.came(), "it ended by itself")
    worker.exit(0)
    same("the end", answer(), {"exit_status": 9})


@rule("NEST-9", "The calls have older names for containers that are in another.")
def older_names(trial):
    asked = containers(trial)
    made = asked.id()
    puppet = asked.launch(made, "LAUNCH_NESTED_CONTAINER")
    puppet.exit(5)
    same("the end", asked.ended(made, "WAIT_NESTED_CONTAINER"), {"exit_status": 5 << 8})
    asked.done("REMOVE_NESTED_CONTAINER", container_id=made)
    asked.launch(made, "LAUNCH_NESTED_CONTAINER")
    asked.done("KILL_NESTED_CONTAINER", container_id=made)
    same("the end", asked.ended(made, "WAIT_NESTED_CONTAINER"), {"exit_status": 9})
    for kind in CALLS:
        kind = kind.replace("_", "_NESTED_")
        alone = {"container_id": {"value": "alone"}}
        parts = {**alone, "command": COMMAND} if kind.startswith("LAUNCH") else alone
        refused(asked.call(kind, **parts), 400, kind)


@rule("NEST-10", "Ids of containers have neither dots, blanks nor slashes, or 400.")
def bad_ids(trial):
    asked = containers(trial)
    for value in ("a.b", "a b", "a/b", "x" * 243):
        for made in (asked.id(value), asked.id(parent={"value": value})):
            for kind in CALLS:
                parts = {"command": COMMAND} if kind.startswith("LAUNCH") else {}
                refused(asked.call(kind, container_id=made, **parts), 400, f"{kind} of {value}")


@rule("NEST-11", "Two deep there are neither resources, limits nor cgroups of one's own, or 400.")
def two_deep(trial):
    asked = containers(trial)
    outer = asked.id()
    puppet = asked.launch(outer)
    apart = {"type": "MESOS", "linux_info": {"share_cgroups": False}}
    resources = [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}}]
    for parts in (
        {"resources": resources},
        {"limits": {"cpus": {"value": 0.1}}},
        {"container": apart},
    ):
        made = asked.id(parent=outer)
        reply = asked.call("LAUNCH_CONTAINER", container_id=made, command=COMMAND, **parts)
        refused(reply, 400, str(parts))
    puppet.exit()
    asked.ended(outer)


@rule("NEST-12", "A container of another kind than Mesos' is refused with 400.")
def docker(trial):
    asked = containers(trial)
    container = {"type": "DOCKER", "docker": {"image": "image"}}
    parts = {"container_id": asked.id(), "command": COMMAND, "container": container}
    refused(asked.call("LAUNCH_CONTAINER", **parts), 400)


@rule("NEST-13", "A call without the part that its type needs is refused with 400, UNKNOWN with 501.")
def without_part(trial):
    asked = containers(trial)
    for kind in CALLS:
        refused(asked.call(kind), 400, kind)
        refused(asked.call(kind.replace("_", "_NESTED_")), 400, kind)
    same("the status of UNKNOWN", asked.call("UNKNOWN").status, 501)
    refused(asked.post(b"{" if trial.encoding is Json else b"\xff\xff"), 400)


@rule("NEST-14", "Methods and types are those of the other APIs: 405, 400, 415, 406.")
def media(trial):
    asked = containers(trial)
    call = {"type": "WAIT_CONTAINER", "wait_container": {"container_id": asked.id()}}
    body = asked.encoding.write("AgentCall", call)
    for name in ("GET", "PUT", "DELETE"):
        same(f"the status of {name}", asked.post(body, method=name).status, 405)
    refused(asked.post(body, {"Accept": JSON}), 400, "no Content-Type")
    refused(asked.post(body, {"Content-Type": "text/plain"}), 415)
    refused(asked.post(body, {"Content-Type": asked.encoding.media, "Accept": "text/plain"}), 406)
