"""A framework that comes back: on a second stream, or after its stream broke."""

from rules.calls import hang_up
from rules.subscribe_refused import told
from suite import ensure, refused, rule, same


@rule("FAIL-1", "A second SUBSCRIBE takes over: the first stream gets ERROR and is closed.")
def takes_over(trial):
    one = trial.framework()
    one.settled()
    old = one.stream
    given = one.id
    same("the id", one.subscribe()["subscribed"]["framework_id"], given)
    events = []
    while (record := old.records.get(timeout=20)) is not None:
        events.append(trial.encoding.read("Event", record))
    said = [event for event in events if event["type"] != "HEARTBEAT"]
    same("what came", [event["type"] for event in said], ["ERROR"])
    same("the words", said[0]["error"]["message"], "Framework failed over")


@rule("FAIL-2", "A framework comes back with its id after its stream broke, and on another stream.")
def comes_back(trial):
    one = trial.framework()
    given, old = one.id, one.stream_id
    hang_up(one)
    one.subscribe()
    same("the id", one.id, given)
    ensure(one.stream_id != old, "the stream's id is the old one")
    same("the status of a call", one.call("SUPPRESS").status, 202)


@rule("FAIL-3", "One that left no time to come back is removed when its stream breaks.")
def no_time(trial):
    one = trial.framework(failover_timeout=0.0)
    hang_up(one)
    refused(one.call("SUPPRESS"), 400)
    ensure("removed" in told(trial, one), "the ERROR does not say that it was removed")
    one.id = None


@rule("FAIL-4", "Tasks go on while their framework is away, and it is told of what it missed.")
def missed(trial):
    one = trial.framework()
    worker, task = trial.running(one)
    hang_up(one)
    worker.update(task, "TASK_FINISHED")
    worker.wait("ACKNOWLEDGED")
    one.subscribe()
    status = one.status(task, "TASK_FINISHED", patience=45)
    ensure("uuid" in status, f"it needs no acknowledgement: {status}")


@rule("FAIL-5", "Offers in hand are void after failover, without a word, and are offered anew.")
def offers_are_void(trial):
    one = trial.framework()
    offers = one.offers()
    one.subscribe(suppressed_roles=[])
    event = one.wait("OFFERS")
    new = {offer["id"]["value"] for offer in event["offers"]["offers"]}
    ensure(new.isdisjoint(offer["id"]["value"] for offer in offers), "an old offer came again")
    one.take_in("SUPPRESS")
    ensure(not any(it["type"] == "RESCIND" for it in one.settled()), "an old offer was rescinded")
    task = one.task(offers[0], command={"value": "true"})
    one.accept(offers[0], {"type": "LAUNCH", "launch": {"task_infos": [task]}})
    same("the reason", one.status(task["task_id"]["value"])["reason"], "REASON_INVALID_OFFERS")


@rule("FAIL-6", "Filters are forgotten when a framework comes back.")
def filters_are_forgotten(trial):
    one = trial.framework()
    offers = one.offers()
    one.decline(*offers, filters={"refuse_seconds": 1000.0})
    one.subscribe(suppressed_roles=[])
    again = one.wait("OFFERS")["offers"]["offers"]
    one.take_in("SUPPRESS")
    one.decline(*again)


@rule("FAIL-7", "Whose user is another when it comes back keeps the user that it had.")
def user_is_kept(trial):
    one = trial.framework()
    user = one.info["user"]
    one.info["user"] = "somebody"
    one.subscribe()
    info = {**one.info, "id": one.id}
    for name, wanted in (("somebody", 400), (user, 200)):
        update = {"framework_info": {**info, "user": name}, "suppressed_roles": one.roles}
        reply = one.call("UPDATE_FRAMEWORK", update_framework=update)
        same(f"the status for {name}", reply.status, wanted)


@rule("FAIL-8", "Who comes back with another principal is refused by ERROR.")
def principal_changed(trial):
    one = trial.framework(principal="one")
    hang_up(one)
    one.info["principal"] = "two"
    told(trial, one)
    one.info["principal"] = "one"


@rule("FAIL-9", "Roles that come with another SUBSCRIBE take the place of those before.")
def other_roles(trial):
    one = trial.framework()
    one.info["roles"] = [trial.world.name("conformance")]
    one.subscribe()
    offer = one.offer()
    same("the role", offer["allocation_info"]["role"], one.roles[0])
