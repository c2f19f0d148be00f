"""A session on pymesos, step by step: two roles, filters, suppress and revive, kill, reconcile,
messages both ways, another scheduler with the same id, an executor that dies.

    pymesos_session.py MASTER

MASTER has a single agent of 2 cpus and 1024 MB, and allocates often. Exits with an exception where
something goes otherwise.
"""

import os
import queue
import sys

from pymesos import MesosSchedulerDriver, Scheduler, decode_data, encode_data

PATIENCE = 60
# In this time an offer that may come does come.
QUIET = 1.5
LONG = {"refuse_seconds": 3600}
AT_ONCE = {"refuse_seconds": 0}


class Told(Scheduler):
    """Puts what it is told in a queue, and offers in one of their own."""

    def __init__(self):
        self.queue = queue.Queue()
        self.offered = queue.Queue()

    def registered(self, driver, framework_id, master_info):
        self.queue.put(("registered", framework_id["value"]))

    def reregistered(self, driver, master_info):
        self.queue.put(("reregistered", driver.framework_id))

    def resourceOffers(self, driver, offers):
        for offer in offers:
            self.offered.put(offer)

    def offerRescinded(self, driver, offer_id):
        self.queue.put(("rescinded", offer_id["value"]))

    def statusUpdate(self, driver, update):
        self.queue.put(("update", update))

    def frameworkMessage(self, driver, executor_id, agent_id, message):
        self.queue.put(("message", (executor_id["value"], decode_data(message))))

    def executorLost(self, driver, executor_id, agent_id, status):
        self.queue.put(("executor lost", (executor_id["value"], status)))

    def slaveLost(self, driver, agent_id):
        self.queue.put(("agent lost", agent_id["value"]))

    def error(self, driver, message):
        # A driver would come back at once, and take the place of the one that took its own.
        driver.stop(failover=True)
        self.queue.put(("error", message))

    def next(self, expected):
        """What comes next, which has to be this."""
        kind, what = self.queue.get(timeout=PATIENCE)
        assert kind == expected, (kind, what, "instead of", expected)
        return what

    def updates(self, task, states):
        """These states of a task come, one after the other, and nothing between them."""
        for state in states:
            status = self.next("update")
            assert (status["task_id"]["value"], status["state"]) == (task, state), status
        return status

    def all_run(self, tasks):
        """It is told of each of these that it runs."""
        running = set()
        while running != tasks:
            status = self.next("update")
            assert status["state"] == "TASK_RUNNING", status
            running.add(status["task_id"]["value"])

    def offers(self, role, cpus):
        """Offers of a role, and of no other, that hold this much together."""
        held = []
        while round(sum(map(cpus_of, held)), 3) < cpus:
            held.append(self.offered.get(timeout=PATIENCE))
            assert role_of(held[-1]) == role, held
        assert round(sum(map(cpus_of, held)), 3) == cpus, held
        return held

    def no_offers(self):
        """None comes for a while."""
        try:
            raise AssertionError(self.offered.get(timeout=QUIET))
        except queue.Empty:
            assert self.queue.empty(), self.queue.get()


def scalar(name, value):
    """A resource."""
    return {"name": name, "type": "SCALAR", "scalar": {"value": value}}


def cpus_of(offer):
    """How many cpus an offer has."""
    return sum(it["scalar"]["value"] for it in offer["resources"] if it["name"] == "cpus")


def role_of(offer):
    """The role that an offer is for; its resources are all of that one."""
    roles = {it["allocation_info"]["role"] for it in offer["resources"]}
    assert roles == {offer["allocation_info"]["role"]}, offer
    return roles.pop()


def ids(offers):
    """The ids of offers."""
    return [offer["id"] for offer in offers]


def task(name, offer, cpus, **what):
    """A task for the agent of an offer."""
    return {
        "name": name,
        "task_id": {"value": name},
        "agent_id": offer["agent_id"],
        "resources": [scalar("cpus", cpus), scalar("mem", 32)],
        **what,
    }


def executor():
    """The executor, in the same Python as this."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pymesos_executor.py")
    return {
        "type": "CUSTOM",
        "executor_id": {"value": "mortal"},
        "command": {"value": f"exec {sys.executable} {script}"},
        "resources": [scalar("cpus", 0.1), scalar("mem", 64)],
    }


def start(master, told, framework_id=None):
    """A driver of a framework with two roles."""
    framework = {
        "user": "root",
        "name": "of two roles",
        "failover_timeout": 600,
        "roles": ["left", "right"],
        "capabilities": [{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}],
    }
    if framework_id:
        framework["id"] = {"value": framework_id}
    driver = MesosSchedulerDriver(told, framework, master)
    driver.start()
    return driver


def roles_and_filters(driver, told):
    """A filter is of one role; a suppressed role gets nothing; another gets what it leaves."""
    first = told.offered.get(timeout=PATIENCE)
    role = role_of(first)
    other = {"left": "right", "right": "left"}[role]
    assert cpus_of(first) == 2, first
    driver.declineOffer(first["id"], filters=LONG)
    driver.declineOffer(ids(told.offers(other, 2)), filters=LONG)
    told.no_offers()
    print("declined for an hour, by both roles")

    driver.reviveOffers([role])
    offers = told.offers(role, 2)
    sleeps = {"value": "exec sleep 1000"}
    driver.launchTasks(ids(offers), [task("killed", offers[0], 0.5, command=sleeps)], LONG)
    told.updates("killed", ["TASK_STARTING", "TASK_RUNNING"])
    told.no_offers()
    driver.suppressOffers([role])
    driver.reviveOffers([other])
    driver.declineOffer(ids(told.offers(other, 1.5)), filters=AT_ONCE)
    rest = told.offers(other, 1.5)
    print("suppressed one role, revived the other")

    driver.killTask({"value": "killed"})
    killed = told.updates("killed", ["TASK_KILLED"])
    assert killed["source"] == "SOURCE_EXECUTOR", killed
    rest += told.offers(other, 0.5)
    driver.suppressOffers([other])
    driver.declineOffer(ids(rest), filters=AT_ONCE)
    told.no_offers()
    print("killed")
    return role


def reconcile(driver, told):
    """What is unknown is said to be; without a task all that run are told."""
    driver.reconcileTasks([{"task_id": {"value": "nobody's"}}])
    status = told.updates("nobody's", ["TASK_UNKNOWN"])
    assert status["reason"] == "REASON_RECONCILIATION", status
    driver.reconcileTasks([])
    told.no_offers()
    print("reconciled")


def with_an_executor(driver, told, role):
    """Two tasks on an executor that echoes."""
    driver.reviveOffers([role])
    offers = told.offers(role, 2)
    stays = {"executor": executor(), "data": encode_data(b"stay")}
    tasks = [task(name, offers[0], 0.25, **stays) for name in ("one", "two")]
    driver.launchTasks(ids(offers), tasks, LONG)
    told.all_run({"one", "two"})
    agent_id = offers[0]["agent_id"]
    driver.sendFrameworkMessage({"value": "mortal"}, agent_id, encode_data(b"\0echo"))
    assert told.next("message") == ("mortal", b"\0echo")
    print("messages went both ways")
    return agent_id


def another_scheduler(master, driver, told):
    """One that comes while the first is connected: that one is told, and the tasks are there."""
    after = Told()
    second = start(master, after, driver.framework_id)
    # Its driver knows the id, and so takes its subscription for a renewed one.
    assert after.next("reregistered") == driver.framework_id
    assert told.next("error") == "Framework failed over"
    driver.join()
    second.reconcileTasks([])
    after.all_run({"one", "two"})
    print("failed over")
    return second, after


def death(driver, told, agent_id):
    """An executor that dies takes its tasks along, and its framework is told how it ended."""
    driver.sendFrameworkMessage({"value": "mortal"}, agent_id, encode_data(b"die"))
    failed, lost = {}, []
    while len(failed) < 2 or not lost:
        kind, what = told.queue.get(timeout=PATIENCE)
        if kind == "executor lost":
            lost.append(what)
        else:
            assert (kind, what["state"]) == ("update", "TASK_FAILED"), (kind, what)
            failed[what["task_id"]["value"]] = what["reason"]
    assert lost == [("mortal", 7 << 8)], lost
    assert failed == dict.fromkeys(["one", "two"], "REASON_EXECUTOR_TERMINATED"), failed
    print("an executor died")


def main(master):
    """The session."""
    told = Told()
    driver = start(master, told)
    framework_id = told.next("registered")
    role = roles_and_filters(driver, told)
    reconcile(driver, told)
    agent_id = with_an_executor(driver, told, role)
    driver, told = another_scheduler(master, driver, told)
    death(driver, told, agent_id)
    driver.stop()
    driver.join()
    print("torn down", framework_id)


if __name__ == "__main__":
    main(sys.argv[1])
