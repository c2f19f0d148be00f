"""A Mesos executor that does what the data of its tasks say, with Python's standard library only.

A task's data are JSON: `{"launch": [...], "kill": [...]}`, the updates to send when it is launched
and when it is killed; each is a TaskStatus without what every status has. With `"exit": STATUS` in
place of an update the executor ends. A message is answered by the same message.
"""

import base64
import json
import os
import sys
import time
import uuid

from client import Stream, request

AGENT_ID, _, AGENT = os.environ["MESOS_SLAVE_PID"].partition("@")
PATH = f"/{AGENT_ID}/api/v1/executor"
IDS = {
    "executor_id": {"value": os.environ["MESOS_EXECUTOR_ID"]},
    "framework_id": {"value": os.environ["MESOS_FRAMEWORK_ID"]},
}
JSON = {"Content-Type": "application/json", "Accept": "application/json"}


def call(**parts):
    reply = request(AGENT, "POST", PATH, json.dumps({**IDS, **parts}), JSON)
    if reply.status != 202:
        sys.exit(f"{reply.status} {reply.body!r}")


def send(task_id, updates):
    for update in updates:
        if "exit" in update:
            sys.exit(update["exit"])
        status = {
            "task_id": task_id,
            "executor_id": IDS["executor_id"],
            "source": "SOURCE_EXECUTOR",
            "timestamp": time.time(),
            "uuid": base64.b64encode(uuid.uuid4().bytes).decode(),
            **update,
        }
        call(type="UPDATE", update={"status": status})


def main():
    subscribe = {"type": "SUBSCRIBE", "subscribe": {}, **IDS}
    stream = Stream(AGENT, PATH, json.dumps(subscribe), JSON)
    kills = {}
    while (record := stream.records.get()) is not None:
        event = json.loads(record)
        if event["type"] == "LAUNCH":
            task = event["launch"]["task"]
            script = json.loads(base64.b64decode(task.get("data", "e30=")))
            kills[task["task_id"]["value"]] = script.get("kill", [])
            send(task["task_id"], script.get("launch", []))
        elif event["type"] == "KILL":
            task_id = event["kill"]["task_id"]
            send(task_id, kills.get(task_id["value"], []))
        elif event["type"] == "MESSAGE":
            call(type="MESSAGE", message={"data": event["message"]["data"]})
        elif event["type"] == "SHUTDOWN":
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
