//! The WebSocket protocol's frames (RFC 6455 §5, §7, §8): bytes ⇄ [`Frame`].

mod close;
mod frame;
mod opcode;

pub use close::CloseCode;
pub use frame::Frame;
pub use opcode::OpCode;

/// Which end of the connection we are (RFC 6455 §5.1): it decides who masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// We accepted the connection: what we read is masked, what we write is not.
    Server,
    /// We opened the connection: what we write is masked, what we read is not.
    Client,
}
