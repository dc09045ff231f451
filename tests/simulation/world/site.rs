//! The HTTP handler: answers as the plan says, in whatever order, and upgrades.

use actix::prelude::*;
use actix_sockets::test::End;
use actix_sockets::{HttpRequest, HttpResponse, Received, handshake};
use bytes::Bytes;

use super::ledger::{Said, Shared};
use super::talker::Talker;

pub(crate) struct Site {
    pub(crate) books: Shared,
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
        let Some(number) = request.path().strip_prefix("/r/").and_then(|number| number.parse::<usize>().ok()) else {
            return sender.do_send(HttpResponse::not_found());
        };
        books.note(format_args!("request {number} has come"));
        let asked = books.plan.exchanges[number];
        {
            let mut inner = books.open();
            if inner.requested != number {
                let before = inner.requested;
                inner.wrong(format_args!("request {number} has come, and {before} have before"));
            }
            inner.requested += 1;
        }
        if request.content != content(&books, End::Client, number, asked.content) {
            books.wrong(format_args!("request {number} came with {} bytes, not those that were sent", request.content.len()));
        }
        let response = HttpResponse::ok(content(&books, End::Server, number, asked.answer));
        match asked.after {
            None => drop(sender),
            Some(after) if after.is_zero() => sender.do_send(response),
            Some(after) => {
                ctx.run_later(after, move |_, _| sender.do_send(response));
            }
        }
    }
}
