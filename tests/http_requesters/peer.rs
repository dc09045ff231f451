//! The server: what it says and hears is text.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::time::Duration;

use actix::prelude::*;
use actix_sockets::http::Settings as HttpSettings;
use actix_sockets::test;
use actix_sockets::{
    Chunk, Connect, Connected, ContentAborted, ContentEnd, HttpClosed, HttpRequest, HttpResponse, Received, RequestFailed, Requester,
    ResponseStart, Settings,
};
use http::{Method, Uri};

use crate::talk::{self, Log};

/// Hears everything, and lets go of it; or keeps the senders of content.
#[derive(Default)]
pub(crate) struct Ear {
    log: Log,
    requester: Rc<RefCell<Option<Requester>>>,
    keeps: bool,
    kept: Vec<actix_sockets::Content>,
}

impl Ear {
    fn says(&self, what: impl Into<String>) {
        self.log.borrow_mut().push(what.into());
    }
}

impl Actor for Ear {
    type Context = Context<Self>;
}

macro_rules! hears {
    ($message:ty, |$ear:ident, $received:ident| $body:expr) => {
        impl Handler<$message> for Ear {
            type Result = ();
            fn handle(&mut self, $received: $message, _: &mut Context<Self>) {
                let $ear = self;
                $body
            }
        }
    };
}

hears!(Received<Connected, Requester>, |ear, received| *ear.requester.borrow_mut() = Some(received.sender));
hears!(Received<HttpResponse>, |ear, received| {
    let HttpResponse { status, content, .. } = received.message;
    ear.says(format!("{} {}", status.as_str(), String::from_utf8_lossy(&content)));
});
hears!(Received<ResponseStart>, |ear, received| {
    let ResponseStart { response, length, content } = received.message;
    ear.says(format!("{} {length:?}", response.status.as_str()));
    if ear.keeps {
        ear.kept.push(content);
    }
});
hears!(Received<Chunk>, |ear, received| {
    let Chunk { data, extensions } = &received.message;
    let extensions = if extensions.is_empty() { String::new() } else { format!(" ;{}", String::from_utf8_lossy(extensions)) };
    ear.says(format!("+ {} {}{extensions}", received.sender.request().number, String::from_utf8_lossy(data)));
    if ear.keeps {
        ear.kept.push(received.sender);
    }
});
hears!(Received<ContentEnd>, |ear, received| {
    ear.says(format!(". {} {:?}", received.sender.request().number, received.message.trailers));
});
hears!(Received<ContentAborted>, |ear, received| {
    ear.says(format!("! {} {:?}", received.sender.request().number, received.message.error));
});
hears!(Received<RequestFailed>, |ear, received| {
    let RequestFailed { method, uri, error } = received.message;
    ear.says(format!("{method} {uri} {error:?}"));
});

hears!(Received<HttpClosed>, |ear, received| ear.says(received.message.how.to_string()));

/// Lets the oldest content go that is kept.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct LetGo;

hears!(LetGo, |ear, _received| drop(ear.kept.remove(0)));

/// A connection: its server, its requester, and what its actor hears.
pub(crate) struct Talk {
    server: talk::Talk,
    pub(crate) requester: Requester,
    log: Log,
    pub(crate) ear: Addr<Ear>,
}

impl Deref for Talk {
    type Target = talk::Talk;

    fn deref(&self) -> &talk::Talk {
        &self.server
    }
}

impl DerefMut for Talk {
    fn deref_mut(&mut self) -> &mut talk::Talk {
        &mut self.server
    }
}

impl Talk {
    pub(crate) async fn with(settings: HttpSettings, keeps: bool, dress: impl FnOnce(Connect, Addr<Ear>) -> Connect) -> Self {
        let (log, requester) = (Log::default(), Rc::<RefCell<Option<Requester>>>::default());
        let ear = Ear { log: log.clone(), requester: requester.clone(), keeps, kept: Vec::new() }.start();
        let settings = Settings::new().http(settings.user_agent(None));
        let server = talk::Talk::over(test::connected(dress(Connect::new(ear.clone(), "nowhere", 80).settings(settings), ear.clone())));
        settle().await;
        let requester = requester.take().expect("it has heard that it is connected");
        Self { server, requester, log, ear }
    }

    /// With an actor that hears whole responses, and failures.
    pub(crate) async fn plain() -> Self {
        Self::with(HttpSettings::new(), false, |connect, ear| connect.responses_to(ear.clone()).failures_to(ear.clone()).closed_to(ear))
            .await
    }

    /// With one that hears responses as they come.
    pub(crate) async fn streaming(keeps: bool) -> Self {
        Self::with(HttpSettings::new(), keeps, |connect, ear| connect.streams_responses_to(ear.clone()).failures_to(ear)).await
    }

    /// The connection takes the next request as if nothing had been.
    pub(crate) async fn goes_on(&mut self) {
        let answer = self.requester.send(get("/"));
        self.hears("\r\n\r\n").await;
        self.says(ok("again")).await;
        assert_eq!(answer.await.expect("a response").content, "again");
    }

    /// What the actor has heard since the last time.
    pub(crate) async fn heard(&self) -> Vec<String> {
        settle().await;
        std::mem::take(&mut *self.log.borrow_mut())
    }
}

/// All that can happen now has.
pub(crate) async fn settle() {
    test::pass(Duration::from_millis(1)).await;
}

pub(crate) fn get(uri: &'static str) -> HttpRequest {
    HttpRequest::new(Method::GET, Uri::from_static(uri))
}

pub(crate) fn post(uri: &'static str) -> HttpRequest {
    HttpRequest::new(Method::POST, Uri::from_static(uri))
}

/// `200 OK`, with this as content.
pub(crate) fn ok(content: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{content}", content.len())
}
