"""Containers within an executor's, by an agent's operator API: their processes are puppets, which
tell when they run and end as the suite says.

Not here: what has to come of it (`rules/`).
"""

import threading

from wire import PATIENCE, Fault
from streams import request


class Puppet:
    """A process that told that it runs; see `executor.Puppets`."""

    def __init__(self, told, connection):
        self.environment = told["environment"]
        self.folder = told["folder"]
        self.connection = connection

    def exit(self, status=0):
        """Has it end."""
        try:
            self.connection.sendall(f"{status}\n".encode())
            self.connection.close()
        except OSError:
            pass


class Containers:
    """Calls about containers within that of an executor, whose agent this asks."""

    def __init__(self, world, encoding, worker):
        self.world = world
        self.encoding = encoding
        self.address = worker.agent
        self.path = worker.path.removesuffix("/executor")
        self.root = worker.events[0]["subscribed"]["container_id"]
        # Kept: a puppet whose connection goes ends.
        self.puppets = []

    def id(self, value=None, parent=None):
        return {"value": value or self.world.name("nested"), "parent": parent or self.root}

    def headers(self):
        return {"Content-Type": self.encoding.media, "Accept": self.encoding.media}

    def post(self, body, headers=None, method="POST"):
        """A request as it is told."""
        headers = self.headers() if headers is None else headers
        return request(self.address, method, self.path, body, headers)

    def call(self, kind, **parts):
        """A call; its part is named after its type, unless there is none."""
        call = {"type": kind, kind.lower(): parts} if parts else {"type": kind}
        return self.post(self.encoding.write("AgentCall", call))

    def done(self, kind, **parts):
        """A call that has to be taken, and is answered without a body."""
        reply = self.call(kind, **parts)
        if reply.status != 200 or reply.body:
            raise Fault(f"{kind} was answered {reply}")

    def launch(self, made, kind="LAUNCH_CONTAINER", **parts):
        """Launches a puppet; gives it once it runs. Its name is that of the container."""
        command = self.world.puppets.command(made["value"])
        self.done(kind, container_id=made, command=command, **parts)
        self.puppets.append(Puppet(*self.world.puppets.wait(made["value"])))
        return self.puppets[-1]

    def ended(self, made, kind="WAIT_CONTAINER"):
        """How a container ended; waits until it has."""
        reply = self.call(kind, container_id=made)
        if reply.status != 200:
            raise Fault(f"{kind} was answered {reply}")
        media = reply.headers.get("content-type")
        if media != self.encoding.media:
            raise Fault(f"{kind} was answered in {media}")
        answer = self.encoding.read("AgentResponse", reply.body)
        if answer["type"] != kind:
            raise Fault(f"{kind} was answered {answer}")
        return answer[kind.lower()]

    def waiting(self, made):
        """The same, while other things are done; gives what gives it."""
        answers = []

        def wait():
            try:
                answers.append(self.ended(made))
            except Fault as fault:
                answers.append(fault)

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()

        def answer():
            thread.join(PATIENCE)
            if not answers:
                raise Fault("WAIT_CONTAINER was not answered")
            if isinstance(answers[0], Fault):
                raise answers[0]
            return answers[0]

        answer.came = lambda: bool(answers)
        return answer
