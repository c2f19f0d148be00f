"""Compares recordings of two clusters, and what differs with the table of differences.

    compare.py TABLE views|calls RECORDED NEW

TABLE is DIFFERENCES.md; RECORDED and NEW are what `views.py` or `calls.py` wrote. Exits with 1, and
names each, when a difference is in no row of the table, or a row is no difference any more.
In views every key path of RECORDED has to be in NEW with its JSON type (NEW may have more); in
calls everything has to be equal.
"""

import fnmatch
import json
import os
import sys


# Who builds from a repository has these, with a tag or without.
OF_THE_BUILD = ("/git_sha", "/git_branch", "/git_tag")


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def kind(value):
    kinds = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return kinds.get(type(value), "number")


def key_paths(value, path=""):
    """Each key path below a value, with its JSON type; all elements of a list are one."""
    found = {(path or "/", kind(value))}
    if isinstance(value, dict):
        for key, part in value.items():
            found |= key_paths(part, f"{path}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        for part in value:
            found |= key_paths(part, f"{path}[]")
    return found


def view_differences(old, new):
    """Where the answer of a view lacks something, and what."""
    if old["status"] != new["status"]:
        yield "status", old["status"], new["status"]
        return
    types = [view["headers"].get("content-type") for view in (old, new)]
    if types[0] != types[1]:
        yield "content-type", *types
    had, has = key_paths(old["body"]), key_paths(new["body"])
    kinds = dict(sorted(has))
    missing = []
    for path, what in sorted(had - has):
        # Below what is missing, all is.
        if path in OF_THE_BUILD:
            continue
        if not any(path.startswith((f"{above}/", f"{above}[")) for above in missing):
            missing.append(path)
            yield path, what, kinds.get(path, "absent")


def views(old, new):
    for name in sorted(os.listdir(old)):
        if "metrics-snapshot" in name:
            # Its keys have a table of their own.
            continue
        differences = view_differences(
            load(os.path.join(old, name)), load(os.path.join(new, name))
        )
        for path, was, is_now in differences:
            yield f"{name.removesuffix('.json')} {path}", was, is_now


def value_differences(old, new, path):
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from value_differences(
                old.get(key, "(absent)"), new.get(key, "(absent)"), f"{path}/{key}"
            )
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            parts = [
                each[index] if index < len(each) else "(absent)" for each in (old, new)
            ]
            yield from value_differences(*parts, f"{path}/{index}")
    elif old != new or isinstance(old, bool) != isinstance(new, bool):
        yield path, old, new


def calls(old, new):
    old, new = load(old), load(new)
    names = [step["step"] for step in old], [step["step"] for step in new]
    if names[0] != names[1]:
        yield "steps", *names
        return
    for was, is_now in zip(old, new):
        for part in ("replies", "events"):
            found = value_differences(was[part], is_now[part], part)
            yield from ((f"{was['step']}: {path}", *values) for path, *values in found)


def rows(table, what):
    """The patterns of the table under the heading of that name."""
    with open(table, encoding="utf-8") as file:
        here = False
        for line in file:
            if line.startswith("#"):
                here = line.strip("# \n").lower() == what
            elif here and line.startswith("| `"):
                cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
                if len(cells) != 4 or not all(cells):
                    sys.exit(f"{table}: a row needs four cells: {line}")
                yield cells[0].strip("`")


def listed(pattern, where):
    # Brackets are part of key paths.
    return fnmatch.fnmatchcase(where, pattern.replace("[", "[[]"))


def main(table, what, old, new):
    patterns = list(rows(table, what))
    used = set()
    faults = 0
    for where, was, is_now in {"views": views, "calls": calls}[what](old, new):
        matching = [pattern for pattern in patterns if listed(pattern, where)]
        used.update(matching)
        if not matching:
            faults += 1
            print(f"not listed: {where}")
            print(f"     Mesos: {json.dumps(was)[:2000]}")
            print(f"     Tepui: {json.dumps(is_now)[:2000]}")
    for pattern in patterns:
        if pattern not in used:
            faults += 1
            print(f"no difference any more: {pattern}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
