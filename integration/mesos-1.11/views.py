"""Brings a cluster into a situation in which every view has something to show, and records them.

    views.py MASTER FOLDER

MASTER is the `ip:port` of a master with one agent (README.md says with which flags); FOLDER gets a
file for each endpoint. Not here: what calls are answered (`calls.py`).
"""

import base64
import json
import os
import sys
import time

from agent import Agent
from client import HERE, Names, Scheduler, agents, request

MASTER_VIEWS = [
    "state",
    "state-summary",
    "slaves",
    "frameworks",
    "tasks",
    "roles",
    "flags",
    "redirect",
    "health",
    "weights",
    "quota",
    "maintenance/schedule",
    "maintenance/status",
]
AGENT_VIEWS = ["state", "flags", "health", "containers", "monitor/statistics"]
NODE_VIEWS = [
    "version",
    "system/stats.json",
    "logging/toggle",
]
FULL = {
    "labels": {"labels": [{"key": "tier", "value": "front"}, {"key": "bare"}]},
}


def allocated(resource, role):
    """A resource allocated to a role; frameworks of one role do not say it (None)."""
    return {**resource, "allocation_info": {"role": role}} if role else resource


# A state, whichever: not every cluster runs such a task.


def scalar(name, value, role):
    return allocated({"name": name, "type": "SCALAR", "scalar": {"value": value}}, role)


def resources(role, cpus=0.1, mem=32):
    return [scalar("cpus", cpus, role), scalar("mem", mem, role)]


def executor(framework, name, role, command=None):
    """An executor of its own, `executor.py` unless another command is given."""
    here = command or f"exec python3 {HERE}/executor.py"
    return {
        "type": "CUSTOM",
        "executor_id": {"value": name},
        "framework_id": framework.id,
        "name": f"executor {name}",
        "source": "recorded",
        "command": {
            "value": here,
            "environment": {"variables": [{"name": "RECORDED", "value": "yes"}]},
        },
        "resources": resources(role),
        "labels": FULL["labels"],
    }


def task(name, agent, role, launch=(), kill=(), **parts):
    script = json.dumps({"launch": list(launch), "kill": list(kill)})
    return {
        "name": f"task {name}",
        "task_id": {"value": name},
        "agent_id": agent,
        "resources": resources(role),
        "data": base64.b64encode(script.encode()).decode(),
        **parts,
    }


def state(name, **more):
    return {"state": name, **more}


def decorated(name, agent, role, **parts):
    """A task with all that views show of one."""
    ports = {
        "name": "ports",
        "type": "RANGES",
        "ranges": {"range": [{"begin": 31005, "end": 31006}, {"begin": 31009, "end": 31009}]},
    }
    made = task(
        name,
        agent,
        role,
        [
            state("TASK_STARTING"),
            state(
                "TASK_RUNNING",
                message="it runs",
                healthy=True,
                labels=FULL["labels"],
            ),
        ],
        labels=FULL["labels"],
        discovery={
            "visibility": "CLUSTER",
            "name": "front",
            "environment": "test",
            "location": "here",
            "version": "1",
            "ports": {
                "ports": [
                    {"number": 31005, "name": "http", "protocol": "tcp", "visibility": "EXTERNAL"}
                ]
            },
            "labels": FULL["labels"],
        },
        kill_policy={"grace_period": {"nanoseconds": 1000000000}},
        **parts,
    )
    made["resources"].append(allocated(ports, role))
    return made


def launched(framework, offer, tasks):
    """Accepts an offer with tasks, each with the state to wait for: a name or None."""
    wanted = {made["task_id"]["value"]: last for made, last in tasks}
    operation = {"type": "LAUNCH", "launch": {"task_infos": [made for made, _ in tasks]}}
    reply = framework.call(
        "ACCEPT",
        accept={
            "offer_ids": [offer["id"]],
            "operations": [operation],
            "filters": {"refuse_seconds": 0.0},
        },
    )
    assert reply.status == 202, reply.body
    wanted = {name: last for name, last in wanted.items() if last}
    while wanted:
        event = framework.wait_type("UPDATE")
        assert event, f"no update of {wanted}"
        status = event["update"]["status"]
        if "uuid" in status:
            framework.acknowledge(status)
        name = status["task_id"]["value"]
        if wanted.get(name) == status["state"]:
            del wanted[name]
        elif status["state"] not in ("TASK_STARTING", "TASK_RUNNING"):
            sys.exit(f"{name} became {status}")


def offer_of(framework, role):
    """An offer to that role; those to others are declined."""
    while True:
        event = framework.wait_type("OFFERS")
        assert event, f"no offer to {role}"
        for offer in event["offers"]["offers"]:
            if offer["allocation_info"]["role"] == role:
                return offer
            framework.call("DECLINE", decline={"offer_ids": [offer["id"]]})


def quiet(framework):
    """Has a framework hold no offer and get none any more."""
    framework.call("SUPPRESS")
    # What is answered now comes after the last offer.
    last = {"task_id": {"value": "no such task"}}
    framework.call("RECONCILE", reconcile={"tasks": [last]})
    seen = lambda event: event["type"] == "UPDATE" and (
        event["update"]["status"]["task_id"] == last["task_id"]
    )
    assert framework.wait(seen)
    offers = [e["offers"]["offers"] for e in framework.events if e["type"] == "OFFERS"]
    ids = [offer["id"] for of_event in offers for offer in of_event]
    framework.call("DECLINE", decline={"offer_ids": ids, "filters": {"refuse_seconds": 1000.0}})


def first(master):
    """A framework with every field, and tasks in every state that an executor can tell."""
    info = {
        "user": "root",
        "name": "one",
        "roles": ["front", "back/end"],
        "capabilities": [
            {"type": kind}
            for kind in ("MULTI_ROLE", "RESERVATION_REFINEMENT", "PARTITION_AWARE", "TASK_KILLING_STATE")
        ],
        "checkpoint": True,
        "failover_timeout": 3600.0,
        "hostname": "client.example",
        "webui_url": "http://client.example/",
        "principal": "recorder",
        "labels": FULL["labels"],
    }
    one = Scheduler(master, info)
    assert one.subscribe(suppressed_roles=["back/end"]).status == 200
    offer = offer_of(one, "front")
    agent = offer["agent_id"]
    scripted = executor(one, "scripted", "front")
    running = [state("TASK_STARTING"), state("TASK_RUNNING")]
    tasks = [
        (task("starting", agent, "front", running[:1], executor=scripted), "TASK_STARTING"),
        (task("running", agent, "front", running, executor=scripted), "TASK_RUNNING"),
        (decorated("decorated", agent, "front", executor=scripted), "TASK_RUNNING"),
        (
            task(
                "checked",
                agent,
                "front",
                [
                    state(
                        "TASK_RUNNING",
                        check_status={"type": "COMMAND", "command": {"exit_code": 0}},
                    )
                ],
                health_check={
                    "type": "COMMAND",
                    "command": {"value": "true"},
                    "delay_seconds": 1.0,
                    "consecutive_failures": 2,
                },
                executor=scripted,
            ),
            "TASK_RUNNING",
        ),
        (
            task(
                "killing",
                agent,
                "front",
                running,
                [state("TASK_KILLING")],
                executor=scripted,
            ),
            "TASK_RUNNING",
        ),
        (
            task(
                "killed",
                agent,
                "front",
                running,
                [state("TASK_KILLED", reason="REASON_TASK_KILLED_DURING_LAUNCH")],
                executor=scripted,
            ),
            "TASK_RUNNING",
        ),
        (
            task(
                "staging",
                agent,
                "front",
                executor=executor(one, "silent", "front", "exec sleep 600"),
            ),
            None,
        ),
        (
            task(
                "command",
                agent,
                "front",
                command={"value": "exec sleep 600", "user": "root"},
                container={"type": "MESOS"},
                limits={"cpus": {"value": 1.0}, "mem": {"value": 64.0}},
            ),
            "TASK_RUNNING",
        ),
        (task("succeeds", agent, "front", command={"value": "true"}), "TASK_FINISHED"),
    ]
    for last in ("FINISHED", "FAILED", "LOST", "DROPPED", "GONE", "ERROR"):
        ended = state(f"TASK_{last}", message="as told")
        made = task(last.lower(), agent, "front", [*running[1:], ended], executor=scripted)
        tasks.append((made, f"TASK_{last}"))
    launched(one, offer, tasks)
    for name, last in (("killing", "TASK_KILLING"), ("killed", "TASK_KILLED")):
        one.call("KILL", kill={"task_id": {"value": name}, "agent_id": agent})
        status = one.update(name, last)
        assert status, f"{name} is not {last}"
        one.acknowledge(status)
    # Refused by the master, which then shows it in the metrics only.
    offer = offer_of(one, "front")
    launched(one, offer, [(task("refused", agent, "front"), "TASK_ERROR")])
    quiet(one)
    return one


def plain(master, name, **more):
    """A framework of one role with a running task."""
    framework = Scheduler(master, {"user": "root", "name": name, "role": "plain", **more})
    assert framework.subscribe().status == 200
    offer = framework.offer()
    made = task(
        f"of-{name}",
        offer["agent_id"],
        None,
        [state("TASK_RUNNING")],
        [state("TASK_KILLED")],
        executor=executor(framework, "scripted", None),
    )
    launched(framework, offer, [(made, "TASK_RUNNING")])
    quiet(framework)
    return framework


def starts(framework, agent, name):
    """Launches a task on an agent that runs nothing."""
    offer = None
    while offer is None:
        event = framework.wait_type("OFFERS")
        assert event, f"no offer for {name}"
        offers = event["offers"]["offers"]
        offer = next((offer for offer in offers if offer["agent_id"]["value"] == agent.id), None)
    made = task(name, offer["agent_id"], None, command={"value": "sleep 600"})
    launched(framework, offer, [(made, None)])
    quiet(framework)


def lost(master):
    """A framework whose tasks were on an agent that is given up and on one that is marked gone."""
    silent = Agent(master)
    silent.register()
    info = {"user": "root", "name": "lost", "checkpoint": True, "role": "plain"}
    framework = Scheduler(master, {**info, "capabilities": [{"type": "PARTITION_AWARE"}]})
    assert framework.subscribe().status == 200
    starts(framework, silent, "lost")
    silent.alive = False
    assert framework.wait_type("FAILURE"), "the agent is not given up"
    marked = Agent(master)
    marked.register()
    framework.call("REVIVE")
    starts(framework, marked, "marked-gone")
    call = {"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": {"value": marked.id}}}
    headers = {"Content-Type": "application/json"}
    reply = request(master, "POST", "/master/api/v1", json.dumps(call), headers)
    assert reply.status == 200, (reply.status, reply.body)
    assert framework.update("marked-gone", "TASK_GONE_BY_OPERATOR"), "the agent is not gone"
    return framework


def situation(master):
    """Makes all frameworks, by name."""
    made = {"lost": lost(master)}
    made["one"] = first(master)
    made["gone"] = plain(master, "gone")
    made["gone"].call("TEARDOWN")
    made["gone"].wait_type("(end of stream)")
    made["away"] = plain(master, "away", failover_timeout=3600.0, checkpoint=True)
    made["away"].close()
    made["holder"] = Scheduler(master, {"user": "root", "name": "holder", "role": "plain"})
    assert made["holder"].subscribe().status == 200
    assert made["holder"].offer(), "an offer to hold"
    return made


def settled(master):
    """Waits until the framework that went is known to have gone, and its executor too."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        shown = request(master, "GET", "/master/frameworks").json()
        away = [f for f in shown["frameworks"] if f["name"] == "away"]
        [(address, name)] = agents(master)
        agent = request(address, "GET", f"/{name}/state").json()
        done = [f for f in agent["completed_frameworks"] if f["name"] == "gone"]
        if away and not away[0].get("connected", True) and done:
            return
    sys.exit("the cluster did not settle")


def paths(master):
    """What to look at: the file's name, the address, the path."""
    yield from (("master", master, f"/master/{view}") for view in MASTER_VIEWS)
    [(address, name)] = agents(master)
    yield from (("agent", address, f"/{name}/{view}") for view in AGENT_VIEWS)
    yield from (("node", master, f"/{view}") for view in NODE_VIEWS)
    # A Mesos whose driver has ended waits for its gauges until the timeout.
    metrics = "/metrics/snapshot?timeout=2secs"
    yield ("master", master, metrics)
    if address != master:
        yield ("agent", address, metrics)
    yield ("agent", address, "/files/debug")
    sandbox = None
    for framework in request(address, "GET", f"/{name}/state").json()["frameworks"]:
        for run in framework["executors"]:
            if framework["name"] == "one" and run["id"] == "scripted":
                sandbox = run["directory"]
    for what in ("browse?path=", "read?offset=0&length=5&path=", "download?path="):
        file = "" if what.startswith("browse") else "/stdout"
        yield ("agent", address, f"/files/{what}{sandbox}{file}")


def file_name(role, path):
    name = path.partition("?")[0].strip("/")
    for start in ("master/", "slave(1)/"):
        name = name.removeprefix(start)
    return f"{role}-{name.replace('/', '-').removesuffix('.json')}.json"


def main(master, folder):
    frameworks = situation(master)
    settled(master)
    names = Names(master)
    for name, framework in frameworks.items():
        names.framework(framework, name)
    mine = {framework.id["value"] for framework in frameworks.values()}
    os.makedirs(folder, exist_ok=True)
    for role, address, path in paths(master):
        reply = request(address, "GET", path)
        recorded = {"path": names.text(path), **names.reply(reply)}
        if isinstance(recorded["body"], dict):
            for key in ("frameworks", "completed_frameworks"):
                shown = recorded["body"].get(key)
                if isinstance(shown, list):
                    # Whatever else uses the cluster is not of the situation.
                    names_of_mine = {names.text(one) for one in mine}
                    recorded["body"][key] = [f for f in shown if f["id"] in names_of_mine]
        with open(os.path.join(folder, file_name(role, path)), "w", encoding="utf-8") as file:
            json.dump(recorded, file, indent=1, sort_keys=True)
            file.write("\n")
    # Only who is connected can be torn down.
    frameworks["away"].subscribe()
    for framework in frameworks.values():
        framework.call("TEARDOWN")


if __name__ == "__main__":
    main(*sys.argv[1:])
