"""LAUNCH and LAUNCH_GROUP: which tasks are launched, and what becomes of bad ones."""

from framework import UNKNOWN, group, launch, scalar
from suite import ensure, rule, same

COMMAND = {"value": "true"}


def error(one, task, reason="REASON_TASK_INVALID"):
    """Of this task only that it is invalid is told, by the master."""
    status = one.status(task["task_id"]["value"], "TASK_ERROR")
    same("the source", status["source"], "SOURCE_MASTER")
    same("the reason", status["reason"], reason)
    ensure("uuid" not in status, f"it is to be acknowledged: {status}")
    ensure(status.get("message"), "it says nothing")


def invalid(trial, *changes, **more):
    """Launches a task with each of these changes, and holds that it is invalid."""
    one = trial.framework()
    for change in changes:
        offer = one.offer()
        task = one.task(offer, **{"command": COMMAND, **change, **more})
        one.accept(offer, launch(task))
        error(one, task)


@rule("TASK-1", "A task whose id cannot be one is TASK_ERROR.")
def bad_id(trial):
    values = ("a/b", "..", "", "a\x01b", "a\\b", "x" * 256)
    invalid(trial, *[{"task_id": {"value": value}} for value in values])


@rule("TASK-2", "A task has a command or an executor, and not both, or it is TASK_ERROR.")
def command_or_executor(trial):
    one = trial.framework()
    for both in (True, False):
        offer = one.offer()
        parts = {"command": COMMAND, "executor": trial.executor_info(one)} if both else {}
        task = one.task(offer, **parts)
        one.accept(offer, launch(task))
        error(one, task)


@rule("TASK-3", "A task for another agent than the offer's is TASK_ERROR.")
def other_agent(trial):
    invalid(trial, {"agent_id": UNKNOWN})


@rule("TASK-4", "A task that wants more than is offered, or nothing, or less, is TASK_ERROR.")
def bad_resources(trial):
    amounts = ([scalar("cpus", 1e6)], [scalar("cpus", -1)], [scalar("fish", 1)], [])
    invalid(trial, *[{"resources": resources} for resources in amounts])


@rule("TASK-5", "A task with resources of another role than the offer's is TASK_ERROR.")
def other_role(trial):
    resources = [scalar("cpus", 0.1, allocation_info={"role": "other"})]
    invalid(trial, {"resources": resources})


@rule("TASK-6", "A task of which a task goes by the id already is TASK_ERROR.")
def id_in_use(trial):
    one = trial.framework()
    _, task = trial.running(one)
    offer = one.offer()
    second = one.task(offer, name=task, command=COMMAND)
    one.accept(offer, launch(second))
    error(one, second)
    one.reconcile(task)
    one.status(task, "TASK_RUNNING")


@rule("TASK-7", "The tasks of a LAUNCH are each on its own: a bad one does not hold up a good one.")
def independent(trial):
    one = trial.framework()
    offer = one.offer()
    bad = one.task(offer, name="a/b", command=COMMAND)
    good = one.task(offer, executor=trial.executor_info(one))
    one.accept(offer, launch(bad, good))
    error(one, bad)
    trial.executor(good["executor"]["executor_id"]["value"]).subscribe()


@rule("TASK-8", "An executor of another framework, or that has no command, makes it TASK_ERROR.")
def bad_executor(trial):
    one = trial.framework()
    for change in ({"framework_id": UNKNOWN}, {"command": None}, {"type": "DEFAULT"}):
        offer = one.offer()
        task = one.task(offer, executor=trial.executor_info(one, **change))
        one.accept(offer, launch(task))
        error(one, task)


@rule("TASK-9", "An executor that is there already has to be described as it was, or TASK_ERROR.")
def changed_executor(trial):
    one = trial.framework()
    offer = one.offer()
    executor = trial.executor_info(one)
    first = one.task(offer, executor=executor)
    second = one.task(offer, executor={**executor, "name": "another"})
    one.accept(offer, launch(first, second))
    error(one, second)
    trial.executor(executor["executor_id"]["value"]).subscribe()


@rule("TASK-10", "Tasks of one executor come to it each in a LAUNCH, in their order.")
def one_executor(trial):
    one = trial.framework()
    offer = one.offer()
    executor = trial.executor_info(one)
    tasks = [one.task(offer, executor=executor) for _ in range(3)]
    one.accept(offer, launch(*tasks))
    worker = trial.executor(executor["executor_id"]["value"])
    worker.subscribe()
    for task in tasks:
        same("the task", worker.wait("LAUNCH")["launch"]["task"]["task_id"], task["task_id"])


@rule("TASK-11", "An executor is taken account of once, whatever the number of its tasks.")
def charged_once(trial):
    one = trial.framework()
    offer = one.offer()
    executor = trial.executor_info(one, resources=[scalar("cpus", 0.3), scalar("mem", 32)])
    tasks = [one.task(offer, executor=executor) for _ in range(3)]
    one.accept(offer, launch(*tasks))
    worker = trial.executor(executor["executor_id"]["value"])
    worker.subscribe()
    for _ in tasks:
        worker.wait("LAUNCH")
    one.nothing("UPDATE")


@rule("TASK-12", "Labels, data, discovery and the like come to the executor as they were.")
def as_it_was(trial):
    one = trial.framework()
    parts = {
        "data": "aGVsbG8=",
        "labels": {"labels": [{"key": "a", "value": "b"}, {"key": "a"}]},
        "discovery": {
            "visibility": "CLUSTER",
            "name": "svc",
            "ports": {"ports": [{"number": 80, "name": "web", "protocol": "tcp"}]},
        },
    }
    worker, _ = trial.launched(one, **parts)
    worker.subscribe()
    came = worker.wait("LAUNCH")["launch"]["task"]
    for name, part in parts.items():
        same(name, came.get(name), part)


@rule("GROUP-1", "The tasks of a group come to their executor together, in one LAUNCH_GROUP.")
def group_together(trial):
    one = trial.framework()
    offer = one.offer()
    executor = group_executor(trial, one)
    tasks = [one.task(offer) for _ in range(2)]
    one.accept(offer, group(executor, *tasks))
    worker = trial.executor(executor["executor_id"]["value"])
    worker.subscribe()
    came = worker.wait("LAUNCH_GROUP")["launch_group"]["task_group"]["tasks"]
    same("the tasks", [task["task_id"] for task in came], [task["task_id"] for task in tasks])


def group_executor(trial, one, **parts):
    """An executor as a group needs it."""
    resources = [scalar("cpus", 0.1), scalar("mem", 32), scalar("disk", 1)]
    return trial.executor_info(one, resources=resources, **parts)


@rule("GROUP-2", "One bad task makes a whole group TASK_ERROR.")
def group_fails(trial):
    one = trial.framework()
    offer = one.offer()
    good = one.task(offer)
    bad = one.task(offer, agent_id=UNKNOWN)
    one.accept(offer, group(group_executor(trial, one), good, bad))
    error(one, good, "REASON_TASK_GROUP_INVALID")
    one.seen = 0
    error(one, bad, "REASON_TASK_GROUP_INVALID")


@rule("GROUP-3", "A group's executor needs a type, cpus, mem and disk.")
def group_executor_needs(trial):
    one = trial.framework()
    for change in (
        {"type": None},
        {"resources": [scalar("cpus", 0.1), scalar("mem", 32)]},
        {"resources": [scalar("cpus", 0.1), scalar("disk", 1)]},
        {"resources": [scalar("mem", 32), scalar("disk", 1)]},
    ):
        offer = one.offer()
        task = one.task(offer)
        made = {**group_executor(trial, one), **change}
        made = {name: part for name, part in made.items() if part is not None}
        one.accept(offer, group(made, task))
        error(one, task, "REASON_TASK_GROUP_INVALID")


@rule("GROUP-4", "A group that is killed before its executor has it is killed as a whole.")
def group_killed(trial):
    one = trial.framework()
    offer = one.offer()
    executor = group_executor(trial, one)
    tasks = [one.task(offer) for _ in range(2)]
    one.accept(offer, group(executor, *tasks))
    trial.executor(executor["executor_id"]["value"])
    one.take_in("KILL", kill={"task_id": tasks[0]["task_id"]})
    for task in tasks:
        one.seen = 1
        status = one.status(task["task_id"]["value"], "TASK_KILLED")
        same("the reason", status["reason"], "REASON_TASK_KILLED_DURING_LAUNCH")
