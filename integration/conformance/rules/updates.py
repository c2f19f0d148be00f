"""Status updates: what is in one, and how they are acknowledged."""

import base64
import time

from framework import UNKNOWN, UUID
from suite import ensure, refused, rule, same, slow_rule

RETRY = 10.0


@rule("UPDATE-1", "An executor's update is passed on with its words, its source and a uuid.")
def passed_on(trial):
    one = trial.framework()
    worker, task = trial.subscribed(one)
    words = {
        "message": "told",
        "data": "aGVsbG8=",
        "healthy": False,
        "labels": {"labels": [{"key": "a", "value": "b"}]},
    }
    sent = worker.update(task, "TASK_RUNNING", **words)
    status = one.status(task, "TASK_RUNNING")
    for name, value in words.items():
        same(name, status.get(name), value)
    same("the source", status["source"], "SOURCE_EXECUTOR")
    same("the agent", status["agent_id"]["value"], worker.environment["MESOS_SLAVE_ID"])
    same("the executor", status["executor_id"], worker.ids["executor_id"])
    same("the length of the uuid", len(base64.b64decode(status["uuid"])), 16)
    same("the uuid", status["uuid"], sent["uuid"])
    same("the time", status["timestamp"], sent["timestamp"])


@rule("UPDATE-2", "Of each task one update is told at a time; the next when that is acknowledged.")
def one_at_a_time(trial):
    one = trial.framework()
    worker, task = trial.subscribed(one)
    for state in ("TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"):
        worker.update(task, state)
        worker.wait("ACKNOWLEDGED")
    for state in ("TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"):
        status = one.status(task, state)
        same("what came after it", [event["type"] for event in one.settled()], [])
        one.acknowledge(status)


@rule("UPDATE-3", "An acknowledgement with another uuid is taken, and acknowledges nothing.")
def wrong_uuid(trial):
    one = trial.framework()
    worker, task = trial.subscribed(one)
    worker.update(task, "TASK_RUNNING")
    worker.update(task, "TASK_FINISHED")
    status = one.status(task, "TASK_RUNNING")
    one.acknowledge(status, uuid=UUID)
    one.nothing("UPDATE", "ERROR")
    one.acknowledge(status)
    one.status(task, "TASK_FINISHED")


@rule("UPDATE-4", "An acknowledgement whose uuid is not of 16 bytes is refused with 400.")
def short_uuid(trial):
    one = trial.framework()
    for uuid in ("", "AAAA"):
        parts = {"agent_id": UNKNOWN, "task_id": UNKNOWN, "uuid": uuid}
        refused(one.call("ACKNOWLEDGE", acknowledge=parts), 400, f"uuid {uuid!r}")


@slow_rule("UPDATE-5", "An update that is not acknowledged is told again as it was, after 10 s.")
def told_again(trial):
    one = trial.framework()
    worker, task = trial.subscribed(one)
    worker.update(task, "TASK_RUNNING")
    first = last = one.wait("UPDATE")
    waited = 0
    # A framework that comes back to the master makes agents tell all again at once.
    while waited < RETRY - 1:
        again = one.wait("UPDATE", patience=RETRY + 10)
        same("the update", again["update"]["status"], first["update"]["status"])
        waited = again["(at)"] - last["(at)"]
        last = again
        ensure(last["(at)"] - first["(at)"] < 90, "it is told again and again")
    ensure(waited < RETRY + 3, f"it came after {waited} s")


@rule("UPDATE-6", "An acknowledged end removes the task: it is not known any more.")
def removed(trial):
    one = trial.framework()
    worker, task = trial.running(one)
    worker.update(task, "TASK_FINISHED")
    status = one.status(task, "TASK_FINISHED")
    one.reconcile(task)
    same("before", one.status(task)["state"], "TASK_FINISHED")
    one.acknowledge(status)
    one.reconcile(task)
    same("after", one.status(task)["state"], "TASK_UNKNOWN")


@rule("UPDATE-7", "A second acknowledgement of an update changes nothing.")
def acknowledged_twice(trial):
    one = trial.framework()
    worker, task = trial.subscribed(one)
    worker.update(task, "TASK_RUNNING")
    status = one.status(task, "TASK_RUNNING")
    one.acknowledge(status)
    one.acknowledge(status)
    one.nothing("UPDATE", "ERROR")
    worker.update(task, "TASK_FINISHED")
    one.status(task, "TASK_FINISHED")


@rule(
    "UPDATE-8",
    "A task whose executor dies has failed; that is told by the agent, with a reason.",
)
def executor_dies(trial):
    one = trial.framework()
    worker, task = trial.running(one)
    worker.exit(3)
    status = one.status(task, "TASK_FAILED")
    same("the source", status["source"], "SOURCE_AGENT")
    same("the reason", status["reason"], "REASON_EXECUTOR_TERMINATED")
    ensure("uuid" in status, f"it is not to be acknowledged: {status}")


@rule("UPDATE-9", "The first end of a task is its end: a later one is not told.")
def first_end(trial):
    one = trial.framework()
    worker, task = trial.running(one)
    worker.update(task, "TASK_FINISHED")
    worker.update(task, "TASK_FAILED")
    one.acknowledge(one.status(task, "TASK_FINISHED"))
    one.nothing("UPDATE")


@rule("UPDATE-10", "A time is in seconds since 1970, and is that of the update.")
def timestamp(trial):
    one = trial.framework()
    one.reconcile("nobody")
    told = one.status("nobody")["timestamp"]
    ensure(abs(told - time.time()) < 60, f"the time is {told}")


@rule("FAILURE-1", "That an executor ended is told with its agent and its wait status.")
def executor_ended(trial):
    one = trial.framework()
    worker, _ = trial.running(one)
    worker.exit(3)
    failure = one.wait("FAILURE")["failure"]
    same("the executor", failure["executor_id"], worker.ids["executor_id"])
    same("the agent", failure["agent_id"]["value"], worker.environment["MESOS_SLAVE_ID"])
    same("the wait status", failure["status"], 3 << 8)


@rule("FAILURE-2", "An executor that ends well is told of like one that does not.")
def executor_ended_well(trial):
    one = trial.framework()
    worker, task = trial.running(one)
    worker.update(task, "TASK_FINISHED")
    one.reach(task, "TASK_FINISHED")
    worker.exit(0)
    same("the wait status", one.wait("FAILURE")["failure"]["status"], 0)
