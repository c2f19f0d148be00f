"""SUBSCRIBE: the stream that it opens, and what begins on it."""

import re
import time

from framework import UNKNOWN
from suite import ensure, refused, rule, same, slow_rule

UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
INTERVAL = 15.0


@rule("SUB-1", "SUBSCRIBE is answered 200, in chunks, in the type that `Accept` asks for.")
def answer(trial):
    one = trial.framework()
    reply = one.stream.reply
    same("the status", reply.status, 200)
    same("Content-Type", reply.headers.get("content-type"), trial.encoding.media)
    same("Transfer-Encoding", reply.headers.get("transfer-encoding"), "chunked")


@rule("SUB-2", "Each stream has an id of its own in the header `Mesos-Stream-Id`, a UUID.")
def stream_id(trial):
    ids = {trial.framework().stream_id for _ in range(3)}
    same("the number of ids", len(ids), 3)
    for one in ids:
        ensure(re.fullmatch(UUID, one), f"the stream's id is {one}")


@rule("SUB-3", "The first event is SUBSCRIBED, with an id of the master's and a number, and 15 s.")
def subscribed(trial):
    one = trial.stranger()
    said = one.subscribe()["subscribed"]
    master = said["master_info"]["id"]
    given = said["framework_id"]["value"]
    ensure(re.fullmatch(rf"{re.escape(master)}-\d{{4,}}", given), f"the id is {given} of {master}")
    same("the heartbeat's interval", said["heartbeat_interval_seconds"], INTERVAL)


@rule("SUB-4", "SUBSCRIBED says where the master is, what it is and what it can.")
def master_info(trial):
    info = trial.stranger().subscribe()["subscribed"]["master_info"]
    _, _, port = trial.world.master.rpartition(":")
    same("the port", info["port"], int(port))
    same("the address' port", info["address"]["port"], int(port))
    for name in ("id", "ip", "pid", "hostname", "version"):
        ensure(info.get(name), f"the master's {name} is missing: {info}")
    ensure(info["pid"].startswith("master@"), f"the master is {info['pid']}")
    kinds = [part.get("type") for part in info["capabilities"]]
    ensure("AGENT_UPDATE" in kinds, f"the master can {kinds}")


@rule("SUB-5", "The second event is a HEARTBEAT, at once.")
def first_heartbeat(trial):
    one = trial.framework()
    event = one.take(5)
    ensure(event and event["type"] == "HEARTBEAT", f"there came {event}")
    waited = event["(at)"] - one.events[0]["(at)"]
    ensure(waited < 2, f"it came {waited} s after SUBSCRIBED")


@slow_rule("SUB-6", "A HEARTBEAT follows the one before in 15 s.")
def heartbeats(trial):
    one = trial.framework()
    first = one.wait("HEARTBEAT")
    second = one.wait("HEARTBEAT", patience=INTERVAL + 5)
    waited = second["(at)"] - first["(at)"]
    ensure(abs(waited - INTERVAL) < 1.5, f"it came after {waited} s")


@rule("SUB-7", "A record is its length in decimal digits, a newline, and so many bytes.")
def framing(trial):
    one = trial.framework()
    one.wait("HEARTBEAT")
    raw = one.stream.raw
    read = 0
    while raw:
        digits, newline, raw = raw.partition(b"\n")
        ensure(newline and digits.isdigit() and not digits.startswith(b"0"), f"it is {digits}")
        ensure(len(raw) >= int(digits), f"{digits} bytes are {raw}")
        trial.encoding.read("Event", raw[: int(digits)])
        raw = raw[int(digits) :]
        read += 1
    ensure(read >= 2, f"there were {read} records")


@rule("SUB-8", "A SUBSCRIBE with a stream's id is refused with 400.")
def with_stream_id(trial):
    one = trial.stranger()
    refused(one.open(headers={"Mesos-Stream-Id": "1"}), 400)


@rule("SUB-9", "A SUBSCRIBE without what it is about is refused with 400.")
def without_info(trial):
    refused(trial.post({"type": "SUBSCRIBE"}), 400)
    refused(trial.post({"type": "SUBSCRIBE", "subscribe": {}}), 400)


@rule("SUB-10", "The framework's id stands in the call and in its info, and is the same, or 400.")
def two_ids(trial):
    info = trial.world.info()
    call = {"type": "SUBSCRIBE", "subscribe": {"framework_info": info}}
    refused(trial.post({**call, "framework_id": UNKNOWN}), 400, "an id in the call alone")
    info["id"] = {"value": "other"}
    refused(trial.post(call), 400, "an id in the info alone")
    refused(trial.post({**call, "framework_id": UNKNOWN}), 400, "two ids")


@rule("SUB-11", "An id that the master does not know, nor knew, is taken, and kept.")
def unknown_id(trial):
    one = trial.stranger()
    given = {"value": trial.world.name(f"foreign-{time.time()}")}
    one.id = given
    one.subscribe()
    same("the id", one.id, given)
