//! Thin wrappers over the system calls used.
use std::io;
use std::os::fd::RawFd;

pub fn cvt(n: isize) -> io::Result<usize> {
    if n < 0 { Err(io::Error::last_os_error()) } else { Ok(n as usize) }
}

pub fn now() -> u64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: t is valid.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut t) };
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

pub fn recv(fd: RawFd, b: &mut [u8]) -> io::Result<usize> {
    // SAFETY: b lives across the call.
    cvt(unsafe { libc::recv(fd, b.as_mut_ptr().cast(), b.len(), 0) })
}

/// Takes up to n bytes off a TCP socket without copying them out.
pub fn discard(fd: RawFd, n: usize) -> io::Result<usize> {
    // SAFETY: with MSG_TRUNC a TCP socket writes nothing to the buffer (tcp(7)).
    cvt(unsafe { libc::recv(fd, std::ptr::null_mut(), n, libc::MSG_TRUNC) })
}

pub fn send(fd: RawFd, b: &[u8]) -> io::Result<usize> {
    // SAFETY: b lives across the call.
    cvt(unsafe { libc::send(fd, b.as_ptr().cast(), b.len(), libc::MSG_NOSIGNAL) })
}

pub struct Epoll(RawFd);

impl Epoll {
    pub fn new() -> Self {
        // SAFETY: plain call.
        Epoll(unsafe { libc::epoll_create1(0) })
    }
    fn ctl(&self, op: i32, fd: RawFd, events: i32, data: usize) {
        let mut ev = libc::epoll_event { events: events as u32, u64: data as u64 };
        // SAFETY: ev is valid.
        unsafe { libc::epoll_ctl(self.0, op, fd, &mut ev) };
    }
    pub fn add(&self, fd: RawFd, events: i32, data: usize) {
        self.ctl(libc::EPOLL_CTL_ADD, fd, events, data)
    }
    pub fn modify(&self, fd: RawFd, events: i32, data: usize) {
        self.ctl(libc::EPOLL_CTL_MOD, fd, events, data)
    }
    pub fn wait(&self, evs: &mut [libc::epoll_event], ms: i32) -> usize {
        // SAFETY: evs lives across the call.
        let n = unsafe { libc::epoll_wait(self.0, evs.as_mut_ptr(), evs.len() as i32, ms) };
        n.max(0) as usize
    }
}

pub fn events(n: usize) -> Vec<libc::epoll_event> {
    vec![libc::epoll_event { events: 0, u64: 0 }; n]
}

/// As many descriptors as are allowed, and how many that is.
pub fn raise_nofile() -> u64 {
    let mut r = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: r is valid.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut r);
        r.rlim_cur = r.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &r);
    }
    r.rlim_cur
}

/// CPU time a process has used, in ns: the sum over its threads of the scheduler's own count,
/// or utime + stime (in ticks of 10 ms) where that is not to be had.
pub fn cpu_ns(pid: u32) -> u64 {
    let mut sum = 0;
    if let Ok(dir) = std::fs::read_dir(format!("/proc/{pid}/task")) {
        for t in dir.flatten() {
            let stat = std::fs::read_to_string(t.path().join("schedstat")).unwrap_or_default();
            sum += stat.split(' ').next().and_then(|v| v.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    if sum > 0 {
        return sum;
    }
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or("");
    let f: Vec<&str> = after.split_whitespace().collect();
    let tick = |i: usize| f.get(i).and_then(|v| v.parse::<u64>().ok()).unwrap_or(0);
    (tick(11) + tick(12)) * 10_000_000
}

/// Resident memory of a process, in bytes.
pub fn rss(pid: u32) -> u64 {
    for (file, key) in [("smaps_rollup", "Rss:"), ("status", "VmRSS:")] {
        let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let kb = text.lines().find_map(|l| l.strip_prefix(key)?.trim().split(' ').next()?.parse::<u64>().ok());
        if let Some(kb) = kb {
            return kb * 1024;
        }
    }
    0
}
