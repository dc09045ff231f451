//! How a connection leaves HTTP: its stream, and all that has come and not left, goes to a websocket.

use std::collections::{BTreeMap, VecDeque};
use std::task::Poll;
use std::time::Instant;

use super::super::above::internal_error;
use super::super::clock;
use super::super::delivery::Delivery;
use super::super::http_line::HttpLine;
use super::super::line::Ack;
use super::super::messages::Upgraded;
use super::super::settings::Settings;
use super::super::transport::Transport;
use super::super::upgrade::Handling;
use super::super::websocket::{Takeover, WebSocket};
use super::{Conversation, Parts};
use crate::upgrade::handshake::SwitchRefused;
use crate::upgrade::{NotSwitched, Switched, switch};
use crate::websocket::Role;

impl Conversation {
    /// Performs the upgrade that waits, if its turn has come: the 101 is written, and stream, unread and unsent bytes move to a
    /// [`WebSocket`], all in this turn. Ready if they have; pending if HTTP goes on.
    #[cold]
    pub(super) fn upgrade(&mut self, line: &HttpLine, now: Instant) -> Poll<()> {
        for (number, response, handling) in std::mem::take(&mut self.above.upgrades) {
            let Some(Parts { http, transport }) = self.parts.take() else { return Poll::Ready(()) };
            if http.must_wait(number) {
                self.above.upgrades.push((number, response, handling));
                self.parts = Some(Parts { http, transport });
                continue;
            }
            let switched = match handling.check_extensions(&response) {
                Ok(()) => switch(http, number, response, handling.deflate(), &clock::http_date(now), now),
                Err(error) => Err((http, NotSwitched::Response(SwitchRefused::Response(error)))),
            };
            let http = match switched {
                Ok(switched) => {
                    let acks = std::mem::take(&mut self.above.acks);
                    take_over(switched, *handling, transport, acks, &self.settings);
                    return Poll::Ready(());
                }
                Err((mut http, error)) => {
                    tracing::error!(connection = %line.id, %error, "an upgrade message that does not fit its request: answered with a 500");
                    if let Err(error) = http.respond(number, internal_error(), &clock::http_date(now), now) {
                        tracing::debug!(connection = %line.id, %error, "nor can it be answered otherwise");
                    }
                    http
                }
            };
            self.parts = Some(Parts { http, transport });
        }
        Poll::Pending
    }
}

fn take_over(switched: Switched, handling: Handling, transport: Transport, mut acks: BTreeMap<u64, Ack>, settings: &Settings) {
    let Switched { head_bytes, unread, request, agreed, deflate, marks, .. } = switched;
    // They are answered as their bytes leave, whoever writes them.
    let acks = marks.into_iter().filter_map(|(end, mark)| Some((end, acks.remove(&mark)?))).collect();
    let handled = handling.open(Role::Server, &settings.websocket, deflate.as_ref());
    let message = Upgraded {
        request,
        remote: transport.remote.clone(),
        tls: transport.tls.clone(),
        protocol: agreed.protocol,
        extensions: agreed.extensions,
    };
    let first = VecDeque::from([Delivery::Upgraded(Box::new(message))]);
    WebSocket::take_over(Takeover { transport, role: Role::Server, handled, unsent: head_bytes, unread, acks, first });
}
