"""Steps at the edges of endpoints, and at the agent's executor API."""

import json

from calls_tasks import accept, acknowledged, executor, fresh_offer, launch, task, told
from client import agents
from script import JSON_TYPES, UUID


def edges(script):
    master = [
        "/master/nothing",
        "/nothing",
        "/master/state.json",
        "/master/../state",
        "/master/health/",
        "/master/health/x",
        "/master/redirect",
        "/master/redirect/",
        "/master/redirect/x",
        "/master/version",
        "/version/",
        "/master/tasks?limit=0",
        "/master/tasks?limit=x",
        "/master/tasks?limit=-1",
        "/master/tasks?offset=x",
        "/master/tasks?offset=100000",
        "/master/tasks?order=sideways",
        "/master/tasks?framework_id=unknown",
        "/master/tasks?task_id=unknown",
        "/master/slaves?slave_id=unknown",
        "/master/frameworks?framework_id=unknown",
        "/metrics/snapshot?timeout=x",
        "/metrics/snapshot?timeout=1",
        "/files/browse",
        "/files/browse?path=",
        "/files/browse?path=/etc",
        "/files/browse?path=/no/such/path",
        "/files/read",
        "/files/read?path=/etc/passwd",
        "/files/read?path=/no/such/path&offset=-2",
        "/files/read?path=/no/such/path&offset=x",
        "/files/read?path=/no/such/path&length=-2",
        "/files/read?path=/no/such/path&length=x",
        "/files/download",
        "/files/download?path=/etc/passwd",
        "/files/download?path=/no/such/path",
    ]
    for path in master:
        script.step(f"GET {path}")
        sized(script.get(path))
    for path in ("/master/slaves?slave_id=unknown&jsonp=f", "/master/health?jsonp=f"):
        script.step(f"GET {path}")
        script.get(path)
    for method in ("POST", "PUT", "DELETE"):
        for path in ("/master/health", "/master/slaves?slave_id=unknown", "/master/redirect"):
            script.step(f"{method} {path}")
            script.get(path, method)


def sized(reply):
    """Of what a view shows, only how much it is."""
    if reply.status == 200 and reply.body:
        shown = reply.json()
        sizes = {key: len(part) for key, part in shown.items() if isinstance(part, list)}
        keys = sorted(key for key in shown if not key.startswith("git_"))
        reply.body = json.dumps(sizes or keys).encode()
        reply.headers["content-length"] = str(len(reply.body))


def at_the_agent(script):
    [(address, name)] = agents(script.master)
    for path in (
        "/nothing",
        "/health",
        "/containers?container_id=unknown",
        "/containers?fly=1",
    ):
        script.step(f"GET agent {path}")
        script.get(f"/{name}{path}", address=address)
    return address, f"/{name}/api/v1/executor"


def files(script, framework, address, agent):
    """Reads in a sandbox, and tries to leave it."""
    base = f"/frameworks/{framework.id['value']}/executors/scripted/runs/latest"
    reads = {
        "browse the sandbox": f"browse?path={base}/nothing",
        "browse out of the sandbox": f"browse?path={base}/../../..",
        "browse a file": f"browse?path={base}/stdout",
        "read a folder": f"read?path={base}",
        "read without offset": f"read?path={base}/stdout",
        "read past the end": f"read?path={base}/stdout&offset=1000&length=5",
        "read out of the sandbox": f"read?path={base}/../../../../../etc/passwd&offset=0",
        "read a file that is not there": f"read?path={base}/nothing&offset=0",
        "download a folder": f"download?path={base}",
        "download a file that is not there": f"download?path={base}/nothing",
        "download a file": f"download?path={base}/stdout",
    }
    for name, path in reads.items():
        script.step(f"files: {name}")
        script.get(f"/files/{path}", address=address)


def executor_api(script, framework, address, path):
    ids = {"framework_id": framework.id, "executor_id": {"value": "scripted"}}

    def post(body, headers=None, method="POST"):
        return script.post(body, headers, method, path, address)

    script.step("executor API: methods and types")
    post({"type": "MESSAGE"}, method="GET")
    post("{}", {})
    post("{}", {"Content-Type": "text/plain"})
    post("{")
    script.step("executor API: calls that lack what they need")
    post({})
    for kind in ("SUBSCRIBE", "UPDATE", "MESSAGE", "HEARTBEAT", "UNKNOWN", "FLY"):
        post({"type": kind})
        post({"type": kind, **ids})
    script.step("executor API: ids that are not known")
    nothing = {"value": "unknown"}
    for unknown in ({"framework_id": nothing}, {"executor_id": nothing}):
        for kind, parts in (
            ("SUBSCRIBE", {"subscribe": {}}),
            ("MESSAGE", {"message": {"data": "AAAA"}}),
        ):
            post({"type": kind, **ids, **unknown, **parts})
    script.step("executor API: SUBSCRIBE with a type that is not served")
    post({"type": "SUBSCRIBE", "subscribe": {}, **ids}, {**JSON_TYPES, "Accept": "text/html"})
    good = {
        "task_id": {"value": "works"},
        "state": "TASK_RUNNING",
        "source": "SOURCE_EXECUTOR",
        "uuid": UUID,
    }
    changes = {
        "no uuid": {"uuid": None},
        "a short uuid": {"uuid": "AAAA"},
        "no source": {"source": None},
        "another source": {"source": "SOURCE_MASTER"},
        "another executor": {"executor_id": nothing},
        "TASK_STAGING": {"state": "TASK_STAGING"},
        "no state": {"state": None},
        "an unknown state": {"state": "TASK_FLYING"},
        "a check status of no type": {"check_status": {}},
        "a check status of two types": {
            "check_status": {"type": "COMMAND", "command": {}, "http": {}}
        },
    }
    for name, change in changes.items():
        script.step(f"executor API: an update with {name}")
        update = {key: value for key, value in {**good, **change}.items() if value is not None}
        if post({"type": "UPDATE", "update": {"status": update}, **ids}).status == 202:
            acknowledged(script, framework, "works", good["state"])
    script.step("executor API: heartbeat")
    post({"type": "HEARTBEAT", **ids})


def play(script):
    edges(script)
    address, path = at_the_agent(script)
    worker = script.framework("worker")
    script.step("a framework with an executor")
    script.come(worker)
    offer = fresh_offer(worker)
    agent = offer["agent_id"]
    made = task("works", agent, executor=executor(worker), data=told())
    accept(script, worker, [offer], launch(made))
    for state in ("STARTING", "RUNNING"):
        acknowledged(script, worker, "works", f"TASK_{state}")
    files(script, worker, address, agent)
    executor_api(script, worker, address, path)
    script.step("the worker goes")
    script.call(worker, "TEARDOWN")
    worker.wait_type("(end of stream)")
    stranger = script.frameworks["stranger"]
    script.step("the stranger goes")
    script.call(stranger, "TEARDOWN")
    stranger.wait_type("(end of stream)")
