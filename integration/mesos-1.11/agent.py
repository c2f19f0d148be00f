"""An agent that runs nothing: it registers with a master, answers its pings, and can fall silent.

It speaks libprocess messages in protobuf, of which it writes three and reads the names only.
"""

import socket
import struct
import threading
import uuid

from client import request

PROCESS = "slave(9)"
HOSTNAME = "lost.example"
# MULTI_ROLE, HIERARCHICAL_ROLE, RESERVATION_REFINEMENT.
CAPABILITIES = (1, 2, 3)
STATES = {"TASK_STAGING": 6, "TASK_RUNNING": 1}


def varint(value):
    encoded = b""
    while value > 127:
        encoded += bytes([value & 127 | 128])
        value >>= 7
    return encoded + bytes([value])


def field(number, value):
    """A field: an int as varint, a float as double, all else as bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def scalar(name, value, role=None):
    made = field(1, name) + field(2, 0) + field(3, field(1, float(value)))
    return made + field(11, field(1, role)) if role else made


class Agent:
    """See the module; `address` is the master's."""

    def __init__(self, master):
        self.master = master
        self.id = None
        self.alive = True
        self.messages = []
        self.uuid = uuid.uuid4().bytes
        self.server = socket.create_server(("127.0.0.1", 0))
        self.pid = f"{PROCESS}@127.0.0.1:{self.server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            connection, _ = self.server.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        reader = connection.makefile("rb")
        while line := reader.readline():
            headers = {}
            while (header := reader.readline().strip()):
                name, _, value = header.decode().partition(":")
                headers[name.lower()] = value.strip()
            reader.read(int(headers.get("content-length", 0)))
            if headers.get("transfer-encoding") == "chunked":
                while size := int(reader.readline(), 16):
                    reader.read(size + 2)
                reader.readline()
            connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
            name = line.split()[1].decode().rpartition("/")[2]
            self.messages.append(name)
            sender = headers.get("libprocess-from", "")
            if self.alive and name.endswith(".PingSlaveMessage"):
                process, _, address = sender.partition("@")
                self.send("PongSlaveMessage", b"", process, address)

    def send(self, name, body, process="master", address=None):
        path = f"/{process}/mesos.internal.{name}"
        headers = {"Libprocess-From": self.pid, "Content-Type": "application/x-protobuf"}
        reply = request(address or self.master, "POST", path, body, headers)
        assert reply.status == 202, (name, reply.status, reply.body)

    def info(self):
        made = field(1, HOSTNAME) + field(8, 5051) + field(7, 1)
        made += field(3, scalar("cpus", 4)) + field(3, scalar("mem", 512))
        return made + field(6, field(1, self.id)) if self.id else made

    def shown(self):
        """What the master shows of it, or None."""
        agents = request(self.master, "GET", "/master/slaves").json()["slaves"]
        return next((agent for agent in agents if agent["pid"] == self.pid), None)

    def register(self):
        body = field(1, self.info()) + field(2, "1.11.0")
        body += b"".join(field(4, field(1, kind)) for kind in CAPABILITIES)
        self.send("RegisterSlaveMessage", body + field(5, field(1, self.uuid)))
        while (shown := self.shown()) is None:
            pass
        self.id = shown["id"]

    def reregister(self, frameworks):
        """Comes back with a task of each framework: its id, name, task and state, in tuples."""
        body = field(2, self.info()) + field(6, "1.11.0")
        for framework_id, name, task, state in frameworks:
            made = field(1, f"task {task}") + field(2, field(1, task))
            made += field(3, field(1, framework_id)) + field(5, field(1, self.id))
            made += field(6, STATES[state]) + field(7, scalar("cpus", 1, "*"))
            body += field(3, made)
            info = field(1, "root") + field(2, name) + field(3, field(1, framework_id))
            body += field(8, info + field(5, 1))
        body += b"".join(field(9, field(1, kind)) for kind in CAPABILITIES)
        self.alive = True
        self.send("ReregisterSlaveMessage", body + field(10, field(1, self.uuid)))
        while self.shown() is None:
            pass

    def unregister(self):
        self.send("UnregisterSlaveMessage", field(1, field(1, self.id)))
        while self.shown() is not None:
            pass
