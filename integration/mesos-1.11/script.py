"""A script of steps: what was answered and which events came in each is gathered to be recorded.

Not here: the steps (`calls.py`).
"""

import json

from client import Names, Scheduler, request

API = "/master/api/v1/scheduler"
JSON_TYPES = {"Content-Type": "application/json", "Accept": "application/json"}
# 00000000-0000-4000-8000-000000000000, of no update.
UUID = "AAAAAAAAQACAAAAAAAAAAA=="
# Longer than any run of the script.
FOREVER = {"refuse_seconds": 100000.0}


def scalar(name, value, role=None):
    made = {"name": name, "type": "SCALAR", "scalar": {"value": value}}
    return {**made, "allocation_info": {"role": role}} if role else made


def resources(cpus=0.1, mem=32, role=None):
    return [scalar("cpus", cpus, role), scalar("mem", mem, role)]


def status(name, **more):
    return {"state": f"TASK_{name}", **more}


class Script:
    """Plays steps against a master and records them."""

    def __init__(self, master):
        self.master = master
        self.steps = []
        self.frameworks = {}
        self.recorded = {}
        self.quiet = set()
        self.barriers = 0
        self.names = None

    def step(self, name):
        """Ends the step before and begins one."""
        self.settle()
        assert all(step["step"] != name for step in self.steps), name
        self.steps.append({"step": name, "replies": [], "events": {}})

    def note(self, reply):
        self.steps[-1]["replies"].append(reply)
        return reply

    def post(self, body, headers=None, method="POST", path=API, address=None):
        """A request to the scheduler API as such; a dict goes as JSON."""
        if isinstance(body, dict):
            body = json.dumps(body)
        headers = JSON_TYPES if headers is None else headers
        return self.note(request(address or self.master, method, path, body, headers))

    def get(self, path, method="GET", address=None, headers=None):
        return self.note(request(address or self.master, method, path, headers=headers))

    def framework(self, name, **info):
        """A framework of the script, not yet subscribed."""
        framework = Scheduler(self.master, {"user": "root", "name": name, **info})
        self.frameworks[name] = framework
        self.recorded[name] = 0
        return framework

    def subscribe(self, framework, **more):
        """Subscribes, and hides the id of the stream, which is another each time."""
        reply = framework.subscribe(**more)
        if framework.stream_id:
            reply.headers["mesos-stream-id"] = "<uuid>"
        self.note(reply)
        seen = framework.seen
        framework.wait_type("HEARTBEAT", 5)
        framework.seen = seen

    def come(self, framework):
        """Subscribes a framework that is offered nothing until it asks; its offers are not told."""
        self.subscribe(framework)
        framework.offer()
        framework.call("SUPPRESS")
        self.barrier(framework)
        events = [event for event in framework.events if event["type"] == "OFFERS"]
        ids = [offer["id"] for event in events for offer in event["offers"]["offers"]]
        framework.call("DECLINE", decline={"offer_ids": ids, "filters": FOREVER})
        self.quiet.add(framework.info["name"])

    def call(self, framework, kind, **parts):
        return self.note(framework.call(kind, **parts))

    def settle(self):
        """Waits until each framework has all that it was sent, and records it."""
        for name, framework in self.frameworks.items():
            if framework.stream is None:
                continue
            self.barrier(framework)
            new = framework.events[self.recorded[name] :]
            self.recorded[name] = len(framework.events)
            hidden = "OFFERS" if name in self.quiet else None
            shown = [e for e in new if e["type"] != hidden and not self.unseen(e)]
            if shown and self.steps:
                self.steps[-1]["events"][name] = shown

    def barrier(self, framework):
        """Events are in order: what is answered now was sent after all that was due before."""
        if any(event["type"] == "(end of stream)" for event in framework.events[-1:]):
            return
        self.barriers += 1
        task = f"barrier-{self.barriers}"
        reply = framework.call("RECONCILE", reconcile={"tasks": [{"task_id": {"value": task}}]})
        if reply.status == 202:
            seen, framework.seen = framework.seen, len(framework.events)
            framework.wait(
                lambda event: event["type"] == "(end of stream)"
                or event["type"] == "UPDATE"
                and event["update"]["status"]["task_id"]["value"] == task
            )
            framework.seen = seen
            # What is waited for later is not this.
            framework.events = [e for e in framework.events if not self.of_barrier(e)]
        else:
            framework.take(1)

    @staticmethod
    def of_barrier(event):
        if event["type"] != "UPDATE":
            return False
        return event["update"]["status"]["task_id"]["value"].startswith("barrier-")

    def unseen(self, event):
        return event["type"] == "HEARTBEAT" or self.of_barrier(event)

    def record(self):
        """All steps, with names for what is different each time."""
        self.settle()
        self.names = Names(self.master)
        for name, framework in self.frameworks.items():
            self.names.framework(framework, name)
        return [
            {
                "step": step["step"],
                "replies": [self.names.reply(reply) for reply in step["replies"]],
                "events": self.names.value(step["events"]),
            }
            for step in self.steps
        ]
