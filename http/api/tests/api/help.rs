//! What `/help` says of the endpoints.

use serde_json::Value;

use crate::cluster::Cluster;

/// Processes of which nothing is said, as in Mesos.
const SILENT: [&str; 2] = ["__processes__", "help"];

#[test]
fn each_endpoint_is_explained_and_no_other() {
    let cluster = Cluster::new();
    for node in cluster.nodes() {
        let text = cluster.get_of(node, "/help?format=json").body();
        let help: Value = serde_json::from_slice(&text).unwrap();
        let mut explained = Vec::new();
        for process in help["processes"].as_array().unwrap() {
            let id = process["id"].as_str().unwrap();
            for endpoint in process["endpoints"].as_array().unwrap() {
                let name = endpoint["name"].as_str().unwrap();
                let text = endpoint["text"].as_str().unwrap();
                let usage = format!("/{id}{name}");
                let usage = usage.trim_end_matches('/');
                let start = format!("### USAGE ###\n>        {usage}\n\n### TL;DR; ###\n");
                assert!(text.starts_with(&start), "{text}");
                let mut one = cluster.get_of(node, &format!("/help{usage}"));
                assert_eq!(one.status, 200, "{usage}");
                if !name.is_empty() && name != "/" {
                    assert_eq!(one.body(), text.as_bytes(), "{usage}");
                }
                explained.push((id.to_owned(), name.trim_matches('/').to_owned()));
            }
        }
        let mut served = node.route_list();
        served.retain(|(id, _)| !SILENT.contains(&id.as_str()));
        assert_eq!(explained, served);
    }
}

#[test]
fn help_has_mesos_forms() {
    let cluster = Cluster::new();
    let get = |path: &str| {
        let mut reply = cluster.get(path);
        let kind = reply.header("content-type").unwrap().to_owned();
        (reply.status, kind, String::from_utf8(reply.body()).unwrap())
    };
    let (status, kind, text) = get("/help");
    assert_eq!((status, kind.as_str()), (200, "text/x-markdown"));
    assert!(
        text.starts_with(
            "## HELP\n> [/allocator][allocator]\n> [/files][files]\n> [/logging][logging]\n> [/master][master]\n"
        ),
        "{text}"
    );
    assert!(
        text.contains("\n\n[allocator]: help/allocator\n[files]: help/files\n"),
        "{text}"
    );
    let (status, _, text) = get("/help/files");
    let expected = "## `/files` ##\n> [/files/browse][files/browse]\n";
    assert!(status == 200 && text.starts_with(expected), "{text}");
    assert!(text.ends_with("\n[files/read]: files/read\n"), "{text}");
    let (status, _, text) = get("/help/master/nosuch");
    let expected = "No help available for '/master/nosuch'.\n";
    assert_eq!((status, text.as_str()), (400, expected));
    assert_eq!(get("/help/nosuch").0, 404);
}
