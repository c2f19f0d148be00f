"""An agent that is the suite's own: it registers with the master by libprocess messages, answers
its pings, runs nothing, and goes when it is told to.

Not here: real agents, on which executors run.
"""

import base64
import queue
import socket
import threading
import uuid

from google.protobuf import json_format

from framework import scalar
from wire import PATIENCE, Fault, find, plain
from streams import request

PROCESS = "slave(9)"
INTERNAL = "mesos.internal"
CAPABILITIES = ("MULTI_ROLE", "HIERARCHICAL_ROLE", "RESERVATION_REFINEMENT")


def reserved(name, value, role):
    """A resource that only this role is offered."""
    return scalar(name, value, reservations=[{"type": "STATIC", "role": role}])


class Agent:
    """See the module. All it has is reserved for one role."""

    def __init__(self, world, role, hostname="alone.example", **info):
        self.master = world.master
        self.id = None
        self.messages = queue.Queue()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.pid = f"{PROCESS}@127.0.0.1:{self.server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()
        self.info = {
            "hostname": hostname,
            "port": self.server.getsockname()[1],
            "resources": [reserved("cpus", 4, role), reserved("mem", 512, role)],
            **info,
        }

    def _accept(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        reader = connection.makefile("rb")
        while line := reader.readline():
            headers = {}
            while header := reader.readline().strip():
                name, _, value = header.decode().partition(":")
                headers[name.lower()] = value.strip()
            body = reader.read(int(headers.get("content-length", 0)))
            if headers.get("transfer-encoding") == "chunked":
                while size := int(reader.readline(), 16):
                    body += reader.read(size)
                    reader.readline()
                reader.readline()
            connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
            name = line.split()[1].decode().rpartition(".")[2]
            if name == "PingSlaveMessage":
                self.send("PongSlaveMessage", {}, to=headers["libprocess-from"])
            else:
                self.messages.put((name, body))

    def send(self, name, value, to=None):
        process, _, address = (to or f"master@{self.master}").partition("@")
        message = json_format.ParseDict(value, find(f"{INTERNAL}.{name}")())
        headers = {"Libprocess-From": self.pid, "Content-Type": "application/x-protobuf"}
        path = f"/{process}/{INTERNAL}.{name}"
        reply = request(address, "POST", path, message.SerializeToString(), headers)
        if reply.status != 202:
            raise Fault(f"{name} was answered {reply}")

    def wait(self, name):
        """The next message of this name."""
        while True:
            try:
                came, body = self.messages.get(timeout=PATIENCE)
            except queue.Empty:
                raise Fault(f"the master sent no {name}") from None
            if came == name:
                return plain(find(f"{INTERNAL}.{name}").FromString(body))

    def register(self):
        """Comes up, and waits until the master has taken it in."""
        self.send(
            "RegisterSlaveMessage",
            {
                "slave": self.info,
                "version": "1.11.0",
                "agent_capabilities": [{"type": kind} for kind in CAPABILITIES],
                "resource_version_uuid": {"value": plain_uuid()},
            },
        )
        self.id = self.wait("SlaveRegisteredMessage")["slave_id"]

    def unregister(self):
        """Goes for good."""
        self.send("UnregisterSlaveMessage", {"slave_id": self.id})
        self.id = None

    def end(self):
        if self.id:
            self.unregister()
        self.server.close()


def plain_uuid():
    return base64.b64encode(uuid.uuid4().bytes).decode()
