"""Calls on a subscription: what each has to carry, and what it is answered."""

import http.client

from framework import AT_ONCE, PATH, UNKNOWN, UUID
from suite import ensure, refused, rule, same
from wire import PATIENCE

# The calls that need a part of their own, which is called as they are.
WITH_PART = (
    "ACCEPT DECLINE ACCEPT_INVERSE_OFFERS DECLINE_INVERSE_OFFERS KILL SHUTDOWN ACKNOWLEDGE "
    "ACKNOWLEDGE_OPERATION_STATUS RECONCILE RECONCILE_OPERATIONS MESSAGE REQUEST UPDATE_FRAMEWORK"
).split()
WITHOUT_PART = ["REVIVE", "SUPPRESS", "TEARDOWN"]


def parts(kind):
    """A part that is valid, of what is not there."""
    return {
        "ACCEPT": {"accept": {"offer_ids": [UNKNOWN], "filters": AT_ONCE}},
        "DECLINE": {"decline": {"offer_ids": [UNKNOWN], "filters": AT_ONCE}},
        "ACCEPT_INVERSE_OFFERS": {"accept_inverse_offers": {"inverse_offer_ids": [UNKNOWN]}},
        "DECLINE_INVERSE_OFFERS": {"decline_inverse_offers": {"inverse_offer_ids": [UNKNOWN]}},
        "REVIVE": {"revive": {"roles": []}},
        "SUPPRESS": {"suppress": {"roles": []}},
        "KILL": {"kill": {"task_id": UNKNOWN}},
        "SHUTDOWN": {"shutdown": {"executor_id": UNKNOWN, "agent_id": UNKNOWN}},
        "ACKNOWLEDGE": {"acknowledge": {"agent_id": UNKNOWN, "task_id": UNKNOWN, "uuid": UUID}},
        "ACKNOWLEDGE_OPERATION_STATUS": {
            "acknowledge_operation_status": {
                "agent_id": UNKNOWN,
                "uuid": UUID,
                "operation_id": UNKNOWN,
            }
        },
        "RECONCILE": {"reconcile": {"tasks": []}},
        "RECONCILE_OPERATIONS": {"reconcile_operations": {"operations": []}},
        "MESSAGE": {"message": {"agent_id": UNKNOWN, "executor_id": UNKNOWN, "data": "AAAA"}},
        "REQUEST": {"request": {"requests": []}},
    }[kind]


def taken(reply, what):
    """What every call is answered that is taken, whatever becomes of it."""
    same(f"the status of {what}", reply.status, 202)
    same(f"the body of the answer to {what}", reply.body, b"")
    same(f"the length of the answer to {what}", reply.headers.get("content-length"), "0")


@rule("CALL-1", "A call without the framework's id is refused with 400, whatever its type.")
def without_id(trial):
    one = trial.framework()
    for kind in WITH_PART + WITHOUT_PART:
        refused(trial.post({"type": kind}, one.headers()), 400, kind)


@rule("CALL-2", "A call without the part that its type needs is refused with 400.")
def without_part(trial):
    one = trial.framework()
    for kind in WITH_PART:
        refused(one.call(kind), 400, kind)


@rule("CALL-3", "A call of a framework that the master does not know is refused with 400.")
def unknown_framework(trial):
    one = trial.framework()
    for kind in ("REVIVE", "TEARDOWN", "RECONCILE"):
        refused(one.call(kind, framework_id=UNKNOWN, **parts_of(kind)), 400, kind)


def parts_of(kind):
    return {} if kind in WITHOUT_PART else parts(kind)


@rule("CALL-4", "A call without the stream's id, or with another, is refused with 400.")
def stream_ids(trial):
    one, other = trial.framework(), trial.framework()
    for value in (None, "", "1", other.stream_id):
        refused(one.call("REVIVE", headers={"Mesos-Stream-Id": value}), 400, f"stream {value}")


@rule("CALL-5", "After another SUBSCRIBE the id of the stream before it is refused with 400.")
def old_stream_id(trial):
    one = trial.framework()
    old = one.stream_id
    one.subscribe()
    refused(one.call("REVIVE", headers={"Mesos-Stream-Id": old}), 400)
    taken(one.call("REVIVE"), "REVIVE")


@rule("CALL-6", "A call of a framework whose stream is broken is refused with 403.")
def disconnected(trial):
    one = trial.framework()
    hang_up(one)
    refused(one.call("REVIVE"), 403)


def hang_up(framework):
    """Closes the stream and waits until the master has seen it."""
    framework.close()
    framework.wait_end()
    for _ in range(1000):
        if framework.call("SUPPRESS").status != 202:
            return
    ensure(False, "the master does not see that the stream is broken")


@rule("CALL-7", "That the framework is known and connected is looked at before the stream's id.")
def order_of_checks(trial):
    one = trial.framework()
    wrong = {"Mesos-Stream-Id": "1"}
    reply = one.call("REVIVE", framework_id=UNKNOWN, headers=wrong)
    ensure(b"Framework" in refused(reply, 400).body, f"{reply}")
    hang_up(one)
    refused(one.call("REVIVE", headers=wrong), 403)


@rule("CALL-8", "What a call says is validated before its framework is looked for.")
def validation_first(trial):
    one = trial.framework()
    reply = one.call("KILL", framework_id=UNKNOWN)
    ensure(b"kill" in refused(reply, 400).body, f"{reply}")


for made in ("ACCEPT", "DECLINE", "REVIVE", "SUPPRESS", "KILL", "SHUTDOWN", "ACKNOWLEDGE",
             "RECONCILE", "MESSAGE", "REQUEST"):

    @rule(f"CALL-{made}", f"{made} is answered 202 without a body, also when it is about nothing.")
    def takes(trial, kind=made):
        one = trial.framework()
        taken(one.call(kind, **parts(kind)), kind)
        one.nothing("ERROR")


@rule("CALL-9", "REVIVE and SUPPRESS need no part of their own; they speak of all roles then.")
def of_all_roles(trial):
    one = trial.framework()
    taken(one.call("REVIVE"), "REVIVE")
    offers = one.wait("OFFERS")["offers"]["offers"]
    taken(one.call("SUPPRESS"), "SUPPRESS")
    one.decline(*offers)


@rule("CALL-10", "REQUEST is taken, and changes nothing.")
def request(trial):
    one = trial.framework()
    asked = {"name": "cpus", "type": "SCALAR", "scalar": {"value": 1.0}}
    parts_made = {"requests": [{"resources": [asked]}]}
    taken(one.call("REQUEST", request=parts_made), "REQUEST")
    one.nothing("OFFERS", "ERROR")


@rule("CALL-11", "Calls may share a connection, which stays open, or have each its own.")
def one_connection(trial):
    one = trial.framework()
    body = trial.encoding.write("Call", {"type": "SUPPRESS", "framework_id": one.id})
    connection = http.client.HTTPConnection(trial.world.master, timeout=PATIENCE)
    connection.request("POST", PATH, body, one.headers())
    kept = connection.sock
    for _ in range(10):
        response = connection.getresponse()
        response.read()
        same("the status", response.status, 202)
        ensure(connection.sock is kept, "the connection was closed")
        connection.request("POST", PATH, body, one.headers())
    connection.close()
