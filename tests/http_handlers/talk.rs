//! The other end of a connection in memory: what it says and hears is text.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use actix_sockets::test::Peer;

/// What an actor has heard, in words.
pub(crate) type Log = Rc<RefCell<Vec<String>>>;

pub(crate) struct Talk {
    peer: Peer,
    unread: String,
}

impl Talk {
    pub(crate) fn over(peer: Peer) -> Self {
        Self { peer, unread: String::new() }
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

    /// Nothing has come that was not heard.
    pub(crate) async fn hears_nothing(&mut self) {
        let heard = actix::clock::timeout(Duration::from_millis(1), self.peer.hears_bytes()).await;
        assert!(heard.is_err() && self.unread.is_empty(), "{heard:?} {:?}", self.unread);
    }

    /// Nothing is said any more.
    pub(crate) fn finishes(&mut self) -> &mut Self {
        self.peer.finishes();
        self
    }
}
