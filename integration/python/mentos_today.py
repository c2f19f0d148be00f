"""mentos as it is, with what the Python and the tornado of its time had and this Python has not.
Import this first. What mentos sends and reads is its own.
"""

import collections
import collections.abc

# tornado 4.5, which mentos needs, looks for it here, where it was until Python 3.9.
collections.MutableMapping = collections.abc.MutableMapping

import mentos.states  # noqa: E402


def drain(futures):
    """Empties a set while it is walked. mentos ends its own by a StopIteration, as one could until
    Python 3.6."""
    while futures:
        yield futures.pop()


mentos.states.drain = drain
