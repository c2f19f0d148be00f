"""UPDATE_FRAMEWORK: a framework that changes while it is subscribed."""

import json

from framework import UNKNOWN
from streams import request
from suite import ensure, lone_rule, refused, same


def update(one, info=None, **more):
    """The answer to this change of its info."""
    made = {**one.info, "id": one.id, **(info or {})}
    made = {name: part for name, part in made.items() if part is not None}
    return one.call("UPDATE_FRAMEWORK", update_framework={"framework_info": made, **more})


def updated(one, info=None, **more):
    """A change that has to be taken."""
    reply = update(one, info, **more)
    if reply.status != 200:
        ensure(False, f"UPDATE_FRAMEWORK was answered {reply}")
    one.info.update(info or {})


@lone_rule("CHANGE-1", "UPDATE_FRAMEWORK is answered 200 without a body, when it is done.")
def answer(trial):
    one = trial.framework()
    reply = update(one, {"webui_url": "http://client.example/"}, suppressed_roles=one.roles)
    same("the status", reply.status, 200)
    same("the body", reply.body, b"")
    one.nothing("OFFERS", "ERROR")


@lone_rule("CHANGE-2", "The id in the info has to be the framework's, or 400.")
def other_id(trial):
    one = trial.framework()
    refused(update(one, {"id": UNKNOWN}), 400)
    refused(update(one, {"id": None}), 400, "no id")


@lone_rule("CHANGE-3", "User, principal and whether it is checkpointed cannot be changed: 400.")
def cannot_change(trial):
    one = trial.framework(principal="one")
    for change in ({"user": "somebody"}, {"principal": "two"}, {"checkpoint": True}):
        refused(update(one, change), 400, f"{change}")


@lone_rule("CHANGE-4", "What SUBSCRIBE would refuse is refused with 400.")
def invalid(trial):
    one = trial.framework()
    for change in (
        {"roles": ["a b"]},
        {"roles": ["a", "a"]},
        {"role": "a"},
        {"failover_timeout": 1e12},
    ):
        refused(update(one, change), 400, f"{change}")
    refused(update(one, suppressed_roles=["other"]), 400, "a foreign suppressed role")


@lone_rule("CHANGE-5", "What is refused changes nothing.")
def nothing_changed(trial):
    one = trial.framework()
    update(one, {"roles": ["a b"]})
    one.nothing("RESCIND", "ERROR", "OFFERS")
    same("the role", one.offer()["allocation_info"]["role"], one.roles[0])


@lone_rule("CHANGE-6", "Offers of a role that is given up are rescinded, each by its id.")
def role_removed(trial):
    roles = [trial.world.name("conformance") for _ in range(2)]
    one = trial.framework(roles=roles)
    offers = one.offers(roles[:1])
    updated(one, {"roles": roles[1:]}, suppressed_roles=roles[1:])
    left = {offer["id"]["value"] for offer in offers}
    while left:
        left.discard(one.wait("RESCIND")["rescind"]["offer_id"]["value"])


@lone_rule("CHANGE-7", "A role that is added is offered for.")
def role_added(trial):
    one = trial.framework()
    added = trial.world.name("conformance")
    updated(one, {"roles": [*one.roles, added]}, suppressed_roles=one.roles)
    offers = one.wait("OFFERS")["offers"]["offers"]
    same("the roles", {offer["allocation_info"]["role"] for offer in offers}, {added})
    one.take_in("SUPPRESS")
    one.decline(*offers)


@lone_rule("CHANGE-8", "The suppressed roles that are named take the place of those before.")
def suppression(trial):
    one = trial.framework()
    updated(one)
    offers = one.wait("OFFERS")["offers"]["offers"]
    updated(one, suppressed_roles=one.roles)
    one.decline(*offers)
    trial.world.rounds()
    one.nothing("OFFERS")


@lone_rule("CHANGE-9", "Offers in hand stay, when their role does.")
def offers_stay(trial):
    one = trial.framework()
    offer = one.offer()
    updated(one, {"name": "another"}, suppressed_roles=one.roles)
    one.nothing("RESCIND")
    task = one.task(offer, executor=trial.executor_info(one))
    one.accept(offer, {"type": "LAUNCH", "launch": {"task_infos": [task]}})
    trial.executor(task["executor"]["executor_id"]["value"]).subscribe()


@lone_rule("CHANGE-10", "Tasks of a role that is given up go on.")
def tasks_go_on(trial):
    one = trial.framework()
    _, task = trial.running(one)
    updated(one, {"roles": [trial.world.name("conformance")]}, suppressed_roles=[])
    one.take_in("SUPPRESS")
    one.reconcile(task)
    one.status(task, "TASK_RUNNING")


@lone_rule("CHANGE-11", "With the answer the change is done: whoever looks then sees it.")
def seen_at_once(trial):
    one = trial.framework()
    # Work that the master has to do before the change.
    tasks = [{"task_id": {"value": f"none-{number}"}} for number in range(4000)]
    for number in range(3):
        for _ in range(3):
            one.take_in("RECONCILE", reconcile={"tasks": tasks})
        url = f"http://client.example/{number}"
        updated(one, {"webui_url": url}, suppressed_roles=one.roles)
        path = f"/master/frameworks?framework_id={one.id['value']}"
        [shown] = json.loads(request(trial.world.master, "GET", path).body)["frameworks"]
        same("the URL", shown.get("webui_url"), url)
