"""Offers: what is in one, and whose it is."""

import re
import time

from framework import amount, launch
from suite import ensure, lone_rule, same


@lone_rule(
    "OFFER-1",
    "An offer is of one agent, for one framework and one role, with an id of its own.",
)
def what_it_is_of(trial):
    one = trial.framework()
    offers = one.offers(wanted=2)
    for offer in offers:
        same("the framework", offer["framework_id"], one.id)
        same("the role", offer["allocation_info"], {"role": one.roles[0]})
        ensure(offer["agent_id"]["value"] and offer["hostname"], f"of which agent is {offer}")
        for resource in offer["resources"]:
            same("the allocation of a part", resource["allocation_info"], {"role": one.roles[0]})
    agents = {offer["agent_id"]["value"] for offer in offers}
    same("the number of agents", len(agents), len(offers))
    same("the number of ids", len({offer["id"]["value"] for offer in offers}), len(offers))


@lone_rule("OFFER-2", "Ids of offers are the master's with `-O` and a number that grows.")
def ids(trial):
    one = trial.stranger()
    master = one.subscribe()["subscribed"]["master_info"]["id"]
    numbers = []
    for _ in range(2):
        offer = one.offers()[0]
        found = re.fullmatch(rf"{re.escape(master)}-O(\d+)", offer["id"]["value"])
        ensure(found, f"the id is {offer['id']}")
        numbers.append(int(found[1]))
        one.decline(offer)
    ensure(numbers[0] < numbers[1], f"the numbers are {numbers}")


@lone_rule(
    "OFFER-3",
    "Who cannot have several roles is not told for which one something is offered.",
)
def without_allocation(trial):
    one = trial.stranger(roles=None, role=trial.world.name("conformance"), capabilities=None)
    one.subscribe()
    offers = one.wait("OFFERS")["offers"]["offers"]
    one.take_in("SUPPRESS")
    for offer in offers:
        ensure("allocation_info" not in offer, f"the offer is for {offer.get('allocation_info')}")
        told = [part for part in offer["resources"] if "allocation_info" in part]
        same("the parts that tell their role", told, [])


@lone_rule("OFFER-4", "An offer tells where its agent's HTTP is.")
def url(trial):
    for offer in trial.framework().offers():
        there = offer["url"]
        same("the scheme", there["scheme"], "http")
        ensure(re.fullmatch(r"/slave\(\d+\)", there["path"]), f"the path is {there['path']}")
        ensure(there["address"]["port"] > 0, f"the port is {there['address']}")
        ensure(there["address"]["ip"] or there["address"]["hostname"], f"it is {there}")


@lone_rule("OFFER-5", "An offer names the framework's executors that run on its agent.")
def executor_ids(trial):
    one = trial.framework()
    worker, _ = trial.running(one)
    agent = worker.environment["MESOS_SLAVE_ID"]
    for offer in one.offers(wanted=2):
        wanted = [worker.ids["executor_id"]] if offer["agent_id"]["value"] == agent else []
        same("the executors", offer.get("executor_ids", []), wanted)


@lone_rule("OFFER-6", "What a task and its executor take is not offered while they run.")
def less(trial):
    one = trial.framework()
    before = cpus(one)
    worker, _ = trial.running(one)
    agent = worker.environment["MESOS_SLAVE_ID"]
    taken = {name: round(there - cpus(one)[name], 3) for name, there in before.items()}
    same("the cpus", taken, {name: 0.2 if name == agent else 0.0 for name in before})


def cpus(one):
    """What each agent has free."""
    offers = one.offers(wanted=2)
    one.decline(*offers)
    return {it["agent_id"]["value"]: amount(it["resources"], "cpus") for it in offers}


@lone_rule("OFFER-7", "What is offered to one is offered to nobody else until it is given back.")
def held(trial):
    one, other = trial.framework(), trial.framework()
    offers = one.offers(wanted=2)
    other.take_in("REVIVE")
    other.take_in("REQUEST", request={"requests": []})
    agents = {offer["agent_id"]["value"] for offer in offers}
    for event in other.settled():
        for offer in event["offers"]["offers"] if event["type"] == "OFFERS" else ():
            ensure(offer["agent_id"]["value"] not in agents, f"it was offered twice: {offer}")
    one.decline(*offers, filters={"refuse_seconds": 1000.0})
    found = other.wait("OFFERS")["offers"]["offers"]
    ensure(agents & {offer["agent_id"]["value"] for offer in found}, f"others came: {found}")


@lone_rule(
    "OFFER-8",
    "A framework of two roles is offered for each that it asks for, and each apart.",
)
def two_roles(trial):
    roles = [trial.world.name("conformance") for _ in range(2)]
    one = trial.framework(roles=roles)
    for role in roles:
        for offer in one.offers([role]):
            same("the role", offer["allocation_info"]["role"], role)
            one.decline(offer)


@lone_rule("OFFER-9", "A framework of no role is taken, and is offered nothing.")
def no_role(trial):
    one = trial.framework(roles=None)
    one.take_in("REVIVE")
    trial.world.rounds()
    one.nothing("OFFERS", "ERROR")


@lone_rule(
    "OFFER-10",
    "A framework without roles that does not say that it may have several has role `*`.",
)
def default_role(trial):
    one = trial.framework(roles=None, capabilities=None)
    # Without roles there is nothing to suppress: it is offered what is free.
    one.suppressed = False
    ensure(one.wait("OFFERS")["offers"]["offers"], "it is offered nothing")
    one.take_in("SUPPRESS", suppress={"roles": ["*"]})
    offers = [event for event in one.events if event["type"] == "OFFERS"]
    one.decline(*[offer for event in offers for offer in event["offers"]["offers"]])


@lone_rule(
    "OFFER-11",
    "Roles that are suppressed from the start are offered nothing until they are revived.",
)
def suppressed_from_the_start(trial):
    roles = [trial.world.name("conformance") for _ in range(2)]
    one = trial.stranger(roles=roles)
    one.subscribe(suppressed_roles=roles[:1])
    offers = one.wait("OFFERS")["offers"]["offers"]
    same("the roles offered", {offer["allocation_info"]["role"] for offer in offers}, {roles[1]})
    one.take_in("SUPPRESS", suppress={"roles": roles[1:]})
    one.decline(*offers)
    trial.world.rounds()
    for event in one.settled():
        for offer in event["offers"]["offers"] if event["type"] == "OFFERS" else ():
            same("the role offered", offer["allocation_info"]["role"], roles[1])
            one.decline(offer)
    offer = one.offer(roles[:1])
    same("the role offered", offer["allocation_info"]["role"], roles[0])


@lone_rule(
    "OFFER-12",
    "An offer that is not answered in `--offer_timeout` is rescinded.",
    asks="offer_timeout",
)
def timeout(trial):
    one = trial.framework()
    offers = one.offers()
    start = time.monotonic()
    left = {offer["id"]["value"] for offer in offers}
    while left:
        left.discard(one.wait("RESCIND")["rescind"]["offer_id"]["value"])
    waited, due = time.monotonic() - start, trial.world.flags["offer_timeout"]
    ensure(due - 1 < waited < due + 5, f"they were rescinded after {waited} s, not {due}")
    # They are gone, and come again: what was not answered was not refused.
    one.accept(offers[0], launch(one.task(offers[0], "late", command={"value": "true"})))
    same("the reason", one.status("late", "TASK_DROPPED")["reason"], "REASON_INVALID_OFFERS")
    one.decline(*one.offers())


@lone_rule("OFFER-13", "A role may be a path of names; it is offered for by the whole of it.")
def path(trial):
    top = trial.world.name("conformance")
    one = trial.framework(roles=[f"{top}/a/b"])
    same("the role", one.offer()["allocation_info"], {"role": f"{top}/a/b"})
    # Roles above it and beside it are others.
    other = trial.stranger(roles=[top])
    other.subscribe(suppressed_roles=[])
    for offer in other.wait("OFFERS")["offers"]["offers"]:
        same("the role", offer["allocation_info"], {"role": top})
    other.take_in("SUPPRESS")
