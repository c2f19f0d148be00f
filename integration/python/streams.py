"""Requests over HTTP, and answers that are streams of records, with Python's standard library only.

What is in a record is for who reads it. Used by `conformance/` and `mesos-1.11/`.
"""

import http.client
import json
import queue
import threading
import time

# How long an answer may take, in seconds.
PATIENCE = 30.0


class Reply:
    """Status, headers by lower-case name, and body of an answer."""

    def __init__(self, response, body):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = body

    def json(self):
        return json.loads(self.body)

    def __str__(self):
        return f"{self.status} {self.headers} {self.body!r}"


class Record(bytes):
    """A record, and the moment in which it came."""

    at = 0.0


def request(address, method, path, body=None, headers=None, patience=PATIENCE):
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(address, timeout=patience)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        return Reply(response, response.read())
    finally:
        connection.close()


class Stream:
    """The answer to a subscription: its records are read by a thread and wait in a queue; None is
    its end. A record that has no length is told as an empty one, and nothing after it."""

    def __init__(self, address, path, body, headers):
        self.connection = http.client.HTTPConnection(address, timeout=None)
        self.connection.request("POST", path, body=body, headers=headers)
        # Kept: http.client forgets it once an answer says that it will close.
        self.socket = self.connection.sock
        response = self.connection.getresponse()
        self.reply = Reply(response, b"")
        self.records = queue.Queue()
        # What came, byte for byte, as long as it is short.
        self.raw = b""
        if response.status == 200:
            threading.Thread(target=self._read, args=(response,), daemon=True).start()
        else:
            self.reply.body = response.read()
            self.records.put(None)

    def _read(self, response):
        held = b""
        try:
            while piece := response.read1(65536):
                self.raw = (self.raw + piece)[:4096]
                held += piece
                while b"\n" in held:
                    length, rest = held.split(b"\n", 1)
                    if not length.isdigit():
                        self._put(b"")
                        return
                    if len(rest) < int(length):
                        break
                    self._put(rest[: int(length)])
                    held = rest[int(length) :]
        except (OSError, http.client.HTTPException):
            pass
        self.records.put(None)

    def _put(self, text):
        record = Record(text)
        record.at = time.monotonic()
        self.records.put(record)

    def close(self):
        """Hangs up, as a client does that dies."""
        try:
            self.socket.shutdown(2)
        except OSError:
            pass
