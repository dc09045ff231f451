//! The load of messages that are answered one by one: echoes, or HTTP responses.
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Duration;

use crate::answers::Answers;
use crate::frames::{Batch, batch};
use crate::hist::Hist;
use crate::socket::Socket;
use crate::{Opts, sys};

const WARM: u8 = 0;
const MEASURE: u8 = 1;
const STOP: u8 = 2;

/// From this size on, payloads are taken off the socket without copying them (not with --verify, nor under TLS).
const DISCARD_FROM: usize = 16 << 10;

struct Conn {
    socket: Socket,
    /// Bytes of the batch sent so far.
    sent: usize,
    at: u64,
    /// Messages of the batch answered.
    got: usize,
    answers: Answers,
    dead: bool,
}

#[derive(Default)]
struct Counts {
    msgs: u64,
    bytes: u64,
    errors: u64,
}

struct Worker<'a> {
    o: &'a Opts,
    batch: &'a Batch,
    ep: sys::Epoll,
    counts: Counts,
    hist: Hist,
    discard: bool,
}

impl Worker<'_> {
    fn kill(&mut self, c: &mut Conn) {
        if !c.dead {
            c.dead = true;
            self.counts.errors += 1;
            self.ep.modify(c.socket.fd(), 0, 0);
        }
    }

    fn send(&mut self, i: usize, c: &mut Conn) {
        let b = &self.batch.bytes;
        match c.socket.send(&b[c.sent..]) {
            Ok(n) => {
                let first = c.sent == 0;
                c.sent += n;
                if c.sent < b.len() {
                    if first {
                        self.ep.modify(c.socket.fd(), libc::EPOLLIN | libc::EPOLLOUT, i);
                    }
                } else if !first {
                    self.ep.modify(c.socket.fd(), libc::EPOLLIN, i);
                }
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                self.ep.modify(c.socket.fd(), libc::EPOLLIN | libc::EPOLLOUT, i);
            }
            Err(_) => self.kill(c),
        }
    }

    /// Takes what is there; false if that was nothing.
    fn receive(&mut self, c: &mut Conn, buf: &mut [u8]) -> io::Result<bool> {
        if self.discard
            && let Answers::Echoes { parser, .. } = &mut c.answers
            && parser.left > 0
        {
            let want = parser.left;
            let n = sys::discard(c.socket.fd(), want)?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.counts.bytes += n as u64;
            if let Some((opcode, len)) = parser.skip(n) {
                self.counts.errors += u64::from(!self.batch.is_echo(c.got, opcode, len));
                c.got += 1;
            }
            return Ok(n == want);
        }
        let cap = if self.discard { 10 } else { buf.len() };
        let n = c.socket.recv(&mut buf[..cap])?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.counts.bytes += n as u64;
        self.counts.errors += c.answers.feed(&buf[..n], self.batch, &mut c.got);
        Ok(n == cap || c.socket.is_tls()) // what a TLS session has taken off the socket, epoll does not tell
    }

    fn readable(&mut self, i: usize, c: &mut Conn, buf: &mut [u8]) {
        loop {
            let before = c.got;
            let more = match self.receive(c, buf) {
                Ok(more) => more,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return self.kill(c),
            };
            if c.got > before {
                let now = sys::now();
                let n = (c.got - before) as u64;
                self.counts.msgs += n;
                self.hist.add(now - c.at, n);
                if c.got >= self.o.pipeline {
                    if c.got > self.o.pipeline || !c.answers.fresh() || c.sent < self.batch.bytes.len() {
                        return self.kill(c); // more came than was asked for
                    }
                    c.got = 0;
                    c.sent = 0;
                    c.at = now;
                    return self.send(i, c);
                }
            }
            if !more {
                return;
            }
        }
    }
}

fn work(o: &Opts, mut conns: Vec<Conn>, b: &Batch, phase: &AtomicU8) -> (Counts, Hist) {
    let mut w = Worker {
        o,
        batch: b,
        ep: sys::Epoll::new(),
        counts: Counts::default(),
        hist: Hist::new(),
        discard: o.size >= DISCARD_FROM && !(o.verify || o.tls || o.deflate || o.http),
    };
    let mut buf = vec![0u8; 256 << 10];
    let mut evs = sys::events(1024);
    for (i, c) in conns.iter_mut().enumerate() {
        w.ep.add(c.socket.fd(), libc::EPOLLIN, i);
        c.at = sys::now();
        w.send(i, c);
    }
    let mut was = WARM;
    let ms = if o.spin { 0 } else { 20 };
    loop {
        let p = phase.load(Relaxed);
        if p != was {
            if p == STOP {
                return (w.counts, w.hist);
            }
            was = p;
            w.counts = Counts { errors: w.counts.errors, ..Counts::default() };
            w.hist.clear();
        }
        let n = w.ep.wait(&mut evs, ms);
        for ev in &evs[..n] {
            let (i, events) = (ev.u64 as usize, ev.events as i32);
            let c = &mut conns[i];
            if c.dead {
                continue;
            }
            if events & libc::EPOLLOUT != 0 && c.sent < b.bytes.len() {
                w.send(i, c);
            }
            if events & !libc::EPOLLOUT != 0 && !c.dead {
                w.readable(i, c, &mut buf);
            }
        }
    }
}

pub fn run(o: &Opts) {
    let b = Arc::new(batch(o, o.pipeline));
    let conns = (0..o.conns)
        .map(|i| {
            let socket = Socket::open(o).unwrap_or_else(|e| crate::die(&format!("connection {i}: {e}")));
            socket.tcp().set_nonblocking(true).expect("nonblocking");
            Conn { socket, sent: 0, at: 0, got: 0, answers: Answers::new(o), dead: false }
        })
        .collect();
    let phase = AtomicU8::new(WARM);
    let cpu = |pid: Option<u32>| pid.map_or(0, sys::cpu_ns);
    let me = Some(std::process::id());
    let (wall, server, own, counts, hist) = std::thread::scope(|s| {
        let worker = s.spawn(|| work(o, conns, &b, &phase));
        std::thread::sleep(Duration::from_secs_f64(o.warmup));
        let (t0, s0, o0) = (sys::now(), cpu(o.pid), cpu(me));
        phase.store(MEASURE, Relaxed);
        std::thread::sleep(Duration::from_secs_f64(o.secs));
        let (wall, server, own) = (sys::now() - t0, cpu(o.pid) - s0, cpu(me) - o0);
        phase.store(STOP, Relaxed);
        let (counts, hist) = worker.join().expect("worker");
        (wall, server, own, counts, hist)
    });
    let secs = wall as f64 / 1e9;
    let msgs = counts.msgs as f64;
    println!(
        "{{\"mode\":\"load\",\"conns\":{},\"size\":{},\"pipeline\":{},\"secs\":{secs:.3},\"msgs\":{},\
         \"msgs_per_s\":{:.1},\"bytes_per_msg\":{:.1},\"p50_us\":{:.1},\"p99_us\":{:.1},\"p999_us\":{:.1},\
         \"max_us\":{:.1},\"errors\":{},\"server_cpu\":{:.3},\"load_cpu\":{:.3},\
         \"server_us_per_msg\":{:.4},\"load_us_per_msg\":{:.4}}}",
        o.conns,
        o.size,
        o.pipeline,
        counts.msgs,
        msgs / secs,
        counts.bytes as f64 / msgs.max(1.0),
        hist.at(0.5),
        hist.at(0.99),
        hist.at(0.999),
        hist.max as f64 / 1000.0,
        counts.errors,
        server as f64 / wall as f64,
        own as f64 / wall as f64,
        server as f64 / 1000.0 / msgs.max(1.0),
        own as f64 / 1000.0 / msgs.max(1.0),
    );
    if counts.errors > 0 || counts.msgs == 0 {
        std::process::exit(1);
    }
}
