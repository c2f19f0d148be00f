//! Packs whole replies for clients that take gzip, as libprocess does: from 1024 bytes on, and
//! never streams.

use std::io::Write as _;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

use crate::http::{Body, Response};
use crate::node::Node;

/// A smaller body is sent as it is (libprocess' `GZIP_MINIMUM_BODY_LENGTH`).
const MIN_BYTES: usize = 1024;

/// A larger body is packed where blocking is allowed.
const MAX_INLINE_BYTES: usize = 64 * 1024;

/// Whether an `Accept-Encoding` field takes gzip.
pub(super) fn is_accepted(field: &str) -> bool {
    let mut any = false;
    for one in field.split(',') {
        let mut parts = one.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default();
        let quality = parts.find_map(|part| part.strip_prefix("q="));
        let taken = quality.is_none_or(|quality| quality.parse::<f32>().is_ok_and(|q| q > 0.0));
        if ["gzip", "x-gzip"]
            .iter()
            .any(|name| coding.eq_ignore_ascii_case(name))
        {
            return taken;
        }
        any |= coding == "*" && taken;
    }
    any
}

/// The response with its body packed, if that is worth it.
pub(super) async fn pack(mut response: Response, node: &Node) -> Response {
    let Body::Bytes(body) = &response.body else {
        return response;
    };
    if body.len() < MIN_BYTES || response.header("Content-Encoding").is_some() {
        return response;
    }
    let body = body.clone();
    let packed = if body.len() <= MAX_INLINE_BYTES {
        packed(&body)
    } else {
        node.blocking(move || packed(&body)).await.flatten()
    };
    if let Some(packed) = packed {
        response.body = Body::Bytes(packed);
        return response.with_header("Content-Encoding", "gzip");
    }
    response
}

/// The bytes as a gzip file. Speed goes before size: `/state` is asked for every few seconds.
fn packed(body: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).ok()?;
    Some(encoder.finish().ok()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_says_whether_gzip_is_taken() {
        for yes in [
            "gzip",
            "GZip",
            "deflate, gzip;q=0.5",
            "x-gzip",
            "*",
            "br, *;q=0.1",
            "gzip; q=1",
        ] {
            assert!(is_accepted(yes), "{yes}");
        }
        for no in [
            "",
            "identity",
            "gzip;q=0",
            "*;q=0",
            "*, gzip;q=0.0",
            "deflate",
            "gzip;q=x",
        ] {
            assert!(!is_accepted(no), "{no}");
        }
    }
}
