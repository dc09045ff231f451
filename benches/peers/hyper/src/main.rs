//! Plain text over HTTP/1.1 on hyper.
use std::convert::Infallible;

use bytes::Bytes;
use common::{Connection, PLAINTEXT, Transport};
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};

async fn on_request(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(Bytes::from_static(PLAINTEXT.as_bytes())));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Ok(response)
}

#[derive(Clone)]
struct Peer;

impl Connection for Peer {
    async fn run(self, stream: impl Transport) {
        let mut http = http1::Builder::new();
        let _ = http.timer(TokioTimer::new()).pipeline_flush(true).serve_connection(TokioIo::new(stream), service_fn(on_request)).await;
    }
}

fn main() {
    common::serve(&common::args(&["--http"]), Peer);
}
