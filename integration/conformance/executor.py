"""An executor on an agent's executor API: the agent launched its process, the suite makes its
calls.

Not here: what has to come of it (`rules/`).
"""

import base64
import json
import shlex
import socket
import threading
import time
import queue
import os
import uuid

from events import Listener
from wire import PATIENCE, Fault
from streams import Stream, request
from framework import scalar

HERE = os.path.dirname(os.path.abspath(__file__))


class Puppets:
    """Takes what executors' processes tell when they start."""

    def __init__(self, host):
        self.server = socket.create_server((host, 0))
        self.host, self.port = self.server.getsockname()
        self.waiting = {}
        with open(f"{HERE}/puppet.py", encoding="utf-8") as file:
            self.program = file.read()
        threading.Thread(target=self._accept, daemon=True).start()

    def command(self, token):
        """What an agent launches; it needs no file of the suite's."""
        self.waiting[token] = queue.Queue()
        words = ["exec", "python3", "-c", self.program, self.host, str(self.port), token]
        return {"value": " ".join(shlex.quote(word) for word in words)}

    def _accept(self):
        while True:
            connection, _ = self.server.accept()
            threading.Thread(target=self._hear, args=(connection,), daemon=True).start()

    def _hear(self, connection):
        with connection.makefile(encoding="utf-8") as file:
            line = file.readline()
        if line:
            told = json.loads(line)
            self.waiting[told["token"]].put((told, connection))

    def wait(self, token):
        """What the process with this token told, and the connection to it."""
        try:
            return self.waiting[token].get(timeout=PATIENCE)
        except queue.Empty:
            raise Fault("the executor's process did not start") from None


class Executor(Listener):
    """See the module; made by `launched`."""

    kind = "ExecutorEvent"

    def __init__(self, encoding, told, connection):
        super().__init__(encoding)
        self.environment = told["environment"]
        self.folder = told["folder"]
        self.connection = connection
        process, _, self.agent = self.environment["MESOS_SLAVE_PID"].partition("@")
        self.path = f"/{process}/api/v1/executor"
        self.ids = {
            "framework_id": {"value": self.environment["MESOS_FRAMEWORK_ID"]},
            "executor_id": {"value": self.environment["MESOS_EXECUTOR_ID"]},
        }

    def headers(self, changes=None):
        made = {"Content-Type": self.encoding.media, "Accept": self.encoding.media}
        made.update(changes or {})
        return {name: value for name, value in made.items() if value is not None}

    def open(self, headers=None, **parts):
        """Opens a stream, whatever the answer."""
        body = self.encoding.write(
            "ExecutorCall", {"type": "SUBSCRIBE", "subscribe": parts, **self.ids}
        )
        self.listen(Stream(self.agent, self.path, body, self.headers(headers)))
        return self.stream.reply

    def subscribe(self, **parts):
        """Opens a stream, which has to begin with SUBSCRIBED; gives that event."""
        reply = self.open(**parts)
        if reply.status != 200:
            raise Fault(f"an executor's SUBSCRIBE was answered {reply}")
        if self.take(self.patience) is None or self.events[0]["type"] != "SUBSCRIBED":
            raise Fault(f"the first event of an executor's stream is {self.events}")
        self.seen = 1
        return self.events[0]

    def call(self, kind, headers=None, **parts):
        call = {"type": kind, **self.ids, **parts}
        call = {name: part for name, part in call.items() if part is not None}
        body = self.encoding.write("ExecutorCall", call)
        return request(self.agent, "POST", self.path, body, self.headers(headers))

    def status(self, task, state, **parts):
        """A status as an executor has to write it."""
        made = {
            "task_id": {"value": task},
            "executor_id": self.ids["executor_id"],
            "state": state,
            "source": "SOURCE_EXECUTOR",
            "timestamp": time.time(),
            "uuid": base64.b64encode(uuid.uuid4().bytes).decode(),
            **parts,
        }
        return {name: part for name, part in made.items() if part is not None}

    def update(self, task, state, **parts):
        """Sends a status that has to be taken; gives it."""
        status = self.status(task, state, **parts)
        reply = self.call("UPDATE", update={"status": status})
        if reply.status != 202:
            raise Fault(f"UPDATE was answered {reply}")
        return status

    def exit(self, status=0):
        """Has the process end."""
        try:
            self.connection.sendall(f"{status}\n".encode())
            self.connection.close()
        except OSError:
            pass


def info(world, framework, name=None, **parts):
    """An ExecutorInfo whose process is a puppet; its id is the puppet's token."""
    name = name or world.name("executor")
    made = {
        "type": "CUSTOM",
        "executor_id": {"value": name},
        "framework_id": framework.id,
        "name": f"executor {name}",
        "command": world.puppets.command(name),
        "resources": [scalar("cpus", 0.1), scalar("mem", 32)],
        **parts,
    }
    return {key: value for key, value in made.items() if value is not None}
