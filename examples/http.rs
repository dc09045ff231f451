//! A folder's files with ranges and conditions, JSON, a streamed upload, events: `cargo run --release --example http -- [ADDRESS] [FOLDER]`.

use std::io::{self, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use actix::prelude::*;
use actix_sockets::{Chunk, ContentAborted, ContentEnd, HttpRequest, HttpResponse, Received, Register, RequestStart, Responder, Server};
use bytes::BytesMut;
use http::header::{ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED};
use http::header::{HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE};
use http::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

/// The handler of one connection: its folder, and an upload that is on its way: who answers it, of how much, and how much has come.
struct Site(&'static Path, Option<(Responder, String, u64)>);

impl Actor for Site {
    type Context = Context<Self>;
}
impl Handler<Received<HttpRequest>> for Site {
    type Result = ();
    fn handle(&mut self, Received { message: request, sender }: Received<HttpRequest>, _: &mut Context<Self>) {
        match (request.path(), &request.method) {
            ("/upload", &Method::POST) => sender.do_send(json("bytes", 0)), // without content
            ("/now.json", &Method::GET) => sender.do_send(json("now", format_args!("\"{}\"", httpdate::fmt_http_date(SystemTime::now())))),
            ("/events", &Method::GET) => drop(actix::spawn(events(sender))),
            ("/upload", _) => sender.do_send(with(StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "POST")])),
            (_, &Method::GET) => drop(actix::spawn(file(self.0, request, sender))),
            _ => sender.do_send(with(StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD")])),
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
    let stream = sender.start(with(StatusCode::OK, [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")]));
    let mut number = 0;
    while stream.send(format!("id: {number}\ndata: {}\n\n", httpdate::fmt_http_date(SystemTime::now()))).await.is_ok() {
        number += 1;
        actix::clock::sleep(Duration::from_secs(1)).await;
    }
}

/// A file of the folder, or what of it is asked for (RFC 9110 §13, §14). In answer to HEAD, and with 304, there is no content, and never room for it.
async fn file(folder: &Path, request: HttpRequest, sender: Responder) {
    let Ok((mut file, length, modified)) = open(folder, request.path()).await else {
        let page = (request.path() == "/").then(|| HttpResponse::new(StatusCode::OK).with_html(include_str!("http.html")));
        return sender.do_send(page.unwrap_or_else(HttpResponse::not_found));
    };
    let since_1970 = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (tag, date) = (format!("\"{length:x}-{:x}\"", since_1970.as_nanos()), httpdate::fmt_http_date(modified));
    let has = |tags: &str| tags.trim() == "*" || tags.split(',').any(|one| one.trim() == tag);
    let before = |name| Some(modified < httpdate::parse_http_date(request.header(name)?).ok()? + Duration::from_secs(1));
    let meant = request.header(IF_MATCH).map(has).or_else(|| before(IF_UNMODIFIED_SINCE));
    let fresh = request.header(IF_NONE_MATCH).map(|tags| has(&tags.replace("W/", ""))).or_else(|| before(IF_MODIFIED_SINCE));
    let same = request.header(IF_RANGE).is_none_or(|one| one == tag || one == date);
    let (status, range, part) = match request.header(RANGE).filter(|_| same).and_then(|range| range_of(range, length)) {
        _ if meant == Some(false) => (StatusCode::PRECONDITION_FAILED, 0..0, String::new()),
        _ if fresh == Some(true) => (StatusCode::NOT_MODIFIED, 0..length, String::new()),
        Some(range) if range.is_empty() => (StatusCode::RANGE_NOT_SATISFIABLE, range, format!("bytes */{length}")),
        Some(range) => (StatusCode::PARTIAL_CONTENT, range.clone(), format!("bytes {}-{}/{length}", range.start, range.end - 1)),
        None => (StatusCode::OK, 0..length, String::new()),
    };
    let types = [(".html", "text/html"), (".css", "text/css"), (".js", "text/javascript"), (".txt", "text/plain"), (".md", "text/plain")];
    let media = types.iter().find(|(end, _)| request.path().ends_with(end)).map_or("application/octet-stream", |(_, media)| media);
    let fields = [(ETAG, &*tag), (LAST_MODIFIED, &date), (ACCEPT_RANGES, "bytes"), (CONTENT_TYPE, media), (CONTENT_RANGE, &part)];
    let response = with(status, fields).with_header(CONTENT_LENGTH, (range.end - range.start).into());
    let _ = file.seek(SeekFrom::Start(range.start)).await; // where it cannot, there is nothing to read
    let (stream, mut file, mut piece) = (sender.start(response), file.take(range.end - range.start), BytesMut::new());
    while stream.ready().await.is_ok() && file.read_buf(&mut piece).await.is_ok_and(|bytes| bytes > 0) {
        stream.do_send(piece.split());
        piece.reserve(64 << 10);
    }
    stream.finish(); // if the file has been cut short meanwhile, so is the connection: its length was told
}

/// The file that a path names. What is outside the folder, by `..` or by a symbolic link, is not found.
async fn open(folder: &Path, path: &str) -> io::Result<(tokio::fs::File, u64, SystemTime)> {
    let name = percent_encoding::percent_decode_str(path).decode_utf8().map_err(io::Error::other)?;
    let path = tokio::fs::canonicalize(folder.join(name.trim_start_matches('/'))).await?;
    let about = tokio::fs::metadata(&path).await?;
    let path = Some(path).filter(|path| path.starts_with(folder) && about.is_file()).ok_or(io::ErrorKind::NotFound)?;
    Ok((tokio::fs::File::open(path).await?, about.len(), about.modified()?))
}

/// `bytes=0-99`, `bytes=100-`, `bytes=-100`; empty where there is nothing. Several, or other units, are passed over, as they may be (RFC 9110 §14.2).
fn range_of(field: &str, length: u64) -> Option<std::ops::Range<u64>> {
    let (first, last) = field.strip_prefix("bytes=").filter(|range| !range.contains('+'))?.split_once('-')?;
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => Some(first.min(length)..length.min(last.saturating_add(1))),
        (Ok(first), Err(_)) if last.is_empty() => Some(first.min(length)..length),
        (Err(_), Ok(last)) if first.is_empty() => Some(length.saturating_sub(last)..length),
        _ => None,
    }
}

/// What we say in fields is ASCII; what is empty is not said.
fn with<const N: usize>(status: StatusCode, fields: [(HeaderName, &str); N]) -> HttpResponse {
    let field = |(name, value): (HeaderName, &str)| Some((name, HeaderValue::from_str(value).ok().filter(|value| !value.is_empty())?));
    fields.into_iter().filter_map(field).fold(HttpResponse::new(status), |response, (name, value)| response.with_header(name, value))
}

fn json(name: &str, value: impl std::fmt::Display) -> HttpResponse {
    with(StatusCode::OK, [(CONTENT_TYPE, "application/json")]).with_content(format!("{{\"{name}\":{value}}}"))
}

#[actix::main]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8080".into());
    let folder: &Path = Box::leak(std::fs::canonicalize(std::env::args().nth(2).unwrap_or(".".into()))?.into());
    let server = Server::registering(move || Register::factory(move || Site(folder, None)).hears::<RequestStart>()).bind(address)?;
    println!("listening on http://{}", server.addresses()[0]);
    server.run().await;
    Ok(())
}
