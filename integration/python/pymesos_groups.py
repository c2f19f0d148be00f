"""Groups of tasks with the default executor, on pymesos: one whose tasks all finish, and one of
which a task fails.

    pymesos_groups.py MASTER

MASTER has an agent of a cpu, 512 MB of memory and some disk. Exits with an exception where something
goes otherwise.
"""

import queue
import sys

from pymesos import MesosSchedulerDriver, Scheduler

PATIENCE = 60


class Told(Scheduler):
    """Puts what it is told in queues."""

    def __init__(self):
        self.offered = queue.Queue()
        self.queue = queue.Queue()

    def resourceOffers(self, driver, offers):
        for offer in offers:
            self.offered.put(offer)

    def statusUpdate(self, driver, update):
        self.queue.put(("update", update))

    def executorLost(self, driver, executor_id, agent_id, status):
        self.queue.put(("lost", (executor_id["value"], status)))

    def group(self, executor, expected):
        """What comes of a group: the states of each task, and then the end of its executor."""
        states = {name: [] for name in expected}
        lost = []
        while states != expected or not lost:
            try:
                kind, what = self.queue.get(timeout=PATIENCE)
            except queue.Empty:
                raise AssertionError(f"{states} and {lost}, not {expected}") from None
            if kind == "lost":
                lost.append(what)
            else:
                task = states[what["task_id"]["value"]]
                if what["state"] not in task:
                    task.append(what["state"])
        assert lost == [(executor, 0)], lost


def scalar(name, value):
    return {"name": name, "type": "SCALAR", "scalar": {"value": value}}


def launch(driver, told, executor, commands):
    """Launches a group of these commands, by their tasks' names."""
    offer = told.offered.get(timeout=PATIENCE)
    own = [scalar("cpus", 0.1), scalar("mem", 64), scalar("disk", 10)]
    tasks = [
        {
            "name": name,
            "task_id": {"value": name},
            "agent_id": offer["agent_id"],
            "resources": [scalar("cpus", 0.1), scalar("mem", 32)],
            "command": {"value": command},
        }
        for name, command in commands.items()
    ]
    made = {
        "type": "DEFAULT",
        "executor_id": {"value": executor},
        "framework_id": {"value": driver.framework_id},
        "resources": own,
    }
    group = {"executor": made, "task_group": {"tasks": tasks}}
    operations = [{"type": "LAUNCH_GROUP", "launch_group": group}]
    driver.acceptOffers(offer["id"], operations, {"refuse_seconds": 0})


def main(master):
    told = Told()
    framework = {"user": "root", "name": "groups"}
    driver = MesosSchedulerDriver(told, framework, master)
    driver.start()
    begun = ["TASK_STARTING", "TASK_RUNNING"]

    # Each waits for the other's file, by what an executor's tasks share.
    meet = "touch here; until [ -e ../../tasks/{}/here ]; do sleep 0.05; done"
    launch(driver, told, "well", {"a": meet.format("b"), "b": meet.format("a")})
    finished = [*begun, "TASK_FINISHED"]
    told.group("well", {"a": finished, "b": finished})
    print("a group finished")

    launch(driver, told, "ill", {"c": "exit 3", "d": "exec sleep 1000"})
    told.group("ill", {"c": [*begun, "TASK_FAILED"], "d": [*begun, "TASK_KILLED"]})
    print("a group failed")
    driver.stop()
    driver.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
