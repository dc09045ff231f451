//! Whole connections a second: connect, upgrade, one echo, close handshake, end of stream.
//!
//! Once the server's close frame is here, this end stops sending (a half-close) and waits for the
//! end of the stream; with `--await-close` it waits without, so that only the server ends it.
use std::io;
use std::os::fd::RawFd;

use crate::frames::{answer, batch, masked, request};
use crate::hist::Hist;
use crate::{Opts, sys};

#[derive(PartialEq, Clone, Copy)]
enum State {
    Connecting,
    Upgrading,
    Echoing,
    /// Close sent; the server's close frame is awaited.
    Closing,
    /// Close frame seen; the end of the stream is awaited.
    Ending,
}

struct Conn {
    fd: RawFd,
    state: State,
    started: u64,
    buf: Vec<u8>,
}

/// A non-blocking connect from 127.1.0.1 and on, so that ports never run out.
fn connect(o: &Opts, nth: u64) -> io::Result<RawFd> {
    let flags = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: plain calls on a socket of our own, with valid arguments.
    unsafe {
        let fd = sys::cvt(libc::socket(libc::AF_INET, flags, 0) as isize)? as RawFd;
        let one: i32 = 1;
        let set = |level, name| libc::setsockopt(fd, level, name, (&raw const one).cast(), 4);
        set(libc::SOL_IP, libc::IP_BIND_ADDRESS_NO_PORT);
        set(libc::IPPROTO_TCP, libc::TCP_NODELAY);
        let addr = |ip: u32, port: u16| libc::sockaddr_in {
            sin_family: libc::AF_INET as u16,
            sin_port: port.to_be(),
            sin_addr: libc::in_addr { s_addr: ip.to_be() },
            sin_zero: [0; 8],
        };
        let from = addr(0x7f01_0001 + (nth % 32) as u32, 0);
        libc::bind(fd, (&raw const from).cast(), 16);
        let to = addr(0x7f00_0001, o.port);
        if libc::connect(fd, (&raw const to).cast(), 16) < 0 {
            let e = io::Error::last_os_error();
            if e.raw_os_error() != Some(libc::EINPROGRESS) {
                libc::close(fd);
                return Err(e);
            }
        }
        Ok(fd)
    }
}

pub fn run(o: &Opts) {
    let req = request(o);
    let b = batch(o, 1);
    let mut close = Vec::new();
    masked(8, &1000u16.to_be_bytes(), [1, 2, 3, 4], &mut close);
    let echo_len = o.size
        + if o.size < 126 {
            2
        } else if o.size < 65536 {
            4
        } else {
            10
        };

    let ep = sys::Epoll::new();
    let mut evs = sys::events(1024);
    let mut hist = Hist::new();
    let (mut done, mut errors, mut unclean, mut nth) = (0u64, 0u64, 0u64, 0u64);
    let mut why = String::new();
    let start = |ep: &sys::Epoll, i: usize, nth: &mut u64| -> Conn {
        *nth += 1;
        let fd = connect(o, *nth).unwrap_or_else(|e| crate::die(&format!("connect: {e}")));
        ep.add(fd, libc::EPOLLOUT, i);
        Conn { fd, state: State::Connecting, started: sys::now(), buf: Vec::with_capacity(512) }
    };
    let mut conns: Vec<Conn> = (0..o.conns).map(|i| start(&ep, i, &mut nth)).collect();
    let begin = sys::now();
    let warm = begin + (o.warmup * 1e9) as u64;
    let end = warm + (o.secs * 1e9) as u64;
    let me = std::process::id();
    let mut marks: Option<(u64, u64, u64)> = None;
    let mut tmp = [0u8; 4096];
    let mut swept = begin;
    loop {
        let now = sys::now();
        if marks.is_none() && now >= warm {
            marks = Some((now, o.pid.map_or(0, sys::cpu_ns), sys::cpu_ns(me)));
            (done, unclean) = (0, 0);
            hist.clear();
        }
        if now >= end {
            break;
        }
        if now - swept > 200_000_000 {
            // a server that does not end the connection within a second: end it here
            swept = now;
            for (i, c) in conns.iter_mut().enumerate() {
                if now - c.started > 1_000_000_000 {
                    if c.state == State::Ending {
                        unclean += 1;
                        done += 1;
                    } else {
                        errors += 1;
                        why = "stuck".into();
                    }
                    // SAFETY: the fd is ours.
                    unsafe { libc::close(c.fd) };
                    *c = start(&ep, i, &mut nth);
                }
            }
        }
        let n = ep.wait(&mut evs, if o.spin { 0 } else { 20 });
        for ev in &evs[..n] {
            let i = ev.u64 as usize;
            let c = &mut conns[i];
            match step(c, i, &ep, &req, &b.bytes, &close, echo_len, &b.payloads[0], o.await_close, &mut tmp) {
                Ok(false) => {}
                r => {
                    match r {
                        Ok(_) => {
                            done += 1;
                            hist.add(sys::now() - c.started, 1);
                        }
                        Err(e) => {
                            errors += 1;
                            why = e.to_string();
                        }
                    }
                    // SAFETY: the fd is ours.
                    unsafe { libc::close(c.fd) };
                    *c = start(&ep, i, &mut nth);
                }
            }
        }
    }
    let (t0, s0, o0) = marks.unwrap_or((begin, 0, 0));
    let wall = sys::now() - t0;
    let each = done.max(1) as f64;
    let (server, own) = (o.pid.map_or(0, sys::cpu_ns) - s0, sys::cpu_ns(me) - o0);
    println!(
        "{{\"mode\":\"connect-rate\",\"conns\":{},\"done\":{done},\"msgs_per_s\":{:.1},\"p50_us\":{:.1},\
         \"p99_us\":{:.1},\"p999_us\":{:.1},\"errors\":{errors},\"unclean\":{unclean},\"why\":{why:?},\
         \"server_cpu\":{:.3},\"load_cpu\":{:.3},\"server_us_per_msg\":{:.3},\"load_us_per_msg\":{:.3}}}",
        o.conns,
        done as f64 / (wall as f64 / 1e9),
        hist.at(0.5),
        hist.at(0.99),
        hist.at(0.999),
        server as f64 / wall as f64,
        own as f64 / wall as f64,
        server as f64 / 1000.0 / each,
        own as f64 / 1000.0 / each,
    );
    if errors > 0 || done == 0 {
        std::process::exit(1);
    }
}

/// One step of a connection's life; true when it is over.
#[allow(clippy::too_many_arguments)]
fn step(
    c: &mut Conn,
    i: usize,
    ep: &sys::Epoll,
    req: &[u8],
    frame: &[u8],
    close: &[u8],
    echo_len: usize,
    payload: &[u8],
    await_close: bool,
    tmp: &mut [u8],
) -> io::Result<bool> {
    let all =
        |fd: RawFd, b: &[u8]| -> io::Result<()> { if sys::send(fd, b)? == b.len() { Ok(()) } else { Err(io::Error::other("short send")) } };
    if c.state == State::Connecting {
        all(c.fd, req)?;
        c.state = State::Upgrading;
        ep.modify(c.fd, libc::EPOLLIN, i);
        return Ok(false);
    }
    let n = match sys::recv(c.fd, tmp) {
        Ok(n) => n,
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
        Err(e) => return Err(io::Error::other(format!("recv in state {}: {e}", c.state as u8))),
    };
    if n == 0 {
        return match c.state {
            State::Ending => Ok(true),
            s => Err(io::Error::other(format!("end of stream in state {}", s as u8))),
        };
    }
    c.buf.extend_from_slice(&tmp[..n]);
    if c.state == State::Upgrading {
        match answer(&c.buf, false) {
            None => return Ok(false),
            Some(Err(e)) => return Err(io::Error::other(e)),
            Some(Ok(used)) => c.buf.drain(..used),
        };
        all(c.fd, frame)?;
        c.state = State::Echoing;
    }
    if c.state == State::Echoing && c.buf.len() >= echo_len {
        if &c.buf[echo_len - payload.len()..echo_len] != payload {
            return Err(io::Error::other("wrong echo"));
        }
        c.buf.drain(..echo_len);
        all(c.fd, close)?;
        c.state = State::Closing;
    }
    if c.state == State::Closing && c.buf.len() >= 2 {
        if c.buf[0] != 0x88 {
            return Err(io::Error::other("no close frame"));
        }
        if c.buf.len() >= 2 + c.buf[1] as usize {
            c.state = State::Ending;
            if !await_close {
                // SAFETY: plain call. It fails, harmlessly, if the server has gone already.
                unsafe { libc::shutdown(c.fd, libc::SHUT_WR) };
            }
        }
    }
    Ok(false)
}
