"""The list of rules, what each of them may use, and what came of them.

Not here: the rules (`rules/`), and what is known to differ (`differences/`).
"""

import functools
import getpass
import itertools
import sys
import threading
import time
import traceback
from dataclasses import dataclass

import agent
import executor
from events import END
from framework import AT_ONCE, PATH, Framework
from wire import ENCODINGS, PATIENCE, Fault, Json
from streams import Stream, request

RULES = []

# A check that mostly waits, and takes little.
SLOW = "slow"
# One that minds nobody who is offered something at the same time.
BESIDE = "beside"
# One that has to be the only one that is offered something.
ALONE = "alone"


@dataclass
class Rule:
    """A rule's id, what it says, and the check of it."""

    id: str
    words: str
    check: callable
    # SLOW, BESIDE or ALONE.
    when: str
    # The encodings of which it speaks.
    encodings: tuple
    # A flag of the master's that it is about: without one it cannot be asked.
    asks: str | None = None

    def place(self):
        """The check as file and function, from the suite's folder."""
        return f"{self.check.__module__.replace('.', '/')}.py::{self.check.__name__}"


def rule(rule_id, words, when=BESIDE, only=None, asks=None):
    """Has a function be the check of a rule."""

    def add(check):
        if any(known.id == rule_id for known in RULES):
            raise SystemExit(f"two rules are {rule_id}")
        RULES.append(Rule(rule_id, words, check, when, (only,) if only else ENCODINGS, asks))
        return check

    return add


slow_rule = functools.partial(rule, when=SLOW)
lone_rule = functools.partial(rule, when=ALONE)


def same(what, got, wanted):
    if got != wanted:
        raise Fault(f"{what} is {got!r}, not {wanted!r}")


def ensure(condition, what):
    if not condition:
        raise Fault(what)


def refused(reply, status, what=""):
    """An error's status; it says in words what is wrong."""
    if reply.status != status:
        raise Fault(f"{what or 'the call'} was answered {reply}, not {status}")
    ensure(reply.body, f"{what or 'the call'} was answered {status} without a word")
    return reply


class World:
    """The master that is asked, and what all rules share."""

    def __init__(self, master, host, flags=None):
        self.master = master
        # What it was started with, as far as that was told.
        self.flags = flags or {}
        self.user = getpass.getuser()
        self.puppets = executor.Puppets(host)
        self.numbers = itertools.count(1)
        self.watch = None
        # A trial for each encoding, with an executor and its task.
        self.lasting = {}

    def name(self, what):
        return f"{what}-{next(self.numbers)}"

    def info(self, **changes):
        """A framework of a role of its own."""
        made = {
            "user": self.user,
            "name": "conformance",
            "roles": [self.name("conformance")],
            "capabilities": [{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}],
            "failover_timeout": 60.0,
            **changes,
        }
        return {name: value for name, value in made.items() if value is not None}

    def kept(self, encoding):
        """A subscribed executor and the id of its task, which rules of an encoding share."""
        if encoding not in self.lasting:
            trial = Trial(self, encoding)
            worker, task = trial.subscribed(trial.framework())
            self.lasting[encoding] = trial, worker, task
        return self.lasting[encoding][1:]

    def end(self):
        for trial, *_ in self.lasting.values():
            trial.end()
        if self.watch:
            self.watch.framework.end()

    def rounds(self, count=2):
        """Waits for this many allocations: somebody else is offered something, and gives it back.
        Who is due is served before one that had something already."""
        if self.watch is None:
            self.watch = Watch(self)
        self.watch.rounds(count)


class Watch:
    """A framework that gives back at once whatever it is offered."""

    def __init__(self, world):
        self.framework = Framework(world, Json, world.info(name="watch"))
        self.framework.subscribe()
        self.offered = threading.Semaphore(0)
        threading.Thread(target=self._give_back, daemon=True).start()

    def _give_back(self):
        while (event := self.framework.look(lambda event: True, 3600)) not in (END, None):
            if event["type"] == "OFFERS":
                self.framework.decline(*event["offers"]["offers"], filters=AT_ONCE)
                self.offered.release()

    def rounds(self, count):
        while self.offered.acquire(blocking=False):
            pass
        self.framework.take_in("REVIVE")
        for _ in range(count):
            if not self.offered.acquire(timeout=PATIENCE):
                raise Fault("nothing is offered to anybody")
        self.framework.take_in("SUPPRESS")


class Trial:
    """A check of one rule in one encoding, and all that it leaves behind."""

    def __init__(self, world, encoding):
        self.world = world
        self.encoding = encoding
        self.frameworks = []
        self.executors = []
        self.others = []
        self.agents = []

    def stranger(self, **changes):
        """A framework that has not subscribed."""
        made = Framework(self.world, self.encoding, self.world.info(**changes))
        self.frameworks.append(made)
        return made

    def framework(self, subscribe=None, **changes):
        """A subscribed framework."""
        made = self.stranger(**changes)
        made.subscribe(**(subscribe or {}))
        return made

    def post(self, call, headers=None, method="POST", path=PATH):
        """A request to the scheduler API; bytes go as they are, a call in the trial's encoding."""
        body = call if isinstance(call, bytes) else self.encoding.write("Call", call)
        if headers is None:
            headers = {"Content-Type": self.encoding.media, "Accept": self.encoding.media}
        return request(self.world.master, method, path, body, headers)

    def stream(self, call, headers):
        """A stream on the scheduler API, that goes with the trial."""
        body = call if isinstance(call, bytes) else self.encoding.write("Call", call)
        made = Stream(self.world.master, PATH, body, headers)
        self.others.append(made)
        return made

    def executor_info(self, framework, name=None, **parts):
        return executor.info(self.world, framework, name, **parts)

    def executor(self, name):
        """The executor of this id, once its process runs."""
        told, connection = self.world.puppets.wait(name)
        made = executor.Executor(self.encoding, told, connection)
        self.executors.append(made)
        return made

    def launched(self, framework, **parts):
        """Launches a task with an executor of its own; the executor and the task's id."""
        offer = framework.offer()
        task = framework.task(offer, executor=self.executor_info(framework), **parts)
        framework.accept(offer, {"type": "LAUNCH", "launch": {"task_infos": [task]}})
        return self.executor(task["executor"]["executor_id"]["value"]), task["task_id"]["value"]

    def subscribed(self, framework, **parts):
        """The same, with the executor subscribed, and the task come to it: what it says of one that
        did not come yet would end Mesos' agent."""
        worker, task = self.launched(framework, **parts)
        worker.subscribe()
        worker.wait("LAUNCH")
        return worker, task

    def running(self, framework, **parts):
        """The same, with the task running and acknowledged."""
        worker, task = self.subscribed(framework, **parts)
        worker.update(task, "TASK_RUNNING")
        worker.wait("ACKNOWLEDGED")
        framework.reach(task, "TASK_RUNNING")
        return worker, task

    def agent(self, role, **info):
        """A registered agent of the suite's own, all of which is for this role."""
        made = agent.Agent(self.world, role, **info)
        self.agents.append(made)
        made.register()
        return made

    def end(self):
        for made in self.frameworks:
            made.end()
        for made in self.agents:
            made.end()
        for made in self.executors:
            made.exit()
            made.close()
        for made in self.others:
            made.close()


@dataclass
class Outcome:
    """What came of a rule in an encoding: None is that it holds."""

    rule: Rule
    encoding: str
    fault: str | None
    seconds: float


def broken():
    """What broke a check, and where in the suite."""
    *_, last = traceback.format_exc(limit=-1).strip().splitlines()
    frames = traceback.extract_tb(sys.exc_info()[2])
    places = [frame for frame in frames if "/rules/" in frame.filename]
    where = f" in line {places[-1].lineno} of {places[-1].name}" if places else ""
    return f"{last}{where}"


def attempt(world, tried, encoding):
    trial = Trial(world, encoding)
    start = time.monotonic()
    fault = None
    try:
        tried.check(trial)
    except Fault as known:
        fault = str(known)
    except Exception:
        fault = broken()
    try:
        trial.end()
    except Exception:
        fault = fault or broken()
    return Outcome(tried, encoding.name, fault, time.monotonic() - start)


def run(world, rules, spared, told):
    """All outcomes but of what is spared (rule and encoding); each goes to `told` as it comes.
    Those that mostly wait begin first, and beside them those that share the agents with others, the
    encodings in parallel. When all those are done the others have the cluster for themselves."""
    outcomes = []

    def each(tries):
        for tried, encoding in tries:
            if (tried.id, encoding.name) not in spared:
                outcome = attempt(world, tried, encoding)
                outcomes.append(outcome)
                told(outcome)

    tries = [(tried, encoding) for tried in rules for encoding in tried.encodings]
    lanes = [[(tried, encoding)] for tried, encoding in tries if tried.when is SLOW]
    for lane in ENCODINGS:
        lanes.append([it for it in tries if it[0].when is BESIDE and it[1] is lane])
    threads = [threading.Thread(target=each, args=(lane,)) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    each([it for it in tries if it[0].when is ALONE])
    world.end()
    return outcomes
