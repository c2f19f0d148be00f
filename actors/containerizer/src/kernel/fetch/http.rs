//! Downloads over http and https. Certificates are checked against those the host trusts and those
//! that come with this binary, so that a host without any can fetch, too.

use std::io::{self, Read, Write};
use std::sync::Arc;

use ureq::config::AutoHeaderValue;
use ureq::http::{Response, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};
use url::Url;

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
        // They are followed here, where it is known what may be fetched.
        .max_redirects(0)
        // The server may close an idle connection under the next request, which then fails.
        .max_idle_connections(0)
        // The file as it is: an archive's own compression is not the connection's.
        .accept_encoding(AutoHeaderValue::None)
        .user_agent("tepui-fetcher")
        .tls_config(tls)
        .build()
        .new_agent();
    let mut response = ask(&agent, url, progress)?;
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

/// The first answer that sends nowhere else.
fn ask(agent: &Agent, url: &str, progress: &Progress) -> Result<Response<Body>, String> {
    let mut url = url.to_owned();
    for _ in 0..=REDIRECTS_MAX {
        let asked = agent.get(&url).call();
        let response = asked.map_err(|error| error.to_string())?;
        progress.tick();
        let location = response.headers().get(header::LOCATION);
        let elsewhere = matches!(response.status().as_u16(), 301..=303 | 307 | 308);
        let Some(location) = location.filter(|_| elsewhere) else {
            return Ok(response);
        };
        url = redirected(&url, &String::from_utf8_lossy(location.as_bytes()))?;
    }
    Err(format!(
        "the server redirects more than {REDIRECTS_MAX} times"
    ))
}

/// Where a redirect leads from `url`. Never to a file of this host, which is not the server's to
/// choose.
pub(crate) fn redirected(url: &str, location: &str) -> Result<String, String> {
    let found = Url::parse(url).and_then(|from| from.join(location));
    match found {
        Ok(to) if matches!(to.scheme(), "http" | "https") => Ok(to.into()),
        Ok(to) => Err(format!(
            "the server redirects to '{location}', and by '{}' a redirect is not followed",
            to.scheme()
        )),
        Err(error) => Err(format!("the server redirects to '{location}': {error}")),
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
