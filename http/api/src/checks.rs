//! The checks that every call of the v1 APIs passes before anyone looks at what it says: method,
//! content type, body, accepted types. Pure: a request in, a refusal or what was learned out.
//!
//! The order and the words are Mesos'. What a call means is checked in `validate.rs`; whether its
//! sender may make it now, in the file of the API.

use tepui_runtime::{
    CodecError, Encoding, Message,
    http::{Headers, Request, Response},
};

/// Why a request is not served; becomes the response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `405`: the path is not served by this method.
    #[error(
        "405 Method Not Allowed. Expecting one of {{ '{}' }}, but received '{received}'.",
        allowed.join("', '")
    )]
    Method {
        /// The methods that are served, which `Allow` names.
        allowed: &'static [&'static str],
        /// The method that came.
        received: String,
    },
    /// `400`: the request or its body is wrong.
    #[error("{0}")]
    BadRequest(String),
    /// `403`: right in itself, but not from this sender in its present state.
    #[error("{0}")]
    Forbidden(String),
    /// `406`: no type that the client accepts can be produced.
    #[error("Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'")]
    NotAcceptable,
    /// `415`: the body is of a type that is not read here.
    #[error("Expecting 'Content-Type' of application/json or application/x-protobuf")]
    UnsupportedMediaType,
    /// `404`: there is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// `409`: what it is about has changed, or is changing.
    #[error("{0}")]
    Conflict(String),
    /// `500`: the fault is not the request's.
    #[error("{0}")]
    Internal(String),
    /// `501`: a call that is known by name and not offered.
    #[error("{0}")]
    NotImplemented(String),
    /// `503`: not now.
    #[error("{0}")]
    Unavailable(String),
}

impl Refusal {
    /// The status code of the response.
    pub fn status(&self) -> u16 {
        match self {
            Self::BadRequest(_) => 400,
            Self::Forbidden(_) => 403,
            Self::NotFound(_) => 404,
            Self::Conflict(_) => 409,
            Self::Internal(_) => 500,
            Self::Method { .. } => 405,
            Self::NotAcceptable => 406,
            Self::UnsupportedMediaType => 415,
            Self::NotImplemented(_) => 501,
            Self::Unavailable(_) => 503,
        }
    }
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Self {
        let response = Self::text(refusal.status(), refusal.to_string());
        match refusal {
            Refusal::Method { allowed, .. } => response.with_header("Allow", allowed.join(", ")),
            _ => response,
        }
    }
}

/// Refuses a request whose method is not among `allowed`.
///
/// # Errors
///
/// [`Refusal::Method`].
pub fn method(request: &Request, allowed: &'static [&'static str]) -> Result<(), Refusal> {
    if allowed.contains(&request.method.as_str()) {
        return Ok(());
    }
    Err(Refusal::Method {
        allowed,
        received: request.method.as_str().to_owned(),
    })
}

/// The encoding that `Content-Type` names. As in Mesos it must be written exactly so, without
/// parameters.
///
/// # Errors
///
/// [`Refusal::BadRequest`] where the header is missing, [`Refusal::UnsupportedMediaType`] where it
/// names another type.
pub fn content_type(headers: &Headers) -> Result<Encoding, Refusal> {
    match headers.get("Content-Type") {
        None => Err(Refusal::BadRequest(
            "Expecting 'Content-Type' to be present".to_owned(),
        )),
        Some(JSON) => Ok(Encoding::Json),
        Some(PROTOBUF) => Ok(Encoding::Protobuf),
        Some(_) => Err(Refusal::UnsupportedMediaType),
    }
}

/// The encoding for the answer: JSON before protobuf where both are accepted, whatever their
/// weights.
///
/// # Errors
///
/// [`Refusal::NotAcceptable`].
pub fn accept(headers: &Headers) -> Result<Encoding, Refusal> {
    let accepted = headers.get("Accept");
    if accepts(accepted, JSON) {
        Ok(Encoding::Json)
    } else if accepts(accepted, PROTOBUF) {
        Ok(Encoding::Protobuf)
    } else {
        Err(Refusal::NotAcceptable)
    }
}

/// Reads a call from its body. `name` is what Mesos calls it in its errors, such as `Call`.
///
/// # Errors
///
/// [`Refusal::BadRequest`] with the path of what is wrong.
pub fn decode<M: Message>(name: &str, encoding: Encoding, body: &[u8]) -> Result<M, Refusal> {
    M::decode(encoding, body).map_err(|problem| {
        let why = match &problem {
            CodecError::Decode { path, problem, .. } if path.is_empty() || path == "." => {
                problem.clone()
            }
            CodecError::Decode { path, problem, .. } => format!("{path}: {problem}"),
            other => other.to_string(),
        };
        Refusal::BadRequest(match encoding {
            Encoding::Json => json_problem(name, body, &why),
            _ => format!("Failed to parse body into {name} protobuf: {why}"),
        })
    })
}

/// Mesos tells apart a body that is no JSON, one that is no object, and one that is no call.
fn json_problem(name: &str, body: &[u8], why: &str) -> String {
    if let Err(syntax) = serde_json::from_slice::<serde::de::IgnoredAny>(body) {
        return format!("Failed to parse body into JSON: {syntax}");
    }
    let object = body.trim_ascii_start().starts_with(b"{");
    let why = if object {
        why
    } else {
        "Expecting a JSON object"
    };
    format!("Failed to convert JSON into {name} protobuf: {why}")
}

const JSON: &str = Encoding::Json.content_type();
const PROTOBUF: &str = Encoding::Protobuf.content_type();

/// Whether an `Accept` header lets `media_type` (in lower case) through. libprocess' rule: the
/// most exact of `type/subtype`, `type/*` and `*/*` that is listed decides; `q=0` is a no.
fn accepts(header: Option<&str>, media_type: &str) -> bool {
    let Some(header) = header else { return true };
    let family = media_type.split('/').next().unwrap_or_default();
    let candidates = [
        media_type.to_owned(),
        format!("{family}/*"),
        "*/*".to_owned(),
    ];
    candidates.iter().find_map(|candidate| {
        header.split(',').find_map(|entry| {
            let mut parts = entry.split(';').map(|part| part.replace([' ', '\t'], ""));
            let listed = parts
                .next()
                .is_some_and(|kind| kind.eq_ignore_ascii_case(candidate));
            listed.then(|| {
                let weight = parts.find_map(|part| part.strip_prefix("q=").map(str::to_owned));
                weight.is_none_or(|weight| weight.parse().is_ok_and(|q: f64| q > 0.0))
            })
        })
    }) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &str, value: Option<&str>) -> Headers {
        value.map(|value| (name, value)).into_iter().collect()
    }

    #[test]
    fn the_method_must_be_one_that_is_served() {
        assert_eq!(method(&Request::new("POST", "/"), &["POST"]), Ok(()));
        let refusal = method(&Request::new("GET", "/"), &["POST"]).unwrap_err();
        let text = "405 Method Not Allowed. Expecting one of { 'POST' }, but received 'GET'.";
        assert_eq!(refusal.to_string(), text);
        let refusal = method(&Request::new("PUT", "/"), &["GET", "POST"]).unwrap_err();
        let text =
            "405 Method Not Allowed. Expecting one of { 'GET', 'POST' }, but received 'PUT'.";
        assert_eq!(refusal.to_string(), text);
        let response = Response::from(refusal);
        assert_eq!(
            (response.status, response.header("Allow")),
            (405, Some("GET, POST"))
        );
    }

    #[test]
    fn the_content_type_is_required_and_exact() {
        let cases: [(Option<&str>, Result<Encoding, u16>); 8] = [
            (None, Err(400)),
            (Some("application/json"), Ok(Encoding::Json)),
            (Some("application/x-protobuf"), Ok(Encoding::Protobuf)),
            (Some("application/json; charset=utf-8"), Err(415)),
            (Some("APPLICATION/JSON"), Err(415)),
            (Some("text/plain"), Err(415)),
            (Some("application/msgpack"), Err(415)),
            (Some(""), Err(415)),
        ];
        for (value, expected) in cases {
            let found = content_type(&headers("content-type", value));
            assert_eq!(
                found.map_err(|refusal| refusal.status()),
                expected,
                "{value:?}"
            );
        }
    }

    /// Each line was put to Mesos 1.11, which answered so.
    #[test]
    fn json_is_tried_before_protobuf() {
        let cases = [
            (None, Ok(Encoding::Json)),
            (Some("*/*"), Ok(Encoding::Json)),
            (Some("application/*"), Ok(Encoding::Json)),
            (Some("application/json"), Ok(Encoding::Json)),
            (Some("APPLICATION/JSON"), Ok(Encoding::Json)),
            (Some("application/x-protobuf"), Ok(Encoding::Protobuf)),
            (
                Some("application/json,application/x-protobuf"),
                Ok(Encoding::Json),
            ),
            (
                Some("application/x-protobuf, application/json;q=0.5"),
                Ok(Encoding::Json),
            ),
            (
                Some("application/json;q=0, application/x-protobuf"),
                Ok(Encoding::Protobuf),
            ),
            (
                Some("application/x-protobuf;q=0.9,text/html"),
                Ok(Encoding::Protobuf),
            ),
            (Some("text/html,*/*;q=0.1"), Ok(Encoding::Json)),
            (Some("application/json;q=0"), Err(406)),
            (Some("text/*"), Err(406)),
            (Some("text/plain"), Err(406)),
            (Some(""), Err(406)),
        ];
        for (value, expected) in cases {
            let found = accept(&headers("Accept", value));
            assert_eq!(
                found.map_err(|refusal| refusal.status()),
                expected,
                "{value:?}"
            );
        }
    }

    #[test]
    fn each_refusal_has_its_status_and_its_words_as_body() {
        let said = |text: &str| text.to_owned();
        let cases = [
            (Refusal::BadRequest(said("a")), 400, "a"),
            (Refusal::Forbidden(said("b")), 403, "b"),
            (
                Refusal::NotAcceptable,
                406,
                "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'",
            ),
            (
                Refusal::UnsupportedMediaType,
                415,
                "Expecting 'Content-Type' of application/json or application/x-protobuf",
            ),
            (Refusal::Conflict(said("e")), 409, "e"),
            (Refusal::NotImplemented(said("c")), 501, "c"),
            (Refusal::Unavailable(said("d")), 503, "d"),
        ];
        for (refusal, status, text) in cases {
            assert_eq!(
                (refusal.status(), refusal.to_string().as_str()),
                (status, text)
            );
            let response = Response::from(refusal);
            assert_eq!(
                response.header("Content-Type"),
                Some("text/plain; charset=utf-8")
            );
        }
    }
}
