//! The client of an echo, on the server's own thread: their order is always the same.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::opening::HANDSHAKE;

/// Upgrades, and has this echoed so many times. Gives the last echo, which is `echoed` bytes long.
pub(crate) async fn echo(address: SocketAddr, wire: &[u8], echoed: usize, times: usize) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    stream.write_all(HANDSHAKE.as_bytes()).await.expect("the server reads");
    let mut head = [0; 512];
    let read = stream.read(&mut head).await.expect("the server answers");
    assert!(head[..read].starts_with(b"HTTP/1.1 101 ") && head[..read].ends_with(b"\r\n\r\n"));
    let mut echo = vec![0; echoed];
    for _ in 0..times {
        stream.write_all(wire).await.expect("the server reads");
        stream.read_exact(&mut echo).await.expect("the server echoes");
    }
    echo
}
