"""Runs the sample that comes with avmesos, unchanged: it subscribes, accepts the first of the
offers with a task that is given both names of the agent, and declines the others.

    avmesos_sample.py MASTER

Ends by SIGINT, as the sample does: it then tears its framework down.
"""

import os
import runpy
import signal
import sys
import threading

# The sample was written when Python had it; it was called so until 3.8.
threading.Thread.isAlive = threading.Thread.is_alive

# Who runs the tests in the background of a shell hands them an ignored SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ["MESOS_URLS"] = "http://" + sys.argv[1]
sources = os.path.join(sys.prefix, "sources", "avmesos-0.4.2")
runpy.run_path(os.path.join(sources, "sample", "test.py"), run_name="__main__")
