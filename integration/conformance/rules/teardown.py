"""TEARDOWN: the end of a framework."""

from suite import refused, rule, same


@rule("END-1", "TEARDOWN is answered 202 and closes the stream without another event.")
def closes(trial):
    one = trial.framework()
    one.settled()
    reply = one.call("TEARDOWN")
    same("the status", reply.status, 202)
    same("the body", reply.body, b"")
    kinds = [event["type"] for event in one.wait_end()]
    same("what came", [kind for kind in kinds if kind != "HEARTBEAT"], [])


@rule("END-2", "Calls after TEARDOWN are refused with 400: the framework is not known any more.")
def calls_after(trial):
    one = trial.framework()
    one.take_in("TEARDOWN")
    for kind in ("REVIVE", "TEARDOWN"):
        refused(one.call(kind), 400, kind)


@rule("END-3", "TEARDOWN shuts the framework's executors down.")
def shuts_executors_down(trial):
    one = trial.framework()
    worker, _ = trial.running(one)
    one.take_in("TEARDOWN")
    worker.wait("SHUTDOWN")


@rule("END-4", "Of the tasks that end with their framework it is told nothing.")
def tells_nothing(trial):
    one = trial.framework()
    worker, _ = trial.running(one)
    one.settled()
    one.take_in("TEARDOWN")
    kinds = [event["type"] for event in one.wait_end()]
    same("what came", [kind for kind in kinds if kind != "HEARTBEAT"], [])
    worker.wait("SHUTDOWN")


@rule("END-5", "What a framework had is offered to others when it is torn down.")
def frees(trial):
    one, other = trial.framework(), trial.framework()
    offers = one.offers()
    agents = {offer["agent_id"]["value"] for offer in offers}
    one.take_in("TEARDOWN")
    one.wait_end()
    other.take_in("REVIVE")
    found = set()
    while not agents <= found:
        event = other.wait("OFFERS")
        found |= {offer["agent_id"]["value"] for offer in event["offers"]["offers"]}
