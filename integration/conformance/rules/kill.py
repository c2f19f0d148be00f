"""KILL and SHUTDOWN."""

from framework import UNKNOWN
from suite import rule, same

GRACE = {"grace_period": {"nanoseconds": 7000000000}}


@rule("KILL-1", "KILL comes to the executor with the task and the policy of the call.")
def delivered(trial):
    one = trial.framework()
    worker, task = trial.running(one)
    one.take_in("KILL", kill={"task_id": {"value": task}, "kill_policy": GRACE})
    kill = worker.wait("KILL")["kill"]
    same("the event", kill, {"task_id": {"value": task}, "kill_policy": GRACE})
    worker.update(task, "TASK_KILLED")
    same("the source", one.status(task, "TASK_KILLED")["source"], "SOURCE_EXECUTOR")


@rule("KILL-2", "KILL may name the agent; with another agent's id it is dropped.")
def agent(trial):
    one = trial.framework()
    worker, task = trial.running(one)
    known = {"value": worker.environment["MESOS_SLAVE_ID"]}
    one.take_in("KILL", kill={"task_id": {"value": task}, "agent_id": UNKNOWN})
    one.nothing("UPDATE", "ERROR")
    one.take_in("KILL", kill={"task_id": {"value": task}, "agent_id": known})
    worker.wait("KILL")
    worker.update(task, "TASK_KILLED")
    worker.wait("ACKNOWLEDGED")
    kills = [event for event in worker.events if event["type"] == "KILL"]
    same("the number of KILL events", len(kills), 1)


@rule("KILL-3", "KILL of a task that is not known is answered with how it is, as RECONCILE would.")
def unknown(trial):
    one = trial.framework()
    there = one.some_agent()
    for parts, state in (
        ({}, "TASK_UNKNOWN"),
        ({"agent_id": UNKNOWN}, "TASK_UNKNOWN"),
        ({"agent_id": there}, "TASK_GONE"),
    ):
        one.take_in("KILL", kill={"task_id": UNKNOWN, **parts})
        status = one.status("unknown", state)
        same("the reason", status["reason"], "REASON_RECONCILIATION")
        same("the source", status["source"], "SOURCE_MASTER")


@rule("KILL-4", "A task that is killed before its executor has it was never launched.")
def during_launch(trial):
    one = trial.framework()
    _, task = trial.launched(one)
    one.take_in("KILL", kill={"task_id": {"value": task}})
    status = one.status(task, "TASK_KILLED")
    same("the source", status["source"], "SOURCE_AGENT")
    same("the reason", status["reason"], "REASON_TASK_KILLED_DURING_LAUNCH")


@rule("KILL-5", "KILL comes as often as it is called.")
def again(trial):
    one = trial.framework()
    worker, task = trial.running(one)
    for _ in range(2):
        one.take_in("KILL", kill={"task_id": {"value": task}})
        worker.wait("KILL")


@rule("SHUT-1", "SHUTDOWN comes to the executor; its end is told, and its tasks have failed.")
def shutdown(trial):
    one = trial.framework()
    worker, task = trial.running(one)
    agent_id = {"value": worker.environment["MESOS_SLAVE_ID"]}
    one.take_in(
        "SHUTDOWN", shutdown={"executor_id": worker.ids["executor_id"], "agent_id": agent_id}
    )
    worker.wait("SHUTDOWN")
    worker.exit(0)
    status = one.status(task, "TASK_FAILED")
    same("the reason", status["reason"], "REASON_EXECUTOR_TERMINATED")
    one.seen = 0
    failure = one.wait("FAILURE")["failure"]
    same("the executor", failure["executor_id"], worker.ids["executor_id"])


@rule("SHUT-2", "SHUTDOWN of what is not there is taken, and nothing comes of it.")
def nobody(trial):
    one = trial.framework()
    there = one.some_agent()
    for agent_id in (there, UNKNOWN):
        one.take_in("SHUTDOWN", shutdown={"executor_id": UNKNOWN, "agent_id": agent_id})
    one.nothing("ERROR", "FAILURE", "UPDATE")
