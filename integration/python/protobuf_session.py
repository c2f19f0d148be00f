"""A framework in protobuf: its types are what protoc makes of the schema, its HTTP is Python's.

    protobuf_session.py SCHEMA MASTER

SCHEMA is the folder of the .proto files, MASTER the master's host:port. Goes through subscribe,
offers, accept, kill, reconcile, disconnect and failover on a cluster with one free agent, and says
each step. Exits with an exception at the first answer that is not as Mesos gives it.
"""

import http.client
import json
import os
import sys
import tempfile
import time

import grpc_tools.protoc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PROTOBUF = "application/x-protobuf"
PATIENCE = 60


def load(schema):
    """The types Call and Event of the scheduler API."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "descriptors")
        name = "mesos/v1/scheduler/scheduler.proto"
        arguments = ["protoc", f"-I{schema}", "--include_imports", f"--descriptor_set_out={out}"]
        assert grpc_tools.protoc.main([*arguments, name]) == 0
        with open(out, "rb") as file:
            files = descriptor_pb2.FileDescriptorSet.FromString(file.read())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    types = (pool.FindMessageTypeByName(f"mesos.v1.scheduler.{name}") for name in ("Call", "Event"))
    return [message_factory.GetMessageClass(descriptor) for descriptor in types]


class Stream:
    """A subscription: its events, and calls on it."""

    def __init__(self, master, framework_id=None):
        self.master = master
        self.connection = http.client.HTTPConnection(master, timeout=PATIENCE)
        call = Call(type=Call.SUBSCRIBE)
        info = call.subscribe.framework_info
        info.user, info.name, info.failover_timeout = "root", "in protobuf", 600
        info.roles.append("*")
        info.capabilities.add().type = info.Capability.MULTI_ROLE
        info.capabilities.add().type = info.Capability.PARTITION_AWARE
        if framework_id:
            info.id.value = call.framework_id.value = framework_id
        headers = {"Content-Type": PROTOBUF, "Accept": PROTOBUF}
        self.connection.request("POST", "/api/v1/scheduler", call.SerializeToString(), headers)
        self.response = self.connection.getresponse()
        assert self.response.status == 200, self.response.read()
        assert self.response.headers["Content-Type"] == PROTOBUF, self.response.headers
        self.id = self.response.headers["Mesos-Stream-Id"]
        subscribed = self.next()
        assert subscribed.type == Event.SUBSCRIBED, subscribed
        assert subscribed.subscribed.heartbeat_interval_seconds == 15, subscribed
        self.framework_id = subscribed.subscribed.framework_id.value
        assert self.next().type == Event.HEARTBEAT

    def next(self):
        """The next event; None where the master has closed the stream."""
        length = self.response.readline()
        if not length:
            return None
        body = self.response.read(int(length))
        return Event.FromString(body)

    def wait_for(self, wanted):
        """The first event that `wanted` accepts."""
        while True:
            event = self.next()
            assert event, "the stream ended"
            assert event.type != Event.ERROR, event
            if wanted(event):
                return event

    def status(self, state, tasks):
        """Waits until one of the tasks is in a state, and acknowledges whatever asks for it."""
        while True:
            status = self.wait_for(lambda event: event.type == Event.UPDATE).update.status
            if status.HasField("uuid"):
                assert len(status.uuid) == 16, status
                call = Call(type=Call.ACKNOWLEDGE)
                call.acknowledge.agent_id.CopyFrom(status.agent_id)
                call.acknowledge.task_id.CopyFrom(status.task_id)
                call.acknowledge.uuid = status.uuid
                self.call(call)
            if status.task_id.value in tasks and state_name(status) == state:
                return status

    def call(self, call, expected=202):
        """Makes a call over a connection of its own."""
        call.framework_id.value = self.framework_id
        connection = http.client.HTTPConnection(self.master, timeout=PATIENCE)
        headers = {"Content-Type": PROTOBUF, "Mesos-Stream-Id": self.id}
        connection.request("POST", "/api/v1/scheduler", call.SerializeToString(), headers)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        assert response.status == expected, (response.status, body, call)
        return body.decode()

    def close(self):
        """Leaves without a word."""
        self.response.close()
        self.connection.close()


def state_name(status):
    """A status' state by its name."""
    field = status.DESCRIPTOR.fields_by_name["state"]
    return field.enum_type.values_by_number[status.state].name


def launch(stream, names):
    """Launches tasks on the first offer."""
    offer = stream.wait_for(lambda event: event.type == Event.OFFERS).offers.offers[0]
    assert offer.framework_id.value == stream.framework_id, offer
    amounts = {it.name: it.scalar.value for it in offer.resources if it.HasField("scalar")}
    assert amounts["cpus"] == 2 and amounts["mem"] == 1024, offer
    assert all(it.allocation_info.role == "*" for it in offer.resources), offer
    call = Call(type=Call.ACCEPT)
    call.accept.offer_ids.add().CopyFrom(offer.id)
    operation = call.accept.operations.add()
    operation.type = operation.LAUNCH
    for name in names:
        task = operation.launch.task_infos.add()
        task.name = task.task_id.value = name
        task.agent_id.CopyFrom(offer.agent_id)
        task.command.value = "exec sleep 1000"
        for resource, amount in (("cpus", 0.1), ("mem", 32)):
            part = task.resources.add(name=resource, type=0)
            part.scalar.value = amount
    stream.call(call)
    return offer


def kill(stream, task):
    """Kills a task and sees it killed."""
    call = Call(type=Call.KILL)
    call.kill.task_id.value = task
    stream.call(call)
    status = stream.status("TASK_KILLED", [task])
    assert status.source == status.SOURCE_EXECUTOR, status


def reconcile(stream, tasks):
    """Asks how tasks are; the statuses of as many answers, by task."""
    call = Call(type=Call.RECONCILE)
    call.reconcile.SetInParent()
    for task in tasks:
        call.reconcile.tasks.add().task_id.value = task
    stream.call(call)
    found = {}
    for _ in tasks or ["all"]:
        event = stream.wait_for(lambda event: event.type == Event.UPDATE)
        status = event.update.status
        assert not status.HasField("uuid"), status
        assert status.source == status.SOURCE_MASTER, status
        assert status.reason == status.REASON_RECONCILIATION, status
        found[status.task_id.value] = state_name(status)
    return found


def wait_for_disconnection(master):
    """Waits until the master has seen that its only framework is away."""
    deadline = time.monotonic() + PATIENCE
    while True:
        connection = http.client.HTTPConnection(master, timeout=PATIENCE)
        connection.request("GET", "/frameworks")
        (framework,) = json.load(connection.getresponse())["frameworks"]
        connection.close()
        if not framework["connected"]:
            return
        assert time.monotonic() < deadline, framework


def main(master):
    """The session."""
    first = Stream(master)
    print("subscribed", first.framework_id)
    launch(first, ["one", "two"])
    print("accepted")
    waiting = {"one", "two"}
    while waiting:
        waiting.remove(first.status("TASK_RUNNING", waiting).task_id.value)
    kill(first, "one")
    print("killed")
    assert reconcile(first, ["two", "nobody"]) == {"two": "TASK_RUNNING", "nobody": "TASK_UNKNOWN"}
    assert reconcile(first, []) == {"two": "TASK_RUNNING"}
    print("reconciled")

    first.close()
    wait_for_disconnection(master)
    second = Stream(master, first.framework_id)
    assert second.framework_id == first.framework_id
    assert second.id != first.id
    assert reconcile(second, []) == {"two": "TASK_RUNNING"}
    print("came back after a disconnect")

    third = Stream(master, first.framework_id)
    events = list(iter(second.next, None))
    assert events[-1].type == Event.ERROR, events
    assert events[-1].error.message == "Framework failed over", events
    stale = second.call(Call(type=Call.REVIVE), expected=400)
    assert "stream" in stale.lower(), stale
    print("failed over")

    assert reconcile(third, []) == {"two": "TASK_RUNNING"}
    kill(third, "two")
    third.call(Call(type=Call.TEARDOWN))
    while third.next():
        pass
    gone = third.call(Call(type=Call.REVIVE), expected=400)
    assert "Framework" in gone, gone
    print("torn down")


if __name__ == "__main__":
    Call, Event = load(sys.argv[1])
    main(sys.argv[2])
