"""RECONCILE: how tasks are, as the master knows them."""

from framework import UNKNOWN
from suite import ensure, rule, same


def answer(one, task, state):
    status = one.status(task, state)
    same("the source", status["source"], "SOURCE_MASTER")
    same("the reason", status["reason"], "REASON_RECONCILIATION")
    ensure("uuid" not in status, f"it is to be acknowledged: {status}")
    return status


@rule("REC-1", "Of a task that is named its state is told, by the master, without a uuid.")
def known(trial):
    one = trial.framework()
    worker, task = trial.running(one)
    one.reconcile(task)
    status = answer(one, task, "TASK_RUNNING")
    same("the agent", status["agent_id"]["value"], worker.environment["MESOS_SLAVE_ID"])


@rule("REC-2", "A task that is nowhere known is TASK_UNKNOWN.")
def unknown(trial):
    one = trial.framework()
    one.reconcile("nobody")
    answer(one, "nobody", "TASK_UNKNOWN")
    one.reconcile("nobody", agent=UNKNOWN)
    same("the agent", answer(one, "nobody", "TASK_UNKNOWN")["agent_id"], UNKNOWN)


@rule("REC-3", "To a framework that does not know of partitions it is TASK_LOST.")
def unknown_unaware(trial):
    one = trial.framework(capabilities=[{"type": "MULTI_ROLE"}])
    one.reconcile("nobody")
    answer(one, "nobody", "TASK_LOST")


@rule("REC-4", "A task that is not known on an agent that is there is TASK_GONE, or TASK_LOST.")
def on_known_agent(trial):
    for capabilities, state in (
        ([{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}], "TASK_GONE"),
        ([{"type": "MULTI_ROLE"}], "TASK_LOST"),
    ):
        one = trial.framework(capabilities=capabilities)
        one.reconcile("nobody", agent=one.some_agent())
        answer(one, "nobody", state)


@rule("REC-5", "A task that is known is told of, also when it is asked for on another agent.")
def on_other_agent(trial):
    one = trial.framework()
    _, task = trial.running(one)
    one.reconcile(task, agent=UNKNOWN)
    answer(one, task, "TASK_RUNNING")


@rule("REC-6", "When no task is named, all that have not ended for good are told of, and no other.")
def implicit(trial):
    one = trial.framework()
    one.reconcile()
    same("what came of none", one.settled(), [])
    _, task = trial.running(one)
    done_worker, done = trial.running(one)
    done_worker.update(done, "TASK_FINISHED")
    one.reach(done, "TASK_FINISHED")
    one.reconcile()
    answer(one, task, "TASK_RUNNING")
    one.nothing("UPDATE")


@rule("REC-7", "Several tasks are told of in the order in which they were named.")
def order(trial):
    one = trial.framework()
    names = ["b", "c", "a"]
    one.reconcile(*names)
    came = [one.wait("UPDATE")["update"]["status"]["task_id"]["value"] for _ in names]
    same("the order", came, names)


@rule("REC-8", "What is told is what was told last, not what has come since.")
def as_told(trial):
    one = trial.framework()
    worker, task = trial.subscribed(one)
    worker.update(task, "TASK_RUNNING")
    one.status(task, "TASK_RUNNING")
    worker.update(task, "TASK_FINISHED")
    worker.wait("ACKNOWLEDGED")
    worker.wait("ACKNOWLEDGED")
    one.reconcile(task)
    answer(one, task, "TASK_RUNNING")


@rule("REC-9", "A task of which nothing was heard yet is TASK_STAGING.")
def staging(trial):
    one = trial.framework()
    _, task = trial.launched(one)
    one.reconcile(task)
    answer(one, task, "TASK_STAGING")


@rule("REC-10", "A task of another framework is unknown.")
def foreign(trial):
    one, other = trial.framework(), trial.framework()
    _, task = trial.running(other)
    one.reconcile(task)
    answer(one, task, "TASK_UNKNOWN")
