"""MESSAGE: bytes between scheduler and executor, at the best of efforts."""

import base64

from framework import UNKNOWN
from suite import ensure, rule, same

# Every byte, and none.
DATA = ("".join(map(chr, range(256))).encode("latin-1"), b"")


def encoded(data):
    return base64.b64encode(data).decode()


@rule("MSG-1", "MESSAGE of the scheduler comes to the executor byte for byte.")
def to_executor(trial):
    one = trial.framework()
    worker, _ = trial.running(one)
    about = {
        "agent_id": {"value": worker.environment["MESOS_SLAVE_ID"]},
        "executor_id": worker.ids["executor_id"],
    }
    for data in DATA:
        one.take_in("MESSAGE", message={**about, "data": encoded(data)})
        same("the data", worker.wait("MESSAGE")["message"], {"data": encoded(data)})


@rule("MSG-2", "MESSAGE of the executor comes to the scheduler with who sent it.")
def to_scheduler(trial):
    one = trial.framework()
    worker, _ = trial.running(one)
    for data in DATA:
        same("the status", worker.call("MESSAGE", message={"data": encoded(data)}).status, 202)
        wanted = {
            "agent_id": {"value": worker.environment["MESOS_SLAVE_ID"]},
            "executor_id": worker.ids["executor_id"],
            "data": encoded(data),
        }
        same("the message", one.wait("MESSAGE")["message"], wanted)


@rule("MSG-3", "Messages come in their order, and each once.")
def in_order(trial):
    one = trial.framework()
    worker, _ = trial.running(one)
    sent = [encoded(str(number).encode()) for number in range(20)]
    about = {
        "agent_id": {"value": worker.environment["MESOS_SLAVE_ID"]},
        "executor_id": worker.ids["executor_id"],
    }
    for data in sent:
        one.take_in("MESSAGE", message={**about, "data": data})
    same("what came", [worker.wait("MESSAGE")["message"]["data"] for _ in sent], sent)
    for data in sent:
        worker.call("MESSAGE", message={"data": data})
    same("what came", [one.wait("MESSAGE")["message"]["data"] for _ in sent], sent)
    one.nothing("MESSAGE")


@rule("MSG-4", "MESSAGE to what is not there is taken, and dropped.")
def nobody(trial):
    one = trial.framework()
    there = one.some_agent()
    for agent_id in (there, UNKNOWN):
        message = {"agent_id": agent_id, "executor_id": UNKNOWN, "data": "AAAA"}
        one.take_in("MESSAGE", message=message)
    one.nothing("ERROR", "FAILURE", "MESSAGE")
    ensure(one.call("SUPPRESS").status == 202, "the framework is not connected any more")
