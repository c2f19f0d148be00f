"""Requests to an agent's executor API: methods, types, bodies, and whose they are."""

from framework import UNKNOWN, UUID
from suite import ensure, refused, rule, same
from wire import Json
from streams import request

JSON = "application/json"
PROTOBUF = "application/x-protobuf"


def post(worker, body, headers=None, method="POST", path=None):
    if headers is None:
        headers = worker.headers()
    return request(worker.agent, method, path or worker.path, body, headers)


def valid(worker):
    return worker.encoding.write("ExecutorCall", {"type": "HEARTBEAT", **worker.ids})


def subscribed(trial):
    """An executor that is subscribed, and of which no more is wanted than refusals."""
    worker, _ = trial.world.kept(trial.encoding)
    return worker


@rule("EXREQ-1", "Any method but POST is refused with 405, and `Allow` says POST.")
def method(trial):
    worker = subscribed(trial)
    for name in ("GET", "PUT", "DELETE"):
        reply = post(worker, valid(worker), method=name)
        same(f"the status of {name}", reply.status, 405)
        same(f"Allow for {name}", reply.headers.get("allow"), "POST")


@rule("EXREQ-2", "Without `Content-Type` it is 400, with one that is neither encoding 415.")
def content_type(trial):
    worker = subscribed(trial)
    refused(post(worker, valid(worker), {}), 400)
    for media in ("text/plain", "application/recordio"):
        refused(post(worker, valid(worker), {"Content-Type": media}), 415, media)


@rule("EXREQ-3", "A body that cannot be decoded is refused with 400.")
def undecodable(trial):
    worker = subscribed(trial)
    refused(post(worker, b"{" if trial.encoding is Json else b"\xff\xff"), 400)


@rule("EXREQ-4", "A call without the ids of framework and executor is refused with 400.")
def without_ids(trial):
    worker = subscribed(trial)
    for name in ("framework_id", "executor_id"):
        refused(worker.call("HEARTBEAT", **{name: None}), 400, f"no {name}")


@rule("EXREQ-5", "A call without type is refused with 400, one of the type UNKNOWN with 501.")
def types(trial):
    worker = subscribed(trial)
    refused(worker.call(None), 400, "no type")
    same("the status of UNKNOWN", worker.call("UNKNOWN").status, 501)


@rule("EXREQ-6", "A call without the part that its type needs is refused with 400.")
def without_part(trial):
    worker = subscribed(trial)
    for kind in ("SUBSCRIBE", "UPDATE", "MESSAGE"):
        refused(worker.call(kind), 400, kind)


@rule("EXREQ-7", "A framework or an executor that the agent does not know is refused with 400.")
def unknown(trial):
    worker = subscribed(trial)
    for name in ("framework_id", "executor_id"):
        refused(worker.call("MESSAGE", message={"data": "AAAA"}, **{name: UNKNOWN}), 400, name)
        refused(worker.call("SUBSCRIBE", subscribe={}, **{name: UNKNOWN}), 400, name)


@rule("EXREQ-8", "MESSAGE and UPDATE of an executor that has not subscribed are refused with 403.")
def not_subscribed(trial):
    worker, task = trial.launched(trial.framework())
    refused(worker.call("MESSAGE", message={"data": "AAAA"}), 403, "MESSAGE")
    status = worker.status(task, "TASK_RUNNING")
    refused(worker.call("UPDATE", update={"status": status}), 403, "UPDATE")


@rule("EXREQ-9", "UPDATE, MESSAGE and HEARTBEAT are answered 202 without a body.")
def taken(trial):
    worker, task = trial.subscribed(trial.framework())
    status = worker.status(task, "TASK_RUNNING")
    for kind, parts in (
        ("UPDATE", {"update": {"status": status}}),
        ("MESSAGE", {"message": {"data": "AAAA"}}),
        ("HEARTBEAT", {}),
    ):
        reply = worker.call(kind, **parts)
        same(f"the status of {kind}", reply.status, 202)
        same(f"the body of the answer to {kind}", reply.body, b"")


@rule("EXREQ-10", "An `Accept` that allows neither encoding is refused with 406 in SUBSCRIBE.")
def accept_neither(trial):
    worker, _ = trial.launched(trial.framework())
    refused(worker.open(headers={"Accept": "text/html"}), 406)


@rule("EXREQ-11", "Events come in JSON unless `Accept` allows protobuf alone.")
def accept(trial):
    worker, _ = trial.launched(trial.framework())
    for wanted, media in (
        (None, JSON),
        ("*/*", JSON),
        (f"{PROTOBUF}, {JSON}", JSON),
        (PROTOBUF, PROTOBUF),
    ):
        reply = worker.open(headers={"Accept": wanted})
        same(f"the status with Accept {wanted}", reply.status, 200)
        same(f"Content-Type with Accept {wanted}", reply.headers["content-type"], media)
        record = worker.stream.records.get(timeout=20)
        ensure(record.startswith(b"{") == (media == JSON), f"with Accept {wanted}: {record}")


@rule("EXREQ-12", "The API is at `/api/v1/executor`, too.")
def short_path(trial):
    worker = subscribed(trial)
    same("the status", post(worker, valid(worker), path="/api/v1/executor").status, 202)


def update_refused(trial, **change):
    worker, task = trial.world.kept(trial.encoding)
    status = worker.status(task, **{"state": "TASK_RUNNING", **change})
    refused(worker.call("UPDATE", update={"status": status}), 400, f"{change}")


@rule("EXUPD-1", "An update without a uuid, or with one that is not of 16 bytes, is 400.")
def update_uuid(trial):
    update_refused(trial, uuid=None)
    update_refused(trial, uuid="AAAA")


@rule("EXUPD-2", "An update whose source is not the executor is 400.")
def update_source(trial):
    update_refused(trial, source=None)
    update_refused(trial, source="SOURCE_MASTER")


@rule("EXUPD-3", "An update that names another executor is 400; it need not name any.")
def update_executor(trial):
    update_refused(trial, executor_id=UNKNOWN)
    one = trial.framework()
    worker, task = trial.subscribed(one)
    worker.update(task, "TASK_RUNNING", executor_id=None, uuid=UUID)
    one.status(task, "TASK_RUNNING")


@rule("EXUPD-4", "An update to TASK_STAGING, or to no state, is 400.")
def update_state(trial):
    update_refused(trial, state="TASK_STAGING")
    update_refused(trial, state=None)


@rule("EXUPD-5", "An update of a check without type is 400.")
def update_check(trial):
    update_refused(trial, check_status={})
