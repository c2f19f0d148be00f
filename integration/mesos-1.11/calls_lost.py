"""Steps of an agent that comes, falls silent until it is given up, and comes back."""

import json

from agent import HOSTNAME, Agent
from calls_tasks import accept, launch, task
from script import FOREVER, scalar


def offer_of_the_agent(framework):
    """The offer of the agent that runs nothing; others are declined."""
    framework.call("REVIVE")
    found = None
    while found is None:
        for offer in framework.wait_type("OFFERS")["offers"]["offers"]:
            if offer["hostname"] == HOSTNAME:
                found = offer
            else:
                framework.call(
                    "DECLINE", decline={"offer_ids": [offer["id"]], "filters": FOREVER}
                )
    framework.call("SUPPRESS")
    return found


def come(script, name, **info):
    framework = script.framework(name, failover_timeout=1000.0, checkpoint=True, **info)
    script.come(framework)
    return framework


def starts(script, framework):
    """Launches a task on the agent, of which nothing will be heard."""
    name = framework.info["name"]
    offer = offer_of_the_agent(framework)
    made = task(
        f"of-{name}",
        offer["agent_id"],
        resources=[scalar("cpus", 1)],
        command={"value": "sleep 1000"},
    )
    accept(script, framework, [offer], launch(made))
    return offer["agent_id"]


def reconcile(script, frameworks, agent):
    for framework in frameworks:
        known = {"task_id": {"value": f"of-{framework.info['name']}"}}
        for about in ([known], [{**known, "agent_id": agent}], []):
            script.call(framework, "RECONCILE", reconcile={"tasks": about})


def show(script, framework):
    """The tasks of a framework, by where the master has them."""
    reply = script.get(f"/master/frameworks?framework_id={framework.id['value']}")
    [shown] = reply.json()["frameworks"]
    lists = ("tasks", "unreachable_tasks", "completed_tasks")
    reply.body = json.dumps({name: shown[name] for name in lists}).encode()
    reply.headers["content-length"] = str(len(reply.body))


def heard(framework, kinds):
    """Waits for one event of each kind, in whatever order."""
    kinds = set(kinds)
    while kinds:
        event = framework.wait(lambda event: event["type"] in kinds)
        assert event, f"{framework.info['name']} hears of no {kinds}"
        kinds.remove(event["type"])


def play(script):
    script.step("an agent comes")
    agent = Agent(script.master)
    agent.register()
    unaware = come(script, "unaware")
    watching = come(script, "watching", capabilities=[{"type": "PARTITION_AWARE"}])
    holding = come(script, "holding")
    both = (unaware, watching)
    script.step("tasks are launched on it")
    for framework in both:
        agent_id = starts(script, framework)
    offer_of_the_agent(holding)
    script.step("reconcile tasks of which nothing was heard")
    reconcile(script, both, agent_id)
    script.step("it is given up")
    agent.alive = False
    for framework in both:
        heard(framework, ("FAILURE", "UPDATE"))
    heard(holding, ("FAILURE", "RESCIND"))
    script.step("what the master shows then")
    for framework in both:
        show(script, framework)
    script.step("reconcile tasks of an agent that is given up")
    reconcile(script, both, agent_id)
    script.step("kill tasks of an agent that is given up")
    for framework in both:
        kill = {"task_id": {"value": f"of-{framework.info['name']}"}, "agent_id": agent_id}
        script.call(framework, "KILL", kill=kill)
    script.step("message to an agent that is given up")
    message = {"agent_id": agent_id, "executor_id": {"value": "none"}, "data": "AAAA"}
    script.call(unaware, "MESSAGE", message=message)
    script.step("it comes back")
    tasks = [
        (framework.id["value"], framework.info["name"], f"of-{framework.info['name']}")
        for framework in both
    ]
    agent.reregister([(*known, "TASK_RUNNING") for known in tasks])
    for framework in both:
        heard(framework, ("UPDATE",))
    script.step("what the master shows after it")
    for framework in both:
        show(script, framework)
    script.step("it goes for good")
    agent.unregister()
    for framework in both:
        heard(framework, ("FAILURE", "UPDATE"))
    heard(holding, ("FAILURE",))
    script.step("they go")
    for framework in (*both, holding):
        script.call(framework, "TEARDOWN")
        framework.wait_type("(end of stream)")
