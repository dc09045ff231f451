//! The other end of a handler's connection: what it says and hears is text.

use std::cell::RefCell;
use std::rc::Rc;

use actix::Actor;
use actix_sockets::test::{self, Peer};
use actix_sockets::{Register, Settings};

/// What a handler has heard, in words.
pub(crate) type Log = Rc<RefCell<Vec<String>>>;

pub(crate) struct Talk {
    peer: Peer,
    unread: String,
}

impl Talk {
    pub(crate) fn with<A: Actor>(settings: Settings, register: impl Fn() -> Register<A> + Send + Sync + 'static) -> Self {
        Self { peer: test::registering(settings, register), unread: String::new() }
    }

    pub(crate) fn to<A: Actor>(register: impl Fn() -> Register<A> + Send + Sync + 'static) -> Self {
        Self::with(Settings::new(), register)
    }

    pub(crate) async fn says(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        self.peer.says_bytes(text.as_ref()).await;
        self
    }

    /// What comes until this does.
    pub(crate) async fn hears(&mut self, end: &str) -> String {
        loop {
            if let Some(found) = self.unread.find(end) {
                let rest = self.unread.split_off(found + end.len());
                return std::mem::replace(&mut self.unread, rest);
            }
            match self.peer.hears_bytes().await {
                Some(bytes) => self.unread.push_str(&String::from_utf8_lossy(&bytes)),
                None => panic!("the end in place of {end:?}, behind {:?}", self.unread),
            }
        }
    }

    /// All that comes before the connection ends.
    pub(crate) async fn hears_the_rest(&mut self) -> String {
        while let Some(bytes) = self.peer.hears_bytes().await {
            self.unread.push_str(&String::from_utf8_lossy(&bytes));
        }
        std::mem::take(&mut self.unread)
    }

    /// What comes next; none at the end.
    pub(crate) async fn hears_some(&mut self) -> Option<String> {
        self.peer.hears_bytes().await.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Nothing is said any more.
    pub(crate) fn finishes(&mut self) -> &mut Self {
        self.peer.finishes();
        self
    }
}
