//! What libprocess itself has in every program: `/__processes__`, `/system/stats.json`, and the
//! `system/` metrics. The host's figures are the real world's alone.

use std::sync::Arc;

use nix::sys::sysinfo::{SysInfo, sysinfo};
use serde_json::{Value, json};

use super::Node;
use crate::http::{Request, Response};
use crate::metrics::Metrics;
use crate::process::ProcessInfo;

/// Of a longer queue only so many events are listed.
const MAX_EVENTS: usize = 1000;

/// Adds the routes, and in the real world the metrics.
pub(super) fn install(node: &Node) {
    node.route(
        "__processes__",
        "/",
        Arc::new(|request, node| {
            let listed = processes(&node.processes());
            Box::pin(async move { answer(&request, &listed) })
        }),
    );
    if !node.world().is_simulated() {
        node.route(
            "system",
            "/stats.json",
            Arc::new(|request, _| Box::pin(async move { answer(&request, &stats()) })),
        );
        gauges(node.metrics());
    }
}

fn gauges(metrics: &Metrics) {
    let host = |read: fn(&SysInfo) -> f64| move || sysinfo().map_or(f64::NAN, |host| read(&host));
    metrics.pull_gauge("system/load_1min", host(|host| host.load_average().0));
    metrics.pull_gauge("system/load_5min", host(|host| host.load_average().1));
    metrics.pull_gauge("system/load_15min", host(|host| host.load_average().2));
    metrics.pull_gauge("system/cpus_total", cpus);
    metrics.pull_gauge(
        "system/mem_total_bytes",
        host(|host| host.ram_total() as f64),
    );
    metrics.pull_gauge(
        "system/mem_free_bytes",
        host(|host| host.ram_unused() as f64),
    );
}

/// The processors that are online.
fn cpus() -> f64 {
    let online = nix::unistd::sysconf(nix::unistd::SysconfVar::_NPROCESSORS_ONLN);
    online.ok().flatten().map_or(f64::NAN, |count| count as f64)
}

fn stats() -> Value {
    let Ok(host) = sysinfo() else {
        return json!({});
    };
    let (one, five, fifteen) = host.load_average();
    json!({
        "avg_load_1min": one,
        "avg_load_5min": five,
        "avg_load_15min": fifteen,
        "cpus_total": cpus(),
        "mem_total_bytes": host.ram_total(),
        "mem_free_bytes": host.ram_unused(),
    })
}

/// Each process with the kinds of the events that wait for it.
fn processes(all: &[ProcessInfo]) -> Value {
    let one = |info: &ProcessInfo| {
        let kinds = [
            ("MESSAGE", info.events.messages),
            ("DISPATCH", info.events.dispatches),
            ("EXITED", info.events.exited),
            ("TERMINATE", info.events.terminate),
        ];
        let events = kinds.into_iter().flat_map(|(kind, count)| {
            let count = usize::try_from(count).unwrap_or(MAX_EVENTS);
            std::iter::repeat_n(json!({ "type": kind }), count.min(MAX_EVENTS))
        });
        json!({
            "id": info.pid.id(),
            "events": events.take(MAX_EVENTS).collect::<Vec<Value>>(),
        })
    };
    all.iter().map(one).collect()
}

/// A value as JSON, or as a call of the function that `jsonp` names.
fn answer(request: &Request, value: &Value) -> Response {
    let Some(function) = request.query.get("jsonp") else {
        return Response::json(value);
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_$.".contains(&byte);
    if function.is_empty() || !function.bytes().all(is_name) {
        let problem = format!("Invalid jsonp '{function}': expected the name of a function.\n");
        return Response::text(400, problem);
    }
    Response::bytes(200, "text/javascript", format!("{function}({value})"))
}
