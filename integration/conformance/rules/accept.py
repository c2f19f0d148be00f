"""ACCEPT: offers that are not there, and operations in their order."""

from framework import FOREVER, UNKNOWN, amount, launch, scalar
from suite import ensure, lone_rule, same


def dropped(one, offers, agent, aware=True):
    """Launches on these offers, and holds that the task is lost for that reason."""
    task = one.task({"agent_id": agent}, command={"value": "true"})
    one.accept(offers, launch(task))
    status = one.status(task["task_id"]["value"], "TASK_DROPPED" if aware else "TASK_LOST")
    same("the source", status["source"], "SOURCE_MASTER")
    same("the reason", status["reason"], "REASON_INVALID_OFFERS")
    same("the agent", status["agent_id"], agent)
    ensure("uuid" not in status, f"it is to be acknowledged: {status}")
    ensure(status.get("message"), "it says nothing")
    ensure(status.get("timestamp"), "it has no time")


@lone_rule("ACCEPT-1", "Tasks on an offer that is not there are TASK_DROPPED, for invalid offers.")
def unknown(trial):
    one = trial.framework()
    agent = one.some_agent()
    dropped(one, {"id": UNKNOWN}, agent)


@lone_rule("ACCEPT-2", "They are TASK_LOST to a framework that does not know of partitions.")
def unaware(trial):
    one = trial.framework(capabilities=[{"type": "MULTI_ROLE"}])
    agent = one.some_agent()
    dropped(one, {"id": UNKNOWN}, agent, aware=False)


@lone_rule("ACCEPT-3", "An offer that is named twice makes all offers of the ACCEPT invalid.")
def twice(trial):
    one = trial.framework()
    offer = one.offer()
    dropped(one, [offer, offer], offer["agent_id"])


@lone_rule("ACCEPT-4", "An offer that was accepted or declined already is not there any more.")
def used(trial):
    one = trial.framework()
    offer = one.offer()
    one.accept(offer)
    dropped(one, offer, offer["agent_id"])
    offer = one.offer()
    one.decline(offer)
    dropped(one, offer, offer["agent_id"])


@lone_rule("ACCEPT-5", "An offer of another framework is as good as none.")
def foreign(trial):
    one, other = trial.framework(), trial.framework()
    offer = other.offer()
    dropped(one, offer, offer["agent_id"])
    other.nothing("RESCIND")


@lone_rule("ACCEPT-12", "An offer stays its framework's when another one accepts it.")
def stays(trial):
    one, other = trial.framework(), trial.framework()
    offer = other.offer()
    dropped(one, offer, offer["agent_id"])
    task = other.task(offer, executor=trial.executor_info(other))
    other.accept(offer, launch(task))
    trial.executor(task["executor"]["executor_id"]["value"]).subscribe()


@lone_rule("ACCEPT-6", "Tasks on no offer at all are dropped, too.")
def none(trial):
    one = trial.framework()
    dropped(one, [], one.some_agent())


@lone_rule("ACCEPT-7", "Offers of two agents cannot be accepted together.")
def two_agents(trial):
    one = trial.framework()
    offers = one.offers(wanted=2)[:2]
    dropped(one, offers, offers[0]["agent_id"])


@lone_rule("ACCEPT-8", "The good offers of an invalid ACCEPT go back without a filter.")
def go_back(trial):
    one = trial.framework()
    offers = one.offers(wanted=2)[:2]
    agents = {offer["agent_id"]["value"] for offer in offers}
    one.take_in("REVIVE")
    dropped(one, [*offers, {"id": UNKNOWN}], offers[0]["agent_id"])
    one.seen = 0
    while agents:
        event = one.wait("OFFERS")
        old = {offer["id"]["value"] for offer in offers}
        for offer in event["offers"]["offers"]:
            if offer["id"]["value"] not in old:
                agents.discard(offer["agent_id"]["value"])


@lone_rule("ACCEPT-9", "Two offers of one agent are accepted as one.")
def two_offers(trial):
    one = trial.framework()
    worker, task = trial.running(one)
    agent = worker.environment["MESOS_SLAVE_ID"]
    first = [offer for offer in one.offers(wanted=2) if offer["agent_id"]["value"] == agent]
    worker.update(task, "TASK_FINISHED")
    one.reach(task, "TASK_FINISHED")
    one.take_in("REVIVE")
    event = one.wait("OFFERS")
    one.take_in("SUPPRESS")
    second = [it for it in event["offers"]["offers"] if it["agent_id"]["value"] == agent]
    same("the number of new offers", len(second), 1)
    cpus = sum(amount(offer["resources"], "cpus") for offer in first + second)
    big = one.task(
        first[0],
        resources=[scalar("cpus", cpus - 0.1), scalar("mem", 32)],
        executor=trial.executor_info(one),
    )
    one.accept(first + second, launch(big))
    trial.executor(big["executor"]["executor_id"]["value"]).subscribe()


@lone_rule("ACCEPT-10", "Operations go in their order; each has what those before it left.")
def in_order(trial):
    one = trial.framework()
    offer = one.offer()
    cpus = amount(offer["resources"], "cpus")
    tasks = [
        one.task(
            offer,
            resources=[scalar("cpus", part), scalar("mem", 32)],
            executor=trial.executor_info(one),
        )
        for part in (cpus - 0.3, cpus - 0.3)
    ]
    one.accept(offer, launch(tasks[0]), launch(tasks[1]))
    trial.executor(tasks[0]["executor"]["executor_id"]["value"]).subscribe()
    status = one.status(tasks[1]["task_id"]["value"], "TASK_ERROR")
    same("the reason", status["reason"], "REASON_TASK_INVALID")


@lone_rule("ACCEPT-11", "A role's offers do not mix with those of another role of the framework.")
def two_roles(trial):
    roles = [trial.world.name("conformance") for _ in range(2)]
    one = trial.framework(roles=roles)
    first = one.offers(roles[:1], wanted=2)
    one.decline(*first[1:], filters=FOREVER)
    second = [it for it in one.offers(roles[1:]) if it["agent_id"] != first[0]["agent_id"]]
    ensure(second, "no other agent is offered for the other role")
    dropped(one, [first[0], second[0]], first[0]["agent_id"])
