//! What holds while one actor handles what one read has brought.

use std::cell::RefCell;
use std::sync::Arc;

use super::buffers;
use super::large;
use super::line::Line;
use super::socket::Socket;
use crate::output::Output;
use crate::stage::Command;
use crate::websocket::{Codec, Role};

/// Open while a feeder calls an actor's handler for everything that one read has brought. What happens for each message then happens once
/// for all of them:
///
/// * The senders that are dropped, as most are, give their credit back together at the end, and hand the shared pointer on to the next.
/// * Data frames sent to the same websocket are encoded at once, without taking its lock, and written at the end, or join its output if
///   that has not left yet. Only where the websocket lives on this thread, so that it could not take its turn before the end anyway; and
///   only until anything else is sent to it, by the actor itself or from another thread, so that what was sent after something stays
///   behind it.
pub(crate) struct Scope<'a> {
    line: &'a Arc<Line>,
    outer: Current,
}

/// What the scope in force on this thread has collected. The line is named by its address, which a scope keeps valid.
#[derive(Default)]
struct Current {
    line: usize,
    returned: usize,
    spare: Option<Arc<Line>>,
    encoded: Output,
    /// How many messages that are, or ends of them.
    messages: u64,
    /// How long the frame was that was encoded last.
    last: usize,
    /// How many bytes may be encoded; `None`: none, not even an empty frame.
    room: Option<usize>,
}

impl Current {
    /// Sends what was encoded, and encodes nothing more.
    #[inline(never)]
    fn close(&mut self, line: &Line) {
        if self.room.take().is_some() {
            line.close_scope(&mut self.encoded, std::mem::take(&mut self.messages), self.last);
            buffers::take_write_buffer(&mut self.encoded);
        }
    }
}

thread_local! {
    static CURRENT: RefCell<Current> = RefCell::default();
}

/// A server's frames are encoded the same way whatever the connection.
const SERVER: Codec = Codec::new(Role::Server);

impl<'a> Scope<'a> {
    #[inline]
    pub(crate) fn enter(line: &'a Arc<Line>) -> Self {
        let (address, room) = (Arc::as_ptr(line).addr(), line.open_scope());
        let encoded = Output::new();
        let current = Current { line: address, returned: 0, spare: Some(line.clone()), encoded, messages: 0, last: 0, room };
        Self { line, outer: CURRENT.replace(current) }
    }

    /// A sender of this worth.
    #[inline]
    pub(crate) fn socket(&self, worth: usize) -> Socket {
        let spare = CURRENT.with_borrow_mut(|current| current.spare.take());
        Socket::new(spare.unwrap_or_else(|| self.line.clone()), worth)
    }

    /// Encodes a data frame, if the scope of its line is open here. What is not, is given back: it goes the longer way.
    #[inline]
    pub(crate) fn send(line: &Arc<Line>, command: Command) -> Option<Command> {
        let mut command = Some(command);
        let _ = CURRENT.try_with(|current| {
            let Ok(mut current) = current.try_borrow_mut() else { return };
            let Some(room) = current.room else { return };
            if current.line != Arc::as_ptr(line).addr() {
                return;
            }
            if let Some(Command::Frame(frame)) = &command
                && frame.opcode.is_data()
                && frame.rsv & 0b111 == 0
                && current.encoded.len() < room
                && !line.is_disturbed()
                && let Some(Command::Frame(frame)) = command.take()
            {
                buffers::lend_write_buffer(&mut current.encoded);
                current.messages += u64::from(frame.fin);
                current.last = frame.data.len();
                // A data frame without RSV bits can always be encoded.
                let _ = SERVER.encode_into(frame, || [0; 4], &mut current.encoded);
                return;
            }
            // Whatever it is, it comes behind what was encoded, and so does all that follows.
            current.close(line);
        });
        command
    }

    /// How many bytes were encoded for this line in a scope that is still open.
    pub(super) fn encoded(line: &Arc<Line>) -> usize {
        let encoded = |current: &RefCell<Current>| match current.try_borrow() {
            Ok(current) if current.line == Arc::as_ptr(line).addr() => current.encoded.len(),
            // Asked while something is encoded, by what is dropped for it: that much is unsent in a moment.
            _ => 0,
        };
        CURRENT.try_with(encoded).unwrap_or_default()
    }

    /// Something else is about to be sent: what was encoded goes before it, and counts.
    pub(super) fn leave(line: &Arc<Line>) {
        let _ = CURRENT.try_with(|current| {
            if let Ok(mut current) = current.try_borrow_mut()
                && current.line == Arc::as_ptr(line).addr()
            {
                current.close(line);
            }
        });
    }

    /// A sender of this worth is dropped.
    #[inline]
    pub(super) fn give_back(line: Arc<Line>, worth: usize) {
        // `None` once the scope has taken it.
        let mut line = Some(line);
        let _ = CURRENT.try_with(|current| {
            if let Ok(mut current) = current.try_borrow_mut()
                && line.as_ref().is_some_and(|line| Arc::as_ptr(line).addr() == current.line)
            {
                current.returned += worth;
                current.spare = line.take();
            }
        });
        if let Some(line) = line {
            line.give_back(worth);
        }
    }
}

impl Drop for Scope<'_> {
    fn drop(&mut self) {
        let mut current = CURRENT.replace(std::mem::take(&mut self.outer));
        current.close(self.line);
        large::handled();
        if current.returned > 0 {
            self.line.give_back(current.returned);
        }
    }
}
