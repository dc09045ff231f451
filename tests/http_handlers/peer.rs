//! The other end of a handler's connection.

use actix::Actor;
use actix_sockets::{Register, Settings, test};

pub(crate) use crate::talk::Talk;

thread_local! {
    /// What the handlers of this test have heard: they live on its thread.
    static LOG: crate::talk::Log = crate::talk::Log::default();
}

/// A handler has heard this.
pub(crate) fn log(what: impl Into<String>) {
    LOG.with(|log| log.borrow_mut().push(what.into()));
}

/// What handlers have heard since the last time.
pub(crate) fn heard() -> Vec<String> {
    LOG.with(|log| std::mem::take(&mut *log.borrow_mut()))
}

impl Talk {
    pub(crate) fn with<A: Actor>(settings: Settings, register: impl Fn() -> Register<A> + Send + Sync + 'static) -> Self {
        Self::over(test::registering(settings, register))
    }

    pub(crate) fn to<A: Actor>(register: impl Fn() -> Register<A> + Send + Sync + 'static) -> Self {
        Self::with(Settings::new(), register)
    }
}
