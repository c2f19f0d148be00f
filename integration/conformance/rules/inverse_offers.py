"""Inverse offers: what is asked back of a framework when machines are to be maintained."""

import json
import time

from rules.agents import held, launched, of_agent
from rules.calls import parts, taken
from suite import ensure, lone_rule, same
from wire import Fault, Json
from streams import request

SCHEDULE = "/master/maintenance/schedule"


@lone_rule(
    "INV-1",
    "Answers to inverse offers that are not there are taken, and nothing comes of them.",
)
def not_there(trial):
    one = trial.framework()
    for kind in ("ACCEPT_INVERSE_OFFERS", "DECLINE_INVERSE_OFFERS"):
        taken(one.call(kind, **parts(kind)), kind)
    one.nothing("ERROR", "INVERSE_OFFERS")


class Window:
    """A time in which the machine of one agent is not to be had, until it is left."""

    def __init__(self, trial, made):
        self.master = trial.world.master
        self.machine = {"hostname": made.info["hostname"], "ip": "127.0.0.1"}
        self.start = int((time.time() + 3600) * 1e9)

    def set(self, *windows):
        body = json.dumps({"windows": windows})
        reply = request(self.master, "POST", SCHEDULE, body, {"Content-Type": Json.media})
        if reply.status != 200:
            raise Fault(f"the schedule was answered {reply}")

    def __enter__(self):
        unavailability = {"start": {"nanoseconds": self.start}}
        self.set({"machine_ids": [self.machine], "unavailability": unavailability})
        return self

    def __exit__(self, *_):
        self.set()


@lone_rule(
    "INV-2",
    "Who has something on an agent that is to be maintained gets an inverse offer of it.",
)
def inverse_offer(trial):
    one, made, offer = held(trial)
    launched(one, offer)
    made.wait("RunTaskMessage")
    with Window(trial, made) as window:
        came = one.wait("INVERSE_OFFERS")["inverse_offers"]["inverse_offers"]
        same("the number", len(came), 1)
        same("the agent", came[0]["agent_id"], made.id)
        same("the framework", came[0]["framework_id"], one.id)
        start = came[0]["unavailability"]["start"]["nanoseconds"]
        same("the time", start, window.start)
        ensure(not came[0].get("resources"), f"it names resources: {came[0]}")
        ids = {"inverse_offer_ids": [came[0]["id"]]}
        for kind in ("ACCEPT_INVERSE_OFFERS", "DECLINE_INVERSE_OFFERS"):
            taken(one.call(kind, **{kind.lower(): ids}), kind)


@lone_rule("INV-3", "An inverse offer whose reason is gone is rescinded by its id.")
def rescinded(trial):
    one, made, offer = held(trial)
    launched(one, offer)
    made.wait("RunTaskMessage")
    with Window(trial, made):
        came = one.wait("INVERSE_OFFERS")["inverse_offers"]["inverse_offers"][0]
    gone = one.wait("RESCIND_INVERSE_OFFER")["rescind_inverse_offer"]
    same("the id", gone, {"inverse_offer_id": came["id"]})


@lone_rule(
    "INV-4",
    "Offers of an agent that is to be maintained are rescinded, and say when, anew.",
)
def offers_say_when(trial):
    one, made, offer = held(trial)
    one.take_in("REVIVE")
    with Window(trial, made) as window:
        one.wait("RESCIND", lambda event: event["rescind"]["offer_id"] == offer["id"])
        event = one.wait("OFFERS", of_agent(made))
        [again] = [it for it in event["offers"]["offers"] if it["agent_id"] == made.id]
        same("the time", again["unavailability"]["start"]["nanoseconds"], window.start)
