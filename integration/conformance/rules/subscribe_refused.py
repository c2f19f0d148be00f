"""A SUBSCRIBE that is refused for what it says: it is answered 200, then ERROR, then the end."""

from suite import ensure, rule, same


def told(trial, one, **more):
    """Subscribes in vain; gives the words of the ERROR."""
    reply = one.open(**more)
    given, one.id = one.id, None
    same("the status", reply.status, 200)
    ensure(reply.headers.get("mesos-stream-id"), "the stream has no id")
    first = one.take(one.patience)
    if first and first["type"] == "SUBSCRIBED":
        one.id = given or first["subscribed"]["framework_id"]
    ensure(first and first["type"] == "ERROR", f"the first event for {said(one, more)} is {first}")
    one.seen = 1
    same("what came after ERROR", one.wait_end(), [])
    return first["error"]["message"]


def said(one, more):
    """What was said in SUBSCRIBE that may be at fault."""
    usual = ("user", "name", "capabilities")
    return {name: it for name, it in {**one.info, **more}.items() if name not in usual}


def names(message, *parts):
    for part in parts:
        ensure(part in message, f"the message does not name {part}: {message}")


@rule("REF-1", "Roles that are malformed are refused.")
def malformed_roles(trial):
    for role in ("", ".", "..", "-a", "a b", "/a", "a/", "a//b", "a/./b", "a/*", "\x7f"):
        told(trial, trial.stranger(roles=[role]), suppressed_roles=[])


@rule("REF-2", "`role` together with the capability MULTI_ROLE is refused.")
def role_and_multi_role(trial):
    told(trial, trial.stranger(roles=None, role="a"), suppressed_roles=[])


@rule("REF-3", "`roles` without the capability MULTI_ROLE is refused.")
def roles_alone(trial):
    told(trial, trial.stranger(capabilities=None), suppressed_roles=[])


@rule("REF-4", "A role that is named twice is refused.")
def role_twice(trial):
    names(told(trial, trial.stranger(roles=["a", "a"]), suppressed_roles=[]), "a")


@rule("REF-5", "An id of a framework that cannot be one is refused.")
def bad_id(trial):
    for value in ("a/b", "..", "a\\b", "\x01", "a" * 300):
        one = trial.stranger()
        one.id = {"value": value}
        told(trial, one)
        one.id = None


@rule("REF-6", "A `failover_timeout` that is too long to be a time is refused.")
def bad_failover_timeout(trial):
    told(trial, trial.stranger(failover_timeout=1e12))


@rule("REF-7", "A suppressed role that is none of the framework's roles is refused.")
def foreign_suppressed_role(trial):
    told(trial, trial.stranger(), suppressed_roles=["other"])


@rule("REF-8", "A role that is suppressed twice is taken for once.")
def suppressed_twice(trial):
    one = trial.stranger()
    one.subscribe(suppressed_roles=[one.roles[0], one.roles[0]])


@rule("REF-9", "Offer filters that ask for nothing, or for less than nothing, are refused.")
def bad_offer_filters(trial):
    one = trial.stranger()
    for quantities in ({}, {"cpus": {"value": -1.0}}):
        resources = {"min_allocatable_resources": {"quantities": [{"quantities": quantities}]}}
        one.info["offer_filters"] = {one.roles[0]: resources}
        told(trial, one)


def constraint(predicate, name="rack"):
    return {"selector": {"attribute_name": name}, "predicate": predicate}


def constraints(role, *group):
    return {"role_constraints": {role: {"groups": [{"attribute_constraints": list(group)}]}}}


@rule("REF-10", "Offer constraints of a role that is none of the framework's are refused.")
def foreign_constraints(trial):
    one = trial.stranger()
    told(trial, one, offer_constraints=constraints("other", constraint({"exists": {}})))


@rule("REF-11", "Offer constraints without groups, or with an empty group, are refused.")
def empty_constraints(trial):
    one = trial.stranger()
    role = one.roles[0]
    told(trial, one, offer_constraints={"role_constraints": {role: {}}})
    told(trial, one, offer_constraints=constraints(role))


@rule("REF-12", "A regular expression that is none, or is too complex, is refused.")
def bad_expressions(trial):
    one = trial.stranger()
    for regex in ("(", "a{1000}", "(a|b|c|d){100}"):
        matches = constraint({"text_matches": {"regex": regex}})
        told(trial, one, offer_constraints=constraints(one.roles[0], matches))


@rule("REF-13", "The id of a framework that was torn down is refused.")
def torn_down(trial):
    one = trial.framework()
    one.take_in("TEARDOWN")
    one.wait_end()
    names(told(trial, one), "removed")
    one.id = None
