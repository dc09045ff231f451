//! What is said to a connection from outside it, whatever it speaks.

/// What must happen at a connection, from outside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// The frame handler is dead.
    HandlerGone = 1,
    /// The listener winds down: finish, with 1001.
    GoAway = 2,
    /// The listener's patience is over.
    Abort = 4,
    /// A frame met the hard limit.
    Overflow = 8,
    /// Something was dropped while a handler panicked: see whether it is still there.
    Check = 16,
    /// All connections together have too much, and this one has most of it.
    OverBudget = 32,
}

/// A set of [`Signal`]s.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Signals(u8);

impl Signals {
    pub(crate) fn has(self, signal: Signal) -> bool {
        self.0 & signal as u8 != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn add(&mut self, signal: Signal) {
        self.0 |= signal as u8;
    }
}

/// A connection that can be signalled.
pub(crate) trait Peer: Send + Sync {
    fn signal(&self, signal: Signal);

    /// Content that was told is in nobody's hands any more.
    fn take_back(&self, _worth: usize) {}

    /// There may be something for it to do.
    fn nudge(&self) {}

    /// What it speaks.
    fn protocol(&self) -> Protocol {
        Protocol::Http
    }
}

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Or nothing yet.
    Http,
    WebSocket,
}
