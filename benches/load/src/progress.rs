//! A bar while it runs, where somebody looks.
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

const WIDTH: usize = 40;
const STEP: Duration = Duration::from_millis(100);

/// Draws for so long, from a thread of its own, and is gone just before the end.
pub fn show(secs: f64) {
    let mut err = std::io::stderr();
    if !err.is_terminal() {
        return;
    }
    std::thread::spawn(move || {
        let start = Instant::now();
        while start.elapsed().as_secs_f64() + 2.0 * STEP.as_secs_f64() < secs {
            let full = (start.elapsed().as_secs_f64() / secs * WIDTH as f64) as usize;
            let _ = write!(err, "\r[{}{}]", "=".repeat(full), " ".repeat(WIDTH.saturating_sub(full)));
            std::thread::sleep(STEP);
        }
        let _ = write!(err, "\r\x1b[K");
    });
}
