//! An HTTP server: a folder's files with ranges and conditional requests, JSON, an upload told as it comes, and events sent as they happen.
//!
//! `cargo run --release --example http -- [ADDRESS] [FOLDER]`: 127.0.0.1:8080 and the current folder by default.

use std::io::{self, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix::prelude::*;
use actix_sockets::{Chunk, ContentAborted, ContentEnd, HttpRequest, HttpResponse, Received, Register, RequestStart, Responder, Server};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

/// The handler of one connection: its folder, and an upload that is on its way.
struct Site(Arc<Path>, Option<(Responder, String, u64)>);

impl Actor for Site {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Site {
    type Result = ();
    fn handle(&mut self, Received { message: request, sender }: Received<HttpRequest>, _: &mut Context<Self>) {
        match request.path() {
            "/upload" if request.method == Method::POST => sender.do_send(json("bytes", 0)), // without content
            "/upload" => sender.do_send(with(StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST")])),
            _ if !matches!(request.method, Method::GET | Method::HEAD) => {
                sender.do_send(with(StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]));
            }
            "/now.json" => sender.do_send(json("now", format_args!("\"{}\"", httpdate::fmt_http_date(SystemTime::now())))),
            "/events" => drop(actix::spawn(events(sender))),
            _ => drop(actix::spawn(file(self.0.clone(), request, sender))),
        }
    }
}

impl Handler<Received<RequestStart>> for Site {
    type Result = ();
    fn handle(&mut self, Received { message: start, sender }: Received<RequestStart>, ctx: &mut Context<Self>) {
        if (start.request.path(), &start.request.method) != ("/upload", &Method::POST) {
            return self.handle(Received { message: start.request, sender }, ctx); // its content is of no interest
        }
        self.1 = Some((sender, start.length.map_or(String::new(), |length| format!(" of {length}")), 0));
    }
}

impl Handler<Received<Chunk>> for Site {
    type Result = ();
    fn handle(&mut self, Received { message: chunk, .. }: Received<Chunk>, _: &mut Context<Self>) {
        let Some((_, length, bytes)) = &mut self.1 else { return };
        *bytes += chunk.data.len() as u64;
        print!("\r{bytes}{length} bytes");
        let _ = io::stdout().flush();
    }
}

impl Handler<Received<ContentEnd>> for Site {
    type Result = ();
    fn handle(&mut self, _: Received<ContentEnd>, _: &mut Context<Self>) {
        let Some((sender, _, bytes)) = self.1.take() else { return };
        println!(" from {}", sender.remote());
        sender.do_send(json("bytes", bytes));
    }
}

impl Handler<Received<ContentAborted>> for Site {
    type Result = ();
    fn handle(&mut self, Received { message: aborted, .. }: Received<ContentAborted>, _: &mut Context<Self>) {
        self.1 = None;
        println!(", given up: {}", aborted.error);
    }
}

/// One a second (`text/event-stream`), until nobody listens.
async fn events(sender: Responder) {
    let stream = sender.start(with(StatusCode::OK, [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")]));
    for number in 0_u64.. {
        stream.do_send(format!("id: {number}\ndata: {}\n\n", httpdate::fmt_http_date(SystemTime::now())));
        if stream.ready().await.is_err() {
            return;
        }
        actix::clock::sleep(Duration::from_secs(1)).await;
    }
}

/// A file of the folder, or what of it is asked for (RFC 9110 §13, §14).
async fn file(folder: Arc<Path>, request: HttpRequest, sender: Responder) {
    let Ok((path, mut file, length, modified)) = open(&folder, request.path()).await else {
        let page = (request.path() == "/").then(|| HttpResponse::new(StatusCode::OK).with_html(include_str!("http.html")));
        return sender.do_send(page.unwrap_or_else(HttpResponse::not_found));
    };
    let since_1970 = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (tag, date) = (format!("\"{length:x}-{:x}\"", since_1970.as_nanos()), httpdate::fmt_http_date(modified));
    let has = |tags: &str| tags.trim() == "*" || tags.split(',').any(|one| one.trim().trim_start_matches("W/") == tag);
    let covers = |time| httpdate::parse_http_date(time).is_ok_and(|time| modified < time + Duration::from_secs(1));
    let fresh = request.header(header::IF_NONE_MATCH).map(has).or_else(|| request.header(header::IF_MODIFIED_SINCE).map(covers));
    let same = request.method == Method::GET && request.header(header::IF_RANGE).is_none_or(|one| one == tag || one == date);
    let (status, range) = match request.header(header::RANGE).filter(|_| same).and_then(|range| range_of(range, length)) {
        _ if fresh == Some(true) => (StatusCode::NOT_MODIFIED, 0..length),
        Some(range) if range.is_empty() => (StatusCode::RANGE_NOT_SATISFIABLE, range),
        Some(range) => (StatusCode::PARTIAL_CONTENT, range),
        None => (StatusCode::OK, 0..length),
    };
    let types =
        [("html", "text/html; charset=utf-8"), ("css", "text/css"), ("js", "text/javascript"), ("txt", "text/plain; charset=utf-8")];
    let media_type = types
        .iter()
        .find(|(end, _)| path.extension().is_some_and(|extension| extension == *end))
        .map_or("application/octet-stream", |it| it.1);
    let fields =
        [(header::ETAG, &*tag), (header::LAST_MODIFIED, &date), (header::ACCEPT_RANGES, "bytes"), (header::CONTENT_TYPE, media_type)];
    let mut response = with(status, fields).with_header(header::CONTENT_LENGTH, (range.end - range.start).into());
    let part = match status {
        StatusCode::PARTIAL_CONTENT => format!("bytes {}-{}/{length}", range.start, range.end - 1),
        _ => format!("bytes */{length}"),
    };
    if matches!(status, StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE) {
        response.headers.extend(with(status, [(header::CONTENT_RANGE, &*part)]).headers);
    }
    if request.method == Method::HEAD || status == StatusCode::NOT_MODIFIED {
        return sender.do_send(response);
    }
    let (stream, mut left) = (sender.start(response), range.end - range.start);
    let _ = file.seek(SeekFrom::Start(range.start)).await; // where it cannot, there is nothing to read
    while left > 0 {
        let mut piece = Vec::with_capacity(64 << 10);
        match (&mut file).take(left).read_buf(&mut piece).await {
            Ok(1..) => left -= piece.len() as u64,
            _ => return, // it has been cut short meanwhile: so is the connection
        }
        stream.do_send(piece);
        if stream.ready().await.is_err() {
            return;
        }
    }
    stream.finish();
}

/// The file that a path names. What is outside the folder, by `..` or by a symbolic link, is not found.
async fn open(folder: &Path, path: &str) -> io::Result<(PathBuf, tokio::fs::File, u64, SystemTime)> {
    let name = percent_encoding::percent_decode_str(path).decode_utf8().map_err(io::Error::other)?;
    let path = tokio::fs::canonicalize(folder.join(name.trim_start_matches('/'))).await?;
    let about = tokio::fs::metadata(&path).await?;
    if !path.starts_with(folder) || !about.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok((path.clone(), tokio::fs::File::open(path).await?, about.len(), about.modified()?))
}

/// `bytes=0-99`, `bytes=100-`, `bytes=-100`; empty where there is nothing. Several, or other units, are passed over, as they may be (RFC 9110 §14.2).
fn range_of(field: &str, length: u64) -> Option<std::ops::Range<u64>> {
    let (first, last) = field.strip_prefix("bytes=")?.split_once('-')?;
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => Some(first.min(length)..length.min(last.saturating_add(1))),
        (Ok(first), Err(_)) if last.is_empty() => Some(first.min(length)..length),
        (Err(_), Ok(last)) if first.is_empty() => Some(length.saturating_sub(last)..length),
        _ => None,
    }
}

/// What we say in fields is ASCII.
fn with<const N: usize>(status: StatusCode, fields: [(HeaderName, &str); N]) -> HttpResponse {
    let field = |(name, value): (HeaderName, &str)| Some((name, HeaderValue::from_str(value).ok()?));
    fields.into_iter().filter_map(field).fold(HttpResponse::new(status), |response, (name, value)| response.with_header(name, value))
}

fn json(name: &str, value: impl std::fmt::Display) -> HttpResponse {
    with(StatusCode::OK, [(header::CONTENT_TYPE, "application/json")]).with_content(format!("{{\"{name}\":{value}}}"))
}

#[actix::main]
async fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:8080".into());
    let folder: Arc<Path> = std::fs::canonicalize(arguments.next().unwrap_or(".".into()))?.into();
    let site = move || {
        let folder = folder.clone();
        Register::factory(move || Site(folder, None)).hears::<RequestStart>()
    };
    let server = Server::registering(site).bind(address)?;
    println!("listening on http://{}", server.addresses()[0]);
    server.run().await;
    Ok(())
}
