"""What a framework does not want to be offered: filters, SUPPRESS and REVIVE."""

import time

from framework import AT_ONCE, FOREVER, amount, launch
from suite import ensure, lone_rule, same, slow_rule


def ids(offers):
    return [offer["id"] for offer in offers]


def agents(offers):
    return {offer["agent_id"]["value"] for offer in offers}


def awaiting(trial, **changes):
    """A framework that wants all it can get, with what it was offered first."""
    one = trial.stranger(**changes)
    one.suppressed = False
    one.subscribe()
    return one, one.wait("OFFERS")["offers"]["offers"]


def parts(offers):
    return {
        it["agent_id"]["value"]: [amount(it["resources"], name) for name in ("cpus", "mem")]
        for it in offers
    }


def repeated(event, offers):
    """The agents that an event offers no more of than these offers did: more is another thing."""
    if event["type"] != "OFFERS":
        return set()
    old, new = parts(offers), parts(event["offers"]["offers"])
    return {
        name
        for name, amounts in new.items()
        if name in old and all(here <= there for here, there in zip(amounts, old[name]))
    }


def again(one, offers, patience=20.0):
    """The moment in which the same is offered again; all else is refused for good."""
    while True:
        event = one.wait("OFFERS", patience=patience)
        found = event["offers"]["offers"]
        if repeated(event, offers):
            one.take_in("SUPPRESS")
            one.decline(*found)
            return event["(at)"]
        one.decline(*found, filters=FOREVER)


def not_again(trial, one, offers):
    """Holds that the same is not offered with the next allocations."""
    trial.world.rounds()
    for event in one.settled():
        came = repeated(event, offers)
        ensure(not came, f"{came} is offered again")


def refused_for(trial, least, most, **decline):
    """Declines, and holds that the same is offered again after so long, no sooner."""
    one, offers = awaiting(trial)
    start = time.monotonic()
    one.take_in("DECLINE", decline={"offer_ids": ids(offers), **decline})
    waited = again(one, offers, patience=most + 20) - start
    ensure(least <= waited, f"it was offered again after {waited} s")


@lone_rule(
    "FILTER-1",
    "What was declined for a time is not offered before it is over, and then again.",
)
def for_a_time(trial):
    refused_for(trial, 1.5, 4, filters={"refuse_seconds": 1.5})


@slow_rule("FILTER-2", "What was declined without saying for how long is declined for 5 s.")
def default(trial):
    refused_for(trial, 5, 8)


@slow_rule("FILTER-3", "A time to refuse that is negative is the usual one of 5 s.")
def negative(trial):
    refused_for(trial, 5, 8, filters={"refuse_seconds": -1.0})


@lone_rule("FILTER-4", "What was declined for 0 s is offered again with the next allocation.")
def at_once(trial):
    one, offers = awaiting(trial)
    one.decline(*offers, filters=AT_ONCE)
    again(one, offers)


@lone_rule("FILTER-5", "A time to refuse that is too long to be one is a year, not none.")
def too_long(trial):
    one, offers = awaiting(trial)
    one.decline(*offers, filters={"refuse_seconds": 1e12})
    not_again(trial, one, offers)


@lone_rule("FILTER-6", "An ACCEPT without operations declines, with its filters.")
def empty_accept(trial):
    one, offers = awaiting(trial)
    for offer in offers:
        one.accept(offer, filters=FOREVER)
    not_again(trial, one, offers)


@lone_rule("FILTER-7", "What an ACCEPT leaves over is declined with its filters.")
def left_over(trial):
    one, offers = awaiting(trial)
    mine, *others = offers
    if others:
        one.decline(*others, filters=FOREVER)
    task = one.task(mine, executor=trial.executor_info(one))
    one.accept(mine, launch(task), filters=FOREVER)
    trial.executor(task["executor"]["executor_id"]["value"])
    not_again(trial, one, offers)


@lone_rule(
    "FILTER-8",
    "A filter holds for what was refused and for less: more than that is offered.",
)
def more(trial):
    one = trial.framework()
    worker, task = trial.running(one)
    agent = worker.environment["MESOS_SLAVE_ID"]
    offers = one.offers(wanted=2)
    one.take_in("REVIVE")
    one.decline(*offers, filters=FOREVER)
    not_again(trial, one, offers)
    worker.update(task, "TASK_FINISHED")
    one.reach(task, "TASK_FINISHED")
    new = one.wait("OFFERS")["offers"]["offers"]
    same("the agents", agents(new), {agent})
    old = [offer for offer in offers if offer["agent_id"]["value"] == agent]
    cpus = [amount(offer["resources"], "cpus") for offer in (*old, *new)]
    ensure(cpus[0] < cpus[1], f"cpus were {cpus}")


@lone_rule("FILTER-9", "A DECLINE of which some ids are unknown declines the others.")
def some_unknown(trial):
    one, offers = awaiting(trial)
    unknown = {"value": "unknown"}
    one.take_in("DECLINE", decline={"offer_ids": [unknown, *ids(offers)], "filters": AT_ONCE})
    again(one, offers)


@slow_rule("FILTER-10", "What an ACCEPT without filters leaves over is declined for 5 s.")
def accepted_without(trial):
    one, offers = awaiting(trial)
    start = time.monotonic()
    for offer in offers:
        one.take_in("ACCEPT", accept={"offer_ids": [offer["id"]]})
    waited = again(one, offers) - start
    ensure(5 <= waited, f"it was offered again after {waited} s")


@lone_rule("SUPPRESS-1", "After SUPPRESS nothing is offered, until REVIVE.")
def suppressed(trial):
    one, offers = awaiting(trial)
    one.take_in("SUPPRESS")
    one.decline(*offers, filters=AT_ONCE)
    trial.world.rounds()
    one.nothing("OFFERS")
    one.take_in("REVIVE")
    one.wait("OFFERS")


@lone_rule("SUPPRESS-2", "SUPPRESS takes no offer away that is in hand.")
def in_hand(trial):
    one, offers = awaiting(trial)
    one.take_in("SUPPRESS")
    one.nothing("RESCIND")
    task = one.task(offers[0], executor=trial.executor_info(one))
    one.accept(offers[0], launch(task))
    trial.executor(task["executor"]["executor_id"]["value"]).subscribe()


@lone_rule("SUPPRESS-3", "SUPPRESS of one role leaves the others be.")
def one_role(trial):
    roles = [trial.world.name("conformance") for _ in range(2)]
    one = trial.framework(roles=roles)
    one.take_in("REVIVE")
    one.take_in("SUPPRESS", suppress={"roles": roles[:1]})
    one.settled()
    # The first may have been offered before; who had less is served first.
    for _ in range(4):
        offers = one.wait("OFFERS")["offers"]["offers"]
        one.decline(*offers)
    same("the roles at last", {offer["allocation_info"]["role"] for offer in offers}, {roles[1]})


@lone_rule("SUPPRESS-4", "SUPPRESS and REVIVE of a role that is not the framework's do nothing.")
def foreign_role(trial):
    one = trial.framework()
    for role in ("other", "a b"):
        one.take_in("REVIVE", revive={"roles": [role]})
    trial.world.rounds()
    one.nothing("OFFERS", "ERROR")
    one.take_in("REVIVE")
    offers = one.wait("OFFERS")["offers"]["offers"]
    one.take_in("SUPPRESS", suppress={"roles": ["other"]})
    one.decline(*offers, filters=AT_ONCE)
    again(one, offers)


@lone_rule("REVIVE-1", "REVIVE clears the filters of all roles, and allocates at once.")
def revive(trial):
    one, offers = awaiting(trial)
    one.decline(*offers, filters=FOREVER)
    not_again(trial, one, offers)
    one.take_in("REVIVE")
    again(one, offers)


@lone_rule("REVIVE-2", "REVIVE of one role leaves the filters of the others.")
def revive_one(trial):
    roles = [trial.world.name("conformance") for _ in range(2)]
    one = trial.framework(roles=roles)
    for role in roles:
        one.decline(*one.offers([role], wanted=2), filters=FOREVER)
    one.take_in("REVIVE", revive={"roles": roles[:1]})
    found = one.wait("OFFERS")["offers"]["offers"]
    same("the roles", {offer["allocation_info"]["role"] for offer in found}, set(roles[:1]))


@lone_rule("REVIVE-3", "What a framework wants at least, it says in its info: less is not offered.")
def least(trial):
    role = trial.world.name("conformance")
    much = {"quantities": {"cpus": {"value": 1e6}}}
    wants = {"min_allocatable_resources": {"quantities": [much]}}
    one = trial.stranger(roles=[role], offer_filters={role: wants})
    one.subscribe(suppressed_roles=[])
    trial.world.rounds()
    one.nothing("OFFERS", "ERROR")
