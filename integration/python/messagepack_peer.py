"""A libprocess peer that speaks MessagePack: a framework with an address and a server of its own.

    messagepack_peer.py MASTER

MASTER is the master's host:port. What it sends are POST requests with `Libprocess-From`; what the
master sends to it arrives as such requests at its own address. Subscribes, launches a task on the
first offer, sees it to its end, and leaves. Exits with an exception where that goes otherwise.
"""

import http.client
import http.server
import queue
import sys
import threading

import msgpack

# Numbers of mesos.v1.scheduler's enums, which MessagePack carries instead of their names.
SUBSCRIBE, TEARDOWN, ACCEPT, ACKNOWLEDGE = 1, 2, 3, 8
SUBSCRIBED, OFFERS, UPDATE, ERROR = 1, 2, 4, 7
LAUNCH, SCALAR = 1, 0
STARTING, RUNNING, FINISHED = 0, 1, 2
PATIENCE = 60


class Peer(http.server.ThreadingHTTPServer):
    """What listens at the address of the process `peer`."""

    daemon_threads = True

    def __init__(self, master):
        super().__init__(("127.0.0.1", 0), Handler)
        self.master = master
        self.pid = f"peer@127.0.0.1:{self.server_address[1]}"
        self.messages = queue.Queue()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def send(self, body, expected=202, name="mesos.v1.scheduler.Call", to="master"):
        """Sends a message over a connection of its own."""
        connection = http.client.HTTPConnection(self.master, timeout=PATIENCE)
        headers = {
            "User-Agent": f"libprocess/{self.pid}",
            "Libprocess-From": self.pid,
            "Content-Type": "application/msgpack",
        }
        connection.request("POST", f"/{to}/{name}", msgpack.packb(body), headers)
        response = connection.getresponse()
        said = response.read()
        connection.close()
        assert response.status == expected, (response.status, response.reason, said, body)

    def event(self, kind):
        """The next event, which has to be of this type."""
        while True:
            event = self.messages.get(timeout=PATIENCE)
            # What concerns only the connection may come at any time.
            if event["type"] == kind:
                return event
            assert event["type"] not in (ERROR, UPDATE), event


class Handler(http.server.BaseHTTPRequestHandler):
    """Takes one message after the other from a connection of the master's."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        """Checks that it is a message in the sender's own encoding, and keeps it."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            assert self.path == "/peer/mesos.v1.scheduler.Event", self.path
            sender = self.headers["Libprocess-From"]
            assert sender == f"master@{self.server.master}", sender
            assert self.headers["Content-Type"] == "application/msgpack", self.headers
            self.server.messages.put(msgpack.unpackb(body))
        except AssertionError as error:
            self.server.messages.put({"type": ERROR, "error": str(error)})
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Says nothing of each request."""


def scalar(name, value):
    """A resource."""
    return {"name": name, "type": SCALAR, "scalar": {"value": value}}


def main(master):
    """The session."""
    peer = Peer(master)
    info = {
        "user": "root",
        "name": "in MessagePack",
        "roles": ["*"],
        "capabilities": [{"type": 6}],
    }
    peer.send({"type": SUBSCRIBE, "subscribe": {"framework_info": info}})
    framework_id = peer.event(SUBSCRIBED)["subscribed"]["framework_id"]
    print("subscribed", framework_id["value"], "as", peer.pid)

    offer = peer.event(OFFERS)["offers"]["offers"][0]
    assert offer["framework_id"] == framework_id, offer
    amounts = {it["name"]: it["scalar"]["value"] for it in offer["resources"] if "scalar" in it}
    assert amounts["cpus"] == 2.0, offer
    task = {
        "name": "task",
        "task_id": {"value": "task"},
        "agent_id": offer["agent_id"],
        "resources": [scalar("cpus", 0.5), scalar("mem", 32)],
        "command": {"value": "exit 0"},
    }
    operation = {"type": LAUNCH, "launch": {"task_infos": [task]}}
    accept = {"offer_ids": [offer["id"]], "operations": [operation]}
    peer.send({"type": ACCEPT, "framework_id": framework_id, "accept": accept})
    for state in (STARTING, RUNNING, FINISHED):
        status = peer.event(UPDATE)["update"]["status"]
        assert status["state"] == state, status
        assert isinstance(status["uuid"], bytes) and len(status["uuid"]) == 16, status
        names = ("agent_id", "task_id", "uuid")
        acknowledge = {name: status[name] for name in names}
        call = {"type": ACKNOWLEDGE, "framework_id": framework_id, "acknowledge": acknowledge}
        peer.send(call)
    print("finished")

    peer.send({"type": TEARDOWN, "framework_id": framework_id}, expected=404, to="nobody")
    peer.send({"type": TEARDOWN, "framework_id": framework_id}, expected=400, name="no.such.Name")
    peer.send({"type": "a text that is no type", "subscribe": 3}, expected=400)
    peer.send({"type": TEARDOWN, "framework_id": framework_id})
    print("torn down")


if __name__ == "__main__":
    main(sys.argv[1])
