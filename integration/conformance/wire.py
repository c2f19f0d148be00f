"""What goes over the wire: the two encodings of calls and events.

Everything is a JSON value on this side. A record that comes in is held against the schema, in both
encodings: what has no place in it, or is not written as Mesos writes it, is a fault. Not here: what
a framework or an executor does with it.
"""

import base64
import json
import os
import sys
import tempfile

import grpc_tools.protoc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

HERE = os.path.dirname(os.path.abspath(__file__))
SCHEMA = os.path.join(HERE, "../../actors/protocol/proto")
# Where what is shared with other scripts is (`streams`).
sys.path.append(os.path.join(HERE, "../python"))
FILES = (
    "mesos/v1/scheduler/scheduler.proto",
    "mesos/v1/executor/executor.proto",
    "mesos/v1/agent/agent.proto",
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
    "AgentCall": find("mesos.v1.agent.Call"),
    "AgentResponse": find("mesos.v1.agent.Response"),
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
