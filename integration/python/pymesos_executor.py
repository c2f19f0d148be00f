"""An executor on pymesos: runs each task as a thread, echoes messages, and ends or dies when told
so. A task whose data is `stay` runs until it is killed; the others finish at once.

Started by an agent, with the environment that Mesos gives executors.
"""

import os
import threading

from pymesos import Executor, MesosExecutorDriver, decode_data


class Threads(Executor):
    """Runs tasks that do nothing."""

    def __init__(self):
        self.ended = threading.Event()

    def launchTask(self, driver, task):
        """Says that the task runs, and that it has finished."""

        def run():
            stays = decode_data(task.get("data", "")) == b"stay"
            for state in ("TASK_RUNNING",) if stays else ("TASK_RUNNING", "TASK_FINISHED"):
                driver.sendStatusUpdate({"task_id": task["task_id"], "state": state})

        threading.Thread(target=run).start()

    def killTask(self, driver, task_id):
        """Says that it is killed."""
        driver.sendStatusUpdate({"task_id": task_id, "state": "TASK_KILLED"})

    def frameworkMessage(self, driver, message):
        """Echoes it; `end` ends the executor, `die` kills it."""
        if decode_data(message) == b"die":
            os._exit(7)
        driver.sendFrameworkMessage(message)
        if decode_data(message) == b"end":
            self.ended.set()

    def shutdown(self, driver):
        """The agent wants it to end."""
        self.ended.set()

    def error(self, driver, message):
        """The agent refused it."""
        print("error:", message, flush=True)
        self.ended.set()


def main():
    """Runs until told to end."""
    executor = Threads()
    driver = MesosExecutorDriver(executor)
    driver.start()
    executor.ended.wait()
    driver.stop()
    driver.join()


if __name__ == "__main__":
    main()
