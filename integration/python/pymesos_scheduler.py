"""A scheduler on pymesos that is a bad correspondent: of every fifth update it withholds the first
acknowledgement, and it drops its connection ten times, five of them with another driver in its place.

    pymesos_scheduler.py MASTER AGENTS TASKS ON_EXECUTORS

Launches so many TASKS over the AGENTS, each of which has 2 cpus and 1024 MB; ON_EXECUTORS of them,
a multiple of AGENTS, run on executors that are on pymesos too. At the end each task's distinct
updates have to be its states in order, and every agent's resources have to be offered whole again.
Prints what it saw as one line of JSON.
"""

import json
import os
import queue
import socket
import sys
import time

import pymesos.process
from pymesos import MesosSchedulerDriver, Scheduler, decode_data, encode_data

PATIENCE = 100
DROPS = 10
# After so many updates of which it has not heard the connection is dropped.
UPDATES_A_DROP = 9
AGENT = {"cpus": 2.0, "mem": 1024.0}
COMMAND_TASK = {"cpus": 0.2, "mem": 32.0}
EXECUTOR_TASK = {"cpus": 0.05, "mem": 16.0}
EXECUTOR = {"cpus": 0.1, "mem": 128.0}
BY_COMMAND = ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]
BY_EXECUTOR = ["TASK_RUNNING", "TASK_FINISHED"]


class Connection(pymesos.process.Connection):
    """A driver's connection that can be broken from outside."""

    newest = None

    def __init__(self, *arguments):
        super().__init__(*arguments)
        Connection.newest = self

    @classmethod
    def break_newest(cls):
        """Has the driver find its connection broken."""
        cls.newest._sock.shutdown(socket.SHUT_RDWR)


pymesos.process.Connection = Connection


def resources(amounts):
    """Amounts as Mesos writes them."""
    return [
        {"name": name, "type": "SCALAR", "scalar": {"value": value}}
        for name, value in amounts.items()
    ]


def amounts(offer):
    """What an offer holds."""
    return {it["name"]: it["scalar"]["value"] for it in offer["resources"] if "scalar" in it}


class BadCorrespondent(Scheduler):
    """The scheduler; all its methods are called on the driver's thread."""

    def __init__(self, agents, tasks, on_executors):
        self.agents = agents
        self.by_command = [f"command-{number}" for number in range(tasks - on_executors)]
        self.for_each_executor = on_executors // agents
        self.expected = tasks
        self.framework_id = None
        # Whether the connection was dropped: what still comes of it is as if it had not come.
        self.dropped = False
        # What the main thread is to do.
        self.wishes = queue.Queue()
        # Updates that are not acknowledged, by their uuids.
        self.withheld = set()
        # Of each task the uuids and states of its distinct updates, in the order they came.
        self.updates = {}
        self.finished = set()
        # Offers that are held, by id.
        self.offers = {}
        self.executors = {}
        self.echoes = set()
        self.lost_executors = set()
        self.whole = False
        self.counts = dict.fromkeys(
            ["updates", "withheld", "retries", "breaks", "failovers", "reregistered"], 0
        )

    def registered(self, driver, framework_id, master_info):
        """The first connection."""
        self.framework_id = framework_id["value"]

    def reregistered(self, driver, master_info):
        """Each further one."""
        self.dropped = False
        self.counts["reregistered"] += 1
        assert driver.framework_id == self.framework_id

    def disconnected(self, driver):
        """Offers do not outlive the connection."""
        self.offers.clear()

    def error(self, driver, message):
        """Ends the test."""
        self.wishes.put(f"error: {message}")

    def offerRescinded(self, driver, offer_id):
        """Forgets an offer."""
        self.offers.pop(offer_id["value"], None)

    def resourceOffers(self, driver, offers):
        """Launches what fits, and holds what is left over at the end."""
        if self.dropped:
            return
        for offer in offers:
            tasks = self.fill(offer)
            if tasks:
                driver.launchTasks(offer["id"], tasks, {"refuse_seconds": 0})
            else:
                self.offers[offer["id"]["value"]] = offer
        self.look()

    def fill(self, offer):
        """The tasks for an offer."""
        left = amounts(offer)
        agent = offer["agent_id"]["value"]

        def take(wanted):
            if any(left.get(name, 0) < amount for name, amount in wanted.items()):
                return False
            for name, amount in wanted.items():
                left[name] = round(left[name] - amount, 3)
            return True

        tasks = []
        all_in_one = {
            name: EXECUTOR[name] + self.for_each_executor * EXECUTOR_TASK[name] for name in EXECUTOR
        }
        if self.for_each_executor and agent not in self.executors and take(all_in_one):
            self.executors[agent] = offer["agent_id"]
            for number in range(self.for_each_executor):
                task_id = f"executor-{len(self.executors)}-{number}"
                tasks.append(self.task(task_id, offer, EXECUTOR_TASK, executor=executor()))
        while self.by_command and take(COMMAND_TASK):
            task_id = self.by_command.pop()
            command = {"value": "echo $MESOS_TASK_ID"}
            tasks.append(self.task(task_id, offer, COMMAND_TASK, command=command))
        return tasks

    def task(self, task_id, offer, wanted, **what):
        """A task, of which updates are expected from now on."""
        self.updates[task_id] = {}
        return {
            "name": task_id,
            "task_id": {"value": task_id},
            "agent_id": offer["agent_id"],
            "resources": resources(wanted),
            **what,
        }

    def statusUpdate(self, driver, status):
        """Keeps the update, acknowledges it or not, and drops the connection now and then."""
        if self.dropped:
            return
        task_id = status["task_id"]["value"]
        seen = self.updates[task_id]
        is_new = status["uuid"] not in seen
        if is_new:
            seen[status["uuid"]] = status["state"]
            self.counts["updates"] += 1
        else:
            self.counts["retries"] += 1
            assert seen[status["uuid"]] == status["state"], status
        if status["state"] == "TASK_FINISHED":
            self.finished.add(task_id)
        elif status["state"] not in ("TASK_STARTING", "TASK_RUNNING"):
            self.wishes.put(f"error: {status}")
        if is_new and self.counts["updates"] % 5 == 0:
            self.counts["withheld"] += 1
            self.withheld.add(status["uuid"])
        else:
            driver.acknowledgeStatusUpdate(status)
            self.withheld.discard(status["uuid"])
        self.end_executors(driver)
        self.look()
        if is_new and self.counts["updates"] % UPDATES_A_DROP == 0:
            self.drop()

    def drop(self):
        """Drops the connection: it breaks, or another driver takes over."""
        done = self.counts["breaks"] + self.counts["failovers"]
        if done == DROPS:
            return
        self.dropped = True
        if done % 2 == 0:
            self.counts["breaks"] += 1
            Connection.break_newest()
        else:
            self.counts["failovers"] += 1
            self.wishes.put("failover")

    def end_executors(self, driver):
        """Tells each executor to end once all tasks have finished."""
        if len(self.finished) == self.expected:
            for agent_id in self.executors.values():
                if agent_id["value"] not in self.echoes:
                    executor_id = {"value": "pymesos"}
                    driver.sendFrameworkMessage(executor_id, agent_id, encode_data(b"end"))

    def frameworkMessage(self, driver, executor_id, agent_id, message):
        """An executor's echo."""
        assert decode_data(message) == b"end", message
        self.echoes.add(agent_id["value"])

    def executorLost(self, driver, executor_id, agent_id, status):
        """An executor has ended, as it was told."""
        self.lost_executors.add((agent_id["value"], executor_id["value"], status))

    def look(self):
        """Whether all is over: every task has finished, every update that was withheld has come
        again, and every agent's resources are offered whole."""
        if len(self.finished) < self.expected or self.withheld or self.whole:
            return
        offered = {}
        for offer in self.offers.values():
            of_agent = offered.setdefault(offer["agent_id"]["value"], dict.fromkeys(AGENT, 0.0))
            for name, amount in amounts(offer).items():
                if name in of_agent:
                    of_agent[name] = round(of_agent[name] + amount, 3)
        if len(offered) == self.agents and all(it == AGENT for it in offered.values()):
            self.whole = True
            self.wishes.put("done")


def executor():
    """The executor, in the same Python as this."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pymesos_executor.py")
    return {
        "type": "CUSTOM",
        "executor_id": {"value": "pymesos"},
        "command": {"value": f"exec {sys.executable} {script}"},
        "resources": resources(EXECUTOR),
    }


def start(scheduler, master):
    """A driver for the scheduler's framework."""
    framework = {
        "user": "root",
        "name": "on pymesos",
        "checkpoint": True,
        "failover_timeout": 600,
        "roles": ["*"],
        "capabilities": [{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}],
    }
    if scheduler.framework_id:
        framework["id"] = {"value": scheduler.framework_id}
    driver = MesosSchedulerDriver(
        scheduler, framework, master, implicit_acknowledgements=False, failover=True
    )
    driver.start()
    return driver


def main(master, agents, tasks, on_executors):
    """Runs until everything is offered again; answers for what was seen."""
    scheduler = BadCorrespondent(agents, tasks, on_executors)
    driver = start(scheduler, master)
    deadline = time.monotonic() + PATIENCE
    while True:
        assert time.monotonic() < deadline, f"not done in time: {scheduler.__dict__}"
        try:
            # An exception on the driver's thread comes to this one between two of these.
            wish = scheduler.wishes.get(timeout=1)
        except queue.Empty:
            continue
        if wish == "done":
            break
        if wish != "failover":
            raise AssertionError(wish)
        driver.stop(failover=True)
        driver.join()
        driver = start(scheduler, master)
    driver.stop(failover=False)
    driver.join()
    for task_id, updates in scheduler.updates.items():
        expected = BY_COMMAND if task_id.startswith("command") else BY_EXECUTOR
        assert list(updates.values()) == expected, (task_id, updates)
    assert len(scheduler.updates) == tasks
    print(json.dumps({**scheduler.counts, "executors_lost": len(scheduler.lost_executors)}))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
