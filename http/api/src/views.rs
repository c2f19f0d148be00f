//! What master and agent show of themselves: one file for each view and each thing in it.
//!
//! A view is rendered from one immutable snapshot, on a thread where that holds up nobody, and is
//! written straight from it: no tree of JSON values in between. Names, order and presence of keys
//! are Mesos'. Not here: how the state changes, and the v1 calls.

mod agent_state;
mod agents;
mod attributes;
mod build;
mod constraints;
mod containers;
mod executor;
mod flags;
mod framework;
mod frameworks;
mod health;
mod logging;
mod metrics;
mod offer;
mod prometheus;
mod redirect;
mod resources;
mod roles;
mod shared;
mod state;
mod summary;
mod task;
mod tasks;
mod version;

use std::sync::Arc;

use bytes::Bytes;
use serde::{Serialize, Serializer, ser::SerializeMap};
use tepui_runtime::{
    Node,
    http::{Handler, Request, Response},
};

pub use self::build::{MESOS_VERSION, TEPUI_VERSION};
pub(crate) use self::{
    agent_state::agent_state,
    agents::agents,
    constraints::offer_constraints,
    containers::{containers, statistics},
    flags::flags,
    frameworks::frameworks,
    health::health,
    logging::logging,
    metrics::metrics,
    prometheus::prometheus,
    redirect::redirect,
    roles::roles,
    state::state,
    summary::summary,
    tasks::tasks,
    version::version,
};
use crate::checks::Refusal;

/// Answers with the JSON that `render` gives, which runs where it may take its time.
pub(crate) fn rendered<F>(render: F) -> Handler
where
    F: Fn(&Request, &Node) -> Result<Vec<u8>, Refusal> + Send + Sync + 'static,
{
    let render = Arc::new(render);
    Arc::new(move |request, node| {
        let render = Arc::clone(&render);
        Box::pin(async move {
            let function = match jsonp(&request) {
                Ok(function) => function,
                Err(refusal) => return refusal.into(),
            };
            let of = node.clone();
            match node.blocking(move || render(&request, &of)).await {
                Some(Ok(text)) => answer(function, text.into()),
                Some(Err(refusal)) => refusal.into(),
                None => unrendered(),
            }
        })
    })
}

/// A value as JSON text.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec(value).map_err(|problem| Refusal::Internal(problem.to_string()))
}

/// A value as JSON, or as a call of the function that `jsonp` names.
pub(crate) fn json<T: Serialize>(request: &Request, value: &T) -> Response {
    let rendered = jsonp(request).and_then(|function| Ok((function, to_json(value)?)));
    rendered.map_or_else(Response::from, |(function, text)| {
        answer(function, text.into())
    })
}

fn unrendered() -> Response {
    Response::text(500, "the view could not be rendered")
}

fn answer(function: Option<String>, text: Bytes) -> Response {
    match function {
        None => Response::bytes(200, "application/json", text),
        Some(function) => {
            let mut script = function.into_bytes();
            script.push(b'(');
            script.extend_from_slice(&text);
            script.push(b')');
            Response::bytes(200, "text/javascript", script)
        }
    }
}

/// The function that `jsonp` names. Mesos takes any text; as it becomes the beginning of a script,
/// only what can be the name of a function is taken here.
fn jsonp(request: &Request) -> Result<Option<String>, Refusal> {
    let Some(function) = request.query.get("jsonp") else {
        return Ok(None);
    };
    let fits = |c: char| c.is_alphanumeric() || "_$.[]".contains(c);
    if function.is_empty() || function.len() > 255 || !function.chars().all(fits) {
        return Err(Refusal::BadRequest(format!(
            "Invalid jsonp '{function}': expected the name of a function.\n"
        )));
    }
    Ok(Some(function.clone()))
}

/// Writes an array from an iterator that is made when it is wanted.
pub(crate) struct Each<F>(pub(crate) F);

impl<F, I> Serialize for Each<F>
where
    F: Fn() -> I,
    I: Iterator,
    I::Item: Serialize,
{
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq((self.0)())
    }
}

/// Writes an object from an iterator of its keys and values.
pub(crate) struct EachKey<F>(pub(crate) F);

impl<F, I, K, V> Serialize for EachKey<F>
where
    F: Fn() -> I,
    I: Iterator<Item = (K, V)>,
    K: Serialize,
    V: Serialize,
{
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map((self.0)())
    }
}

/// Which of the things with ids are shown: the one that a query names, or all.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a>(Option<&'a str>);

impl<'a> Wanted<'a> {
    pub(crate) const ALL: Wanted<'static> = Wanted(None);

    /// The one that the query's `parameter` names, or all where there is no such parameter.
    pub(crate) fn by(request: &'a Request, parameter: &str) -> Self {
        Self(request.query.get(parameter).map(String::as_str))
    }

    /// Writes the array of those that are wanted, each as `view` shows it.
    pub(crate) fn list<'s, M, I, T, V>(
        self,
        map: &mut M,
        key: &'static str,
        all: impl Fn() -> I,
        view: impl Fn(&'s T) -> V,
    ) -> Result<(), M::Error>
    where
        M: SerializeMap,
        I: Iterator<Item = (&'s String, &'s Arc<T>)>,
        T: 's,
        V: Serialize,
    {
        let wanted = || {
            all()
                .filter(|(id, _)| self.0.is_none_or(|only| only == id.as_str()))
                .map(|(_, one)| view(one))
        };
        map.serialize_entry(key, &Each(wanted))
    }
}

/// An array with nothing in it, which Mesos shows under keys of former times.
pub(crate) const NOTHING: [(); 0] = [];

#[cfg(test)]
mod tests {
    use super::*;

    fn request(jsonp: Option<&str>) -> Request {
        let mut request = Request::new("GET", "/");
        if let Some(jsonp) = jsonp {
            request.query.insert("jsonp".to_owned(), jsonp.to_owned());
        }
        request
    }

    fn body(response: &Response) -> &[u8] {
        match &response.body {
            tepui_runtime::http::Body::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    #[test]
    fn jsonp_makes_a_script_of_an_answer() {
        let plain = json(&request(None), &[1, 2]);
        assert_eq!(plain.header("Content-Type"), Some("application/json"));
        assert_eq!(body(&plain), b"[1,2]");
        let script = json(&request(Some("angular.callbacks._0")), &[1, 2]);
        assert_eq!(script.header("Content-Type"), Some("text/javascript"));
        assert_eq!(body(&script), b"angular.callbacks._0([1,2])");
    }

    #[test]
    fn jsonp_is_no_way_to_write_another_script() {
        for bad in ["", "alert(1);f", "a b", "<script>", "f\n"] {
            let response = json(&request(Some(bad)), &[1]);
            assert_eq!(response.status, 400, "{bad}");
        }
    }
}
