//! Processes of their own: this program once more, with a role in one test, and as many descriptors as it is given.
//!
//! What a role reports are lines that begin with `@`; what it is told are lines. It ends when it is told nothing more.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::FileExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, channel};

use crate::site::PATIENCE;

const ROLE: &str = "ACTIX_SOCKETS_TEST_ROLE";

/// What this process is to be, if it is not the test itself.
pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Says a line to whoever has started this process.
pub(crate) fn report(line: impl std::fmt::Display) {
    println!("\n@{line}");
}

/// The next line that this process is told.
pub(crate) fn told() -> Option<String> {
    std::io::stdin().lines().next().map(Result::unwrap)
}

pub(crate) struct Process {
    child: Child,
    says: Option<ChildStdin>,
    hears: Receiver<String>,
}

impl Process {
    /// This role in the test of this name, with so many descriptors; `None` is as many as there may be.
    pub(crate) fn start(test: &str, role: &str, descriptors: Option<usize>) -> Self {
        let limit = descriptors.map_or("ulimit -n $(ulimit -Hn)".to_owned(), |most| format!("ulimit -n {most}"));
        let mut child = Command::new("sh")
            .args(["-c", &format!("{limit} && exec \"$0\" \"$@\"")])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads", "1"])
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, hears) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(report) = line.strip_prefix('@')
                    && tell.send(report.to_owned()).is_err()
                {
                    return;
                }
            }
        });
        Self { says: child.stdin.take(), child, hears }
    }

    /// The next line that it reports.
    #[track_caller]
    pub(crate) fn reports(&self) -> String {
        self.hears.recv_timeout(4 * PATIENCE).expect("it reports in time")
    }

    /// What it reports to this.
    #[track_caller]
    pub(crate) fn asked(&mut self, line: &str) -> String {
        writeln!(self.says.as_mut().unwrap(), "{line}").unwrap();
        self.reports()
    }

    pub(crate) fn numbers(&mut self, line: &str) -> Vec<u64> {
        self.asked(line).split(' ').map(|word| word.parse().unwrap()).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.says.take());
        let until = std::time::Instant::now() + PATIENCE;
        while let Ok(None) = self.child.try_wait() {
            if std::time::Instant::now() > until {
                let _ = self.child.kill();
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

/// How much processor time this process has used, in milliseconds.
pub(crate) fn cpu() -> u64 {
    /// Opened once: there may be no descriptors left.
    static STAT: LazyLock<File> = LazyLock::new(|| File::open("/proc/self/stat").unwrap());
    let mut stat = [0; 1024];
    let length = STAT.read_at(&mut stat, 0).unwrap();
    let stat = String::from_utf8_lossy(&stat[..length]);
    // All its threads, those with them that have ended; in hundredths of a second (`proc(5)`).
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10
}

/// How much memory this process has, in KiB.
pub(crate) fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.split("VmRSS:").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap()
}
