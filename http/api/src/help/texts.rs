//! What `/help` says of each endpoint. One that is served and has no text fails the tests, as does
//! a text of one that nobody serves.

use super::Text;

/// A row for each endpoint: process, path, one sentence, and more of it.
macro_rules! texts {
    ($($id:literal $path:literal: $short:literal, $long:literal;)*) => {
        &[$(Text { endpoint: ($id, $path), short: $short, long: $long }),*]
    };
}

/// Sorted by process and path.
pub(super) const TEXTS: &[Text] = texts! {
    "allocator" "offer_constraints_debug": "Shows which agents offer constraints exclude.",
        "For each framework the roles that it suppresses, and for each of its roles the ids of the \
         agents that its offer constraints exclude, as a JSON object.\n";
    "files" "browse": "Returns a file listing for a directory.",
        "Lists the files and folders in a path as a JSON array.\n\n\
         Query parameters:\n\n>        path=VALUE          The folder.\n";
    "files" "debug": "Returns the path of each attached folder.",
        "A JSON object with the virtual paths and what they stand for on this host.\n";
    "files" "download": "Returns the raw file contents for a given path.",
        "Answers 404 NOT_FOUND for what is not there or leads out of what is attached.\n\n\
         Query parameters:\n\n>        path=VALUE          The file.\n";
    "files" "read": "Reads data from a file.",
        "A JSON object with `data` and its `offset`.\n\n\
         Query parameters:\n\n>        path=VALUE          The file.\n\
         >        offset=VALUE        From where on; without it only the size is told, as offset.\n\
         >        length=VALUE        The most bytes that are wanted.\n";
    "logging" "toggle": "Sets the logging verbosity level for a specified duration.",
        "Without parameters the level is told: 0 is what the daemon was started with. 1 and 2 add \
         what is of use to find a fault, from 3 on nothing is left out.\n\n\
         Query parameters:\n\n>        level=VALUE         Verbosity level (e.g., 1, 2, 3)\n\
         >        duration=VALUE      Duration to keep the level (e.g., 10secs, 15mins)\n";
    "master" "api/v1": "Endpoint for API calls against the master.",
        "Takes a call of an operator by POST, as JSON or protobuf: TEARDOWN, MARK_AGENT_GONE, \
         DEACTIVATE_AGENT, REACTIVATE_AGENT. 200 OK says that it is done, and in the registry.\n";
    "master" "api/v1/scheduler": "Endpoint for schedulers to make calls against the master.",
        "Takes a call by POST, as JSON or protobuf. SUBSCRIBE is answered by 200 OK and a stream \
         of events, UPDATE_FRAMEWORK by 200 OK, every other call by 202 ACCEPTED, which says only \
         that it was received.\n";
    "master" "flags": "Exposes the master's flag configuration.",
        "A JSON object `flags` with each flag that has a value, as text.\n";
    "master" "frameworks": "Exposes the frameworks info.",
        "Frameworks with their tasks, and those that have ended.\n\n\
         Query parameters:\n\n>        framework_id=VALUE  Only this framework.\n";
    "master" "health": "Health status of the master.",
        "Returns 200 OK iff the master serves requests.\n";
    "master" "redirect": "Redirects to the leading master.",
        "Returns 307 TEMPORARY_REDIRECT to the leading master, or 503 SERVICE_UNAVAILABLE if that \
         is not known.\n";
    "master" "roles": "Information about roles.",
        "Each role with its weight, resources and frameworks.\n";
    "master" "slaves": "Information about agents.",
        "Agents with their resources, each also in full.\n\n\
         Query parameters:\n\n>        slave_id=VALUE      Only this agent.\n";
    "master" "state": "Information about state of master.",
        "Frameworks, tasks, executors and agents as a JSON object, all from one instant.\n";
    "master" "state-summary": "Summary of agents, tasks, and registered frameworks in cluster.",
        "As `state`, with numbers of tasks in place of tasks.\n";
    "master" "tasks": "Lists tasks from all active frameworks.",
        "Tasks as a JSON object, those that began last first.\n\n\
         Query parameters:\n\n>        framework_id=VALUE  Only tasks of this framework.\n\
         >        task_id=VALUE       Only tasks with this id.\n\
         >        limit=VALUE         The most tasks (default 100).\n\
         >        offset=VALUE        So many are left out first.\n\
         >        order=(asc|desc)    Order by time (default desc).\n";
    "master" "teardown": "Tears down a running framework.",
        "Ends the framework's tasks and executors; its id cannot subscribe again.\n\n\
         Parameters, in the body of a POST:\n\n>        frameworkId=VALUE   The framework.\n";
    "master" "why": "Why a framework has no offers, or a task does not run.",
        "For each agent of which the framework has no offer there is exactly one reason, the \
         allocator's own.\n\n\
         Query parameters:\n\n>        framework_id=VALUE  The framework, or the one whose task it is.\n\
         >        task_id=VALUE       The task, in place of a framework.\n";
    "metrics" "prometheus": "Provides the current metrics in Prometheus' text format.",
        "Every number of `/metrics/snapshot`; timers as summaries.\n";
    "metrics" "snapshot": "Provides a snapshot of the current metrics.",
        "A JSON object of numbers by name. Every value is at hand, so that none is left out for \
         the timeout.\n\n\
         Query parameters:\n\n>        timeout=VALUE       The longest that it may take.\n";
    "slave(1)" "api/v1": "Endpoint for API calls against the agent.",
        "Takes a call by POST, as JSON or protobuf: LAUNCH_CONTAINER, WAIT_CONTAINER, \
         KILL_CONTAINER, REMOVE_CONTAINER, and their older forms with NESTED in their names, of \
         containers in an executor's. A wait is answered when the container has ended.\n";
    "slave(1)" "api/v1/executor": "Endpoint for executors to make calls against the agent.",
        "Takes a call by POST, as JSON or protobuf. SUBSCRIBE is answered by 200 OK and a stream \
         of events, every other call by 202 ACCEPTED.\n";
    "slave(1)" "containers": "Retrieve container status and usage information.",
        "A JSON array with each running container.\n\n\
         Query parameters:\n\n>        container_id=VALUE  Only this container; may be repeated.\n";
    "slave(1)" "flags": "Exposes the agent's flag configuration.",
        "A JSON object `flags` with each flag that has a value, as text.\n";
    "slave(1)" "health": "Health check of the agent.",
        "Returns 200 OK iff the agent serves requests.\n";
    "slave(1)" "monitor/statistics": "Retrieve resource monitoring information.",
        "A JSON array with the resource consumption of each running executor.\n";
    "slave(1)" "state": "Information about state of the agent.",
        "Frameworks, executors and the agent's resources as a JSON object.\n";
    "system" "stats.json": "Shows local system metrics.",
        "Load, processors and memory of this host.\n";
    "version" "": "Provides version information.",
        "The version of Mesos that this is compatible with, its own, and when it was built.\n";
};
