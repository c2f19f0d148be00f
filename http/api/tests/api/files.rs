//! Sandboxes and logs on the wire: what is shown, and that nothing else is.

use std::{os::unix::fs::symlink, path::PathBuf};

use serde_json::{Value, json};

use crate::cluster::{Cluster, Scheduler};

struct Stage {
    cluster: Cluster,
    _scheduler: Scheduler,
    sandbox: PathBuf,
    /// The three paths that it is attached under.
    paths: [String; 3],
}

impl Stage {
    fn new() -> Self {
        let cluster = Cluster::new();
        let mut scheduler = cluster.scheduler(&json!({"name": "fw", "user": "root"}));
        scheduler.launch(&json!([{
            "name": "t", "task_id": {"value": "t"}, "command": {"value": "sleep 10000"},
            "resources": [
                {"name": "cpus", "type": "SCALAR", "scalar": {"value": 1.0}},
                {"name": "mem", "type": "SCALAR", "scalar": {"value": 32.0}},
            ],
        }]));
        scheduler.until(&[("t", "TASK_RUNNING")]);
        let snapshot = cluster.agent.snapshot.load_full();
        let executor = snapshot.executors.values().next().unwrap();
        let sandbox = executor.directory.clone();
        let latest = format!("/frameworks/{}/executors/t/runs/latest", scheduler.id);
        let real = sandbox.with_file_name("latest");
        let paths = [
            latest,
            real.display().to_string(),
            sandbox.display().to_string(),
        ];
        Self {
            cluster,
            _scheduler: scheduler,
            sandbox,
            paths,
        }
    }

    /// Writes a file in the sandbox.
    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        self.cluster.write(&self.sandbox.join(name), bytes);
    }

    fn folder(&self, name: &str) {
        self.cluster.folder(&self.sandbox.join(name));
    }

    /// Status and body of a request for a path of the agent's files.
    fn get(&self, endpoint: &str, path: &str, more: &str) -> (u16, String) {
        let path = path.replace(' ', "%20");
        let path = format!("/files/{endpoint}?path={path}{more}");
        let mut reply = self.cluster.get_agent(&path);
        (reply.status, String::from_utf8(reply.body()).unwrap())
    }

    fn read(&self, name: &str, more: &str) -> (u16, String) {
        self.get("read", &format!("{}/{name}", self.paths[0]), more)
    }
}

fn piece(offset: u64, data: &str) -> (u16, String) {
    (200, format!(r#"{{"offset":{offset},"data":"{data}"}}"#))
}

#[test]
fn a_sandbox_is_attached_three_times() {
    let stage = Stage::new();
    stage.write("out", "hello");
    for path in &stage.paths {
        let whole = stage.get("read", &format!("{path}/out"), "&offset=0");
        assert_eq!(whole, piece(0, "hello"), "{path}");
    }
    let (status, text) = stage.get("debug", "", "");
    let mut expected: Value = stage
        .paths
        .iter()
        .map(|path| (path.clone(), json!(stage.sandbox)))
        .collect();
    expected["/slave/log"] = json!(stage.cluster.work_dir.path().join("log"));
    let shown: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, shown), (200, expected));
}

#[test]
fn a_file_is_read_in_pieces() {
    let stage = Stage::new();
    stage.write("out", "0123456789");
    assert_eq!(stage.read("out", ""), piece(10, ""), "how long it is");
    assert_eq!(stage.read("out", "&offset=-1&length=4"), piece(10, ""));
    assert_eq!(stage.read("out", "&offset=2&length=3"), piece(2, "234"));
    assert_eq!(stage.read("out", "&offset=8&length=-1"), piece(8, "89"));
    assert_eq!(stage.read("out", "&offset=8&length=99"), piece(8, "89"));
    assert_eq!(stage.read("out", "&offset=3&length=0"), piece(3, ""));
    assert_eq!(stage.read("out", "&offset=10"), piece(10, ""));
    assert_eq!(stage.read("out", "&offset=99"), piece(99, ""));
    let bad = |more: &str, text: &str| {
        assert_eq!(stage.read("out", more), (400, text.to_owned()), "{more}");
    };
    bad("&offset=-2", "Negative offset provided: -2.\n");
    bad("&length=-2", "Negative length provided: -2.\n");
    bad(
        "&offset=a",
        "Failed to parse offset: Failed to convert 'a' to number.\n",
    );
    bad(
        "&length=a",
        "Failed to parse length: Failed to convert 'a' to number.\n",
    );
    let large = "x".repeat(100_000);
    stage.write("large", &large);
    assert_eq!(
        stage.read("large", "&offset=1"),
        piece(1, &large[..65_536]),
        "not more than 64 KiB at once"
    );
}

#[test]
fn a_folder_is_browsed() {
    let stage = Stage::new();
    stage.folder("d");
    stage.write("d/b", "12");
    symlink("b", stage.sandbox.join("d/a")).unwrap();
    symlink("/etc/passwd", stage.sandbox.join("d/c")).unwrap();
    let path = format!("{}/d", stage.paths[0]);
    let (status, text) = stage.get("browse", &path, "");
    assert_eq!(status, 200);
    let listed: Value = serde_json::from_str(&text).unwrap();
    let b = &listed[1];
    assert_eq!(b["path"], format!("{path}/b"));
    assert_eq!((&b["size"], &b["nlink"]), (&json!(2), &json!(1)));
    assert!(b["mtime"].is_f64() && b["uid"].is_string() && b["gid"].is_string());
    assert!(b["mode"].as_str().unwrap().starts_with("-rw"), "{b}");
    assert_eq!(listed[0]["size"], 2, "a link is what it leads to");
    assert_eq!(
        listed[2]["mode"], "lrwxrwxrwx",
        "of this one nothing is told"
    );
    assert_eq!(listed.as_array().unwrap().len(), 3);
    assert_eq!(stage.get("browse", &format!("{path}/b"), "").1, "[]");
    let (status, text) = stage.get("browse", &path, "&jsonp=f");
    assert!(
        status == 200 && text.starts_with("f([{") && text.ends_with("])"),
        "{text}"
    );
}

#[test]
fn nothing_outside_a_sandbox_is_shown() {
    let stage = Stage::new();
    let sandbox = &stage.sandbox;
    stage
        .cluster
        .write(&stage.cluster.work_dir.path().join("secret"), "secret");
    symlink("/etc/passwd", sandbox.join("passwd")).unwrap();
    symlink("/", sandbox.join("top")).unwrap();
    symlink("../..", sandbox.join("up")).unwrap();
    symlink("/proc/self/root", sandbox.join("magic")).unwrap();
    let long = format!("{}x", "../".repeat(100));
    let inaccessible = [
        "passwd",
        "top/etc/passwd",
        "up",
        "up/latest/passwd",
        "magic/etc/passwd",
        "..",
        "../../x",
        "a/../../x",
        "%2e%2e/x",
        "%00",
        long.as_str(),
    ];
    for name in inaccessible {
        let path = format!("{}/{name}", stage.paths[0]);
        for endpoint in ["browse", "read", "download"] {
            let (status, text) = stage.get(endpoint, &path, "&offset=0");
            assert_eq!(status, 400, "{endpoint} {name}: {text}");
            assert!(text.ends_with("' is inaccessible.\n"), "{endpoint} {text}");
        }
    }
    let work_dir = stage.cluster.work_dir.path().display().to_string();
    let secret = format!("{work_dir}/secret");
    for path in [
        secret.as_str(),
        &work_dir,
        "/etc/passwd",
        "etc",
        "/",
        "/slave",
        "/master/log",
    ] {
        for endpoint in ["browse", "read", "download"] {
            let shown = stage.get(endpoint, path, "");
            assert_eq!(shown, absent(endpoint), "{endpoint} {path}");
        }
    }
}

#[test]
fn only_files_are_read_and_downloaded() {
    let stage = Stage::new();
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o600);
    nix::unistd::mkfifo(&stage.sandbox.join("pipe"), mode).unwrap();
    let cases = [
        ("read", "", "Cannot read a directory.\n".to_owned()),
        ("download", "", "Cannot download a directory.\n".to_owned()),
    ];
    for (endpoint, name, text) in cases {
        let path = format!("{}/{name}", stage.paths[0]);
        assert_eq!(stage.get(endpoint, &path, ""), (400, text));
    }
    let path = format!("{}/pipe", stage.paths[0]);
    for endpoint in ["read", "download"] {
        let text = format!("'{path}' is neither a file nor a folder.\n");
        assert_eq!(stage.get(endpoint, &path, "&offset=0"), (400, text));
        let text = "Expecting 'path=value' in query.\n".to_owned();
        assert_eq!(stage.get(endpoint, "", ""), (400, text));
        let path = format!("{}/absent", stage.paths[0]);
        assert_eq!(stage.get(endpoint, &path, ""), absent(endpoint));
    }
}

/// Mesos' answer for what is not there, which only downloads have words for.
fn absent(endpoint: &str) -> (u16, String) {
    let words = if endpoint == "download" {
        "404 Not Found."
    } else {
        ""
    };
    (404, words.to_owned())
}

#[test]
fn a_large_file_is_downloaded_whole() {
    let stage = Stage::new();
    let large: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    stage.write("large.tar.gz", &large);
    let path = format!("/files/download?path={}/large.tar.gz", stage.paths[2]);
    let mut reply = stage.cluster.get_agent(&path);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("application/x-gzip"));
    let disposition = "attachment; filename=large.tar.gz";
    assert_eq!(reply.header("content-disposition"), Some(disposition));
    let length = large.len().to_string();
    assert_eq!(reply.header("content-length"), Some(length.as_str()));
    assert!(reply.body() == large, "every byte of it");
    stage.write("empty", "");
    let path = format!("/files/download?path={}/empty", stage.paths[0]);
    assert_eq!(stage.cluster.get_agent(&path).body(), b"");
}

#[test]
fn the_logs_are_attached() {
    let stage = Stage::new();
    assert_eq!(
        stage.get("read", "/slave/log", "&offset=4"),
        piece(4, "two\\n")
    );
    assert_eq!(
        stage.get("download", "/slave/log", ""),
        (200, "one\ntwo\n".to_owned())
    );
    assert_eq!(stage.get("read", "/slave/log/x", "").0, 404);
    let mut reply = stage.cluster.get("/files/read?path=/master/log&offset=0");
    assert_eq!(reply.text(), piece(0, "one\\ntwo\\n").1);
    let mut reply = stage.cluster.get("/files/debug");
    let log = stage.cluster.work_dir.path().join("log");
    let expected = json!({ "/master/log": log }).to_string();
    assert_eq!(reply.text(), expected);
}
