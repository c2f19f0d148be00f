//! Downloads over http and https. Certificates are checked against those the host trusts and those
//! that come with this binary, so that a host without any can fetch, too.

use std::io::{self, Read, Write};
use std::sync::Arc;

use ureq::config::AutoHeaderValue;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::role::Progress;

/// As many redirects are followed before a server is taken to go in circles.
const REDIRECTS_MAX: u32 = 50;

/// Writes what is found at `url`, which must be answered with 200, into a file.
///
/// # Errors
/// What the server answered, or what kept it from being asked.
pub(super) fn download(
    url: &str,
    into: &mut impl Write,
    progress: &Progress,
) -> Result<u64, String> {
    let tls = TlsConfig::builder().root_certs(roots()).build();
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(REDIRECTS_MAX)
        // The file as it is: an archive's own compression is not the connection's.
        .accept_encoding(AutoHeaderValue::None)
        .user_agent("tepui-fetcher")
        .tls_config(tls)
        .build()
        .new_agent();
    let mut response = agent.get(url).call().map_err(|error| error.to_string())?;
    progress.tick();
    let status = response.status();
    if status.as_u16() != 200 {
        return Err(format!("the server answered {status}"));
    }
    let mut body = response.body_mut().as_reader();
    let mut buffer = vec![0; 64 << 10];
    let mut total = 0;
    loop {
        let count = match body.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(format!("the transfer broke after {total} bytes: {error}")),
        };
        let written = into.write_all(&buffer[..count]);
        written.map_err(|error| format!("failed to write: {error}"))?;
        total += count as u64;
        progress.tick();
    }
}

fn roots() -> RootCerts {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        eprintln!("Some of this host's certificates cannot be read: {error}");
    }
    let bundled = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    let all = found.certs.iter().chain(bundled);
    let all: Vec<Certificate<'static>> = all
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect();
    RootCerts::Specific(Arc::new(all))
}
