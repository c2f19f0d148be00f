//! Probes of servers that the tests play, and of commands.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;

#[expect(
    clippy::disallowed_methods,
    reason = "the test plays a server that is not Tepui's"
)]
fn listen(address: &str) -> TcpListener {
    TcpListener::bind(address).unwrap()
}

/// Answers one request after another with these texts, each on a connection of its own; gives the
/// port and, at the end, the request lines.
fn serve(answers: Vec<String>) -> (u16, std::thread::JoinHandle<Vec<String>>) {
    let listener = listen("127.0.0.1:0");
    let port = listener.local_addr().unwrap().port();
    let served = std::thread::spawn(move || {
        let answer = |text: String| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") {
                assert_eq!(stream.read(&mut byte).unwrap(), 1);
                request.push(byte[0]);
            }
            stream.write_all(text.as_bytes()).unwrap();
            let request = String::from_utf8(request).unwrap();
            request.lines().next().unwrap_or_default().to_owned()
        };
        answers.into_iter().map(answer).collect()
    });
    (port, served)
}

fn answer(status: &str, headers: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n")
}

const PATIENCE: Option<Duration> = Some(Duration::from_secs(30));

#[test]
fn the_status_of_an_answer_is_what_comes_of_a_request() {
    for (text, status) in [("204 No Content", 204), ("503 Service Unavailable", 503)] {
        let (port, served) = serve(vec![answer(text, "")]);
        let outcome = get(&format!("http://127.0.0.1:{port}/a b?c=1"), PATIENCE);
        assert_eq!(outcome, Outcome::Answered(status));
        assert_eq!(served.join().unwrap(), ["GET /a%20b?c=1 HTTP/1.1"]);
    }
}

#[test]
fn redirects_are_followed() {
    let first = answer("302 Found", "Location: /there\r\n");
    let (port, served) = serve(vec![first, answer("404 Not Found", "")]);
    let outcome = get(&format!("http://127.0.0.1:{port}"), PATIENCE);
    assert_eq!(outcome, Outcome::Answered(404));
    let expected = ["GET / HTTP/1.1", "GET /there HTTP/1.1"];
    assert_eq!(served.join().unwrap(), expected);
    // One that leads nowhere is an answer as any other.
    let (port, _served) = serve(vec![answer("304 Not Modified", "")]);
    let outcome = get(&format!("http://127.0.0.1:{port}/"), PATIENCE);
    assert_eq!(outcome, Outcome::Answered(304));
}

#[test]
fn an_answer_that_breaks_off_is_none() {
    let broken = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab".to_owned();
    for text in [broken, "what is this\r\n\r\n".to_owned(), String::new()] {
        let (port, _served) = serve(vec![text]);
        let outcome = get(&format!("http://127.0.0.1:{port}/"), PATIENCE);
        assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
    }
}

#[test]
fn whoever_answers_over_tls_is_believed() {
    let key = rcgen::generate_simple_self_signed(vec!["elsewhere".to_owned()]).unwrap();
    let certificate = key.cert.der().clone();
    let secret = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der());
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], secret.unwrap())
        .unwrap();
    let listener = listen("127.0.0.1:0");
    let port = listener.local_addr().unwrap().port();
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut tls = rustls::ServerConnection::new(std::sync::Arc::new(config)).unwrap();
        let mut stream = rustls::Stream::new(&mut tls, &mut stream);
        let mut request = [0; 1024];
        assert!(stream.read(&mut request).unwrap() > 0);
        stream.write_all(answer("200 OK", "").as_bytes()).unwrap();
        stream.flush().unwrap();
    });
    // On a stack as the executor's threads have.
    let asking = std::thread::Builder::new()
        .stack_size(crate::executor::line::STACK)
        .spawn(move || get(&format!("https://127.0.0.1:{port}/"), PATIENCE));
    assert_eq!(asking.unwrap().join().unwrap(), Outcome::Answered(200));
    served.join().unwrap();
}

#[test]
fn a_port_is_connected_to_or_not() {
    for (address, host) in [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "[::1]")] {
        let listener = listen(address);
        let endpoint = format!("{host}:{}", listener.local_addr().unwrap().port());
        assert_eq!(connect(&endpoint, PATIENCE), Outcome::Connected(true));
        assert_eq!(connect(&endpoint, None), Outcome::Connected(true));
        drop(listener);
        assert_eq!(connect(&endpoint, PATIENCE), Outcome::Connected(false));
    }
    let outcome = connect("127.0.0.1:65536", PATIENCE);
    assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
}

fn start(script: &str) -> Result<(Running, Child), String> {
    let info = CommandInfo {
        value: Some(script.to_owned()),
        ..CommandInfo::default()
    };
    let environment = std::env::vars_os().collect();
    Running::start(&info, &environment)
}

#[test]
fn a_command_ends_with_its_status() {
    for (script, status) in [("true", 0), ("exit 3", 3 << 8), ("kill -9 $$", 9)] {
        let (running, child) = start(script).unwrap();
        assert_eq!(running.wait(child), Outcome::Ended(status), "{script}");
        // It is over: nobody is killed.
        assert_eq!(*running.pid.lock().unwrap(), None);
        running.kill();
    }
}

#[test]
fn all_of_a_command_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let script = format!("exec 3> {}; sleep 1000 & echo x >&3; wait", fifo.display());
    let (running, child) = start(&script).unwrap();
    let mut written = std::fs::File::open(&fifo).unwrap();
    written.read_exact(&mut [0; 2]).unwrap();
    running.kill();
    assert_eq!(running.wait(child), Outcome::Ended(9));
    // It ends when nobody holds it open any more: when the sleeper is dead, too.
    assert_eq!(written.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_command_that_is_not_there_does_not_start() {
    let info = CommandInfo {
        value: Some("/nowhere/at/all".to_owned()),
        shell: Some(false),
        ..CommandInfo::default()
    };
    let error = Running::start(&info, &BTreeMap::new()).unwrap_err();
    let expected = "failed to execute '/nowhere/at/all': No such file or directory";
    assert!(error.starts_with(expected), "{error}");
}
