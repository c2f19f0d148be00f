//! URIs are in the sandbox before the command starts, as its user's; or it does not start.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use tepui_protocol::mesos::v1::command_info::Uri;
use tepui_protocol::tepui::containerizer::Launch;

use crate::Test;
use crate::host::{Host, Place, shell};

pub(crate) const TESTS: &[Test] = &[
    ("files_are_fetched_before_the_command_starts", files),
    ("http_is_fetched_and_redirects_are_followed", http),
    ("https_is_fetched_from_whom_the_host_trusts", https),
    ("what_is_fetched_belongs_to_the_user", user),
    ("what_cannot_be_fetched_names_its_uri", failures),
    ("a_transfer_that_stalls_is_given_up", stall),
    ("a_destroy_cuts_a_fetch_short", destroy),
    ("the_end_of_its_parent_cuts_a_fetch_short", parent),
];

/// Answers each request by its path, until the test ends.
fn serve() -> SocketAddr {
    let listener = listen();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || answer(stream.unwrap()));
        }
    });
    address
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test plays a server that is not Tepui's"
)]
fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn answer(mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut first = String::new();
    // One that speaks TLS is not understood.
    if reader.read_line(&mut first).is_err() {
        return;
    }
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
        line.clear();
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    let (head, body) = match path {
        "/plain?x=1" => ("200 OK\r\nContent-Length: 5", "plain"),
        "/chunked" => (
            "200 OK\r\nTransfer-Encoding: chunked",
            "5\r\nchunk\r\n0\r\n\r\n",
        ),
        "/moved" => ("302 Found\r\nLocation: /chunked\r\nContent-Length: 0", ""),
        "/moved-once" => ("302 Found\r\nLocation: /chunked\r\nContent-Length: 0", ""),
        "/to-file" => (
            "302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0",
            "",
        ),
        "/round" => ("301 Moved\r\nLocation: round\r\nContent-Length: 0", ""),
        "/short" => ("200 OK\r\nContent-Length: 9", "short"),
        // Promises more than ever comes.
        "/stalls" => ("200 OK\r\nContent-Length: 9", "some"),
        _ => ("404 Not Found\r\nContent-Length: 0", ""),
    };
    write!(stream, "HTTP/1.1 {head}\r\n\r\n{body}").unwrap();
    // `/stalls` waits until the other side hangs up; a connection that was `/moved-once` is closed
    // over a second request, as a server does whose patience with an idle one just ended.
    if ["/stalls", "/moved-once"].contains(&path) {
        let _ = reader.read_line(&mut line);
    }
}

fn uri(value: impl Into<String>) -> Uri {
    Uri {
        value: value.into(),
        ..Uri::default()
    }
}

fn fetching(place: &Place, id: &str, script: &str, uris: Vec<Uri>) -> Launch {
    let mut launch = shell(place, id, script);
    launch.command.uris = uris;
    launch
}

fn read(path: PathBuf) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// A folder with things to fetch.
fn store(place: &Place) -> PathBuf {
    let store = place.folder.path().join("store");
    std::fs::create_dir_all(&store).unwrap();
    std::fs::write(store.join("plain"), "plain").unwrap();
    std::fs::write(store.join("tool"), "#!/bin/sh\necho tool").unwrap();
    let archive = std::process::Command::new("tar")
        .args(["-czf", "all.tar.gz", "plain", "tool"])
        .current_dir(&store)
        .status();
    assert!(archive.unwrap().success());
    store
}

fn files() {
    let place = Place::new();
    let host = Host::start(&place);
    let store = store(&place);
    let store = store.display();
    let uris = vec![
        uri(format!("{store}/plain")),
        Uri {
            output_file: Some("sub/dir/other".to_owned()),
            cache: Some(true),
            ..uri(format!("file://{store}/plain"))
        },
        Uri {
            executable: Some(true),
            output_file: Some("run".to_owned()),
            ..uri(format!("file://localhost{store}/tool"))
        },
        Uri {
            extract: Some(false),
            output_file: Some("kept.tar.gz".to_owned()),
            ..uri(format!("{store}/all.tar.gz"))
        },
        Uri {
            output_file: Some("unpacked.tgz".to_owned()),
            ..uri(format!("{store}/all.tar.gz"))
        },
    ];
    let script = "./run; cat plain sub/dir/other tool; ls";
    host.launch_well(fetching(&place, "c", script, uris));
    assert_eq!(host.status(), 0);
    let sandbox = place.sandbox("c");
    let expected = "tool\nplainplain#!/bin/sh\necho tool\
                    kept.tar.gz\nplain\nrun\nstderr\nstdout\nsub\ntool\nunpacked.tgz\n";
    assert_eq!(read(sandbox.join("stdout")), expected);
    let log = read(sandbox.join("stderr"));
    let fetched = format!(
        "Fetched '{store}/plain' to '{}'",
        sandbox.join("plain").display()
    );
    assert!(log.contains(&fetched), "{log}");
    assert!(log.contains("keeps no cache"), "{log}");
    host.stop();
    assert_eq!(place.remains(), Vec::<PathBuf>::new());
}

fn http() {
    let place = Place::new();
    let host = Host::start(&place);
    let server = serve();
    let uris = ["plain?x=1", "moved", "moved-once"];
    let uris = uris.map(|path| uri(format!("http://{server}/{path}")));
    host.launch_well(fetching(
        &place,
        "c",
        "cat 'plain?x=1' moved moved-once",
        uris.to_vec(),
    ));
    assert_eq!(host.status(), 0);
    assert_eq!(read(place.sandbox("c").join("stdout")), "plainchunkchunk");
    host.stop();
}

/// A server that says "secure" to every request; gives its address and its certificate.
fn serve_tls() -> (SocketAddr, String) {
    let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der());
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key.unwrap())
        .unwrap();
    let config = std::sync::Arc::new(config);
    let listener = listen();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = BufReader::new(rustls::StreamOwned::new(connection, stream.unwrap()));
            let mut line = String::new();
            // Who does not trust us hangs up first.
            while stream.read_line(&mut line).is_ok_and(|count| count > 2) {
                line.clear();
            }
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecure";
            let _ = stream.get_mut().write_all(answer);
        }
    });
    (address, signed.cert.pem())
}

fn https() {
    let (server, certificate) = serve_tls();
    let place = Place::new();
    let host = Host::start(&place);
    let value = format!("https://localhost:{}/file", server.port());
    let launch = fetching(&place, "c", "true", vec![uri(value.clone())]);
    let error = host.launch(launch).error.unwrap();
    assert!(error.contains(&format!("'{value}': ")), "{error}");
    assert!(error.contains("UnknownIssuer"), "{error}");
    host.stop();
    // This program again, on a host that has the certificate.
    let path = place.folder.path().join("certificate.pem");
    std::fs::write(&path, certificate).unwrap();
    let status = std::process::Command::new("/proc/self/exe")
        .args(["https-here", &value])
        .env("SSL_CERT_FILE", path)
        .status();
    assert!(status.unwrap().success());
}

/// What is checked there; the argument is the URI.
pub(crate) fn main_https(arguments: &[OsString]) -> ExitCode {
    let place = Place::new();
    let host = Host::start(&place);
    let value = arguments[0].to_str().unwrap();
    host.launch_well(fetching(&place, "c", "cat file", vec![uri(value)]));
    assert_eq!(host.status(), 0);
    assert_eq!(read(place.sandbox("c").join("stdout")), "secure");
    host.stop();
    ExitCode::SUCCESS
}

fn user() {
    let place = Place::new();
    let host = Host::start(&place);
    let store = store(&place);
    let sandbox = place.sandbox("c");
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    std::os::unix::fs::chown(&sandbox, Some(nobody.uid.as_raw()), None).unwrap();
    let uris = vec![uri(store.join("plain").display().to_string())];
    let mut launch = fetching(&place, "c", "cat plain", uris);
    launch.user = Some("nobody".to_owned());
    host.launch_well(launch);
    assert_eq!(host.status(), 0);
    let metadata = std::fs::metadata(sandbox.join("plain")).unwrap();
    assert_eq!(metadata.uid(), nobody.uid.as_raw());
    // What the user may not read is not fetched, though the agent could.
    let secret = store.join("secret");
    std::fs::write(&secret, "secret").unwrap();
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&secret, closed).unwrap();
    let sandbox = place.sandbox("d");
    std::os::unix::fs::chown(&sandbox, Some(nobody.uid.as_raw()), None).unwrap();
    let mut launch = fetching(&place, "d", "true", vec![uri(secret.display().to_string())]);
    launch.user = Some("nobody".to_owned());
    let error = host.launch(launch).error.unwrap();
    assert!(
        error.ends_with("Permission denied (os error 13)"),
        "{error}"
    );
    host.stop();
}

fn failures() {
    let place = Place::new();
    let host = Host::start(&place);
    let server = serve();
    let store = store(&place);
    let broken = store.join("broken.zip");
    std::fs::write(&broken, "PK no zip").unwrap();
    let text = |path: &Path| path.display().to_string();
    for (value, why) in [
        (text(&store.join("missing")), "No such file or directory"),
        (text(&store), "is not a regular file"),
        (text(&broken), "failed to extract"),
        (
            format!("http://{server}/missing"),
            "the server answered 404",
        ),
        (
            format!("http://{server}/to-file"),
            "the server redirects to 'file:///etc/passwd', and by 'file' a redirect is not followed",
        ),
        (
            format!("http://{server}/round"),
            "the server redirects more than 50 times",
        ),
        (format!("http://{server}/short"), "the transfer broke after"),
        (format!("https://{server}/plain"), "https"),
        ("hdfs://h/x".to_owned(), "cannot fetch by 'hdfs'"),
    ] {
        let launch = fetching(&place, "c", "touch started", vec![uri(value.clone())]);
        let error = host.launch(launch).error.unwrap();
        let start = format!("Failed to fetch all URIs for container 'c': '{value}': ");
        assert!(error.starts_with(&start), "{error}");
        assert!(error.contains(why), "{error}");
        let log = read(place.sandbox("c").join("stderr"));
        assert!(
            log.contains(&format!("Failed to fetch '{value}': ")),
            "{log}"
        );
        assert!(!place.sandbox("c").join("started").exists());
    }
    host.stop();
    assert_eq!(place.remains(), Vec::<PathBuf>::new());
}

fn stall() {
    let place = Place {
        adjust: |options| options.fetcher_stall_timeout = Duration::from_millis(200),
        ..Place::new()
    };
    let host = Host::start(&place);
    let value = format!("http://{}/stalls", serve());
    let launch = fetching(&place, "c", "true", vec![uri(value.clone())]);
    let error = host.launch(launch).error.unwrap();
    let expected = format!(
        "Failed to fetch all URIs for container 'c': '{value}': nothing was transferred for \
         0.2 seconds"
    );
    assert_eq!(error, expected);
    host.stop();
}

fn destroy() {
    let place = Place::new();
    let host = Host::start(&place);
    let value = format!("http://{}/stalls", serve());
    host.launch_later(fetching(&place, "c", "true", vec![uri(value)]));
    let log = place.sandbox("c").join("stderr");
    while !std::fs::read_to_string(&log).is_ok_and(|log| log.contains("Downloading")) {
        std::thread::yield_now();
    }
    host.destroy("c");
    let error = host.launched().error.unwrap();
    assert_eq!(error, "Container destroyed during fetching");
    host.stop();
    assert_eq!(place.remains(), Vec::<PathBuf>::new());
}

fn parent() {
    let place = Place::new();
    let host = Host::start(&place);
    let init = host.launch_well(shell(&place, "p", "exec sleep 1000"));
    let value = format!("http://{}/stalls", serve());
    host.launch_later(fetching(&place, "p.c", "true", vec![uri(value)]));
    let log = place.sandbox("p.c").join("stderr");
    while !std::fs::read_to_string(&log).is_ok_and(|log| log.contains("Downloading")) {
        std::thread::yield_now();
    }
    let init = nix::unistd::Pid::from_raw(i32::try_from(init).unwrap());
    nix::sys::signal::kill(init, nix::sys::signal::Signal::SIGKILL).unwrap();
    let error = host.launched().error.unwrap();
    assert_eq!(error, "Container destroyed during fetching");
    assert_eq!(host.end(), ("p".to_owned(), 9));
    host.stop();
    assert_eq!(place.remains(), Vec::<PathBuf>::new());
}
