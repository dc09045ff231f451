//! A bar while it runs, where somebody looks.
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

const WIDTH: usize = 40;

/// Sleeps so long.
pub fn sleep(what: &str, secs: f64) {
    let whole = Duration::from_secs_f64(secs);
    let mut err = std::io::stderr();
    if !err.is_terminal() {
        return std::thread::sleep(whole);
    }
    let start = Instant::now();
    loop {
        let passed = start.elapsed();
        if passed >= whole {
            let _ = write!(err, "\r\x1b[K");
            return;
        }
        let full = (passed.as_secs_f64() / secs * WIDTH as f64) as usize;
        let _ = write!(err, "\r{what:8} [{}{}]", "=".repeat(full), " ".repeat(WIDTH - full));
        std::thread::sleep(Duration::from_millis(100).min(whole - passed));
    }
}
