//! The HTTP handler: answers as the plan says, in whatever order, and upgrades.

use std::collections::HashMap;

use actix::prelude::*;
use actix_sockets::test::End;
use actix_sockets::{
    Chunk, ContentAborted, ContentEnd, HttpRequest, HttpResponse, Received, RequestId, RequestStart, Responder, handshake,
};
use bytes::{Bytes, BytesMut};

use super::ledger::{Said, Shared};
use super::streams;
use super::talker::Talker;

pub(crate) struct Site {
    pub(crate) books: Shared,
    uploads: HashMap<RequestId, Upload>,
}

/// Content on its way.
struct Upload {
    number: usize,
    /// Whom to answer, unless that is done.
    sender: Option<Responder>,
    content: BytesMut,
}

/// Some of it is in hand for as long as this is there.
struct InHand(Shared, usize);

impl InHand {
    fn new(books: &Shared, length: usize) -> Self {
        let mut inner = books.open();
        inner.uploaded += length;
        let (held, window) = (inner.uploaded, books.plan.streams.map_or(0, |(window, _)| window));
        // One read, behind what was read of it while the request before was in hand: no more than a head's size lets through.
        if held > window + (16 << 10) + (64 << 10) {
            inner.wrong(format_args!("{held} bytes of content are in hand, the window is {window}"));
        }
        drop(inner);
        books.weigh(End::Server);
        Self(books.clone(), length)
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.open().uploaded -= self.1;
    }
}

/// The content of a request that has come whole is in hand until it is answered.
struct Whole(Shared, usize);

impl Whole {
    fn new(books: &Shared, length: usize) -> Self {
        books.open().whole += length;
        books.weigh(End::Server);
        Self(books.clone(), length)
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        self.0.open().whole -= self.1;
    }
}

impl Site {
    pub(crate) fn new(books: Shared) -> Self {
        Self { books, uploads: HashMap::new() }
    }

    /// A request has come, or its head. Which one it is.
    fn comes(&self, path: &str) -> Option<usize> {
        let number = path.strip_prefix("/r/").and_then(|number| number.parse::<usize>().ok())?;
        let mut inner = self.books.open();
        inner.note(format_args!("request {number} has come"));
        // One that was given up before its turn has not.
        let given_up = |number: usize| self.books.plan.exchanges[number].streamed.is_some_and(|streamed| streamed.cut);
        let before = inner.requested;
        if number < before || !(before..number).all(given_up) {
            inner.wrong(format_args!("request {number} has come, and {before} have before"));
        }
        inner.requested = number + 1;
        Some(number)
    }

    /// Its content is complete.
    fn is_right(&self, number: usize, said: &[u8]) {
        let right = content(&self.books, End::Client, number, self.books.plan.exchanges[number].content);
        if said != right {
            self.books.wrong(format_args!("request {number} came with {} bytes, not those that were sent", said.len()));
        }
    }

    fn answer(&self, number: usize, sender: Responder, whole: Option<Whole>, ctx: &mut Context<Self>) {
        let (books, asked) = (self.books.clone(), self.books.plan.exchanges[number]);
        let Some(after) = asked.after else { return };
        let said = content(&books, End::Server, number, asked.answer);
        let answers = move || {
            drop(whole);
            match asked.streamed {
                Some(streamed) if streamed.down > 0 => {
                    let mut head = HttpResponse::ok("");
                    if streamed.known {
                        head = head.with_header(http::header::CONTENT_LENGTH, said.len().into());
                    }
                    streams::answers(&books, number, sender.start(head), said, streamed);
                }
                _ => sender.do_send(HttpResponse::ok(said)),
            }
        };
        if after.is_zero() {
            answers();
        } else {
            ctx.run_later(after, move |_, _| answers());
        }
    }
}

impl Actor for Site {
    type Context = Context<Self>;
}

/// What the answer to this request says, and what the request did.
pub(crate) fn content(books: &Shared, end: End, number: usize, length: usize) -> Bytes {
    books.content(end, number | 1 << 32, &Said::new(length, false))
}

impl Handler<Received<HttpRequest>> for Site {
    type Result = ();
    fn handle(&mut self, Received { message: request, sender }: Received<HttpRequest>, ctx: &mut Self::Context) {
        let books = self.books.clone();
        if request.path() == "/socket" {
            return match handshake::accept(&request) {
                Ok(response) => Talker::upgrade(&books, End::Server, response, |upgrade| sender.do_send(upgrade)),
                Err(refusal) => sender.do_send(refusal.into_response()),
            };
        }
        let Some(number) = self.comes(request.path()) else {
            return sender.do_send(HttpResponse::not_found());
        };
        self.is_right(number, &request.content);
        self.books.open().http[number].complete += 1;
        let whole = Whole::new(&books, request.content.len());
        self.answer(number, sender, Some(whole), ctx);
    }
}

impl Handler<Received<RequestStart>> for Site {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<RequestStart>, ctx: &mut Self::Context) {
        let id = sender.request();
        let Some(number) = self.comes(message.request.path()) else {
            return sender.do_send(HttpResponse::not_found());
        };
        let asked = self.books.plan.exchanges[number];
        if message.length.is_some_and(|length| length != asked.content as u64) {
            self.books.wrong(format_args!("request {number} says that it has {:?} bytes", message.length));
        }
        self.books.open().http[number].begun_there = true;
        let mut upload = Upload { number, sender: None, content: BytesMut::new() };
        if asked.streamed.is_some_and(|streamed| streamed.early) {
            self.answer(number, sender, None, ctx);
        } else {
            upload.sender = Some(sender);
        }
        self.uploads.insert(id, upload);
        if let Some(streamed) = asked.streamed {
            ctx.run_later(streamed.hold, move |_, _| drop(message.content));
        }
    }
}

impl Handler<Received<Chunk>> for Site {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<Chunk>, ctx: &mut Self::Context) {
        let Some(upload) = self.uploads.get_mut(&sender.request()) else {
            return self.books.wrong(format_args!("{} bytes of a request that has not begun, or has ended", message.data.len()));
        };
        upload.content.extend_from_slice(&message.data);
        let Some(streamed) = self.books.plan.exchanges[upload.number].streamed else { return };
        let length = message.data.len();
        let held = InHand::new(&self.books, length);
        ctx.run_later(streamed.hold, move |_, _| drop((held, sender)));
    }
}

impl Handler<Received<ContentEnd>> for Site {
    type Result = ();
    fn handle(&mut self, Received { sender, .. }: Received<ContentEnd>, ctx: &mut Self::Context) {
        let Some(Upload { number, sender, content }) = self.uploads.remove(&sender.request()) else {
            return self.books.wrong(format_args!("the end of a request that has not begun, or has ended"));
        };
        self.is_right(number, &content);
        self.books.open().http[number].complete += 1;
        if let Some(sender) = sender {
            self.answer(number, sender, None, ctx);
        }
    }
}

impl Handler<Received<ContentAborted>> for Site {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<ContentAborted>, _: &mut Self::Context) {
        let Some(Upload { number, .. }) = self.uploads.remove(&sender.request()) else {
            return self.books.wrong(format_args!("a request is aborted that has not begun, or has ended: {}", message.error));
        };
        let mut inner = self.books.open();
        inner.http[number].aborted += 1;
        inner.note(format_args!("request {number} is aborted: {}", message.error));
        if self.books.plan.kind {
            inner.wrong(format_args!("the network was kind, and request {number} is aborted: {}", message.error));
        }
    }
}
