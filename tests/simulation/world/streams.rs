//! HTTP content in pieces, up and down: how a client says it and takes its answer, how a server says its answer. What the server's handler hears of it is
//! in `site.rs`.

use actix_sockets::http::HttpError;
use actix_sockets::test::End;
use actix_sockets::{HttpRequest, HttpResponse, Requester, ResponseBody, SendError, Streaming, StreamingRequest};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, EXPECT, HeaderValue};
use tokio::time::sleep;

use super::ledger::Shared;
use super::plan::{How, Streamed};
use super::site;

/// What pieces are said to.
trait Says {
    fn send(&self, piece: Bytes) -> actix_sockets::Sending;
    fn do_send(&self, piece: Bytes);
    fn try_send(&self, piece: Bytes) -> Result<(), SendError>;
    fn has_room(&self) -> impl Future<Output = bool>;
}

macro_rules! says {
    ($($stream:ty),*) => { $(impl Says for $stream {
        fn send(&self, piece: Bytes) -> actix_sockets::Sending {
            self.send(piece)
        }
        fn do_send(&self, piece: Bytes) {
            self.do_send(piece);
        }
        fn try_send(&self, piece: Bytes) -> Result<(), SendError> {
            self.try_send(piece)
        }
        async fn has_room(&self) -> bool {
            self.ready().await.is_ok()
        }
    })* };
}

says! { Streaming, StreamingRequest }

/// Asks for this request, and waits for all of its answer.
pub(crate) async fn ask(books: &Shared, requester: &Requester, number: usize, request: HttpRequest, streamed: Streamed) {
    let content = site::content(books, End::Client, number, books.plan.exchanges[number].content);
    let answer = match (streamed.up, streamed.taken) {
        (0, false) => requester.send(request.with_content(content)).await,
        (0, true) => take(books, number, streamed, requester.send_streaming(request.with_content(content)).await).await,
        (_, false) => {
            let (stream, answer) = requester.start_send(dressed(request, streamed, content.len()));
            says_content(books, number, stream, content, streamed);
            answer.await
        }
        (_, true) => {
            let (stream, answer) = requester.start_streaming(dressed(request, streamed, content.len()));
            says_content(books, number, stream, content, streamed);
            take(books, number, streamed, answer.await).await
        }
    };
    super::answered(books, number, answer);
}

fn dressed(mut request: HttpRequest, streamed: Streamed, length: usize) -> HttpRequest {
    if streamed.known {
        request = request.with_header(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if streamed.expects {
        request = request.with_header(EXPECT, HeaderValue::from_static("100-continue"));
    }
    request
}

fn says_content(books: &Shared, number: usize, stream: StreamingRequest, content: Bytes, streamed: Streamed) {
    let books = books.clone();
    actix::spawn(async move {
        if says(&books, End::Client, number, &stream, content, streamed.up, streamed).await {
            stream.finish();
        }
    });
}

/// Says an answer.
pub(crate) fn answers(books: &Shared, number: usize, stream: Streaming, content: Bytes, streamed: Streamed) {
    let books = books.clone();
    actix::spawn(async move {
        if !says(&books, End::Server, number, &stream, content.clone(), streamed.down, streamed).await {
            return;
        }
        if streamed.how == How::Acked {
            if stream.finish_acked(actix_sockets::ContentEnd::default()).await.is_ok() {
                let last = content.chunks(size(&content, streamed.down)).last().unwrap_or_default();
                is_on_the_wire(&books, End::Server, number, last);
            }
        } else {
            stream.finish();
        }
    });
}

/// How long a piece is, where there are so many.
fn size(content: &[u8], pieces: usize) -> usize {
    content.len() / pieces + 1
}

/// Says all pieces; whether the end is to be said behind them.
async fn says(books: &Shared, end: End, number: usize, stream: &impl Says, content: Bytes, pieces: usize, streamed: Streamed) -> bool {
    let size = size(&content, pieces);
    let mut rest = content;
    while !rest.is_empty() {
        sleep(streamed.pause).await;
        let piece = rest.split_to(size.min(rest.len()));
        if streamed.cut && rest.is_empty() {
            books.note(format_args!("{end:?} leaves request {number} without its end"));
            return false;
        }
        match streamed.how {
            How::Send => stream.do_send(piece),
            How::Acked => {
                if stream.send(piece.clone()).await.is_ok() {
                    is_on_the_wire(books, end, number, &piece);
                }
            }
            How::Try => {
                while stream.try_send(piece.clone()) == Err(SendError::Full) && stream.has_room().await {}
                let _ = stream.has_room().await;
            }
        }
    }
    true
}

/// A piece is told to be written.
fn is_on_the_wire(books: &Shared, end: End, number: usize, piece: &[u8]) {
    let last = &piece[piece.len().saturating_sub(8)..];
    let there = books.link.written(end, |written| last.is_empty() || written.windows(last.len()).any(|there| there == last));
    books.note(format_args!("{end:?}: {} bytes of request {number} are told to be written", piece.len()));
    if !there {
        books.wrong(format_args!("{end:?}: {} bytes of request {number} are told to be written, and are not", piece.len()));
    }
}

/// Takes an answer as it comes, and gives it as a whole.
async fn take(
    books: &Shared,
    number: usize,
    streamed: Streamed,
    answer: Result<(HttpResponse, ResponseBody), HttpError>,
) -> Result<HttpResponse, HttpError> {
    let (mut response, mut body) = answer?;
    books.open().http[number].begun = true;
    let mut whole = BytesMut::new();
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => whole.extend_from_slice(&piece.data),
            Err(error) => {
                let right = site::content(books, End::Server, number, books.plan.exchanges[number].answer);
                if response.status == 200 && !right.starts_with(&whole) {
                    books.wrong(format_args!("request {number}: {} bytes of the answer, and not those that were said", whole.len()));
                }
                return Err(error);
            }
        }
        sleep(streamed.hold).await;
    }
    response.content = whole.freeze();
    Ok(response)
}
