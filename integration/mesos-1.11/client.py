"""A Mesos scheduler and reader of endpoints by HTTP, with Python's standard library only.

What two clusters cannot have in common (ids, times, addresses, folders) is replaced by names that
are the same for both, so that recordings of two can be compared. Not here: what is called
(`calls.py`) and what is looked at (`views.py`).
"""

import base64
import json
import os
import queue
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "../python"))

# Behind the path by which it is found.
from streams import PATIENCE, Stream, request

UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# What a reply says about its connection and its moment, and not about the question.
PASSING_HEADERS = {"date", "connection", "keep-alive", "vary"}


class Scheduler:
    """A framework on the v1 scheduler API in JSON."""

    def __init__(self, address, info, path="/master/api/v1/scheduler"):
        self.address = address
        self.path = path
        self.info = dict(info)
        self.id = None
        self.stream = None
        self.stream_id = None
        # An offer that is still to be answered.
        self.held = None
        # All events in order; `seen` is how many of them were waited past.
        self.events = []
        self.seen = 0

    def subscribe(self, **more):
        """Opens a stream; the id that was given before is used again."""
        call = {"type": "SUBSCRIBE", "subscribe": {"framework_info": self.info, **more}}
        if self.id:
            call["framework_id"] = self.id
            self.info["id"] = self.id
        self.stream = Stream(
            self.address,
            self.path,
            json.dumps(call),
            {"Content-Type": "application/json", "Accept": "application/json"},
        )
        self.stream_id = self.stream.reply.headers.get("mesos-stream-id")
        # What a stream before it said, its end above all, is not of this one.
        self.seen = len(self.events)
        if self.stream.reply.status == 200:
            first = self.wait(lambda event: True)
            if first and first["type"] == "SUBSCRIBED":
                self.id = first["subscribed"]["framework_id"]
        return self.stream.reply

    def take(self, patience):
        """The next event of the stream, None at its end or when none comes in time."""
        try:
            record = self.stream.records.get(timeout=patience)
        except queue.Empty:
            return None
        event = {"type": "(end of stream)"} if record is None else json.loads(record)
        self.events.append(event)
        return event

    def wait(self, wanted, patience=PATIENCE):
        """The next event, not waited past before, for which `wanted` is true."""
        end = time.monotonic() + patience
        while True:
            while self.seen < len(self.events):
                event = self.events[self.seen]
                self.seen += 1
                if wanted(event):
                    return event
                if event["type"] == "(end of stream)" and self.seen == len(self.events):
                    return None
            left = end - time.monotonic()
            if left <= 0 or self.take(left) is None:
                return None

    def wait_type(self, kind, patience=PATIENCE):
        return self.wait(lambda event: event["type"] == kind, patience)

    def offer(self, patience=PATIENCE):
        """The first offer of the next OFFERS event."""
        event = self.wait_type("OFFERS", patience)
        return event["offers"]["offers"][0] if event else None

    def update(self, task, state, patience=PATIENCE):
        """The status update that says this of a task."""

        def wanted(event):
            if event["type"] != "UPDATE":
                return False
            status = event["update"]["status"]
            return status["task_id"]["value"] == task and status["state"] == state

        event = self.wait(wanted, patience)
        return event["update"]["status"] if event else None

    def call(self, kind, headers=None, framework_id=None, **parts):
        """Makes a call; parts are the fields beside type and framework_id."""
        call = {"type": kind, **parts}
        if framework_id is None:
            framework_id = self.id
        if framework_id:
            call["framework_id"] = framework_id
        all_headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.stream_id:
            all_headers["Mesos-Stream-Id"] = self.stream_id
        for name, value in (headers or {}).items():
            all_headers.pop(name, None)
            if value is not None:
                all_headers[name] = value
        return request(self.address, "POST", self.path, json.dumps(call), all_headers)

    def acknowledge(self, status):
        return self.call(
            "ACKNOWLEDGE",
            acknowledge={
                "agent_id": status["agent_id"],
                "task_id": status["task_id"],
                "uuid": status["uuid"],
            },
        )

    def close(self):
        self.stream.close()


def agents(master):
    """Address and process id of each registered agent: `("127.0.0.1:5051", "slave(1)")`."""
    found = []
    for agent in request(master, "GET", "/master/slaves").json()["slaves"]:
        name, _, address = agent["pid"].partition("@")
        found.append((address, name))
    return sorted(found)


class Names:
    """Gives what differs from cluster to cluster the same name in all."""

    def __init__(self, master):
        state = request(master, "GET", "/master/state").json()
        self.master = state["id"]
        self.frameworks = {}
        self.words = [(HERE, "<here>")]
        self.version = state["version"]
        self.ports = {int(master.rpartition(":")[2])}
        folders = [("master", state["flags"])]
        for address, name in agents(master):
            self.ports.add(int(address.rpartition(":")[2]))
            folders.append(("agent", request(address, "GET", f"/{name}/flags").json()["flags"]))
        for role, flags in folders:
            for flag in ("work_dir", "runtime_dir", "fetcher_cache_dir", "launcher_dir"):
                if flag in flags:
                    self.words.append((flags[flag], f"<{role} {flag}>"))
        # The longest first: one may be the start of another.
        self.words.sort(key=lambda word: -len(word[0]))

    def framework(self, scheduler, name):
        """Has a framework called by a name of the script's choosing."""
        if scheduler.id:
            self.frameworks[scheduler.id["value"]] = f"<framework {name}>"

    def text(self, text):
        for word, name in self.words:
            text = text.replace(word, name)
        for word, name in self.frameworks.items():
            text = text.replace(word, name)
        text = text.replace(self.master, "<master>")
        text = re.sub(r"<master>-S(\d+)", r"<agent \1>", text)
        text = re.sub(r"<master>-O\d+", "<offer>", text)
        text = re.sub(r"<master>-\d{4}", "<framework>", text)
        text = re.sub(UUID, "<uuid>", text)
        text = re.sub(r"(127\.0\.0\.1|localhost):\d+", "<address>", text)
        text = re.sub(r"\((\d)+\)@<address>", "(N)@<address>", text)
        if text == self.version:
            return "<version>"
        return text

    def value(self, value, key=""):
        """A JSON value with names in it."""
        if isinstance(value, dict):
            return {self.text(name): self.value(part, name) for name, part in value.items()}
        if isinstance(value, list):
            parts = [self.value(part, key) for part in value]
            # The order of resources says nothing.
            return sorted(parts, key=json.dumps) if key == "resources" else parts
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, (int, float)):
            if key == "port" and value in self.ports:
                return 5050
            if key == "executor_pid":
                return 1
            if 1.4e9 < value < 4e9:
                return 1.6e9
            return 1_600_000_000_000_000_000 if 1.4e18 < value < 4e18 else value
        if key == "uuid" and len(value) == 24 and len(base64.b64decode(value)) == 16:
            return "<uuid>"
        return self.text(value)

    def reply(self, reply):
        """An answer as it is recorded."""
        headers = {
            name: self.text(value)
            for name, value in reply.headers.items()
            if name not in PASSING_HEADERS
        }
        length = headers.pop("content-length", None)
        if length is not None:
            headers["content-length"] = "right" if int(length) == len(reply.body) else length
        try:
            body = self.value(json.loads(reply.body)) if reply.body else ""
        except ValueError:
            body = self.text(reply.body.decode("utf-8", "replace"))
        return {"status": reply.status, "headers": dict(sorted(headers.items())), "body": body}
