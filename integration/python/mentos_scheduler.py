"""A scheduler on mentos, as in its examples: it runs a task that transmits and prints a message,
and declines what is offered after that. Then what else its driver can: message, kill, reconcile,
revive, teardown.

    mentos_scheduler.py MASTER

Two of its calls no Mesos takes, as they lack what has to be there: REQUEST and SHUTDOWN.
"""

import os
import queue
import sys
import uuid

import mentos_today  # noqa: F401
from mentos.interface import Scheduler
from mentos.scheduler import SchedulerDriver
from mentos.utils import decode_data, encode_data

PATIENCE = 60
FILTERS = {"refuse_seconds": 5}


def scalar(name, value):
    """A resource, as in the examples."""
    return dict(name=name, type="SCALAR", scalar={"value": value})


EXECUTOR = {
    "executor_id": {"value": "MinimalExecutor"},
    "name": "MinimalExecutor",
    "command": {
        "value": "%s %s"
        % (
            sys.executable,
            os.path.join(os.path.dirname(os.path.abspath(__file__)), "mentos_executor.py"),
        )
    },
    "resources": [scalar("mem", 64), scalar("cpus", 0.1)],
}


class MinimalScheduler(Scheduler):
    """Launches what is to be launched, and puts what it is told in a queue."""

    def __init__(self):
        self.queue = queue.Queue()
        self.offers = queue.Queue()

    def on_reregistered(self, driver, framework_id, master):
        self.queue.put(("subscribed", framework_id["value"]))

    def on_offers(self, driver, offers):
        for offer in offers:
            self.offers.put(offer)

    def on_update(self, driver, status):
        self.queue.put(("update", status))

    def on_message(self, driver, executor_id, agent_id, message):
        self.queue.put(("message", (executor_id["value"], agent_id, decode_data(message))))

    def on_executor_lost(self, driver, executor_id, agent_id, status):
        self.queue.put(("executor lost", executor_id["value"]))

    def on_error(self, driver, message):
        self.queue.put(("error", message))

    def on_rescinded(self, driver, offer_id):
        self.queue.put(("rescinded", offer_id))

    def on_heartbeat(self, driver, message):
        pass

    def on_outbound_error(self, driver, request, endpoint, error):
        self.queue.put(("refused", (request["type"], [it.reason for it in error])))

    def on_outbound_success(self, driver, request):
        if request["type"] == "TEARDOWN":
            self.queue.put(("taken", "TEARDOWN"))

    def next(self, expected):
        """What comes next, which has to be this."""
        kind, what = self.queue.get(timeout=PATIENCE)
        assert kind == expected, (kind, what, "instead of", expected)
        return what

    def launch(self, driver, data):
        """Launches a task on the next offer. The id of the offer is given alone and not in a list,
        as in the examples: Mesos takes it."""
        offer = self.offers.get(timeout=PATIENCE)
        task_id = str(uuid.uuid4())
        task = {
            "task_id": {"value": task_id},
            "agent_id": {"value": offer["agent_id"]["value"]},
            "name": "task {}".format(task_id),
            "executor": EXECUTOR,
            "data": encode_data(data),
            "resources": [scalar("cpus", 0.2), scalar("mem", 128)],
        }
        driver.launch(offer["id"], [task], FILTERS)
        return task_id, offer["agent_id"]["value"]

    def state(self, task_id, state):
        """The next update, which has to be this."""
        status = self.next("update")
        assert (status["task_id"]["value"], status["state"]) == (task_id, state), status
        return status


def main(master):
    """The session."""
    told = MinimalScheduler()
    with SchedulerDriver(told, "Test", "root", master=master) as driver:
        framework_id = told.next("subscribed")
        task_id, _ = told.launch(driver, "Hello from mentos!".encode())
        told.state(task_id, "TASK_RUNNING")
        told.state(task_id, "TASK_FINISHED")
        print("finished")
        driver.decline([told.offers.get(timeout=PATIENCE)["id"]])
        driver.revive()
        print("declined, and revived")

        task_id, agent_id = told.launch(driver, b"stay")
        told.state(task_id, "TASK_RUNNING")
        driver.message("MinimalExecutor", agent_id, b"\0echo")
        echo = ("MinimalExecutor", {"value": agent_id}, b"\0echo")
        assert told.next("message") == echo
        driver.reconcile(task_id, agent_id)
        status = told.state(task_id, "TASK_RUNNING")
        assert status["reason"] == "REASON_RECONCILIATION", status
        driver.reconcile(None, None)
        told.state(task_id, "TASK_RUNNING")
        print("messages, reconciled")

        for expected, missing, refused in (
            (
                "REQUEST",
                b"'request' to be present",
                lambda: driver.request([{"resources": [scalar("cpus", 1)]}]),
            ),
            (
                "SHUTDOWN",
                b"kill.task_id: missing required field",
                lambda: driver.shutdown(agent_id, "MinimalExecutor"),
            ),
        ):
            refused()
            kind, reasons = told.next("refused")
            print("refused:", kind, reasons)
            assert kind == expected, kind
            assert reasons and all(missing in reason for reason in reasons), reasons
        driver.kill(task_id, agent_id)
        told.state(task_id, "TASK_KILLED")
        print("killed")
        driver.teardown(framework_id)
        told.next("taken")
        print("torn down")


if __name__ == "__main__":
    main(sys.argv[1])
