//! Our own client by way of a Unix socket: requests and websockets, in the clear and under TLS.

use std::path::PathBuf;

use actix::prelude::*;
use actix_sockets::handshake::Target;
use actix_sockets::{
    Address, At, Close, Closed, Connect, ConnectError, Connected, Frame, HttpRequest, Received, Requester, Sockets, UpgradeClient, Upgraded,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::site::{Over, PATIENCE, Site, over_each};

/// A path where nothing is.
fn path(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("actix-sockets-{}-by-{name}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

/// Hands on what it hears.
struct Guest {
    made: UnboundedSender<(Connected, Requester)>,
    heard: UnboundedSender<String>,
}

impl Guest {
    fn start() -> (Addr<Self>, UnboundedReceiver<(Connected, Requester)>, UnboundedReceiver<String>) {
        let ((made, connections), (heard, told)) = (unbounded_channel(), unbounded_channel());
        (Actor::start(Self { made, heard }), connections, told)
    }
}

impl Actor for Guest {
    type Context = Context<Self>;
}

impl Handler<Received<Connected, Requester>> for Guest {
    type Result = ();

    fn handle(&mut self, Received { message, sender }: Received<Connected, Requester>, _: &mut Context<Self>) {
        self.made.send((message, sender)).unwrap();
    }
}

impl Handler<Received<Upgraded>> for Guest {
    type Result = ();

    fn handle(&mut self, upgraded: Received<Upgraded>, _: &mut Context<Self>) {
        self.heard.send(format!("upgraded by {}", upgraded.message.remote)).unwrap();
        upgraded.sender.do_send(Frame::text("over a file"));
    }
}

impl Handler<Received<Frame>> for Guest {
    type Result = ();

    fn handle(&mut self, Received { message, sender }: Received<Frame>, _: &mut Context<Self>) {
        self.heard.send(message.as_text().unwrap_or("no text").to_owned()).unwrap();
        sender.do_send(Close::default());
    }
}

impl Handler<Received<Closed>> for Guest {
    type Result = ();

    fn handle(&mut self, closed: Received<Closed>, _: &mut Context<Self>) {
        self.heard.send(format!("closed {}", closed.message.clean)).unwrap();
    }
}

async fn next<T>(from: &mut UnboundedReceiver<T>) -> T {
    timeout(PATIENCE, from.recv()).await.expect("it comes in time").unwrap()
}

/// Who listens at the path is taken for the host; a name that nobody can resolve does.
#[test]
fn requests() {
    over_each(|over| {
        let at = path("requests");
        let site = Site::at(At::unix(&at), over, |bind| bind);
        System::new().block_on(async {
            let (guest, mut connections, _told) = Guest::start();
            let connect = over.dress_client(Connect::new(guest, "localhost", 9).unix_socket(&at));
            let answer = Sockets::from_registry().send(connect).await.unwrap().unwrap();
            assert_eq!((&answer.remote, &answer.local), (&Address::Unix(Some(at.clone())), &Address::Unix(None)));
            let (connected, sender) = next(&mut connections).await;
            assert_eq!(connected, answer);
            for _ in 0..2 {
                let request = HttpRequest::new(http::Method::GET, "/who".parse().unwrap())
                    .with_header(http::header::HOST, http::HeaderValue::from_static("localhost"));
                let response = timeout(PATIENCE, sender.send(request)).await.unwrap().unwrap();
                let text = String::from_utf8(response.content.to_vec()).unwrap();
                assert!(text.starts_with("from unix:(unnamed) ") && text.ends_with(&format!(" secure {}", over != Over::Clear)), "{text}");
            }
        });
        drop(site);
    });
}

#[test]
fn websockets() {
    over_each(|over| {
        let at = path("websockets");
        let site = Site::at(At::unix(&at), over, |bind| bind);
        System::new().block_on(async {
            let (guest, _connections, mut told) = Guest::start();
            let target = Target::parse("ws://localhost/chat").unwrap();
            let upgrade = UpgradeClient::to(&target, guest).hears::<Upgraded>().hears::<Closed>();
            let connect = over.dress_client(Connect::websocket(&target, upgrade).unix_socket(&at));
            Sockets::from_registry().send(connect).await.unwrap().unwrap();
            assert_eq!(next(&mut told).await, format!("upgraded by unix:{}", at.display()));
            assert_eq!(next(&mut told).await, "over a file");
            assert_eq!(next(&mut told).await, "closed true");
        });
        drop(site);
    });
}

#[test]
fn nobody_is_there() {
    System::new().block_on(async {
        let at = path("nobody");
        let (guest, _connections, _told) = Guest::start();
        let error = Sockets::from_registry().send(Connect::new(guest, "localhost", 9).unix_socket(&at)).await.unwrap().unwrap_err();
        assert!(matches!(error, ConnectError::Refused(..)), "{error:?}");
        assert!(error.to_string().contains(&format!("localhost:9 by unix:{}", at.display())), "{error}");
    });
}
