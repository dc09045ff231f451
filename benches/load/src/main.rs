//! A load generator for servers on this machine.
//!
//! Each connection keeps `--pipeline` messages in flight: it sends that many prebuilt masked frames (or requests) in one write, waits
//! until all are answered, and sends them again. Answers are checked by header (opcode, length, FIN); `--verify` compares every payload
//! byte as well; compressed echoes and HTTP answers are always compared. Prints one line of JSON.

mod answers;
mod fan_out;
mod frames;
mod hist;
mod idle;
mod load;
mod progress;
mod rate;
mod socket;
mod sys;

#[derive(Clone)]
pub struct Opts {
    pub port: u16,
    pub path: String,
    pub conns: usize,
    pub size: usize,
    pub pipeline: usize,
    pub secs: f64,
    pub warmup: f64,
    pub text: bool,
    pub verify: bool,
    pub spin: bool,
    pub await_close: bool,
    pub tls: bool,
    pub deflate: bool,
    pub http: bool,
    pub pid: Option<u32>,
}

const USAGE: &str = "load --port P [--path /] [--conns N] [--size BYTES] [--pipeline K] [--secs S] [--warmup W]
  [--text|--binary] [--verify] [--spin] [--tls] [--pid SERVER_PID]
                                       echoes; with --pid, the server's CPU time too
load --deflate ...                     the same, of JSON-like texts with permessage-deflate
load --http ...                        GET requests; the answers' content is \"Hello, World!\"
load --fan-out --conns N ...           one message makes the server send 128 bytes to all N
load --connect-rate --conns C ...      connect, upgrade, one echo, clean close; C at a time;
                                       --await-close: leave the TCP close to the server
load --idle N --pid SERVER_PID ...     memory of the server for each idle connection";

fn main() {
    let mut o = Opts {
        port: 9001,
        path: "/".into(),
        conns: 1,
        size: 32,
        pipeline: 1,
        secs: 3.0,
        warmup: 0.5,
        text: true,
        verify: false,
        spin: false,
        await_close: false,
        tls: false,
        deflate: false,
        http: false,
        pid: None,
    };
    let (mut idle, mut rate, mut fan_out) = (None, false, false);
    let mut it = std::env::args().skip(1);
    while let Some(a) = it.next() {
        fn value<T: std::str::FromStr>(a: &str, v: Option<String>) -> T {
            v.and_then(|v| v.parse().ok()).unwrap_or_else(|| die(&format!("{a} needs a value\n{USAGE}")))
        }
        match a.as_str() {
            "--port" => o.port = value(&a, it.next()),
            "--path" => o.path = value(&a, it.next()),
            "--conns" => o.conns = value(&a, it.next()),
            "--size" => o.size = value(&a, it.next()),
            "--pipeline" => o.pipeline = value(&a, it.next()),
            "--secs" => o.secs = value(&a, it.next()),
            "--warmup" => o.warmup = value(&a, it.next()),
            "--text" => o.text = true,
            "--binary" => o.text = false,
            "--verify" => o.verify = true,
            "--spin" => o.spin = true,
            "--await-close" => o.await_close = true,
            "--tls" => o.tls = true,
            "--deflate" => o.deflate = true,
            "--http" => o.http = true,
            "--pid" => o.pid = Some(value(&a, it.next())),
            "--idle" => idle = Some(value(&a, it.next())),
            "--connect-rate" => rate = true,
            "--fan-out" => fan_out = true,
            "--help" | "-h" => return println!("{USAGE}"),
            other => die(&format!("unknown argument {other}\n{USAGE}")),
        }
    }
    let descriptors = sys::raise_nofile();
    let needed = idle.unwrap_or(o.conns) as u64 + 64;
    if descriptors < needed {
        die(&format!("{needed} descriptors are needed, and {descriptors} allowed (ulimit -n)"));
    }
    if idle.is_none() {
        progress::show(o.warmup + o.secs);
    }
    match idle {
        Some(n) => idle::run(&o, n, descriptors),
        None if rate => rate::run(&o),
        None if fan_out => fan_out::run(&o),
        None => load::run(&o),
    }
}

pub fn die(why: &str) -> ! {
    eprintln!("load: {why}");
    std::process::exit(2)
}
