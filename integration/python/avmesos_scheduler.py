"""A scheduler on avmesos, as in its sample and beyond it: tasks are accepted and killed once they
run, offers combined and declined, and each call of its driver is made.

    avmesos_scheduler.py MASTER

MASTER has a single agent. avmesos handles an event when the next one comes, so that something is
asked for again and again while an event is waited for. Exits with an exception where something
goes otherwise.
"""

import base64
import logging
import os
import queue
import sys
import threading
import time
import uuid

from avmesos.client import MesosClient

PATIENCE = 60
NUDGE = 0.2
NOBODY = "nobody's"
AT_ONCE = {"filters": {"refuse_seconds": 0}}
LONG = {"filters": {"refuse_seconds": 3600}}


class Framework(threading.Thread):
    """A client on a thread of its own, as in the sample."""

    def __init__(self, master, framework_id=None):
        threading.Thread.__init__(self, daemon=True)
        self.client = MesosClient(mesos_urls=["http://" + master], frameworkId=framework_id)
        self.client.set_failover_timeout(600)
        self.driver = None
        self.offers = queue.Queue()
        self.updates = queue.Queue()
        self.others = queue.Queue()
        on = self.client.on
        on(MesosClient.SUBSCRIBED, self.subscribed)
        on(MesosClient.OFFERS, lambda offers: [self.offers.put(offer) for offer in offers])
        on(MesosClient.UPDATE, self.updated)
        for kind in (MesosClient.ERROR, MesosClient.FAILURE, MesosClient.RESCIND):
            on(kind, lambda what, kind=kind: self.others.put((kind, what)))
        # There is no `on` for it, but the client looks for it here.
        self.client.callbacks["MESSAGE"] = [lambda what: self.others.put(("MESSAGE", what))]
        self.start()
        deadline = time.monotonic() + PATIENCE
        # The heartbeat that follows at once is the next event that this one needs.
        while self.driver is None:
            assert time.monotonic() < deadline and self.is_alive(), "not subscribed"
            self.join(timeout=0.01)

    def run(self):
        self.client.register()

    def subscribed(self, driver):
        self.driver = driver

    def updated(self, update):
        if update["status"]["task_id"]["value"] != NOBODY:
            self.updates.put(update["status"])

    def next(self, kind):
        """What comes next of a kind."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                return kind.get(timeout=NUDGE)
            except queue.Empty:
                self.driver.reconcile([{"task_id": {"value": NOBODY}}])
        raise AssertionError("nothing came")

    def other(self, kind):
        """The next event that is no offer and no update, which has to be of this kind."""
        found, what = self.next(self.others)
        assert found == kind, (found, what)
        return what

    def state(self, task_id, state):
        """The next update, which has to be this."""
        status = self.next(self.updates)
        assert (status["task_id"]["value"], status["state"]) == (task_id, state), status
        return status


def scalar(name, value):
    """A resource."""
    return {"name": name, "type": "SCALAR", "scalar": {"value": value}}


def task(mesos_offer, **what):
    """A task as the sample has it, with the agent's id; `accept` adds the agent's old name."""
    return {
        "name": "sample test",
        "task_id": {"value": uuid.uuid4().hex},
        "agent_id": {"value": mesos_offer.get_offer()["agent_id"]["value"]},
        "resources": [scalar("cpus", 0.5), scalar("mem", 100)],
        **(what or {"command": {"value": "sleep 1000"}}),
    }


def start_and_kill(framework, mesos_offer, launch):
    """The sample's life of a task: it is killed once it runs."""
    wanted = task(mesos_offer)
    launch(wanted)
    task_id = wanted["task_id"]["value"]
    framework.state(task_id, "TASK_STARTING")
    status = framework.state(task_id, "TASK_RUNNING")
    framework.driver.kill(status["agent_id"]["value"], task_id)
    framework.state(task_id, "TASK_KILLED")


def executor():
    """An executor that echoes messages."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pymesos_executor.py")
    return {
        "executor_id": {"value": "echoes"},
        "command": {"value": f"exec {sys.executable} {script}"},
        "resources": [scalar("cpus", 0.1), scalar("mem", 64)],
    }


def with_an_executor(framework, mesos_offer):
    """A message and its echo, and the end of the executor."""
    data = base64.b64encode(b"stay").decode()
    wanted = task(mesos_offer, executor=executor(), data=data)
    mesos_offer.accept([wanted], AT_ONCE)
    task_id = wanted["task_id"]["value"]
    agent_id = framework.state(task_id, "TASK_RUNNING")["agent_id"]["value"]
    message = base64.b64encode(b"\0echo").decode()
    framework.driver.message(agent_id, "echoes", message)
    echo = framework.other("MESSAGE")
    assert (echo["executor_id"]["value"], echo["data"]) == ("echoes", message), echo
    print("messages went both ways")
    return task_id, agent_id


def main(master):
    """The session."""
    logging.basicConfig(level=logging.ERROR)
    framework = Framework(master)
    framework_id = framework.client.frameworkId
    assert framework.client.get_master_info()["pid"].startswith("master@")
    offer = framework.next(framework.offers)
    start_and_kill(framework, offer, lambda wanted: offer.accept([wanted], AT_ONCE))
    print("accepted and killed")

    offers = [framework.next(framework.offers)]
    start_and_kill(
        framework,
        offers[0],
        lambda wanted: framework.client.combine_offers(offers, [wanted], AT_ONCE),
    )
    framework.next(framework.offers).decline(LONG)
    framework.driver.suppress()
    framework.driver.revive()
    print("combined, declined, suppressed and revived")

    task_id, agent_id = with_an_executor(framework, framework.next(framework.offers))
    framework.driver.reconcile([{"task_id": {"value": task_id}, "agent_id": {"value": agent_id}}])
    status = framework.state(task_id, "TASK_RUNNING")
    assert status["reason"] == "REASON_RECONCILIATION", status

    # Another client of the same framework while the first is there, which is told.
    again = Framework(master, framework_id)
    assert again.client.frameworkId == framework_id
    assert framework.client.frameworkId == framework_id
    framework.client.disconnect_framework()
    again.driver.reconcile([{"task_id": {"value": task_id}}])
    again.state(task_id, "TASK_RUNNING")
    print("came back")

    again.driver.shutdown(agent_id, "echoes")
    status = again.state(task_id, "TASK_FAILED")
    assert status["reason"] == "REASON_EXECUTOR_TERMINATED", status
    failure = again.other("FAILURE")
    assert failure["executor_id"]["value"] == "echoes", failure
    print("shut an executor down")
    again.client.tearDown()
    again.driver.tearDown()
    print("torn down", framework_id)


if __name__ == "__main__":
    main(sys.argv[1])
