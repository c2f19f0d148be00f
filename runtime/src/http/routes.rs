//! The table of routes of a node: which handler answers a path.
//!
//! libprocess' rules: the first part of the path is a process' id, percent-decoded; a path whose
//! first part is no process goes to the delegate, so that `/state` is `/master/state`. Below the
//! id the longest prefix that has a handler answers; a trailing `/` means nothing; a path with
//! `/..` in it is answered by nobody. The route `/` answers only the id's own path, never as the
//! prefix of others.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

use super::{Handler, percent_decode};

#[derive(Default)]
struct Table {
    /// id -> path without slashes at its ends -> handler
    handlers: BTreeMap<String, BTreeMap<String, Handler>>,
    delegate: Option<String>,
}

/// The routes of one node.
#[derive(Default)]
pub(crate) struct Routes(RwLock<Table>);

/// Who answers a path, and the path as that handler sees it.
pub(crate) struct Resolved {
    pub(crate) id: String,
    pub(crate) handler: Handler,
    pub(crate) path: String,
}

impl Routes {
    /// Sets the handler of `path` below `id`, in place of an earlier one.
    pub(crate) fn add(&self, id: &str, path: &str, handler: Handler) {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let routes = table.handlers.entry(id.to_owned()).or_default();
        routes.insert(path.trim_matches('/').to_owned(), handler);
    }

    /// Removes all routes of a process.
    pub(crate) fn remove(&self, id: &str) {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        table.handlers.remove(id);
    }

    /// Sends paths whose first part is no process to `id`.
    pub(crate) fn delegate(&self, id: &str) {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        table.delegate = Some(id.to_owned());
    }

    /// Who answers `path` (still percent-encoded, without the query); `None` is a 404.
    pub(crate) fn resolve(&self, path: &str, exists: impl Fn(&str) -> bool) -> Option<Resolved> {
        if !path.starts_with('/') || path.contains("/..") {
            return None;
        }
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let known = |id: &String| table.handlers.contains_key(id) || exists(id);
        let first = parts
            .first()
            .and_then(|part| percent_decode(part))
            .filter(known);
        let (id, parts) = match first {
            Some(id) => (id, &parts[1..]),
            None => (table.delegate.clone()?, &parts[..]),
        };
        let routes = table.handlers.get(&id)?;
        let shortest = usize::from(!parts.is_empty());
        let handler = (shortest..=parts.len())
            .rev()
            .find_map(|count| routes.get(&parts[..count].join("/")))
            .cloned()?;
        Some(Resolved {
            id,
            handler,
            path: format!("/{}", parts.join("/")),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::http::Response;

    fn answer(status: u16) -> Handler {
        Arc::new(move |_, _| Box::pin(async move { Response::status(status) }))
    }

    fn table() -> Routes {
        let routes = Routes::default();
        routes.add("master", "/", answer(200));
        routes.add("master", "/state", answer(201));
        routes.add("master", "/api/v1", answer(202));
        routes.add("master", "/api/v1/scheduler/", answer(203));
        routes.add("slave(1)", "/state", answer(204));
        routes
    }

    /// The handlers cannot be compared, so a path is checked by its id and what the handler sees.
    fn resolve(routes: &Routes, path: &str) -> Option<(String, String)> {
        let exists = |id: &str| id == "idle";
        routes
            .resolve(path, exists)
            .map(|resolved| (resolved.id, resolved.path))
    }

    fn same(routes: &Routes, path: &str, id: &str, route: &str) -> bool {
        let table = routes.0.read().unwrap();
        let expected = &table.handlers[id][route];
        let found = routes.resolve(path, |_| false).unwrap();
        Arc::ptr_eq(expected, &found.handler)
    }

    #[test]
    fn the_longest_prefix_answers() {
        let routes = table();
        assert!(same(&routes, "/master/api/v1", "master", "api/v1"));
        assert!(same(&routes, "/master/api/v1/other", "master", "api/v1"));
        assert!(same(
            &routes,
            "/master/api/v1/scheduler",
            "master",
            "api/v1/scheduler"
        ));
        assert!(same(&routes, "/master/state/anything", "master", "state"));
        assert!(same(&routes, "/master", "master", ""));
        assert!(same(&routes, "/master/", "master", ""));
    }

    #[test]
    fn the_id_is_decoded_and_the_rest_is_left_as_it_came() {
        let routes = table();
        let expected = Some(("slave(1)".to_owned(), "/state/a%20b".to_owned()));
        assert_eq!(resolve(&routes, "/slave%281%29/state//a%20b/"), expected);
    }

    #[test]
    fn unknown_paths_are_answered_by_nobody() {
        let routes = table();
        for path in [
            "/",
            "/state",
            "/master/api",
            "/master/nothing",
            "/idle/x",
            "*",
            "",
            "master",
        ] {
            assert_eq!(resolve(&routes, path), None, "{path}");
        }
        assert_eq!(resolve(&routes, "/master/../state"), None);
        assert_eq!(resolve(&routes, "/master/state/..hidden"), None);
    }

    #[test]
    fn what_is_no_process_goes_to_the_delegate() {
        let routes = table();
        routes.delegate("master");
        let expected = Some(("master".to_owned(), "/state".to_owned()));
        assert_eq!(resolve(&routes, "/state"), expected);
        assert_eq!(resolve(&routes, "/state/"), expected);
        assert_eq!(resolve(&routes, "/master/state"), expected);
        assert_eq!(
            resolve(&routes, "/"),
            Some(("master".to_owned(), "/".to_owned()))
        );
        assert_eq!(
            resolve(&routes, "/idle/state"),
            None,
            "a process without routes is its own"
        );
        routes.remove("master");
        assert_eq!(resolve(&routes, "/state"), None);
    }
}
