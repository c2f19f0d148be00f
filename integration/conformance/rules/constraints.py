"""Offer constraints: on which agents a framework wants to be offered something."""

import json
import time

from framework import launch
from rules.subscribe_refused import constraint
from rules.update_framework import update, updated
from suite import ensure, lone_rule, refused, same
from wire import PATIENCE
from streams import request

HOSTNAME = {"pseudoattribute_type": "HOSTNAME"}
MISSING = "no-such-attribute"
EXCLUDED = "excluded_by_attribute_constraints"


def of_host(predicate):
    return {"selector": HOSTNAME, "predicate": predicate}


def groups(role, *made):
    return {"role_constraints": {role: {"groups": [{"attribute_constraints": it} for it in made]}}}


def subscribed(trial, *made):
    """A framework of these groups that wants whatever it can get."""
    one = trial.stranger()
    one.subscribe(suppressed_roles=[], offer_constraints=groups(one.roles[0], *made))
    return one


def offered(trial, *made):
    """With these groups something is offered."""
    one = subscribed(trial, *made)
    offers = one.wait("OFFERS")["offers"]["offers"]
    one.take_in("SUPPRESS")
    one.decline(*offers)


def all_offered(trial, *constraints):
    for made in constraints:
        offered(trial, [made])


def none_offered(trial, *several):
    """With each of these lists of constraints, as the only group, nothing is offered."""
    frameworks = [subscribed(trial, made) for made in several]
    trial.world.rounds()
    for one, made in zip(frameworks, several):
        came = [event for event in one.settled() if event["type"] == "OFFERS"]
        ensure(not came, f"with {made} it is offered {came}")


@lone_rule(
    "CON-1",
    "An attribute that an agent has not: NotExists and the negative predicates hold.",
)
def missing_holds(trial):
    all_offered(
        trial,
        constraint({"not_exists": {}}, MISSING),
        constraint({"text_not_equals": {"value": "x"}}, MISSING),
        constraint({"text_not_matches": {"regex": ".*"}}, MISSING),
    )


@lone_rule(
    "CON-2",
    "An attribute that an agent has not: Exists and the positive predicates do not.",
)
def missing_fails(trial):
    none_offered(
        trial,
        [constraint({"exists": {}}, MISSING)],
        [constraint({"text_equals": {"value": "x"}}, MISSING)],
        [constraint({"text_matches": {"regex": ".*"}}, MISSING)],
    )


def hostname_of(trial):
    one = trial.framework()
    offer = one.offer()
    one.decline(offer)
    return offer["hostname"]


@lone_rule("CON-3", "HOSTNAME is there on every agent, and is its text.")
def hostname(trial):
    name = hostname_of(trial)
    all_offered(
        trial,
        of_host({"exists": {}}),
        of_host({"text_equals": {"value": name}}),
        of_host({"text_not_equals": {"value": f"{name}x"}}),
    )
    none_offered(
        trial,
        [of_host({"not_exists": {}})],
        [of_host({"text_equals": {"value": f"{name}x"}})],
        [of_host({"text_not_equals": {"value": name}})],
    )


@lone_rule("CON-4", "A regular expression has to match the whole text.")
def whole(trial):
    name = hostname_of(trial)
    part = name[:-1].replace(".", r"\.")
    all_offered(
        trial,
        of_host({"text_matches": {"regex": f"{part}."}}),
        of_host({"text_not_matches": {"regex": part}}),
    )
    none_offered(trial, [of_host({"text_matches": {"regex": part}})])


@lone_rule("CON-5", "All constraints of a group have to hold, and of the groups one.")
def together(trial):
    holds, fails = of_host({"exists": {}}), of_host({"not_exists": {}})
    none_offered(trial, [holds, fails])
    offered(trial, [fails], [holds])


@lone_rule("CON-6", "UPDATE_FRAMEWORK replaces the constraints; without any there are none.")
def replaced(trial):
    one = trial.stranger()
    role = one.roles[0]
    one.subscribe(
        suppressed_roles=[], offer_constraints=groups(role, [constraint({"exists": {}}, MISSING)])
    )
    trial.world.rounds()
    one.nothing("OFFERS")
    updated(one)
    offers = one.wait("OFFERS")["offers"]["offers"]
    updated(one, offer_constraints=groups(role, [constraint({"exists": {}}, MISSING)]))
    one.decline(*offers)
    trial.world.rounds()
    one.nothing("OFFERS")


@lone_rule("CON-7", "Constraints that SUBSCRIBE would refuse, UPDATE_FRAMEWORK refuses with 400.")
def refused_later(trial):
    one = trial.framework()
    role = one.roles[0]
    for made in (
        {"role_constraints": {role: {}}},
        groups(role, []),
        groups(role, [constraint({"text_matches": {"regex": "("}})]),
    ):
        reply = update(one, suppressed_roles=one.roles, offer_constraints=made)
        refused(reply, 400, f"{made}")

@lone_rule("CON-9", "Offers in hand that new constraints would not allow stay, and can be used.")
def offers_stay(trial):
    one = trial.framework()
    offer = one.offer()
    none = groups(one.roles[0], [of_host({"not_exists": {}})])
    updated(one, suppressed_roles=one.roles, offer_constraints=none)
    one.nothing("RESCIND", "ERROR")
    task = one.task(offer, executor=trial.executor_info(one))
    one.accept(offer, launch(task))
    trial.executor(task["executor"]["executor_id"]["value"]).subscribe()


@lone_rule(
    "CON-10",
    "`/allocator/offer_constraints_debug` has the excluded agents of each framework and role.",
)
def shown(trial):
    roles = sorted(trial.world.name("conformance") for _ in range(2))
    one = trial.stranger(roles=roles)
    none = groups(roles[0], [of_host({"not_exists": {}})])
    one.subscribe(suppressed_roles=roles[1:], offer_constraints=none)
    agents = json.loads(request(trial.world.master, "GET", "/master/slaves").body)["slaves"]
    agents = sorted(agent["id"] for agent in agents)
    ensure(agents, "there is no agent")
    excluded = {EXCLUDED: {roles[0]: agents, roles[1]: []}}
    wait_until_shown(trial, one, {"suppressed_roles": roles[1:], **excluded})
    one.take_in("SUPPRESS")
    wait_until_shown(trial, one, {"suppressed_roles": roles, **excluded})
    updated(one, suppressed_roles=[])
    wait_until_shown(trial, one, {"suppressed_roles": [], EXCLUDED: dict.fromkeys(roles, [])})
    one.take_in("SUPPRESS")
    one.call("TEARDOWN")
    wait_until_shown(trial, one, None)
    one.id = None


def wait_until_shown(trial, one, wanted):
    """The allocator hears of what the master has answered soon after."""
    end = time.monotonic() + PATIENCE
    while True:
        reply = request(trial.world.master, "GET", "/allocator/offer_constraints_debug")
        same("the status", reply.status, 200)
        found = json.loads(reply.body)["frameworks"].get(one.id["value"])
        if found:
            found["suppressed_roles"].sort()
            for agents in found[EXCLUDED].values():
                agents.sort()
        if found == wanted:
            return
        ensure(time.monotonic() < end, f"it has {found}, not {wanted}")
