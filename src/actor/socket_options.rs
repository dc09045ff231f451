//! What is set of a socket before it listens or connects: the sizes of its buffers are part of what TCP agrees on at its beginning, and what is set of a
//! socket that listens, the connections that it accepts inherit.

use std::io;
use std::time::Duration;

use socket2::{Socket, TcpKeepalive};

/// The options of a TCP socket, each the operating system's own choice where nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SocketOptions {
    /// `SO_SNDBUF`, in bytes.
    pub(super) send_buffer: Option<usize>,
    /// `SO_RCVBUF`, in bytes.
    pub(super) receive_buffer: Option<usize>,
    /// `SO_KEEPALIVE`, and `TCP_KEEPIDLE`.
    pub(super) keepalive: Option<Duration>,
}

impl SocketOptions {
    /// Sets what was said.
    pub(super) fn set(self, socket: &Socket) -> io::Result<()> {
        if let Some(bytes) = self.send_buffer {
            socket.set_send_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(after) = self.keepalive {
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(after))?;
        }
        Ok(())
    }
}
