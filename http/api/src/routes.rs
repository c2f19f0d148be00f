//! Which path of a node is answered by what: called once for the master's node and once for each
//! agent's, after the process was spawned.

use std::sync::Arc;

use tepui_agent::{Agent, core::AgentState};
use tepui_master::{Master, snapshot::Connection};
use tepui_runtime::{Node, Pid};

use crate::{
    agent_operator::AgentOperators,
    executor::{AgentView, ExecutorApi},
    files::{self, AgentFiles, MasterFiles},
    help,
    http_scheduler::SchedulerSessions,
    operator::Operators,
    options::{ApiOptions, Verbosity},
    scheduler::{FindFramework, Framework, MasterView, SchedulerApi},
    sessions::Sessions,
    views, why,
};

/// Serves a master's HTTP API on its node.
pub fn master_routes(node: &Node, master: &Master, options: ApiOptions) {
    let (published, recovery) = (
        Arc::clone(master.published()),
        Arc::clone(master.published()),
    );
    let updated = master.clone();
    let find: FindFramework = Arc::new(move |id| match published.load().framework(id) {
        None => Framework::Unknown,
        Some(framework) => match &framework.connection {
            Connection::Connected(pid) => Framework::Connected(pid.clone()),
            Connection::Disconnected | Connection::Recovered => Framework::Disconnected,
        },
    });
    let view = MasterView {
        recovered: Arc::new(move || recovery.load().recovered),
        find,
        supported: tepui_master::supported,
        update: Arc::new(move |from, call, asker| updated.update_framework(from, call, asker)),
    };
    let flags = Arc::clone(&options.flags);
    let (log, verbosity) = (options.log_file.clone(), options.verbosity);
    let operators = Arc::new(Operators {
        master: master.pid().clone(),
        recovered: Arc::clone(&view.recovered),
        sessions: serve_schedulers(node, master.pid(), view, options),
    });
    let (id, published) = (master.pid().id(), master.published());
    node.route(id, "/api/v1", operators.api());
    node.route(id, "/teardown", operators.teardown());
    node.route(id, "/health", views::health());
    node.route(id, "/redirect", views::redirect(published));
    node.route(id, "/flags", views::flags(&flags));
    node.route(id, "/state", views::state(published, &flags));
    node.route(id, "/state-summary", views::summary(published, &flags));
    node.route(id, "/slaves", views::agents(published));
    node.route(id, "/frameworks", views::frameworks(published));
    node.route(id, "/tasks", views::tasks(published));
    node.route(id, "/roles", views::roles(published));
    node.route(id, "/why", why::why(master));
    let debug = views::offer_constraints(published);
    node.route("allocator", "/offer_constraints_debug", debug);
    node.delegate(master.pid().id());
    node_routes(node, verbosity);
    files::routes(node, Arc::new(MasterFiles { log }));
    help::routes(node);
}

/// Serves an agent's HTTP API on its node.
pub fn agent_routes(node: &Node, agent: &Agent, options: ApiOptions) {
    let (snapshot, recovery) = (Arc::clone(&agent.snapshot), Arc::clone(&agent.snapshot));
    let view = AgentView {
        validate: Arc::new(move |call| snapshot.load().validate_executor_call(call)),
        open: Arc::new(move || recovery.load().open),
    };
    let flags = Arc::clone(&options.flags);
    let (log, verbosity) = (options.log_file.clone(), options.verbosity);
    let state = Arc::clone(&agent.snapshot);
    let operators = AgentOperators {
        agent: agent.pid.clone(),
        recovered: Arc::new(move || {
            let snapshot = state.load();
            snapshot.open || snapshot.state != AgentState::Recovering
        }),
        calls: Sessions::new(options.max_streams),
        waits: Sessions::new(options.max_streams),
    };
    executor_routes(node, &agent.pid, view, options);
    let id = agent.pid.id();
    node.route(id, "/api/v1", operators.handler());
    node.route(id, "/health", views::health());
    node.route(id, "/flags", views::flags(&flags));
    let snapshot = &agent.snapshot;
    node.route(id, "/state", views::agent_state(snapshot, &flags));
    let inspector = Arc::default();
    node.route(id, "/containers", views::containers(snapshot, &inspector));
    let statistics = views::statistics(snapshot, &inspector);
    node.route(id, "/monitor/statistics", statistics);
    node.delegate(agent.pid.id());
    node_routes(node, verbosity);
    let snapshot = Arc::clone(snapshot);
    files::routes(node, Arc::new(AgentFiles { log, snapshot }));
    help::routes(node);
}

/// Serves the executor API below the process `agent`, which `view` tells of.
pub fn executor_routes(node: &Node, agent: &Pid, view: AgentView, options: ApiOptions) {
    let sessions = Arc::new(Sessions::new(options.max_streams));
    let api = ExecutorApi {
        agent: agent.clone(),
        view,
        options,
        sessions,
    };
    node.route(agent.id(), "/api/v1/executor", api.handler());
}

/// Serves the scheduler API below the process `master`, which `view` tells of.
pub fn scheduler_routes(node: &Node, master: &Pid, view: MasterView, options: ApiOptions) {
    serve_schedulers(node, master, view, options);
}

/// The same; gives back the table of streams.
fn serve_schedulers(
    node: &Node,
    master: &Pid,
    view: MasterView,
    options: ApiOptions,
) -> Arc<SchedulerSessions> {
    let sessions = Arc::new(Sessions::new(options.max_streams));
    let api = SchedulerApi {
        master: master.clone(),
        view,
        options,
        sessions: Arc::clone(&sessions),
    };
    node.route(master.id(), "/api/v1/scheduler", api.handler());
    sessions
}

/// What every node shows.
fn node_routes(node: &Node, verbosity: Option<Verbosity>) {
    node.route("version", "/", views::version());
    node.route("logging", "/toggle", views::logging(verbosity));
    node.route("metrics", "/snapshot", views::metrics());
    node.route("metrics", "/prometheus", views::prometheus());
}
