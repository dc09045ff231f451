//! One message to everybody: the first connection asks, and all get the server's prepared message. Then it asks again.
use std::io;

use crate::frames::masked;
use crate::hist::Hist;
use crate::socket::Socket;
use crate::{Opts, die, sys};

const PREPARED: usize = 128;

pub fn run(o: &Opts) {
    let mut ask = Vec::new();
    masked(1, b"to all", [7, 1, 8, 2], &mut ask);
    let expected = [&[0x82, 126, 0, PREPARED as u8][..], &[b'x'; PREPARED]].concat();

    let ep = sys::Epoll::new();
    let mut conns: Vec<(Socket, usize)> = (0..o.conns)
        .map(|i| {
            let socket = Socket::open(o).unwrap_or_else(|e| die(&format!("connection {i}: {e}")));
            socket.tcp().set_nonblocking(true).expect("nonblocking");
            ep.add(socket.fd(), libc::EPOLLIN, i);
            (socket, 0) // and how much of the message is here
        })
        .collect();
    let mut evs = sys::events(1024);
    let mut buf = [0; 4096];
    let mut hist = Hist::new();
    let (mut msgs, mut rounds) = (0u64, 0u64);
    let me = std::process::id();
    let cpu = |pid: Option<u32>| pid.map_or(0, sys::cpu_ns);
    let warm = sys::now() + (o.warmup * 1e9) as u64;
    let mut marks = None;
    let end = warm + (o.secs * 1e9) as u64;
    // whole rounds only: what a round costs is never cut
    loop {
        let now = sys::now();
        if marks.is_none() && now >= warm {
            (msgs, rounds) = (0, 0);
            hist.clear();
            marks = Some((now, cpu(o.pid), sys::cpu_ns(me)));
        }
        if now >= end && rounds > 0 {
            break;
        }
        if conns[0].0.send(&ask).ok() != Some(ask.len()) {
            die("the first connection takes no message");
        }
        let mut missing = conns.len();
        while missing > 0 {
            let n = ep.wait(&mut evs, if o.spin { 0 } else { 20 });
            if sys::now() - now > 10_000_000_000 {
                die(&format!("{missing} of {} connections have got nothing for 10 s", conns.len()));
            }
            for ev in &evs[..n] {
                let (socket, have) = &mut conns[ev.u64 as usize];
                let got = match socket.recv(&mut buf) {
                    Ok(got) => got,
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => continue,
                    Err(e) => die(&format!("recv: {e}")),
                };
                if got == 0 || expected.get(*have..*have + got) != Some(&buf[..got]) {
                    die("what came is not the prepared message, once");
                }
                *have += got;
                if *have == expected.len() {
                    *have = 0;
                    missing -= 1;
                    hist.add(sys::now() - now, 1);
                }
            }
        }
        msgs += conns.len() as u64;
        rounds += 1;
    }
    let (t0, s0, o0) = marks.expect("the loop ends after the warm-up");
    let wall = (sys::now() - t0) as f64;
    let (server, own) = ((cpu(o.pid) - s0) as f64, (sys::cpu_ns(me) - o0) as f64);
    println!(
        "{{\"mode\":\"fan-out\",\"conns\":{},\"rounds\":{rounds},\"msgs\":{msgs},\"msgs_per_s\":{:.1},\"p50_us\":{:.1},\"p99_us\":{:.1},\
         \"errors\":0,\"server_cpu\":{:.3},\"load_cpu\":{:.3},\"server_us_per_msg\":{:.4},\"load_us_per_msg\":{:.4}}}",
        conns.len(),
        msgs as f64 / (wall / 1e9),
        hist.at(0.5),
        hist.at(0.99),
        server / wall,
        own / wall,
        server / 1000.0 / msgs as f64,
        own / 1000.0 / msgs as f64,
    );
}
