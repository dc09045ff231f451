//! In place of `secure.rs` where TLS is not built in: there is no such session, and nothing to make one from.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use tokio::sync::OwnedSemaphorePermit;

use super::roster::Seat;
use super::stream::{Sink, Source, Stream};
use crate::output::Output;
use crate::tls::{Info, TlsError};

pub(crate) type Session = Infallible;

#[derive(Clone, Debug)]
pub(crate) enum Acceptor {}

impl Acceptor {
    pub(crate) fn session(&self) -> Result<Session, TlsError> {
        match *self {}
    }
}

pub(crate) type Secured = (Stream, Secure, Seat);

pub(crate) async fn handshake(
    _: Stream,
    session: Session,
    _: BytesMut,
    _: Seat,
    _: Duration,
    _: Option<OwnedSemaphorePermit>,
) -> Result<Secured, TlsError> {
    match session {}
}

#[derive(Debug)]
pub(crate) struct Secure {
    never: Infallible,
    pub(crate) info: Arc<Info>,
}

impl Secure {
    pub(crate) fn has_input(&self) -> bool {
        match self.never {}
    }

    pub(crate) fn has_stirred(&mut self) -> bool {
        match self.never {}
    }

    pub(crate) fn truncated(&self) -> bool {
        match self.never {}
    }

    pub(crate) fn poll_read(&mut self, _: &mut Source, _: &mut Sink, _: &mut Context<'_>, _: &mut impl BufMut) -> Poll<io::Result<usize>> {
        match self.never {}
    }

    pub(crate) fn poll_write(&mut self, _: &mut Sink, _: &mut Context<'_>, _: &mut Output, _: &mut bool) -> Poll<io::Result<()>> {
        match self.never {}
    }

    pub(crate) fn poll_write_front(&mut self, _: &mut Sink, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        match self.never {}
    }

    pub(crate) fn try_write(&mut self, _: &Sink, _: &[u8]) -> usize {
        match self.never {}
    }

    pub(crate) fn press(&mut self, _: &Sink) {
        match self.never {}
    }

    pub(crate) fn poll_close(&mut self, _: &mut Sink, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.never {}
    }
}
