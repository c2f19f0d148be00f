"""Steps before there is a framework: methods, types, encodings, calls that lack what they need."""

import json

from client import Stream
from script import API, JSON_TYPES

INFO = {"user": "root", "name": "nobody"}
PROTOBUF = "application/x-protobuf"


def subscribe(**info):
    return {"type": "SUBSCRIBE", "subscribe": {"framework_info": {**INFO, **info}}}


def refused(script, name, body, **more):
    """A subscription that is refused by an event on its stream."""
    script.step(f"subscribe: {name}")
    stream = Stream(script.master, API, json.dumps({**body, **more}), JSON_TYPES)
    if stream.reply.status == 200:
        stream.reply.headers["mesos-stream-id"] = "<uuid>"
    script.note(stream.reply)
    events = []
    while (record := stream.records.get(timeout=10)) is not None:
        events.append(json.loads(record))
        if events[-1]["type"] == "SUBSCRIBED":
            break
    script.steps[-1]["events"]["stream"] = events
    stream.close()


def methods_and_types(script):
    body = json.dumps(subscribe())
    for method in ("GET", "PUT", "DELETE"):
        script.step(f"method {method}")
        script.post(body, method=method)
    types = {
        "none": {},
        "text/plain": {"Content-Type": "text/plain"},
        "with a parameter": {"Content-Type": "application/json; charset=utf-8"},
        "in capitals": {"Content-Type": "APPLICATION/JSON"},
        "recordio": {"Content-Type": "application/recordio"},
    }
    for name, headers in types.items():
        script.step(f"content type: {name}")
        # A call that is refused for what it says where its type is taken.
        script.post(json.dumps({"type": "TEARDOWN"}), headers)
    accepts = ["text/html", "text/*", "application/json;q=0", "application/recordio"]
    for accept in accepts:
        script.step(f"accept: {accept}")
        script.post(subscribe(), {"Content-Type": "application/json", "Accept": accept})


def bodies(script):
    bodies = {
        "empty": "",
        "not JSON": "{",
        "text after it": '{"type": "TEARDOWN"} x',
        "a list": "[]",
        "a number": "1",
        "null": "null",
        "an empty object": "{}",
        "a type that is no text": '{"type": []}',
        "an unknown type": '{"type": "FLY"}',
        "the type UNKNOWN": '{"type": "UNKNOWN"}',
        "a type by number": '{"type": 2}',
        "a field of a wrong type": '{"type": "TEARDOWN", "framework_id": "x"}',
        "a required field missing": '{"type": "TEARDOWN", "framework_id": {}}',
        "an unknown field": '{"type": "TEARDOWN", "fly": 1}',
        "a field that is null": '{"type": "TEARDOWN", "framework_id": null}',
    }
    for name, body in bodies.items():
        script.step(f"body: {name}")
        script.post(body)
    raw = {
        "empty": b"",
        "not protobuf": b"\xff\xff\xff",
        "truncated": b"\x10\x01\x1a\x10\x0a",
        "without type": b"\x0a\x03\x0a\x01x",
        "an unknown type": b"\x10\x63",
        "a number for a message": b"\x08\x63",
        "a required field missing": b"\x10\x02\x0a\x00",
    }
    for name, body in raw.items():
        script.step(f"protobuf body: {name}")
        script.post(body, {"Content-Type": PROTOBUF, "Accept": PROTOBUF})


def lacking(script):
    """Calls without what their type needs."""
    unknown = {"framework_id": {"value": "unknown"}}
    kinds = (
        "TEARDOWN ACCEPT DECLINE ACCEPT_INVERSE_OFFERS DECLINE_INVERSE_OFFERS REVIVE SUPPRESS KILL "
        "SHUTDOWN ACKNOWLEDGE ACKNOWLEDGE_OPERATION_STATUS RECONCILE RECONCILE_OPERATIONS MESSAGE "
        "REQUEST UPDATE_FRAMEWORK"
    )
    for kind in kinds.split():
        script.step(f"{kind} and nothing else")
        script.post({"type": kind})
        script.post({"type": kind, **unknown})
    script.step("SUBSCRIBE and nothing else")
    script.post({"type": "SUBSCRIBE"})
    script.post({"type": "SUBSCRIBE", "subscribe": {}})
    script.post({"type": "SUBSCRIBE", "subscribe": {"framework_info": {}}})
    script.post({"type": "SUBSCRIBE", "subscribe": {"framework_info": {"user": "root"}}})
    script.post({"type": "SUBSCRIBE", "subscribe": {"framework_info": {"name": "x"}}})
    script.step("SUBSCRIBE with a stream id")
    script.post(subscribe(), {**JSON_TYPES, "Mesos-Stream-Id": "1"})
    script.step("SUBSCRIBE with an id in one place only")
    script.post({**subscribe(), **unknown})
    script.post(subscribe(id={"value": "unknown"}))
    script.step("SUBSCRIBE with two ids")
    script.post({**subscribe(id={"value": "other"}), **unknown})


def subscriptions(script):
    multi = [{"type": "MULTI_ROLE"}]
    refused(script, "role with MULTI_ROLE", subscribe(role="a", capabilities=multi))
    refused(script, "roles without MULTI_ROLE", subscribe(roles=["a"]))
    refused(script, "a role twice", subscribe(roles=["a", "a"], capabilities=multi))
    for role in ("", ".", "..", "-a", "a b", "/a", "a/", "a//b", "a/./b", "a/*", "*/a", "\u007f"):
        refused(script, f"role {role!r}", subscribe(role=role))
        refused(script, f"roles {role!r}", subscribe(roles=[role], capabilities=multi))
    refused(script, "negative failover_timeout", subscribe(failover_timeout=-1.0))
    refused(script, "huge failover_timeout", subscribe(failover_timeout=1e12))
    refused(script, "no user", subscribe(user=""))
    for name in ("a/b", "..", ".", "a b", "\u0001", "a" * 300):
        given = {"value": name}
        refused(
            script, f"framework id {name[:9]!r}", subscribe(id=given), framework_id=given
        )
    both = subscribe(roles=["a"], capabilities=multi)
    both["subscribe"]["suppressed_roles"] = ["b"]
    refused(script, "a suppressed role that is none of its own", both)
    twice = subscribe(roles=["a"], capabilities=multi)
    twice["subscribe"]["suppressed_roles"] = ["a", "a"]
    refused(script, "a suppressed role twice", twice)


def play(script):
    methods_and_types(script)
    bodies(script)
    lacking(script)
    subscriptions(script)
