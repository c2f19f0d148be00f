"""Reads and writes the schema's messages with Python's own protobuf library.

    protobuf_agrees.py DESCRIPTORS RECEIVED DRAWN

DESCRIPTORS is a serialized FileDescriptorSet. RECEIVED holds messages, each as its type's full
name, a space, the bytes in hex, and a newline: each is parsed and written again, and has to come
out as the same bytes. DRAWN gets random messages of every type in the same form.
Exits with 1 at the first disagreement, naming it. Not here: what the other side makes of DRAWN.
"""

import os
import random
import struct
import sys

# The library's C half does not order the empty key of a map before the others.
os.environ["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = "python"

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor

MESSAGES_EACH = 30
# Without -0: as a map's value the other side takes it for 0.
DOUBLES = [0.0, 1.0, 0.1, -2.5, 1e300, 5e-324, float("inf"), float("-inf"), float("nan")]
TEXTS = ["", "a", 'Tepui \u26f0 "quoted" \\ \n \u0001 \u00e9']


def load(path):
    """All message types of a descriptor set, by full name; without entries of maps."""
    files = descriptor_pb2.FileDescriptorSet()
    with open(path, "rb") as file:
        files.ParseFromString(file.read())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    types = {}

    def add(descriptor):
        if descriptor.GetOptions().map_entry:
            return
        types[descriptor.full_name] = message_factory.GetMessageClass(descriptor)
        for inner in descriptor.nested_types:
            add(inner)

    for file in files.file:
        for descriptor in pool.FindFileByName(file.name).message_types_by_name.values():
            add(descriptor)
    return types


def written(message):
    """The bytes, with the entries of maps in the order of their keys."""
    return message.SerializeToString(deterministic=True)


def scalar(field, dice):
    """A value of a field that is no message."""
    kind = field.cpp_type
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return dice.random() < 0.5
    if kind == FieldDescriptor.CPPTYPE_INT32:
        return dice.choice([0, 1, -1, -(2**31), 2**31 - 1])
    if kind == FieldDescriptor.CPPTYPE_INT64:
        return dice.choice([0, 1, -1, -(2**63), 2**63 - 1])
    if kind == FieldDescriptor.CPPTYPE_UINT32:
        return dice.choice([0, 1, 127, 128, 2**32 - 1])
    if kind == FieldDescriptor.CPPTYPE_UINT64:
        return dice.choice([0, 1, 2**53 + 1, 2**64 - 1])
    if kind == FieldDescriptor.CPPTYPE_DOUBLE:
        return dice.choice(DOUBLES + [struct.unpack("<d", dice.randbytes(8))[0]])
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        return dice.choice(field.enum_type.values).number
    if field.type == FieldDescriptor.TYPE_BYTES:
        return dice.randbytes(dice.choice([0, 1, 16]))
    return dice.choice(TEXTS)


def fill(message, dice, level):
    """Sets what is required, and of the rest less and less with each level."""
    for field in message.DESCRIPTOR.fields:
        if not field.is_required and (level > 5 or dice.random() > 0.8 / (1 + level)):
            continue
        target = getattr(message, field.name)
        if not field.is_repeated:
            if field.message_type:
                target.SetInParent()
                fill(target, dice, level + 1)
            else:
                setattr(message, field.name, scalar(field, dice))
            continue
        for index in range(dice.choice([0, 1, 3])):
            if field.message_type and field.message_type.GetOptions().map_entry:
                value = field.message_type.fields_by_name["value"]
                key = dice.choice(TEXTS) + str(index) * dice.randrange(2)
                if value.message_type:
                    fill(target[key], dice, level + 1)
                else:
                    target[key] = scalar(value, dice)
            elif field.message_type:
                fill(target.add(), dice, level + 1)
            else:
                target.append(scalar(field, dice))


def main(descriptors, received, drawn):
    """Answers for the whole run: None, or what does not agree."""
    types = load(descriptors)
    seen = set()
    with open(received, encoding="ascii") as file:
        for line in file:
            name, _, digits = line.rstrip("\n").partition(" ")
            body = bytes.fromhex(digits)
            message = types[name]()
            message.ParseFromString(body)
            if not message.IsInitialized():
                return f"{name}: lacks {message.FindInitializationErrors()}: {digits}"
            if written(message) != body:
                return f"{name}: {digits} became {written(message).hex()}"
            seen.add(name)
    if seen != set(types):
        return f"types that were not sent: {sorted(set(types) - seen)}"
    dice = random.Random(7)
    with open(drawn, "w", encoding="ascii") as file:
        for name in sorted(types):
            for _ in range(MESSAGES_EACH):
                message = types[name]()
                fill(message, dice, 0)
                file.write(f"{name} {written(message).hex()}\n")
    print(f"{len(types)} types agree")
    return None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
