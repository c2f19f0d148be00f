"""Offer constraints: on which agents a framework wants to be offered something."""

from rules.subscribe_refused import constraint
from rules.update_framework import update, updated
from suite import ensure, lone_rule, refused

HOSTNAME = {"pseudoattribute_type": "HOSTNAME"}
MISSING = "no-such-attribute"


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
