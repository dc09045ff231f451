//! The practical limit on this machine: one thread, level-triggered epoll, one recv and one
//! send for each readable batch, frames unmasked in place in one shared buffer. It makes none
//! of the checks a library must make. Single-threaded whatever --threads says.
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};

use common::frames;

/// Small enough to stay in the cache between the copy in, the unmasking and the copy out: with
/// 256 KiB, 64 KiB messages cost up to half as much again.
const SHARED: usize = 32 << 10;

#[derive(Default)]
struct Conn {
    open: bool,
    /// A frame not all there yet (its payload already unmasked up to `clear`), or, before the
    /// handshake, the start of the request. Empty, and unallocated, between whole frames.
    part: Vec<u8>,
    /// Output the socket would not take.
    out: Vec<u8>,
    out_at: usize,
    closing: bool,
}

fn cvt(n: isize) -> io::Result<usize> {
    if n < 0 { Err(io::Error::last_os_error()) } else { Ok(n as usize) }
}

fn recv2(fd: RawFd, a: &mut [u8], b: &mut [u8]) -> io::Result<usize> {
    let iov = [
        libc::iovec { iov_base: a.as_mut_ptr().cast(), iov_len: a.len() },
        libc::iovec { iov_base: b.as_mut_ptr().cast(), iov_len: b.len() },
    ];
    // SAFETY: both slices live across the call.
    cvt(unsafe { libc::readv(fd, iov.as_ptr(), 2) })
}

fn recv(fd: RawFd, a: &mut [u8]) -> io::Result<usize> {
    // SAFETY: a lives across the call.
    cvt(unsafe { libc::recv(fd, a.as_mut_ptr().cast(), a.len(), 0) })
}

fn send2(fd: RawFd, a: &[u8], b: &[u8]) -> io::Result<usize> {
    if b.is_empty() {
        // SAFETY: a lives across the call.
        return cvt(unsafe { libc::send(fd, a.as_ptr().cast(), a.len(), libc::MSG_NOSIGNAL) });
    }
    let iov = [
        libc::iovec { iov_base: a.as_ptr() as *mut _, iov_len: a.len() },
        libc::iovec { iov_base: b.as_ptr() as *mut _, iov_len: b.len() },
    ];
    // SAFETY: both slices live across the call.
    cvt(unsafe { libc::writev(fd, iov.as_ptr(), 2) })
}

struct Loop {
    ep: RawFd,
    shared: Vec<u8>,
    /// Buffers of frames that came in pieces, for the next ones: no fresh memory in the loop.
    pool: Vec<Vec<u8>>,
}

impl Loop {
    fn interest(&self, op: i32, fd: RawFd, events: i32) {
        let mut ev = libc::epoll_event { events: events as u32, u64: fd as u64 };
        // SAFETY: plain call.
        unsafe { libc::epoll_ctl(self.ep, op, fd, &mut ev) };
    }

    /// Writes a then b; keeps what the socket refuses.
    fn write(&self, c: &mut Conn, fd: RawFd, a: &[u8], b: &[u8]) -> io::Result<()> {
        if a.is_empty() && b.is_empty() {
            return Ok(());
        }
        let (a, b) = if a.is_empty() { (b, a) } else { (a, b) };
        let n = match send2(fd, a, b) {
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => 0,
            Err(e) => return Err(e),
        };
        if n < a.len() + b.len() {
            c.out.clear();
            c.out_at = 0;
            c.out.extend_from_slice(&a[n.min(a.len())..]);
            c.out.extend_from_slice(&b[n.saturating_sub(a.len())..]);
            self.interest(libc::EPOLL_CTL_MOD, fd, libc::EPOLLOUT);
        }
        Ok(())
    }

    fn writable(&self, c: &mut Conn, fd: RawFd) -> io::Result<()> {
        match send2(fd, &c.out[c.out_at..], &[]) {
            Ok(n) => c.out_at += n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(e) => return Err(e),
        }
        if c.out_at == c.out.len() {
            c.out = Vec::new();
            c.out_at = 0;
            if c.closing {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            self.interest(libc::EPOLL_CTL_MOD, fd, libc::EPOLLIN);
        }
        Ok(())
    }

    fn readable(&mut self, c: &mut Conn, fd: RawFd) -> io::Result<()> {
        let mut shared = std::mem::take(&mut self.shared);
        let r = if c.open { self.frames(c, fd, &mut shared) } else { self.request(c, fd, &mut shared) };
        self.shared = shared;
        match r {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(()),
            r => r,
        }
    }

    fn request(&mut self, c: &mut Conn, fd: RawFd, shared: &mut [u8]) -> io::Result<()> {
        let n = recv(fd, shared)?;
        if n == 0 || c.part.len() > 16 << 10 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        c.part.extend_from_slice(&shared[..n]);
        if let Some((answer, used)) = frames::handshake(&c.part) {
            c.open = true;
            let rest = c.part.split_off(used);
            c.part = Vec::new();
            self.write(c, fd, &answer, &[])?;
            if !rest.is_empty() {
                shared[..rest.len()].copy_from_slice(&rest);
                return self.batch(c, fd, shared, rest.len(), &[]);
            }
        }
        Ok(())
    }

    fn frames(&mut self, c: &mut Conn, fd: RawFd, shared: &mut [u8]) -> io::Result<()> {
        if c.part.is_empty() {
            let n = recv(fd, shared)?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            return self.batch(c, fd, shared, n, &[]);
        }
        let had = c.part.len();
        let Some(h) = frames::head(&c.part) else {
            // not even a whole head: join it with what comes
            shared[..had].copy_from_slice(&c.part);
            let n = recv(fd, &mut shared[had..])?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            c.part.clear();
            return self.batch(c, fd, shared, had + n, &[]);
        };
        // the rest of the frame goes straight to its place, what follows it to the shared buffer
        let total = h.total();
        c.part.reserve_exact(total - had);
        // SAFETY: reserved just above; only the bytes that the kernel wrote are kept.
        let tail = unsafe { std::slice::from_raw_parts_mut(c.part.as_mut_ptr().add(had), total - had) };
        let n = recv2(fd, tail, shared)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let here = n.min(total - had);
        // SAFETY: `here` bytes were written there, all of them payload of this frame.
        unsafe {
            c.part.set_len(had + here);
            let p = c.part.as_mut_ptr().add(had);
            frames::unmask(p, p, here, h.mask, (had - h.head) & 3);
        }
        if had + here < total {
            return Ok(());
        }
        // whole: turn the head into a server head in place, four bytes further in
        let mut frame = std::mem::take(&mut c.part);
        frame[1] &= 0x7f;
        frame.copy_within(0..h.head - 4, 4);
        let r = self.batch(c, fd, shared, n - here, &frame[4..]);
        if self.pool.len() < 64 {
            self.pool.push(frame);
        }
        r
    }

    /// Writes `first` (a whole server frame) and the echo of the frames in
    /// `shared[..n]`; keeps the start of a frame that is left.
    fn batch(&mut self, c: &mut Conn, fd: RawFd, shared: &mut [u8], n: usize, first: &[u8]) -> io::Result<()> {
        let b = frames::echo_batch(&mut shared[..n]);
        let rest = &shared[b.used..n];
        if !rest.is_empty() && !b.closed {
            let h = frames::head(rest);
            c.part = self.pool.pop().unwrap_or_default();
            c.part.clear();
            c.part.reserve_exact(h.map_or(16, |h| h.total()));
            c.part.extend_from_slice(rest);
            if let Some(h) = h {
                let at = h.head;
                // SAFETY: the range is the payload bytes just copied.
                unsafe {
                    let p = c.part.as_mut_ptr().add(at);
                    frames::unmask(p, p, rest.len() - at, h.mask, 0);
                }
            }
        }
        self.write(c, fd, first, &shared[..b.out])?;
        if b.closed {
            c.closing = true;
            if c.out.is_empty() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
        Ok(())
    }
}

fn main() {
    let args = common::args(&[]);
    let l = TcpListener::bind(("127.0.0.1", args.port)).expect("bind");
    // SAFETY: plain calls.
    unsafe { libc::listen(l.as_raw_fd(), 4096) };
    l.set_nonblocking(true).expect("nonblocking");
    let ep = unsafe { libc::epoll_create1(0) };
    let mut lp = Loop { ep, shared: vec![0; SHARED], pool: Vec::new() };
    let lfd = l.as_raw_fd();
    lp.interest(libc::EPOLL_CTL_ADD, lfd, libc::EPOLLIN);
    let mut conns: Vec<Option<Conn>> = Vec::new(); // by fd
    let mut evs = vec![libc::epoll_event { events: 0, u64: 0 }; 1024];
    loop {
        // SAFETY: evs has room for 1024.
        let n = unsafe { libc::epoll_wait(ep, evs.as_mut_ptr(), 1024, -1) };
        for ev in &evs[..n.max(0) as usize] {
            let (fd, events) = (ev.u64 as RawFd, ev.events as i32);
            if fd == lfd {
                while let Ok((s, _)) = l.accept() {
                    let _ = s.set_nonblocking(true);
                    let _ = s.set_nodelay(true);
                    let fd = s.into_raw_fd();
                    lp.interest(libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN);
                    if conns.len() <= fd as usize {
                        conns.resize_with(fd as usize + 1, || None);
                    }
                    conns[fd as usize] = Some(Conn::default());
                }
                continue;
            }
            let Some(c) = conns.get_mut(fd as usize).and_then(Option::as_mut) else { continue };
            let r = if events & libc::EPOLLOUT != 0 { lp.writable(c, fd) } else { lp.readable(c, fd) };
            if r.is_err() {
                conns[fd as usize] = None;
                // SAFETY: the fd is ours and forgotten.
                unsafe { libc::close(fd) };
            }
        }
    }
}
