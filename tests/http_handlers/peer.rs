//! The other end of a handler's connection.

use actix::Actor;
use actix_sockets::{Register, Settings, test};

pub(crate) use crate::talk::{Log, Talk};

impl Talk {
    pub(crate) fn with<A: Actor>(settings: Settings, register: impl Fn() -> Register<A> + Send + Sync + 'static) -> Self {
        Self::over(test::registering(settings, register))
    }

    pub(crate) fn to<A: Actor>(register: impl Fn() -> Register<A> + Send + Sync + 'static) -> Self {
        Self::with(Settings::new(), register)
    }
}
