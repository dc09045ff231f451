//! A chat room for the browser: `cargo run --example chat`, then open the address that it prints, in two windows.
//!
//! One room for all, an actor; and for each connection an actor of its own, which answers its requests and handles its frames. The first
//! text that comes over a websocket is a name, each further one is something said. The room tells everybody `NAME <tab> TEXT`; what it has
//! to say itself comes without a name.

use std::collections::{HashMap, VecDeque};
use std::error::Error;

use actix::prelude::*;
use actix_sockets::handshake;
use actix_sockets::{Bind, Closed, Frame, HttpRequest, HttpResponse, Received, Shutdown, Socket, SocketId, Sockets, UpgradeServer};
use http::StatusCode;

const PAGE: &str = include_str!("chat.html");
/// So many lines are shown to a newcomer.
const HISTORY: usize = 50;

#[derive(Default)]
struct Room {
    members: HashMap<SocketId, (Socket, String)>,
    history: VecDeque<Frame>,
}

impl Room {
    fn tell_all(&mut self, name: &str, text: &str) {
        let line = Frame::text(format!("{name}\t{text}"));
        self.members.values().for_each(|(socket, _)| socket.do_send(line.clone()));
        self.history.truncate(HISTORY - 1);
        self.history.push_front(line);
    }
}

impl Actor for Room {
    type Context = Context<Self>;
}

/// A text that came over a websocket.
#[derive(Message)]
#[rtype(result = "()")]
struct Said(Socket, String);

/// Someone has left.
#[derive(Message)]
#[rtype(result = "()")]
struct Gone(SocketId);

impl Handler<Said> for Room {
    type Result = ();

    fn handle(&mut self, Said(socket, text): Said, _: &mut Self::Context) {
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if words.is_empty() {
            return;
        }
        if let Some((_, name)) = self.members.get(&socket.id()) {
            return self.tell_all(&name.clone(), &words);
        }
        let name: String = words.chars().take(24).collect();
        self.history.iter().rev().for_each(|line| socket.do_send(line.clone()));
        self.members.insert(socket.id(), (socket.clone(), name.clone()));
        self.tell_all("", &format!("{name} has come: {} in the room", self.members.len()));
    }
}

impl Handler<Gone> for Room {
    type Result = ();

    fn handle(&mut self, Gone(id): Gone, _: &mut Self::Context) {
        if let Some((_, name)) = self.members.remove(&id) {
            self.tell_all("", &format!("{name} has gone: {} in the room", self.members.len()));
        }
    }
}

/// One for each connection.
struct Visitor {
    room: Addr<Room>,
}

impl Actor for Visitor {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Visitor {
    type Result = ();

    fn handle(&mut self, Received { message: request, sender }: Received<HttpRequest>, ctx: &mut Self::Context) {
        match request.path() {
            "/" => sender.do_send(HttpResponse::new(StatusCode::OK).with_html(PAGE)),
            "/chat" => match handshake::accept(&request) {
                Ok(response) => sender.do_send(UpgradeServer::new(response, ctx).message_size_limit(4 << 10).hears::<Closed>()),
                Err(refusal) => sender.do_send(refusal.into_response()),
            },
            _ => sender.do_send(HttpResponse::not_found()),
        }
    }
}

impl Handler<Received<Frame>> for Visitor {
    type Result = ();

    fn handle(&mut self, Received { message: frame, sender }: Received<Frame>, _: &mut Self::Context) {
        // The sender goes along: the frame is in hand until the room has heard it, and who talks too fast is not read.
        if let Ok(text) = frame.into_text() {
            self.room.do_send(Said(sender, text));
        }
    }
}

impl Handler<Received<Closed>> for Visitor {
    type Result = ();

    fn handle(&mut self, closed: Received<Closed>, _: &mut Self::Context) {
        // By way of the visitor, so that it comes to the room behind what was said.
        self.room.do_send(Gone(closed.message.id));
    }
}

#[actix::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8080".into());
    let room = Room::default().start();
    let bound = match Sockets::from_registry().send(Bind::factory(move || Visitor { room: room.clone() }, address.clone())).await? {
        Ok(bound) => bound,
        Err(error) => {
            eprintln!("chat: {error}\nusage: chat [ADDRESS], such as 127.0.0.1:8081");
            std::process::exit(1);
        }
    };
    println!("The room is open: http://{}/", bound.address);
    tokio::signal::ctrl_c().await?;
    Sockets::from_registry().send(Shutdown::default()).await?;
    Ok(())
}
