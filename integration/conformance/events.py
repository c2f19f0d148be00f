"""Waiting for events: what framework and executor have in common.

Not here: calls.
"""

import queue
import time

from wire import PATIENCE, Fault

END = {"type": "(end of stream)"}


class Listener:
    """Events of one subscription after another, in order, and how many were waited past."""

    kind = None
    # How long an event may take that is due.
    patience = PATIENCE

    def __init__(self, encoding):
        self.encoding = encoding
        self.stream = None
        self.events = []
        self.seen = 0

    def listen(self, stream):
        """Takes the events of this stream from now on; what came before is forgotten."""
        self.stream = stream
        self.events = []
        self.seen = 0

    def take(self, patience):
        """The next event of the stream with its moment; None if none comes in time."""
        if self.events and self.events[-1] is END:
            return None
        try:
            record = self.stream.records.get(timeout=max(patience, 0))
        except queue.Empty:
            return None
        if record is None:
            self.events.append(END)
            return END
        event = self.encoding.read(self.kind, record)
        event["(at)"] = record.at
        self.events.append(event)
        return event

    def look(self, wanted, patience):
        """The next event, not waited past before, for which `wanted` is true, or None."""
        deadline = time.monotonic() + patience
        while True:
            while self.seen < len(self.events):
                event = self.events[self.seen]
                self.seen += 1
                if wanted(event):
                    return event
            if self.take(deadline - time.monotonic()) is None:
                return None

    def wait(self, what, wanted=lambda event: True, patience=None):
        """The next event of a type for which `wanted` is true, which has to come."""
        first = self.seen
        patience = patience or self.patience
        event = self.look(lambda event: event["type"] == what and wanted(event), patience)
        if event is None:
            came = [event["type"] for event in self.events[first:]]
            raise Fault(f"no {what} came, but {came}")
        return event

    def wait_end(self):
        """The events until the end of the stream, which has to come."""
        first = self.seen
        if self.look(lambda event: event is END, self.patience) is None:
            came = [event["type"] for event in self.events[first:]]
            raise Fault(f"the stream was not closed, and {came} came")
        return self.events[first:-1]

    def close(self):
        """Hangs up."""
        if self.stream:
            self.stream.close()
