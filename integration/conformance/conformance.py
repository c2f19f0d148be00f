"""Checks each rule of Mesos' scheduler and executor API against a running master.

    conformance.py MASTER [--against NAME] [--host HOST] [--rule ID]... [--every]
                   [--offer_timeout SECONDS]
    conformance.py --list

MASTER is `ip:port`, with two agents that have a cpu and half a GB free each, and run what asks for
the user that the suite runs as. NAME is a file in `differences/`: what it says of a rule has to be
so. HOST is where executors find the suite, if not on the same host. --rule checks a rule alone,
--every says what came of each, --list says which rules there are, and where. --offer_timeout is what
the master was started with: only then there is something to be seen of it.
Every rule is checked in JSON and in protobuf. Exits with 1 if one does not hold.
"""

import argparse
import importlib
import os
import sys
import time

import differences
from suite import RULES, World, run
import wire
from streams import request

SUBJECTS = (
    "scheduler_requests",
    "subscribe",
    "subscribe_refused",
    "calls",
    "failover",
    "teardown",
    "offers",
    "filters",
    "accept",
    "tasks",
    "groups",
    "operations",
    "updates",
    "reconcile",
    "kill",
    "messages",
    "update_framework",
    "constraints",
    "agents",
    "inverse_offers",
    "executor_requests",
    "executor_stream",
    "nested",
)
for subject in SUBJECTS:
    importlib.import_module(f"rules.{subject}")


def listing():
    """The rules as rows of a table."""
    yield "| rule | what it says | check |"
    yield "|---|---|---|"
    for known in RULES:
        yield f"| {known.id} | {known.words} | `{known.place()}` |"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("master", nargs="?")
    parser.add_argument("--against")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--rule", action="append", default=[])
    parser.add_argument("--every", action="store_true")
    parser.add_argument("--offer_timeout", type=float)
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        print("\n".join(listing()))
        return 0
    if options.master is None:
        parser.error("the master's address is missing")
    known = differences.read(options.against, RULES)
    flags = {"offer_timeout": options.offer_timeout}
    rules = [tried for tried in RULES if not options.rule or tried.id in options.rule]
    rules = [tried for tried in rules if not tried.asks or flags[tried.asks] is not None]
    try:
        request(options.master, "GET", "/master/health")
    except OSError as error:
        raise SystemExit(f"no master is at {options.master}: {error}") from None
    start = time.monotonic()

    def told(outcome):
        if options.every:
            words = outcome.fault or "holds"
            print(f"{outcome.rule.id} {outcome.encoding} {outcome.seconds:.2f} s: {words}")
            sys.stdout.flush()

    outcomes = run(World(options.master, options.host, flags), rules, differences.spared(known), told)
    wrong = differences.compare(known, outcomes)
    print("\n".join(wrong))
    expected = sum(1 for outcome in outcomes if outcome.fault) - len(wrong)
    print(
        f"{len(rules)} rules, {len(outcomes)} checks, {max(expected, 0)} differ as listed, "
        f"{len(wrong)} faults, {time.monotonic() - start:.1f} s"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.stdout.flush()
    code = main()
    sys.stdout.flush()
    # Threads that read streams are not waited for.
    os._exit(code)
