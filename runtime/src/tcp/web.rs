//! Everything that is not a libprocess message: an HTTP server (actix-web) on the same
//! connections, with one handler that looks its answers up in the node's routes.
//!
//! A client that closes its side is gone: its handler's future is dropped, the writer of its
//! streamed body is told. That is how a scheduler's disconnection is seen.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use actix_http::{
    HttpService, KeepAlive, Protocol,
    body::{BodySize, MessageBody},
};
use actix_service::{Service, ServiceFactory as _, map_config};
use actix_web::{
    App, HttpRequest, HttpResponse, HttpResponseBuilder,
    dev::AppConfig,
    http::{
        StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
    web,
};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream as _, StreamExt as _, future::LocalBoxFuture};

use super::{
    Site,
    arriving::Share,
    gzip,
    intake::Target,
    replay::{Cut, Replay},
    time::timeout,
};
use crate::{
    Encoding,
    address::Pid,
    http::{self, Body, BodyError, BodyReader, Headers, Method, Request, Response, parse_query},
};

/// The library looks at the time twice a second, and a deadline that has passed by then is never
/// noticed: no duration of its own is shorter than this.
const COARSE: Duration = Duration::from_secs(1);

/// A longer body is given to the library in pieces: it copies what it gets, all at once.
const PIECE_BYTES: usize = 32 * 1024;

/// Serves one connection to its end.
type Serve = Rc<dyn Fn(Replay, Option<SocketAddr>) -> LocalBoxFuture<'static, ()>>;

/// An HTTP server for the connections of one thread.
#[derive(Clone)]
pub(super) struct Web(Serve);

impl Web {
    /// A server; `None` only if the library cannot start one, which it logs.
    pub(super) async fn new(site: Arc<Site>) -> Option<Self> {
        let limits = site.limits.clone();
        let app = App::new().default_service(web::to(
            move |request: HttpRequest, payload: web::Payload| {
                answer(Arc::clone(&site), request, payload)
            },
        ));
        let factory = HttpService::build()
            .keep_alive(KeepAlive::Timeout(limits.keep_alive.max(COARSE)))
            .client_request_timeout(limits.head_timeout.max(COARSE))
            .client_disconnect_timeout(limits.linger.max(COARSE))
            .h1_allow_half_closed(false)
            .on_connect_ext(|stream: &Replay, extensions| {
                extensions.insert::<Arc<Cut>>(stream.cut());
            })
            .finish(map_config(app, |()| AppConfig::default()));
        let service = Rc::new(factory.new_service(()).await.ok()?);
        Some(Self(Rc::new(move |stream, peer| {
            let service = Rc::clone(&service);
            Box::pin(async move {
                if let Err(problem) = service.call((stream, Protocol::Http1, peer)).await {
                    tracing::debug!(?peer, %problem, "HTTP connection ended");
                }
            })
        })))
    }

    /// Serves a connection until it ends.
    pub(super) async fn serve(&self, stream: Replay, peer: Option<SocketAddr>) {
        (self.0)(stream, peer).await;
    }
}

/// Answers one request from the node's routes.
async fn answer(site: Arc<Site>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let cut = request.conn_data::<Arc<Cut>>();
    match read_body(&site, &request, payload).await {
        Ok(body) => written(respond(&site, &request, body).await, cut).finish(),
        Err(refusal) => {
            // The library would read the rest, however long it is.
            if let Some(cut) = cut {
                cut.deafen();
            }
            let mut last = written(refusal, cut);
            last.builder.force_close();
            last.finish()
        }
    }
}

/// Reads the body whole, within the bounds of size and time.
async fn read_body(
    site: &Site,
    request: &HttpRequest,
    mut payload: web::Payload,
) -> Result<Bytes, Response> {
    let field = request.headers().get(header::CONTENT_ENCODING);
    if let Some(coding) =
        field.filter(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        let coding = String::from_utf8_lossy(coding.as_bytes());
        let reason = format!("Content-Encoding '{coding}' of a request is not supported");
        return Err(Response::text(415, reason));
    }
    let max = site.max_body_bytes;
    let too_large = || Response::text(413, format!("the body is larger than {max} bytes"));
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|announced| announced > max as u64) {
        return Err(too_large());
    }
    let mut whole = BytesMut::new();
    let mut share = Share::of(&site.arriving);
    loop {
        match timeout(site.limits.head_timeout, payload.next()).await {
            Ok(None) => return Ok(whole.freeze()),
            Ok(Some(Ok(chunk))) if whole.len().saturating_add(chunk.len()) > max => {
                return Err(too_large());
            }
            Ok(Some(Ok(chunk))) if !share.hold(whole.len() + chunk.len()) => {
                site.counters.bodies_over_limit.increment(1);
                return Err(Response::text(503, "too many bodies are arriving"));
            }
            Ok(Some(Ok(chunk))) if whole.is_empty() => whole = BytesMut::from(chunk),
            Ok(Some(Ok(chunk))) => whole.extend_from_slice(&chunk),
            Ok(Some(Err(problem))) => return Err(Response::text(400, problem.to_string())),
            Err(_late) => return Err(Response::text(408, "the body did not arrive in time")),
        }
    }
}

async fn respond(site: &Site, request: &HttpRequest, body: Bytes) -> Response {
    let Some(node) = site.node.upgrade().filter(|node| !node.is_down()) else {
        return Response::text(503, "the node is shut down");
    };
    if let Some(from) = message_sender(request) {
        return deliver(site, request, from, &body);
    }
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let request = Request {
        method: Method::from(request.method().as_str()),
        path: request.uri().path().to_owned(),
        query: parse_query(request.uri().query().unwrap_or_default()),
        headers: request
            .headers()
            .iter()
            .map(|(key, value)| (key.as_str(), text(value)))
            .collect::<Headers>(),
        body,
        peer: request.peer_addr(),
    };
    let packs = request
        .headers
        .get("Accept-Encoding")
        .is_some_and(gzip::is_accepted);
    let response = http::answer(&node, request).await;
    if packs {
        return gzip::pack(response, &node).await;
    }
    response
}

/// The sender of a libprocess message that came behind other requests; `Some(None)` where it is
/// a message whose sender cannot be determined.
fn message_sender(request: &HttpRequest) -> Option<Option<Pid>> {
    let field = |name: &str| request.headers().get(name).map(|value| value.to_str().ok());
    let agent = || field("User-Agent").flatten()?.strip_prefix("libprocess/");
    let is_post = request.method() == actix_web::http::Method::POST;
    let named = match field("Libprocess-From") {
        Some(value) => value,
        None => Some(agent()?),
    };
    is_post.then(|| named?.trim().parse().ok())
}

/// Hands a libprocess message over, as the connections of messages do.
fn deliver(site: &Site, request: &HttpRequest, from: Option<Pid>, body: &Bytes) -> Response {
    let Some(from) = from else {
        return Response::text(500, "the sender of the message cannot be determined");
    };
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let encoding = match content_type.map(|value| value.to_str()) {
        None => Some(Encoding::Protobuf),
        Some(value) => value
            .ok()
            .and_then(|text| Encoding::from_content_type(Some(text))),
    };
    let Some(target) = Target::parse(request.uri().path()) else {
        return Response::text(400, "bad path: /<process>/<message> is wanted");
    };
    match target.deliver(&site.node, encoding, body, &from, None) {
        Ok(()) => Response::accepted(),
        Err((status, reason)) => Response::text(status, reason),
    }
}

/// A response on its way into the library.
struct Written {
    builder: HttpResponseBuilder,
    body: Body,
}

impl Written {
    fn finish(mut self) -> HttpResponse {
        match self.body {
            Body::Empty => self.builder.finish(),
            Body::Bytes(bytes) if bytes.len() > PIECE_BYTES => self.builder.body(Pieces(bytes)),
            Body::Bytes(bytes) => self.builder.body(bytes),
            Body::Stream(reader) => self.builder.body(Streamed(reader)),
        }
    }
}

/// The response as the library writes it.
fn written(response: Response, cut: Option<&Arc<Cut>>) -> Written {
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut written = HttpResponse::build(status);
    for (name, value) in &response.headers {
        match (
            HeaderName::try_from(name.as_str()),
            HeaderValue::from_str(value),
        ) {
            (Ok(name), Ok(value)) => {
                written.append_header((name, value));
            }
            _ => tracing::warn!(name, "a header field that HTTP cannot carry was left out"),
        }
    }
    if let (Body::Stream(reader), Some(cut)) = (&response.body, cut) {
        let cut = Arc::clone(cut);
        reader.on_abort(Box::new(move || cut.cut()));
    }
    Written {
        builder: written,
        body: response.body,
    }
}

/// A streamed body as the library reads it.
struct Streamed(BodyReader);

impl MessageBody for Streamed {
    type Error = BodyError;

    fn size(&self) -> BodySize {
        self.0.length().map_or(BodySize::Stream, BodySize::Sized)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        Pin::new(&mut self.0).poll_next(cx)
    }
}

/// A long body, whole, as the library takes it: no more at once than goes out next.
struct Pieces(Bytes);

impl MessageBody for Pieces {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.0.len() as u64)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        let piece = self.0.len().min(PIECE_BYTES);
        Poll::Ready(Some(Ok(self.0.split_to(piece))))
    }
}
