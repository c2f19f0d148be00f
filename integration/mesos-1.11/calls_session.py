"""Steps in the life of a framework: its stream, its offers, its end, and calls that come amiss."""

import json

from client import Stream
from script import API, FOREVER, JSON_TYPES, UUID

PROTOBUF = "application/x-protobuf"
# SUBSCRIBE of user "root" and name "binary".
BINARY = b"\x10\x01\x1a\x10\x0a\x0e\x0a\x04root\x12\x06binary"


def offers(script):
    script.step("subscribe")
    one = script.framework("one", failover_timeout=1000.0)
    script.subscribe(one)
    offer = one.offer()
    script.step("accept without operations")
    script.call(one, "ACCEPT", accept={"offer_ids": [offer["id"]], "filters": FOREVER})
    script.step("the same offer again")
    script.call(one, "DECLINE", decline={"offer_ids": [offer["id"]]})
    script.call(one, "ACCEPT", accept={"offer_ids": [offer["id"]]})
    script.step("an unknown offer")
    script.call(one, "DECLINE", decline={"offer_ids": [{"value": "unknown"}]})
    script.call(one, "ACCEPT", accept={"offer_ids": [{"value": "unknown"}]})
    script.step("no offer")
    script.call(one, "DECLINE", decline={"offer_ids": []})
    script.call(one, "ACCEPT", accept={"offer_ids": []})
    script.step("revive")
    script.call(one, "REVIVE")
    offer = one.offer()
    script.step("decline")
    script.call(one, "DECLINE", decline={"offer_ids": [offer["id"]], "filters": FOREVER})
    script.step("revive a role")
    script.call(one, "REVIVE", revive={"roles": ["*"]})
    offer = one.offer()
    script.step("suppress with an offer in hand")
    script.call(one, "SUPPRESS", suppress={"roles": ["*"]})
    script.step("decline when suppressed")
    script.call(one, "DECLINE", decline={"offer_ids": [offer["id"]], "filters": FOREVER})
    for role in ("other", "a b"):
        script.step(f"revive and suppress role {role!r}")
        script.call(one, "REVIVE", revive={"roles": [role]})
        script.call(one, "SUPPRESS", suppress={"roles": [role]})
    return one


def streams(script, one):
    for name, value in (("none", None), ("wrong", "1"), ("empty", "")):
        script.step(f"stream id: {name}")
        script.call(one, "REVIVE", headers={"Mesos-Stream-Id": value})
    script.step("accept of a call that is no subscription")
    script.call(one, "SUPPRESS", headers={"Accept": "text/html"})
    script.step("content type of a call: none")
    script.call(one, "SUPPRESS", headers={"Content-Type": None})
    script.step("a call of another framework's id")
    script.call(one, "SUPPRESS", framework_id={"value": "unknown"})
    script.step("subscribe again on a second connection")
    old, old_stream = one.stream, one.stream_id
    one.info["webui_url"] = "http://client.example/"
    script.subscribe(one)
    first = []
    while (record := old.records.get(timeout=10)) is not None:
        first.append(json.loads(record))
    shown = [event for event in first if not script.unseen(event)]
    script.steps[-1]["events"]["its old stream"] = shown
    one.offer(3)
    script.step("the old stream's id")
    script.call(one, "SUPPRESS", headers={"Mesos-Stream-Id": old_stream})
    script.step("hang up")
    hang_up(script, one, 403)
    script.step("come back")
    script.subscribe(one)
    # What was suppressed and declined is offered again.
    one.offer()


def reconcile(script, one, agent):
    script.step("reconcile all of nothing")
    script.call(one, "RECONCILE", reconcile={"tasks": []})
    script.step("reconcile unknown tasks")
    tasks = [
        {"task_id": {"value": "no-agent"}},
        {"task_id": {"value": "known-agent"}, "agent_id": agent},
        {"task_id": {"value": "other-agent"}, "agent_id": {"value": "unknown"}},
    ]
    for task in tasks:
        script.call(one, "RECONCILE", reconcile={"tasks": [task]})
        one.wait_type("UPDATE")
    script.step("kill an unknown task")
    script.call(one, "KILL", kill={"task_id": {"value": "unknown"}})
    script.call(one, "KILL", kill={"task_id": {"value": "unknown"}, "agent_id": agent})
    other = {"value": "unknown"}
    script.call(one, "KILL", kill={"task_id": {"value": "unknown"}, "agent_id": other})


def strays(script, one, agent):
    """Calls about what is not there."""
    nothing = {"value": "unknown"}
    uuid = UUID
    about = {"agent_id": agent, "task_id": nothing}
    script.step("acknowledge what was not sent")
    script.call(one, "ACKNOWLEDGE", acknowledge={**about, "uuid": uuid})
    script.call(one, "ACKNOWLEDGE", acknowledge={**about, "agent_id": nothing, "uuid": uuid})
    script.step("acknowledge with a bad uuid")
    for bad in ("", "AAAA", uuid[:-4] + "AAAA", "AAAAAAAAAAAAAAAAAAAAAA==", "not base64!"):
        script.call(one, "ACKNOWLEDGE", acknowledge={**about, "uuid": bad})
    script.step("acknowledge an operation")
    operation = {"uuid": uuid, "operation_id": nothing}
    script.call(
        one,
        "ACKNOWLEDGE_OPERATION_STATUS",
        acknowledge_operation_status={**operation, "agent_id": agent},
    )
    script.call(one, "ACKNOWLEDGE_OPERATION_STATUS", acknowledge_operation_status=operation)
    script.step("reconcile operations")
    for operations in ([], [{"operation_id": nothing}], [{"operation_id": nothing, "agent_id": agent}]):
        script.call(one, "RECONCILE_OPERATIONS", reconcile_operations={"operations": operations})
    script.step("message to nobody")
    for to in (agent, nothing):
        message = {"agent_id": to, "executor_id": nothing, "data": "AAAA"}
        script.call(one, "MESSAGE", message=message)
    script.step("shut nobody down")
    for to in (agent, nothing):
        script.call(one, "SHUTDOWN", shutdown={"agent_id": to, "executor_id": nothing})
    script.step("request")
    script.call(one, "REQUEST", request={"requests": [{"agent_id": agent, "resources": []}]})
    script.step("inverse offers that are not there")
    inverse = {"inverse_offer_ids": [nothing]}
    script.call(one, "ACCEPT_INVERSE_OFFERS", accept_inverse_offers=inverse)
    script.call(one, "DECLINE_INVERSE_OFFERS", decline_inverse_offers=inverse)


def update_framework(script, one):
    changes = {
        "nothing": {},
        "its page": {"webui_url": "http://client.example/other"},
        "its user": {"user": "nobody"},
        "its checkpoint": {"checkpoint": True},
        "its principal": {"principal": "someone"},
        "its role": {"role": "a b"},
        "its id": {"id": {"value": "unknown"}},
    }
    for name, change in changes.items():
        script.step(f"update framework: {name}")
        info = {**one.info, "id": one.id, **change}
        script.call(one, "UPDATE_FRAMEWORK", update_framework={"framework_info": info})


def encodings(script):
    script.step("subscribe in protobuf, events in JSON")
    info = {"user": "root", "name": "binary"}
    body = json.dumps({"type": "SUBSCRIBE", "subscribe": {"framework_info": info}})
    ways = [
        (BINARY, {"Content-Type": PROTOBUF, "Accept": "application/json"}),
        (body, {"Content-Type": "application/json"}),
        (body, {**JSON_TYPES, "Accept": "*/*"}),
        (body, {**JSON_TYPES, "Accept": "application/x-protobuf;q=0.1, application/json"}),
    ]
    for body, headers in ways:
        stream = Stream(script.master, API, body, headers)
        event = json.loads(stream.records.get(timeout=10))
        teardown(script, stream, event["subscribed"]["framework_id"])
    script.step("subscribe and be told in protobuf")
    stream = Stream(script.master, API, BINARY, {"Content-Type": PROTOBUF, "Accept": PROTOBUF})
    event = fields(stream.records.get(timeout=10), {"2", "2.1", "2.3", "2.3.7"})
    script.steps[-1]["events"]["fields"] = sorted(event)
    stream_id = stream.reply.headers["mesos-stream-id"]
    stream.reply.headers["mesos-stream-id"] = "<uuid>"
    script.note(stream.reply)
    framework_id = part(1, event["2.1.1"])
    headers = {"Content-Type": PROTOBUF, "Mesos-Stream-Id": stream_id}
    script.post(part(1, framework_id) + b"\x10\x02", headers)
    stream.close()


def part(number, value):
    """A field of bytes, shorter than 128."""
    return bytes([number << 3 | 2, len(value)]) + value


def fields(record, messages, path=""):
    """The fields of a protobuf message by path; `messages` are the paths of messages in it."""
    found, at = {}, 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            value |= (record[at] & 127) << shift
            shift += 7
            at += 1
            if record[at - 1] < 128:
                return value

    while at < len(record):
        key = varint()
        name = f"{path}{key >> 3}"
        if key & 7 == 0:
            found[name] = varint()
            continue
        length = {1: 8, 2: None, 5: 4}[key & 7]
        length = varint() if length is None else length
        found[name] = record[at : at + length]
        at += length
        if name in messages:
            found.update(fields(found.pop(name), messages, f"{name}."))
    return found


def teardown(script, stream, framework_id):
    call = {"type": "TEARDOWN", "framework_id": framework_id}
    stream_id = stream.reply.headers["mesos-stream-id"]
    stream.reply.headers["mesos-stream-id"] = "<uuid>"
    script.note(stream.reply)
    script.post(call, {**JSON_TYPES, "Mesos-Stream-Id": stream_id})
    stream.close()


def hang_up(script, framework, refusal):
    """Closes the stream, and makes calls until one is refused so, which is noted."""
    framework.close()
    while framework.take(10)["type"] != "(end of stream)":
        pass
    while script.call(framework, "SUPPRESS").status != refusal:
        script.steps[-1]["replies"].pop()


def gone(script, framework):
    """Subscribes with an id that is not any more."""
    framework.subscribe()
    framework.stream.reply.headers["mesos-stream-id"] = "<uuid>"
    script.note(framework.stream.reply)
    framework.wait_type("(end of stream)")


def brief(script):
    script.step("hang up with no time to come back")
    framework = script.framework("brief")
    script.come(framework)
    hang_up(script, framework, 400)
    script.step("come back too late")
    gone(script, framework)


def end(script, one):
    script.step("teardown")
    script.call(one, "TEARDOWN")
    one.wait_type("(end of stream)")
    script.step("calls after it")
    script.call(one, "SUPPRESS")
    script.call(one, "TEARDOWN")
    script.step("subscribe after it")
    gone(script, one)


def play(script):
    one = offers(script)
    streams(script, one)
    agent = next(e for e in one.events if e["type"] == "OFFERS")["offers"]["offers"][0]["agent_id"]
    reconcile(script, one, agent)
    strays(script, one, agent)
    update_framework(script, one)
    end(script, one)
    brief(script)
    encodings(script)
