"""What goes over the wire: the two encodings, requests, and streams of records.

Everything is a JSON value on this side. A record that comes in is held against the schema, in both
encodings: what has no place in it, or is not written as Mesos writes it, is a fault. Not here: what
a framework or an executor does with it.
"""

import base64
import http.client
import json
import os
import queue
import tempfile
import threading
import time

import grpc_tools.protoc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

SCHEMA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../actors/protocol/proto")
FILES = (
    "mesos/v1/scheduler/scheduler.proto",
    "mesos/v1/executor/executor.proto",
    "mesos/internal/messages.proto",
)
# How long an event may take that is due at once.
PATIENCE = 20.0


class Fault(Exception):
    """Something is not as a rule says."""


def load():
    """The schema's message types, found by full name."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "descriptors")
        arguments = ["protoc", f"-I{SCHEMA}", "--include_imports", f"--descriptor_set_out={out}"]
        if grpc_tools.protoc.main([*arguments, *FILES]) != 0:
            raise SystemExit("the schema does not compile")
        with open(out, "rb") as file:
            files = descriptor_pb2.FileDescriptorSet.FromString(file.read())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)

    def find(name):
        return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))

    return find


find = load()
TYPES = {
    "Call": find("mesos.v1.scheduler.Call"),
    "Event": find("mesos.v1.scheduler.Event"),
    "ExecutorCall": find("mesos.v1.executor.Call"),
    "ExecutorEvent": find("mesos.v1.executor.Event"),
}


def plain(message):
    """A message as the JSON value that Mesos makes of it."""

    def one(field, value):
        if field.type == FieldDescriptor.TYPE_ENUM:
            known = field.enum_type.values_by_number.get(value)
            return known.name if known else value
        if field.type == FieldDescriptor.TYPE_BYTES:
            return base64.b64encode(value).decode()
        return plain(value) if field.message_type else value

    made = {}
    for field, value in message.ListFields():
        if field.message_type and field.message_type.GetOptions().map_entry:
            inner = field.message_type.fields_by_name["value"]
            made[field.name] = {key: one(inner, value[key]) for key in value}
        elif field.is_repeated:
            made[field.name] = [one(field, part) for part in value]
        else:
            made[field.name] = one(field, value)
    return made


def strangers(message):
    """Whether there are fields in it that the schema does not have."""
    if len(UnknownFieldSet(message)):
        return True
    for field, value in message.ListFields():
        if not field.message_type or field.message_type.GetOptions().map_entry:
            continue
        if any(strangers(part) for part in (value if field.is_repeated else [value])):
            return True
    return False


class Json:
    name = "json"
    media = "application/json"

    @staticmethod
    def write(_kind, value):
        return json.dumps(value).encode()

    @staticmethod
    def read(kind, record):
        value = json.loads(record)
        try:
            message = json_format.ParseDict(value, TYPES[kind]())
        except json_format.ParseError as error:
            raise Fault(f"a record that does not fit the schema: {error}: {record!r}") from error
        if plain(message) != value:
            raise Fault(f"a record in JSON of another kind than Mesos': {record!r}")
        return value


class Protobuf:
    name = "protobuf"
    media = "application/x-protobuf"

    @staticmethod
    def write(kind, value):
        message = json_format.ParseDict(value, TYPES[kind]())
        # A call that lacks something is to be refused by the other side.
        return message.SerializePartialToString()

    @staticmethod
    def read(kind, record):
        try:
            message = TYPES[kind].FromString(record)
        except DecodeError as error:
            raise Fault(f"a record that does not fit the schema: {error}: {record!r}") from error
        if strangers(message):
            raise Fault(f"a record with fields that the schema does not have: {record!r}")
        return plain(message)


ENCODINGS = (Json, Protobuf)


class Reply:
    """Status, headers by lower-case name, and body of an answer."""

    def __init__(self, response, body):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = body

    def __str__(self):
        return f"{self.status} {self.headers} {self.body!r}"


def request(address, method, path, body=None, headers=None):
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(address, timeout=PATIENCE)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        return Reply(response, response.read())
    finally:
        connection.close()


class Stream:
    """The answer to a subscription: its records are read by a thread and wait in a queue, each with
    the moment in which it came; None is the end."""

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
                        self.records.put((b"", time.monotonic()))
                        return
                    if len(rest) < int(length):
                        break
                    self.records.put((rest[: int(length)], time.monotonic()))
                    held = rest[int(length) :]
        except (OSError, http.client.HTTPException):
            pass
        self.records.put(None)

    def close(self):
        """Hangs up, as a client does that dies."""
        try:
            self.socket.shutdown(2)
        except OSError:
            pass
