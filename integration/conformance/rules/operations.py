"""Operations of which a framework wants to be told how they go."""

from framework import UNKNOWN, UUID
from rules.calls import parts, taken
from suite import ensure, refused, rule, same


@rule("OP-1", "RECONCILE_OPERATIONS and ACKNOWLEDGE_OPERATION_STATUS are answered 202, empty.")
def answered(trial):
    one = trial.framework()
    for kind in ("RECONCILE_OPERATIONS", "ACKNOWLEDGE_OPERATION_STATUS"):
        taken(one.call(kind, **parts(kind)), kind)
    one.nothing("ERROR", "UPDATE_OPERATION_STATUS")


@rule("OP-2", "An operation that is nowhere known is OPERATION_UNKNOWN, without a uuid.")
def unknown(trial):
    one = trial.framework()
    one.take_in(
        "RECONCILE_OPERATIONS", reconcile_operations={"operations": [{"operation_id": UNKNOWN}]}
    )
    status = one.wait("UPDATE_OPERATION_STATUS")["update_operation_status"]["status"]
    same("the id", status["operation_id"], UNKNOWN)
    same("the state", status["state"], "OPERATION_UNKNOWN")
    ensure("uuid" not in status, f"it is to be acknowledged: {status}")


@rule("OP-3", "An acknowledgement of an operation needs its agent, and a uuid of 16 bytes, or 400.")
def acknowledgement(trial):
    one = trial.framework()
    whole = {"agent_id": UNKNOWN, "uuid": UUID, "operation_id": UNKNOWN}
    for change in ({"agent_id": None}, {"uuid": "AAAA"}):
        made = {name: part for name, part in {**whole, **change}.items() if part is not None}
        reply = one.call("ACKNOWLEDGE_OPERATION_STATUS", acknowledge_operation_status=made)
        refused(reply, 400, f"{change}")


@rule("OP-4", "An operation with an id on an offer that is not there is OPERATION_ERROR.")
def dropped(trial):
    one = trial.framework()
    resources = [{
        "name": "cpus",
        "type": "SCALAR",
        "scalar": {"value": 0.1},
        "reservations": [{"type": "DYNAMIC", "role": one.roles[0]}],
    }]
    operation = {"type": "RESERVE", "id": {"value": "op"}, "reserve": {"resources": resources}}
    one.accept({"id": UNKNOWN}, operation)
    status = one.wait("UPDATE_OPERATION_STATUS")["update_operation_status"]["status"]
    same("the id", status["operation_id"], {"value": "op"})
    same("the state", status["state"], "OPERATION_ERROR")
    ensure("uuid" not in status, f"it is to be acknowledged: {status}")


@rule("OP-5", "Tasks of a launch that has an id of its own are TASK_ERROR.")
def launch_with_id(trial):
    one = trial.framework()
    offer = one.offer()
    task = one.task(offer, command={"value": "true"})
    launch = {"type": "LAUNCH", "id": {"value": "op"}, "launch": {"task_infos": [task]}}
    one.accept(offer, launch)
    status = one.status(task["task_id"]["value"], "TASK_ERROR")
    same("the source", status["source"], "SOURCE_MASTER")
    same("the reason", status["reason"], "REASON_TASK_INVALID")


@rule("OP-6", "A RECONCILE_OPERATIONS whose `Accept` allows neither encoding is refused with 406.")
def accept(trial):
    one = trial.framework()
    kind = "RECONCILE_OPERATIONS"
    refused(one.call(kind, headers={"Accept": "text/html"}, **parts(kind)), 406)


@rule("OP-7", "Each operation that is named is answered for, in its order; a list of none says nothing.")
def each(trial):
    one = trial.framework()
    one.take_in("RECONCILE_OPERATIONS", reconcile_operations={"operations": []})
    offer = one.offer()
    agents = (offer["agent_id"], UNKNOWN)
    asked = [
        {"operation_id": {"value": f"op-{number}"}, "agent_id": agent}
        for number, agent in enumerate(agents)
    ]
    one.take_in("RECONCILE_OPERATIONS", reconcile_operations={"operations": asked})
    for operation in asked:
        status = one.wait("UPDATE_OPERATION_STATUS")["update_operation_status"]["status"]
        same("the id", status["operation_id"], operation["operation_id"])
        same("the agent", status["agent_id"], operation["agent_id"])
        same("the state", status["state"], "OPERATION_UNKNOWN")
