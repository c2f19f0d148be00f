"""Shows that checks can fail: each of these rules holds on a master, and does not hold on the same
master behind a proxy that changes what it says, or what it is told, by a few bytes.

    crooked.py MASTER
"""

import os
import socket
import sys
import threading

import conformance
from events import Listener
from suite import RULES, World, attempt
from wire import PATIENCE, Json

# A rule, and what to put in place of what, in as many bytes, on the way back or there.
BACK = (
    ("REQ-1", b"HTTP/1.1 405", b"HTTP/1.1 404"),
    ("REQ-3", b"HTTP/1.1 415", b"HTTP/1.1 400"),
    ("REQ-14", b"HTTP/1.1 406", b"HTTP/1.1 400"),
    ("CALL-REVIVE", b"HTTP/1.1 202", b"HTTP/1.1 200"),
    ("CALL-6", b"HTTP/1.1 403", b"HTTP/1.1 400"),
    ("SUB-3", b'_seconds":15.0', b'_seconds":16.0'),
    ("SUB-5", b'"HEARTBEAT"', b'"HEARTBEET"'),
    ("REF-13", b'"ERROR"', b'"OFFER"'),
    ("FAIL-1", b"Framework failed over", b"Framework failed, too"),
    ("OFFER-1", b'"allocation_info"', b'"allocation_note"'),
    ("ACCEPT-1", b"TASK_DROPPED", b"TASK_RUNNING"),
    ("GROUP-8", b"TASK_KILLED", b"TASK_FAILED"),
    ("REC-2", b"TASK_UNKNOWN", b"TASK_DROPPED"),
    ("REC-9", b"TASK_STAGING", b"TASK_RUNNING"),
)
THERE = (
    ("FILTER-1", b'"refuse_seconds": 1.5', b'"refuse_seconds": 0.1'),
    ("SUPPRESS-1", b'"SUPPRESS"', b'"REVIVE"  '),
    ("UPDATE-2", b'"ACKNOWLEDGE"', b'"SUPPRESS"   '),
    ("KILL-1", b'"nanoseconds": 7', b'"nanoseconds": 8'),
    ("MSG-3", b'"type": "MESSAGE"', b'"type": "REVIVE" '),
    ("END-1", b'"TEARDOWN"', b'"SUPPRESS"'),
    ("CHANGE-6", b'"UPDATE_FRAMEWORK"', b'"SUPPRESS"        '),
)


# How long is waited for what the change keeps from coming.
SHORT = 1.0


class Proxy:
    """Passes everything on, with one change."""

    def __init__(self, master, old, new, back):
        assert len(old) == len(new), (old, new)
        self.master = master
        self.change = old, new
        self.back = back
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            near, _ = self.server.accept()
            host, _, port = self.master.rpartition(":")
            far = socket.create_connection((host, int(port)))
            for one, other, change in ((near, far, not self.back), (far, near, self.back)):
                arguments = (one, other, change)
                threading.Thread(target=self._pass, args=arguments, daemon=True).start()

    def _pass(self, one, other, change):
        try:
            while piece := one.recv(65536):
                other.sendall(piece.replace(*self.change) if change else piece)
        except OSError:
            pass
        try:
            other.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def main(master):
    rules = {tried.id: tried for tried in RULES}
    blind = []
    for back, changes in ((True, BACK), (False, THERE)):
        for rule_id, old, new in changes:
            straight = World(master, "127.0.0.1")
            fault = attempt(straight, rules[rule_id], Json).fault
            straight.end()
            if fault:
                blind.append(f"{rule_id} does not hold: {fault}")
                continue
            proxy = Proxy(master, old, new, back)
            crooked = World(proxy.address, "127.0.0.1")
            Listener.patience = SHORT
            fault = attempt(crooked, rules[rule_id], Json).fault
            Listener.patience = PATIENCE
            if fault is None:
                blind.append(f"{rule_id} holds, though {old} is {new}")
    print("\n".join(blind))
    print(f"{len(BACK) + len(THERE)} changes, {len(blind)} not noticed")
    return 1 if blind else 0


if __name__ == "__main__":
    assert conformance.SUBJECTS
    code = main(*sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)
