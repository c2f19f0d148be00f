"""An executor on mentos, as in its examples: a task prints what it was given and ends a little
later. One whose data is `stay` runs until it is killed. Messages are echoed.

Started by an agent, with the environment that Mesos gives executors.
"""

import sys
import time
from threading import Event, Thread

import mentos_today  # noqa: F401
from mentos.executor import ExecutorDriver
from mentos.interface import Executor
from mentos.utils import decode_data


class MinimalExecutor(Executor):
    """Runs each task on a thread."""

    def __init__(self):
        self.acknowledged = Event()

    def on_acknowledged(self, driver, task_id, uuid):
        """The agent has an update."""
        self.acknowledged.set()

    def on_launch(self, driver, task):
        """Says that the task runs, and mostly that it has finished."""

        def run():
            update = {"task_id": {"value": task["task_id"]["value"]}, "state": "TASK_RUNNING"}
            driver.update({**update, "timestamp": int(time.time())})
            print(decode_data(task["data"]).decode(), file=sys.stderr, flush=True)
            if decode_data(task["data"]) != b"stay":
                # mentos posts each update for itself: nothing else keeps two of them in order.
                assert self.acknowledged.wait(30)
                # A time with a fraction, as the examples have it.
                update["state"] = "TASK_FINISHED"
                driver.update({**update, "timestamp": time.time()})

        thread = Thread(target=run)
        thread.daemon = True
        thread.start()

    def on_kill(self, driver, task_id):
        """Says that it is killed."""
        driver.update({"task_id": task_id, "state": "TASK_KILLED"})

    def on_message(self, driver, message):
        """Echoes it."""
        driver.message(decode_data(message))


if __name__ == "__main__":
    ExecutorDriver(MinimalExecutor()).start(block=True)
