//! Memory of the server for each idle connection.
use std::time::Duration;

use crate::frames::batch;
use crate::socket::Socket;
use crate::{Opts, die, sys};

pub fn run(o: &Opts, n: usize, descriptors: u64) {
    let pid = o.pid.unwrap_or_else(|| die("--idle needs --pid"));
    let o = Opts { size: 100, text: true, ..o.clone() };
    let b = batch(&o, 1);
    let mut answer = vec![0x81, 100];
    answer.extend_from_slice(&b.payloads[0]);
    // one connection first: what a server sets up once is not counted
    let mut first = Socket::open(&o).unwrap_or_else(|e| die(&format!("first connection: {e}")));
    exchange(&mut first, &b.bytes, &answer).unwrap_or_else(|e| die(&format!("first echo: {e}")));
    settle();
    let before = sys::rss(pid);
    let mut conns = Vec::with_capacity(n);
    for i in 0..n {
        conns.push(Socket::open(&o).unwrap_or_else(|e| die(&format!("connection {i}: {e}"))));
    }
    settle();
    let opened = sys::rss(pid);
    let mut errors = 0;
    for c in &mut conns {
        errors += exchange(c, &b.bytes, &answer).is_err() as u64;
    }
    settle();
    let used = sys::rss(pid);
    let per = |now: u64| (now as f64 - before as f64) / n as f64;
    println!(
        "{{\"mode\":\"idle\",\"conns\":{n},\"descriptors\":{descriptors},\"rss_before\":{before},\"rss_opened\":{opened},\
         \"rss_used\":{used},\"bytes_per_conn_opened\":{:.0},\"bytes_per_conn\":{:.0},\"errors\":{errors}}}",
        per(opened),
        per(used),
    );
    if errors > 0 {
        std::process::exit(1);
    }
}

fn settle() {
    std::thread::sleep(Duration::from_millis(300));
}

fn exchange(s: &mut Socket, frame: &[u8], want: &[u8]) -> std::io::Result<()> {
    s.tcp().set_read_timeout(Some(Duration::from_secs(5)))?;
    s.stream().write_all(frame)?;
    let mut got = vec![0; want.len()];
    s.stream().read_exact(&mut got)?;
    if got == want { Ok(()) } else { Err(std::io::Error::other("wrong echo")) }
}
