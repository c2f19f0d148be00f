"""The process that an agent launches as a custom executor: it tells the suite its environment, and
ends as the suite says or when the suite goes. The executor's calls are made by the suite itself.

    puppet.py HOST PORT TOKEN
"""

import json
import os
import socket
import sys

host, port, token = sys.argv[1:]
suite = socket.create_connection((host, int(port)))
told = {"token": token, "environment": dict(os.environ), "folder": os.getcwd()}
suite.sendall(json.dumps(told).encode() + b"\n")
answer = suite.makefile().readline()
sys.exit(int(answer or "0"))
