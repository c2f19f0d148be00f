"""A framework on the scheduler API, and what it says of tasks.

Not here: what has to come of it (`rules/`).
"""

import time

from events import END, Listener
from wire import Fault
from streams import Stream, request

PATH = "/master/api/v1/scheduler"
# Longer than any run of the suite.
FOREVER = {"refuse_seconds": 100000.0}
AT_ONCE = {"refuse_seconds": 0.0}
# 00000000-0000-4000-8000-000000000000, of no update.
UUID = "AAAAAAAAQACAAAAAAAAAAA=="
UNKNOWN = {"value": "unknown"}


def scalar(name, value, **more):
    return {"name": name, "type": "SCALAR", "scalar": {"value": float(value)}, **more}


def amount(resources, name):
    return sum(part["scalar"]["value"] for part in resources if part["name"] == name)


def launch(*tasks):
    return {"type": "LAUNCH", "launch": {"task_infos": list(tasks)}}


def group(executor, *tasks):
    parts = {"executor": executor, "task_group": {"tasks": list(tasks)}}
    return {"type": "LAUNCH_GROUP", "launch_group": parts}


class Framework(Listener):
    """See the module. It is offered nothing but when it asks."""

    kind = "Event"

    def __init__(self, world, encoding, info):
        super().__init__(encoding)
        self.world = world
        self.info = info
        self.id = None
        self.stream_id = None
        self.suppressed = True

    @property
    def roles(self):
        return self.info.get("roles", [])

    def headers(self, changes=None):
        """The headers of a call; None in the changes takes one away."""
        made = {"Content-Type": self.encoding.media, "Accept": self.encoding.media}
        if self.stream_id:
            made["Mesos-Stream-Id"] = self.stream_id
        made.update(changes or {})
        return {name: value for name, value in made.items() if value is not None}

    def subscription(self, **more):
        """A SUBSCRIBE; the id that was given before is used again."""
        call = {"type": "SUBSCRIBE", "subscribe": {"framework_info": self.info}}
        if self.id:
            call["framework_id"] = self.info["id"] = self.id
        if self.suppressed and self.roles:
            call["subscribe"]["suppressed_roles"] = self.roles
        call["subscribe"].update(more)
        return call

    def open(self, headers=None, **more):
        """Opens a stream, whatever the answer."""
        body = self.encoding.write("Call", self.subscription(**more))
        changes = {"Mesos-Stream-Id": None, **(headers or {})}
        self.listen(Stream(self.world.master, PATH, body, self.headers(changes)))
        self.stream_id = self.stream.reply.headers.get("mesos-stream-id")
        return self.stream.reply

    def subscribe(self, **more):
        """Opens a stream, which has to begin with SUBSCRIBED; gives that event."""
        reply = self.open(**more)
        if reply.status != 200:
            raise Fault(f"SUBSCRIBE was answered {reply}")
        if self.take(self.patience) is None or self.events[0]["type"] != "SUBSCRIBED":
            raise Fault(f"the first event of a stream is {self.events}")
        self.seen = 1
        self.id = self.events[0]["subscribed"]["framework_id"]
        return self.events[0]

    def call(self, kind, headers=None, **parts):
        """Makes a call; parts are the fields beside the type, and framework_id if another."""
        call = {"type": kind, "framework_id": self.id, **parts}
        call = {name: part for name, part in call.items() if part is not None}
        body = self.encoding.write("Call", call)
        return request(self.world.master, "POST", PATH, body, self.headers(headers))

    def take_in(self, kind, **parts):
        """Makes a call that has to be taken."""
        reply = self.call(kind, **parts)
        if reply.status != 202:
            raise Fault(f"{kind} was answered {reply}")

    def settled(self):
        """What came since the event that was waited for last, and everything that was due: events
        are in order, so that the answer to a question comes behind all of that. Without heartbeats;
        the events are there to be waited for."""
        first = self.seen
        task = self.world.name("barrier")
        self.reconcile(task)

        def answer(event):
            return event is END or self.is_of(event, task)

        if self.look(answer, self.patience) is None:
            raise Fault("RECONCILE was not answered")
        self.events = [event for event in self.events if event is END or not answer(event)]
        self.seen = first
        return [event for event in self.events[first:] if event["type"] != "HEARTBEAT"]

    @staticmethod
    def is_of(event, task):
        return event["type"] == "UPDATE" and event["update"]["status"]["task_id"]["value"] == task

    def reconcile(self, *tasks, agent=None):
        asked = [{"task_id": {"value": task}} for task in tasks]
        for task in asked if agent else ():
            task["agent_id"] = agent
        self.take_in("RECONCILE", reconcile={"tasks": asked})

    def nothing(self, *kinds):
        """Holds that none of these events came of what was done."""
        came = [event for event in self.settled() if event["type"] in kinds]
        if came:
            raise Fault(f"there came {came}")

    def offers(self, roles=(), wanted=1):
        """All that is free, offered for these roles; nothing more until it is asked for."""
        parts = {"revive": {"roles": list(roles)}} if roles else {}
        self.take_in("REVIVE", **parts)
        offers = []
        while len(offers) < wanted:
            offers += self.wait("OFFERS")["offers"]["offers"]
        parts = {"suppress": {"roles": list(roles)}} if roles else {}
        self.take_in("SUPPRESS", **parts)
        return offers

    def offer(self, roles=()):
        """One offer of an agent that has half a cpu free; what else is offered goes back."""
        parts = {"revive": {"roles": list(roles)}} if roles else {}
        self.take_in("REVIVE", **parts)
        deadline = time.monotonic() + self.patience
        usable = []
        while not usable:
            if time.monotonic() > deadline:
                raise Fault("no offer has half a cpu")
            offers = self.wait("OFFERS")["offers"]["offers"]
            usable = [it for it in offers if amount(it["resources"], "cpus") >= 0.5]
            if not usable:
                self.decline(*offers)
        parts = {"suppress": {"roles": list(roles)}} if roles else {}
        self.take_in("SUPPRESS", **parts)
        late = [event for event in self.settled() if event["type"] == "OFFERS"]
        self.events = [event for event in self.events if event not in late]
        for event in late:
            offers += event["offers"]["offers"]
        others = [it for it in offers if it is not usable[0]]
        if others:
            self.decline(*others)
        return usable[0]

    def some_agent(self):
        """The id of an agent that has half a cpu free."""
        offer = self.offer()
        self.decline(offer)
        return offer["agent_id"]

    def decline(self, *offers, filters=None):
        ids = [offer["id"] for offer in offers]
        self.take_in("DECLINE", decline={"offer_ids": ids, "filters": filters or AT_ONCE})

    def accept(self, offers, *operations, filters=None):
        """Accepts one offer or several."""
        offers = offers if isinstance(offers, list) else [offers]
        parts = {"offer_ids": [offer["id"] for offer in offers], "operations": list(operations)}
        self.take_in("ACCEPT", accept={**parts, "filters": filters or FOREVER})

    def task(self, offer, name=None, **parts):
        name = name or self.world.name("task")
        made = {
            "name": f"task {name}",
            "task_id": {"value": name},
            "agent_id": offer["agent_id"],
            "resources": [scalar("cpus", 0.1), scalar("mem", 32)],
            **parts,
        }
        return {key: value for key, value in made.items() if value is not None}

    def status(self, task, state=None, patience=None):
        """The next status of a task, which has to be this state if one is named."""
        event = self.wait("UPDATE", lambda event: self.is_of(event, task), patience)
        status = event["update"]["status"]
        if state and status["state"] != state:
            raise Fault(f"{task} is to be {state}: {status}")
        return status

    def acknowledge(self, status, **changes):
        about = {name: status[name] for name in ("agent_id", "task_id", "uuid")}
        self.take_in("ACKNOWLEDGE", acknowledge={**about, **changes})

    def reach(self, task, state):
        """Acknowledges what comes of a task until it is in a state."""
        while True:
            status = self.status(task)
            if "uuid" in status:
                self.acknowledge(status)
            if status["state"] == state:
                return status

    def end(self):
        """Goes for good, from whatever it was left in."""
        if self.id is None:
            return
        if self.call("TEARDOWN").status == 403:
            self.subscribe()
            self.call("TEARDOWN")
        self.close()
