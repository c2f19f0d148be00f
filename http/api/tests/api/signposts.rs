//! Where the leader is, and the metrics in both forms: what is told of no cluster's contents.

use serde_json::Value;

use crate::cluster::Cluster;

#[test]
fn the_redirect_names_the_leader() {
    let cluster = Cluster::new();
    let address = cluster.master_address();
    for path in ["/redirect", "/master/redirect", "/master/redirect/"] {
        let reply = cluster.get(path);
        assert_eq!(reply.status, 307, "{path}");
        let location = format!("//127.0.0.1:{}", address.port);
        assert_eq!(reply.header("location"), Some(location.as_str()), "{path}");
    }
    assert_eq!(cluster.get("/redirect/x").status, 404);
}

#[test]
fn metrics_are_shown_to_mesos_tools_and_to_prometheus() {
    let cluster = Cluster::new();
    let mut reply = cluster.get("/metrics/snapshot?timeout=5secs");
    let values: Value = serde_json::from_str(&reply.text()).unwrap();
    assert_eq!(values["master/elected"], 1.0);
    let mut refused = cluster.get("/metrics/snapshot?timeout=x");
    let text = "Invalid timeout 'x': Failed to convert '' to number.\n";
    assert_eq!((refused.status, refused.text().as_str()), (400, text));
    let mut reply = cluster.get("/metrics/prometheus");
    let text = reply.text();
    assert!(
        text.lines().any(|line| line == "master_elected 1"),
        "{text}"
    );
}
