"""Groups with the default executor, each of whose tasks has a container within the executor's.

The commands of the tasks are puppets: they tell when they run, and end as the suite says.
"""

from containers import Puppet
from framework import group, scalar
from suite import ensure, rule, same

POD = [scalar("cpus", 0.1), scalar("mem", 64), scalar("disk", 1)]


def default_executor(trial, one, **parts):
    name = trial.world.name("pod")
    made = {"type": "DEFAULT", "executor_id": {"value": name}, "framework_id": one.id}
    return {**made, "resources": POD, **parts}


class Group:
    """Tasks launched together; each runs, and says so."""

    def __init__(self, trial, one, executor, count):
        self.one = one
        offer = one.offer()
        self.agent_id = offer["agent_id"]
        made = [one.task(offer) for _ in range(count)]
        self.names = [task["task_id"]["value"] for task in made]
        for name, task in zip(self.names, made):
            task["command"] = trial.world.puppets.command(name)
        one.accept(offer, group(executor, *made))
        self.told = {name: [] for name in self.names}
        self.puppets = [Puppet(*trial.world.puppets.wait(name)) for name in self.names]
        for name in self.names:
            self.reach(name, "TASK_RUNNING")

    def reach(self, name, state):
        """Takes what is told of a task until it is in a state, from the beginning again."""
        while not any(status["state"] == state for status in self.told[name]):
            self.one.seen = 0
            known = {status["uuid"] for status in self.told[name]}

            def is_new(event):
                status = event["update"]["status"]
                return self.one.is_of(event, name) and status["uuid"] not in known

            status = self.one.wait("UPDATE", is_new)["update"]["status"]
            self.one.acknowledge(status)
            self.told[name].append(status)
        return self.told[name][-1]

    def states(self, name):
        return [status["state"] for status in self.told[name]]


def ended(one, executor):
    """That an executor ended is told once, with its status."""
    one.seen = 0
    failure = one.wait("FAILURE")["failure"]
    same("the executor", failure["executor_id"], executor["executor_id"])
    return failure["status"]


@rule("GROUP-5", "A default executor has no command of a framework's, and no container of Docker's.")
def bad_default_executor(trial):
    one = trial.framework()
    docker = {"type": "DOCKER", "docker": {"image": "image"}}
    image = {"type": "MESOS", "mesos": {"image": {"type": "DOCKER", "docker": {"name": "image"}}}}
    for parts in ({"command": {"value": "true"}}, {"container": docker}, {"container": image}):
        offer = one.offer()
        task = one.task(offer, command={"value": "true"})
        one.accept(offer, group(default_executor(trial, one, **parts), task))
        status = one.status(task["task_id"]["value"], "TASK_ERROR")
        same("the reason", status["reason"], "REASON_TASK_GROUP_INVALID")
        same("the source", status["source"], "SOURCE_MASTER")


@rule("GROUP-6", "Tasks of a default executor have containers of their own, within its container.")
def containers(trial):
    one = trial.framework()
    executor = default_executor(trial, one)
    made = Group(trial, one, executor, 2)
    ids = []
    pids = {None}
    for name in made.names:
        same("the states", made.states(name), ["TASK_STARTING", "TASK_RUNNING"])
        for status in made.told[name]:
            same("the source", status["source"], "SOURCE_EXECUTOR")
            same("the executor", status["executor_id"], executor["executor_id"])
            ids.append(status["container_status"]["container_id"])
        first, running = (status["container_status"] for status in made.told[name])
        same("what is known of a container that is to come", list(first), ["container_id"])
        pids.add(running.get("executor_pid"))
    same("the container of the first", ids[0], ids[1])
    same("the container of the second", ids[2], ids[3])
    ensure(ids[0]["value"] != ids[2]["value"], "they are in one container")
    same("their executor's container", ids[0]["parent"], ids[2]["parent"])
    same("the number of processes", len(pids - {None}), 2)
    for name, puppet, made_in in zip(made.names, made.puppets, (ids[0], ids[2])):
        environment = puppet.environment
        end = f"/{made_in['parent']['value']}/containers/{made_in['value']}"
        ensure(puppet.folder.endswith(end), f"{name} is in {puppet.folder}")
        same("MESOS_SANDBOX", environment.get("MESOS_SANDBOX"), puppet.folder)
        same("the role", environment.get("MESOS_ALLOCATION_ROLE"), one.roles[0])
        ensure(environment.get("MESOS_CONTAINER_IP"), "there is no MESOS_CONTAINER_IP")
        ensure("MESOS_EXECUTOR_ID" not in environment, "it has its executor's environment")
    for name, puppet in zip(made.names, made.puppets):
        puppet.exit(0)
        status = made.reach(name, "TASK_FINISHED")
        same("the message", status["message"], "Command exited with status 0")
        same("what is left of a container", list(status["container_status"]), ["container_id"])
    same("how the executor ended", ended(one, executor), 0)


@rule("GROUP-7", "A task that fails ends its group, one that finishes does not; nor do other groups.")
def one_fails(trial):
    one = trial.framework()
    executor = default_executor(trial, one)
    first = Group(trial, one, executor, 2)
    first.puppets[0].exit(0)
    first.reach(first.names[0], "TASK_FINISHED")
    second = Group(trial, one, executor, 2)
    second.puppets[1].exit(3)
    status = second.reach(second.names[1], "TASK_FAILED")
    same("the message", status["message"], "Command exited with status 3")
    second.reach(second.names[0], "TASK_KILLED")
    same("the other group", first.states(first.names[1])[-1], "TASK_RUNNING")
    first.puppets[1].exit(0)
    first.reach(first.names[1], "TASK_FINISHED")
    same("how the executor ended", ended(one, executor), 0)


@rule("GROUP-8", "A task that is killed ends its group.")
def one_is_killed(trial):
    one = trial.framework()
    executor = default_executor(trial, one)
    made = Group(trial, one, executor, 2)
    one.take_in("KILL", kill={"task_id": {"value": made.names[1]}})
    for name in made.names:
        status = made.reach(name, "TASK_KILLED")
        same("the source", status["source"], "SOURCE_EXECUTOR")
        same("the message", status["message"], "Command terminated with signal Terminated")
    same("how the executor ended", ended(one, executor), 0)


@rule("GROUP-9", "SHUTDOWN ends the tasks of a default executor, and then that.")
def shut_down(trial):
    one = trial.framework()
    executor = default_executor(trial, one)
    made = Group(trial, one, executor, 2)
    shutdown = {"executor_id": executor["executor_id"], "agent_id": made.agent_id}
    one.take_in("SHUTDOWN", shutdown=shutdown)
    for name in made.names:
        made.reach(name, "TASK_KILLED")
    same("how the executor ended", ended(one, executor), 0)
