"""The executor API's stream: what comes first, and what comes when an executor comes again."""

import os

from suite import ensure, rule, same


@rule(
    "EXSUB-1",
    "SUBSCRIBE is answered 200, in chunks, in the type asked for, with no stream's id.",
)
def answer(trial):
    worker, _ = trial.launched(trial.framework())
    worker.subscribe()
    reply = worker.stream.reply
    same("Content-Type", reply.headers.get("content-type"), trial.encoding.media)
    same("Transfer-Encoding", reply.headers.get("transfer-encoding"), "chunked")
    ensure("mesos-stream-id" not in reply.headers, f"there is an id: {reply}")


@rule(
    "EXSUB-2",
    "The first event is SUBSCRIBED: the executor, its framework, its agent, its container.",
)
def subscribed(trial):
    one = trial.framework()
    worker, _ = trial.launched(one)
    said = worker.subscribe()["subscribed"]
    same("the executor", said["executor_info"]["executor_id"], worker.ids["executor_id"])
    same("the executor's framework", said["executor_info"]["framework_id"], one.id)
    same("the framework", said["framework_info"]["id"], one.id)
    same("the framework's name", said["framework_info"]["name"], one.info["name"])
    same("the agent", said["agent_info"]["id"]["value"], worker.environment["MESOS_SLAVE_ID"])
    ensure(said["container_id"]["value"], "there is no container")


@rule("EXSUB-3", "The task that waited comes then, as LAUNCH, with its executor.")
def launch(trial):
    worker, task = trial.launched(trial.framework())
    worker.subscribe()
    came = worker.take(20)
    while came and came["type"] == "HEARTBEAT":
        came = worker.take(20)
    same("the event", came["type"], "LAUNCH")
    same("the task", came["launch"]["task"]["task_id"], {"value": task})
    named = came["launch"]["task"]["executor"]["executor_id"]
    same("its executor", named, worker.ids["executor_id"])


@rule("EXSUB-4", "An update is acknowledged by the agent, with its task and its uuid.")
def acknowledged(trial):
    worker, task = trial.subscribed(trial.framework())
    sent = worker.update(task, "TASK_RUNNING")
    came = worker.wait("ACKNOWLEDGED")["acknowledged"]
    same("the event", came, {"task_id": {"value": task}, "uuid": sent["uuid"]})


@rule("EXSUB-5", "The same update twice is acknowledged twice, and told once.")
def twice(trial):
    one = trial.framework()
    worker, task = trial.subscribed(one)
    sent = worker.update(task, "TASK_RUNNING")
    worker.wait("ACKNOWLEDGED")
    same("the status", worker.call("UPDATE", update={"status": sent}).status, 202)
    worker.wait("ACKNOWLEDGED")
    one.acknowledge(one.status(task, "TASK_RUNNING"))
    one.nothing("UPDATE")


@rule("EXSUB-6", "A second SUBSCRIBE closes the first stream.")
def again(trial):
    worker, task = trial.running(trial.framework())
    old = worker.stream
    worker.subscribe()
    kinds = []
    while (record := old.records.get(timeout=20)) is not None:
        kinds.append(trial.encoding.read("ExecutorEvent", record)["type"])
    ensure("SHUTDOWN" not in kinds and "ERROR" not in kinds, f"there came {kinds}")
    worker.update(task, "TASK_FINISHED")
    worker.wait("ACKNOWLEDGED")


@rule("EXSUB-7", "Updates that an executor says were not acknowledged are taken like new ones.")
def unacknowledged_updates(trial):
    one = trial.framework()
    worker, task = trial.running(one)
    status = worker.status(task, "TASK_FINISHED")
    worker.subscribe(unacknowledged_updates=[{"status": status}])
    same("the uuid", worker.wait("ACKNOWLEDGED")["acknowledged"]["uuid"], status["uuid"])
    same("the uuid", one.status(task, "TASK_FINISHED")["uuid"], status["uuid"])


@rule("EXSUB-8", "A task that came to the executor, of which it knows nothing, is TASK_DROPPED.")
def lost(trial):
    one = trial.framework()
    worker, task = trial.launched(one)
    worker.subscribe()
    worker.wait("LAUNCH")
    worker.open()
    status = one.status(task, "TASK_DROPPED")
    same("the reason", status["reason"], "REASON_AGENT_RESTARTED")
    same("the source", status["source"], "SOURCE_AGENT")


@rule("EXSUB-9", "A task that the executor says was not acknowledged is kept.")
def kept(trial):
    one = trial.framework()
    worker, task = trial.launched(one)
    worker.subscribe()
    came = worker.wait("LAUNCH")["launch"]["task"]
    worker.subscribe(unacknowledged_tasks=[came])
    worker.update(task, "TASK_RUNNING")
    one.status(task, "TASK_RUNNING")


@rule("EXSUB-10", "Who subscribes after SHUTDOWN is told SHUTDOWN, or closed.")
def after_shutdown(trial):
    one = trial.framework()
    worker, _ = trial.running(one)
    agent_id = {"value": worker.environment["MESOS_SLAVE_ID"]}
    about = {"executor_id": worker.ids["executor_id"], "agent_id": agent_id}
    one.take_in("SHUTDOWN", shutdown=about)
    worker.wait("SHUTDOWN")
    reply = worker.open()
    same("the status", reply.status, 200)
    event = worker.take(20)
    ensure(event and event["type"] in ("SHUTDOWN", "(end of stream)"), f"there came {event}")


@rule("EXSUB-11", "Whose tasks were all killed before it came is told SHUTDOWN, and nothing else.")
def needless(trial):
    one = trial.framework()
    worker, task = trial.launched(one)
    one.take_in("KILL", kill={"task_id": {"value": task}})
    one.status(task, "TASK_KILLED")
    same("the status", worker.open().status, 200)
    same("the first event", worker.take(20)["type"], "SHUTDOWN")


@rule(
    "EXENV-1",
    "An executor finds in its environment who it is, where its agent is, and its folder.",
)
def environment(trial):
    one = trial.framework()
    worker, _ = trial.launched(one)
    it = worker.environment
    same("MESOS_FRAMEWORK_ID", it["MESOS_FRAMEWORK_ID"], one.id["value"])
    same("MESOS_EXECUTOR_ID", it["MESOS_EXECUTOR_ID"], worker.ids["executor_id"]["value"])
    _, _, address = it["MESOS_SLAVE_PID"].partition("@")
    same("MESOS_AGENT_ENDPOINT", it["MESOS_AGENT_ENDPOINT"], address)
    same("MESOS_CHECKPOINT", it["MESOS_CHECKPOINT"], "0")
    ensure(it["MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD"], "no grace period is told")
    ensure(os.path.isabs(it["MESOS_DIRECTORY"]), f"its folder is {it['MESOS_DIRECTORY']}")
    same("where it runs", os.path.realpath(worker.folder), os.path.realpath(it["MESOS_SANDBOX"]))


@rule("EXENV-2", "What the command says of the environment is in it, too.")
def own_environment(trial):
    one = trial.framework()
    offer = one.offer()
    executor = trial.executor_info(one)
    executor["command"]["environment"] = {"variables": [{"name": "OWN", "value": "a b"}]}
    task = one.task(offer, executor=executor)
    one.accept(offer, {"type": "LAUNCH", "launch": {"task_infos": [task]}})
    worker = trial.executor(executor["executor_id"]["value"])
    same("OWN", worker.environment.get("OWN"), "a b")
