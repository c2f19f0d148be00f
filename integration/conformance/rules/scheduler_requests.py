"""Requests to the scheduler API as such: methods, types, bodies, and the order in which faults are
looked for."""

from framework import UNKNOWN, launch
from suite import ensure, refused, rule, same
from wire import Json, Protobuf

JSON = "application/json"
PROTOBUF = "application/x-protobuf"


def subscribe(trial, **info):
    return {"type": "SUBSCRIBE", "subscribe": {"framework_info": trial.world.info(**info)}}


def accepted(trial, accept, wanted):
    """Subscribes with this Accept, and holds that records come in the wanted type."""
    one = trial.stranger()
    reply = one.open(headers={"Accept": accept})
    same(f"the status with Accept {accept}", reply.status, 200)
    same(f"the Content-Type with Accept {accept}", reply.headers["content-type"], wanted)
    record = one.stream.records.get(timeout=10)
    if wanted == JSON:
        ensure(record.startswith(b"{"), f"the record is not JSON: {record}")
        event = Json.read("Event", record)
        one.id = event["subscribed"]["framework_id"]
    else:
        ensure(not record.startswith(b"{"), f"the record is JSON: {record}")
        one.id = Protobuf.read("Event", record)["subscribed"]["framework_id"]


@rule("REQ-1", "Any method but POST is refused with 405, and `Allow` says POST.")
def method(trial):
    for name in ("GET", "PUT", "DELETE", "PATCH"):
        reply = trial.post(subscribe(trial), method=name)
        same(f"the status of {name}", reply.status, 405)
        same(f"Allow for {name}", reply.headers.get("allow"), "POST")


@rule("REQ-2", "A call without `Content-Type` is refused with 400.")
def no_content_type(trial):
    refused(trial.post(subscribe(trial), {"Accept": trial.encoding.media}), 400)


@rule("REQ-3", "A `Content-Type` that is neither JSON nor protobuf is refused with 415.")
def content_type(trial):
    for media in ("text/plain", "application/recordio", f"{trial.encoding.media}; charset=utf-8"):
        refused(trial.post(subscribe(trial), {"Content-Type": media}), 415, media)


@rule("REQ-4", "A body that cannot be decoded is refused with 400.")
def undecodable(trial):
    body = b"{" if trial.encoding is Json else b"\xff\xff\xff"
    refused(trial.post(body), 400)
    whole = trial.encoding.write("Call", subscribe(trial))
    refused(trial.post(whole[:-3]), 400, "a call cut short")


@rule("REQ-5", "A call without type is refused with 400.")
def no_type(trial):
    refused(trial.post({}), 400, "an empty call")
    refused(trial.post({"framework_id": UNKNOWN}), 400)


@rule("REQ-6", "A type that the schema does not have is as good as none: 400.")
def unknown_type(trial):
    body = b'{"type": "FLY"}' if trial.encoding is Json else b"\x10\x63"
    refused(trial.post(body), 400)


@rule("REQ-7", "A call of the type UNKNOWN is refused with 501.")
def type_unknown(trial):
    one = trial.framework()
    same("the status", one.call("UNKNOWN").status, 501)


@rule("REQ-8", "A message without a field that it requires is refused with 400.")
def required(trial):
    refused(trial.post({"type": "TEARDOWN", "framework_id": {}}), 400)
    call = subscribe(trial)
    for name in ("user", "name"):
        info = {key: it for key, it in call["subscribe"]["framework_info"].items() if key != name}
        refused(trial.post({**call, "subscribe": {"framework_info": info}}), 400, f"no {name}")


@rule("REQ-9", "A field that the schema does not have is passed over.")
def unknown_field(trial):
    one = trial.framework()
    if trial.encoding is Json:
        body = Json.write("Call", {"type": "SUPPRESS", "framework_id": one.id, "fly": {"x": [1]}})
    else:
        body = trial.encoding.write("Call", {"type": "SUPPRESS", "framework_id": one.id})
        # Field 99, a text of one byte.
        body += b"\x9a\x06\x01x"
    same("the status", trial.post(body, one.headers()).status, 202)


@rule("REQ-10", "A number may be written as text, and null is as good as absent.", only=Json)
def lenient(trial):
    one = trial.stranger(failover_timeout="60.0")
    one.info["hostname"] = None
    one.subscribe()


@rule(
    "REQ-19",
    "A name that an enum does not have is as good as absent where it may be.",
    only=Json,
)
def unknown_name(trial):
    kinds = [{"type": "MULTI_ROLE"}, {"type": "FLYING"}]
    trial.stranger(capabilities=kinds).subscribe()


@rule("REQ-20", "Where it may not be absent, the call is refused with 400.", only=Json)
def unknown_required_name(trial):
    one = trial.framework()
    flying = {"name": "cpus", "type": "FLYING", "scalar": {"value": 1.0}}
    task = one.task({"agent_id": UNKNOWN}, resources=[flying], command={"value": "true"})
    parts = {"offer_ids": [UNKNOWN], "operations": [launch(task)]}
    refused(one.call("ACCEPT", accept=parts), 400)


@rule("REQ-11", "Without `Accept`, or with `*/*`, events come in JSON.")
def accept_anything(trial):
    accepted(trial, None, JSON)
    accepted(trial, "*/*", JSON)


@rule("REQ-12", "Where `Accept` allows both encodings, events come in JSON.")
def accept_both(trial):
    accepted(trial, f"{PROTOBUF}, {JSON}", JSON)


@rule("REQ-13", "Where `Accept` allows one encoding, events come in it, whatever the call came in.")
def accept_one(trial):
    accepted(trial, PROTOBUF, PROTOBUF)
    accepted(trial, JSON, JSON)


@rule("REQ-14", "A SUBSCRIBE whose `Accept` allows neither encoding is refused with 406.")
def accept_neither(trial):
    for accept in ("text/html", "application/recordio", f"{JSON};q=0"):
        headers = {"Content-Type": trial.encoding.media, "Accept": accept}
        refused(trial.post(subscribe(trial), headers), 406, accept)


@rule("REQ-15", "`Accept` is not looked at in calls that are answered without a body.")
def accept_of_calls(trial):
    one = trial.framework()
    same("the status", one.call("SUPPRESS", headers={"Accept": "text/html"}).status, 202)


@rule("REQ-16", "The method is looked at before the type, and the type before the body.")
def order_of_requests(trial):
    same("a bad method, no type", trial.post(b"{", {}, method="PUT").status, 405)
    same("a bad type, a bad body", trial.post(b"\xff", {"Content-Type": "text/html"}).status, 415)


@rule(
    "REQ-17",
    "A call is validated before its `Accept` is looked at, and that before the stream's id.",
)
def order_of_calls(trial):
    headers = {"Content-Type": trial.encoding.media, "Accept": "text/html"}
    refused(trial.post({"type": "SUBSCRIBE"}, headers), 400, "a bad call, a bad Accept")
    headers["Mesos-Stream-Id"] = "1"
    refused(trial.post(subscribe(trial), headers), 406, "a bad Accept, a stream's id too much")


@rule("REQ-18", "The API is at `/api/v1/scheduler`, too.")
def short_path(trial):
    reply = trial.post({}, path="/api/v1/scheduler")
    refused(reply, 400, "an empty call to the short path")
