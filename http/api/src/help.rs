//! `/help`: which endpoints a node serves, and what each is for, as text with marks (Markdown) or,
//! all of it at once, as JSON. Mesos' forms; the texts are ours, in `help/texts.rs`.

mod texts;

use std::collections::BTreeMap;

use serde::Serialize;
use tepui_runtime::{
    Node,
    http::{Handler, Request, Response},
};

use self::texts::TEXTS;
use crate::{checks::Refusal, views};

/// The process, in Mesos, whose routes these are.
const ID: &str = "help";

/// What an endpoint is for.
struct Text {
    /// The process, and the path below it without a slash in front.
    endpoint: (&'static str, &'static str),
    /// One sentence.
    short: &'static str,
    /// What it answers and what it takes.
    long: &'static str,
}

impl Text {
    fn whole(&self) -> String {
        let usage = self.usage();
        let Text { short, long, .. } = self;
        format!(
            "### USAGE ###\n>        {usage}\n\n### TL;DR; ###\n{short}\n\n\
             ### DESCRIPTION ###\n{long}\n"
        )
    }

    fn usage(&self) -> String {
        let (id, path) = self.endpoint;
        let whole = format!("/{id}/{path}");
        whole.trim_end_matches('/').to_owned()
    }
}

/// The endpoints of a node with a text, by process.
type Served = BTreeMap<&'static str, Vec<&'static Text>>;

#[derive(Serialize)]
struct Everything {
    processes: Vec<OfProcess>,
}

#[derive(Serialize)]
struct OfProcess {
    id: &'static str,
    endpoints: Vec<Endpoint>,
}

#[derive(Serialize)]
struct Endpoint {
    name: String,
    text: String,
}

/// Adds the routes: to be called when all others are there.
pub(crate) fn routes(node: &Node) {
    node.route(ID, "/", handler(index));
    for id in served(node).into_keys() {
        node.route(
            ID,
            id,
            handler(move |request, node| process(id, request, node)),
        );
    }
}

fn handler<F>(answer: F) -> Handler
where
    F: Fn(&Request, &Node) -> Response + Send + Sync + 'static,
{
    std::sync::Arc::new(move |request, node| {
        let response = answer(&request, &node);
        Box::pin(async move { response })
    })
}

fn served(node: &Node) -> Served {
    let mut served = Served::new();
    for (id, path) in node.route_list() {
        if let Some(text) = TEXTS.iter().find(|text| text.endpoint == (&*id, &*path)) {
            served.entry(text.endpoint.0).or_default().push(text);
        }
    }
    served
}

fn index(request: &Request, node: &Node) -> Response {
    let served = served(node);
    if request.query.get("format").is_some_and(|it| it == "json") {
        let endpoint = |text: &&Text| Endpoint {
            name: format!("/{}", text.endpoint.1),
            text: text.whole(),
        };
        let process = |(id, texts): (_, Vec<&Text>)| OfProcess {
            id,
            endpoints: texts.iter().map(endpoint).collect(),
        };
        let processes = served.into_iter().map(process).collect();
        return views::json(request, &Everything { processes });
    }
    list("## HELP", served.into_keys().map(str::to_owned), "help/")
}

fn process(id: &'static str, request: &Request, node: &Node) -> Response {
    let served = served(node).remove(id).unwrap_or_default();
    let wanted = request.path.trim_matches('/');
    let wanted = wanted.strip_prefix(id).unwrap_or(wanted);
    let wanted = wanted.trim_start_matches('/');
    if let Some(text) = served.iter().find(|text| text.endpoint.1 == wanted) {
        return markdown(text.whole());
    }
    if !wanted.is_empty() {
        let problem = format!("No help available for '/{id}/{wanted}'.\n");
        return Refusal::BadRequest(problem).into();
    }
    let names = served.iter().map(|text| text.usage());
    let names = names.map(|usage| usage.trim_start_matches('/').to_owned());
    list(&format!("## `/{id}` ##"), names, "")
}

/// A heading, and links to each of these.
fn list(heading: &str, names: impl Iterator<Item = String>, before: &str) -> Response {
    let names: Vec<String> = names.collect();
    let shown = names.iter().map(|name| format!("> [/{name}][{name}]\n"));
    let links = names
        .iter()
        .map(|name| format!("[{name}]: {before}{name}\n"));
    let (shown, links) = (shown.collect::<String>(), links.collect::<String>());
    markdown(format!("{heading}\n{shown}\n{links}"))
}

fn markdown(text: String) -> Response {
    Response::bytes(200, "text/x-markdown", text)
}
