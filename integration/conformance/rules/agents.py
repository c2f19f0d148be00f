"""Agents that come and go: what their frameworks are told. The agents are the suite's own."""

from framework import FOREVER, launch
from suite import ensure, lone_rule, same


def held(trial, **changes):
    """A framework, an agent of its own, and the offer of that."""
    one = trial.stranger(**changes)
    made = trial.agent(one.roles[0])
    one.subscribe()
    return one, made, offer_of(one, made)


def offer_of(one, made):
    one.take_in("REVIVE")
    while True:
        event = one.wait("OFFERS")
        found = [it for it in event["offers"]["offers"] if it["agent_id"] == made.id]
        others = [it for it in event["offers"]["offers"] if it["agent_id"] != made.id]
        if others:
            one.decline(*others, filters=FOREVER)
        if found:
            one.take_in("SUPPRESS")
            return found[0]


def launched(one, offer):
    """A task on an agent that tells nothing of it."""
    task = one.task(offer, command={"value": "true"})
    for resource in task["resources"]:
        resource["reservations"] = [{"type": "STATIC", "role": one.roles[0]}]
    one.accept(offer, launch(task))
    return task


@lone_rule("AGENT-1", "What an agent has for one role is offered for that role alone.")
def for_one_role(trial):
    one, made, offer = held(trial)
    other = trial.framework()
    one.decline(offer)
    other.take_in("REVIVE")
    for _ in range(2):
        found = other.wait("OFFERS")["offers"]["offers"]
        ensure(made.id not in [it["agent_id"] for it in found], f"it is offered {found}")
        other.decline(*found)
    same("the host", offer["hostname"], "alone.example")


@lone_rule("AGENT-2", "When an agent goes, each offer of it is rescinded by its id.")
def rescinded(trial):
    one, made, offer = held(trial)
    made.unregister()
    same("the offer", one.wait("RESCIND")["rescind"], {"offer_id": offer["id"]})


@lone_rule("AGENT-3", "When an agent goes, FAILURE names it, to every framework, and nothing else.")
def failure(trial):
    one, made, _ = held(trial)
    other = trial.framework()
    gone = made.id
    made.unregister()
    for framework in (one, other):
        event = framework.wait("FAILURE", lambda event: event["failure"].get("agent_id") == gone)
        same("what it says", event["failure"], {"agent_id": gone})


@lone_rule("AGENT-4", "An offer that was rescinded is not there any more.")
def not_there(trial):
    one, made, offer = held(trial)
    made.unregister()
    one.wait("RESCIND")
    status = one.status(launched(one, offer)["task_id"]["value"], "TASK_DROPPED")
    same("the reason", status["reason"], "REASON_INVALID_OFFERS")


def lost(trial, **changes):
    one, made, offer = held(trial, **changes)
    task = launched(one, offer)
    made.wait("RunTaskMessage")
    made.unregister()
    status = one.status(task["task_id"]["value"], "TASK_LOST")
    same("the source", status["source"], "SOURCE_MASTER")
    same("the reason", status["reason"], "REASON_AGENT_REMOVED")
    ensure("uuid" not in status, f"it is to be acknowledged: {status}")


@lone_rule(
    "AGENT-5",
    "Tasks of an agent that goes are TASK_LOST, told by the master, with a reason.",
)
def tasks(trial):
    lost(trial)


@lone_rule("AGENT-6", "They are that also to a framework that does not know of partitions.")
def tasks_unaware(trial):
    lost(trial, capabilities=[{"type": "MULTI_ROLE"}])


@lone_rule(
    "AGENT-7",
    "A KILL goes to the agent that has the task, which may not have answered yet.",
)
def kill(trial):
    one, made, offer = held(trial)
    task = launched(one, offer)
    made.wait("RunTaskMessage")
    one.take_in("KILL", kill={"task_id": task["task_id"]})
    same("the task", made.wait("KillTaskMessage")["task_id"], task["task_id"])


def constrained(trial, made, role, predicate, name):
    """Whether an agent is offered to one that wants this of its attribute."""
    one = trial.stranger(roles=[role])
    selector = {"selector": {"attribute_name": name}, "predicate": predicate}
    group = {"groups": [{"attribute_constraints": [selector]}]}
    one.subscribe(suppressed_roles=[], offer_constraints={"role_constraints": {role: group}})
    # Who does not mind is offered it in its place.
    watch = trial.framework(roles=[role])
    watch.take_in("REVIVE")
    found = None
    for _ in range(400):
        found = next((it for it in (one, watch) if it.look(of_agent(made), 0.05)), None)
        if found:
            break
    ensure(found, "it is offered to neither")
    for framework in (one, watch):
        framework.take_in("TEARDOWN")
        framework.wait_end()
        framework.id = None
    return found is one


def of_agent(made):
    return lambda event: made.id in offered(event)


def offered(event):
    offers = event["offers"]["offers"] if event["type"] == "OFFERS" else []
    return [offer["agent_id"] for offer in offers]


@lone_rule(
    "CON-8",
    "Of attributes of one name the first counts, and text is compared with text alone.",
)
def which_attribute(trial):
    role = trial.world.name("conformance")
    made = trial.agent(role, attributes=[
        {"name": "rack", "type": "TEXT", "text": {"value": "r1"}},
        {"name": "level", "type": "SCALAR", "scalar": {"value": 3.0}},
        {"name": "rack", "type": "TEXT", "text": {"value": "r2"}},
    ])
    for name, predicate, wanted in (
        ("rack", {"text_equals": {"value": "r1"}}, True),
        ("rack", {"text_equals": {"value": "r2"}}, False),
        ("rack", {"text_matches": {"regex": "r[0-9]"}}, True),
        ("level", {"exists": {}}, True),
        ("level", {"not_exists": {}}, False),
        ("level", {"text_equals": {"value": "x"}}, True),
        ("level", {"text_not_equals": {"value": "x"}}, True),
        ("level", {"text_matches": {"regex": "x"}}, True),
    ):
        same(f"{predicate} of {name}", constrained(trial, made, role, predicate, name), wanted)


@lone_rule("AGENT-8", "An agent's attributes are in its offers, in their order.")
def attributes(trial):
    role = trial.world.name("conformance")
    given = [
        {"name": "rack", "type": "TEXT", "text": {"value": "r1"}},
        {"name": "level", "type": "SCALAR", "scalar": {"value": 3.0}},
        {"name": "rack", "type": "TEXT", "text": {"value": "r2"}},
    ]
    made = trial.agent(role, attributes=given)
    one = trial.framework(roles=[role])
    same("the attributes", offer_of(one, made)["attributes"], given)
