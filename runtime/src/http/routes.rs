//! The table of routes of a node: which handler answers a path.
//!
//! libprocess' rules: the first part of the path is a process' id, percent-decoded; a path whose
//! first part is no process goes to the delegate, so that `/state` is `/master/state`. Below the
//! id the longest prefix that has a handler answers; a trailing `/` means nothing; a path with
//! `/..` in it is answered by nobody. The route `/` answers only the id's own path, never as the
//! prefix of others. `.json` behind a route's last part means nothing either, as in older Mesos:
//! `/state.json` is `/state`. Disabled endpoints (`--firewall_rules`) are found before routes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{PoisonError, RwLock},
};

use super::{Handler, percent_decode};

#[derive(Default)]
struct Table {
    /// id -> path without slashes at its ends -> handler
    handlers: BTreeMap<String, BTreeMap<String, Handler>>,
    delegate: Option<String>,
    disabled: BTreeSet<String>,
}

impl Table {
    /// Whether `path`, which begins with the id, is disabled. A rule whose first part is no process
    /// means the delegate's path.
    fn disables(&self, path: &str, known: impl Fn(&String) -> bool) -> bool {
        if self.disabled.contains(path) {
            return true;
        }
        let Some(delegate) = &self.delegate else {
            return false;
        };
        let rest = path
            .strip_prefix('/')
            .and_then(|path| path.strip_prefix(delegate.as_str()));
        rest.is_some_and(|rest| {
            let first = rest.split('/').nth(1).unwrap_or_default();
            rest.starts_with('/') && self.disabled.contains(rest) && !known(&first.to_owned())
        })
    }
}

/// The routes of one node.
#[derive(Default)]
pub(crate) struct Routes(RwLock<Table>);

/// Why nobody answers a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// There is no such route.
    Unknown,
    /// The endpoint of this path is disabled.
    Disabled(String),
}

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

    /// Ids and paths of all routes.
    pub(crate) fn all(&self) -> Vec<(String, String)> {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let paths = table.handlers.iter().flat_map(|(id, paths)| {
            let paths = paths.keys();
            paths.map(|path| (id.clone(), path.clone()))
        });
        paths.collect()
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

    /// Disables endpoints by their whole paths.
    pub(crate) fn disable(&self, paths: BTreeSet<String>) {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        table.disabled = paths;
    }

    /// Who answers `path` (still percent-encoded, without the query).
    pub(crate) fn resolve(
        &self,
        path: &str,
        exists: impl Fn(&str) -> bool,
    ) -> Result<Resolved, Unanswered> {
        if !path.starts_with('/') || path.contains("/..") {
            return Err(Unanswered::Unknown);
        }
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let known = |id: &String| table.handlers.contains_key(id) || exists(id);
        let first = parts
            .first()
            .and_then(|part| percent_decode(part))
            .filter(known);
        let (id, parts) = match (first, &table.delegate) {
            (Some(id), _) => (id, &parts[1..]),
            (None, Some(delegate)) => (delegate.clone(), &parts[..]),
            (None, None) => return Err(Unanswered::Unknown),
        };
        let whole = format!("/{id}/{}", parts.join("/"));
        let whole = whole.trim_end_matches('/');
        if table.disables(whole, known) {
            return Err(Unanswered::Disabled(whole.to_owned()));
        }
        let routes = table.handlers.get(&id).ok_or(Unanswered::Unknown)?;
        let shortest = usize::from(!parts.is_empty());
        let (handler, path) = (shortest..=parts.len())
            .rev()
            .find_map(|count| {
                let (front, rest) = parts.split_at(count);
                let route = front.join("/");
                if let Some(handler) = routes.get(&route) {
                    return Some((handler, format!("/{}", parts.join("/"))));
                }
                let route = route
                    .strip_suffix(".json")
                    .filter(|route| !route.is_empty())?;
                let path = [&[route], rest].concat().join("/");
                Some((routes.get(route)?, format!("/{path}")))
            })
            .ok_or(Unanswered::Unknown)?;
        Ok(Resolved {
            handler: Handler::clone(handler),
            id,
            path,
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
        let found = routes.resolve(path, exists).ok()?;
        Some((found.id, found.path))
    }

    fn same(routes: &Routes, path: &str, id: &str, route: &str) -> bool {
        let table = routes.0.read().unwrap();
        let expected = &table.handlers[id][route];
        let found = routes.resolve(path, |_| false).ok().unwrap();
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
    #[test]
    fn json_behind_a_route_means_nothing() {
        let routes = table();
        routes.delegate("master");
        routes.add("system", "/stats.json", answer(205));
        assert!(same(&routes, "/state.json", "master", "state"));
        assert!(same(&routes, "/master/state.json/more", "master", "state"));
        assert!(same(&routes, "/system/stats.json", "system", "stats.json"));
        let seen = |path: &str| resolve(&routes, path).map(|(_, path)| path);
        assert_eq!(seen("/master/state.json"), Some("/state".to_owned()));
        assert_eq!(
            seen("/master/state/a.json"),
            Some("/state/a.json".to_owned())
        );
        for unknown in [
            "/master/.json",
            "/master/nothing.json",
            "/system/stats",
            "/.json",
        ] {
            assert_eq!(seen(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_disabled_endpoint_is_told_from_an_unknown_one() {
        let routes = table();
        routes.delegate("master");
        let rules = ["/master/state", "/api/v1", "/slave(1)/state"];
        routes.disable(rules.map(str::to_owned).into());
        let found = |path: &str| routes.resolve(path, |_| false).map(|found| found.path);
        let disabled = |path: &str| Err(Unanswered::Disabled(path.to_owned()));
        assert_eq!(found("/state"), disabled("/master/state"));
        assert_eq!(found("/master/state/"), disabled("/master/state"));
        assert_eq!(found("/slave%281%29/state"), disabled("/slave(1)/state"));
        assert_eq!(found("/master/api/v1"), disabled("/master/api/v1"));
        assert_eq!(
            found("/master/api/v1/scheduler"),
            Ok("/api/v1/scheduler".to_owned()),
            "a rule is one path, not what is below it"
        );
        assert_eq!(found("/nothing"), Err(Unanswered::Unknown));
    }
}
