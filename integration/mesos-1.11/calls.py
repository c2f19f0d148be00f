"""Makes the same calls of any master and records what is answered and told.

    calls.py MASTER FILE

MASTER is the `ip:port` of a master with one agent (README.md says with which flags). The steps are
in the modules named here; each step has a name of its own, by which DIFFERENCES.md speaks of it.
"""

import json
import sys

import calls_agent
import calls_groups
import calls_http
import calls_lost
import calls_session
import calls_tasks
from script import Script


def main(master, file):
    script = Script(master)
    for part in (calls_http, calls_session, calls_tasks, calls_groups, calls_agent, calls_lost):
        part.play(script)
    recorded = script.record()
    with open(file, "w", encoding="utf-8") as output:
        # A line for each step.
        output.write("[\n")
        output.write(",\n".join(json.dumps(step, sort_keys=True) for step in recorded))
        output.write("\n]\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
