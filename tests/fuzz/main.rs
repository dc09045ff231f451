//! T35: what the fuzzers of `fuzz/` have found, and a few thousand inputs made of it, on every run and without them.
//!
//! `corpus/` has one file for each target, one input a line, in base64: seeds, and what has reached something that none before had.
//! `tests/fuzz/run --keep` grows it.

mod targets;

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use targets::input::Chance;

/// How many inputs are made of each target's.
const MADE: usize = 500;
/// The longest that is made.
const LONGEST: usize = 4096;

/// What is put into inputs: the words of the protocols, lengths and masks at the borders, and what readers stumble over.
const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b",",
    b";",
    b"=",
    b"\"",
    b"\x80",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Upgrade: websocket\r\n",
    b"Expect: 100-continue\r\n",
    b"0\r\n\r\n",
    b"5;a=\"b\"\r\nhello\r\n",
    b"permessage-deflate; client_max_window_bits",
    b"server_max_window_bits=8",
    b"\x81\x85\0\0\0\0hello",
    b"\x81\x05hello",
    b"\x01\x80\0\0\0\0",
    b"\x80\x80\0\0\0\0",
    b"\x89\x80\0\0\0\0",
    b"\x88\x82\0\0\0\0\x03\xe8",
    b"\xc1\x87\0\0\0\0\xf2\x48\xcd\xc9\xc9\x07\0",
    b"\x82\xfe\x01\x00\0\0\0\0",
    b"\x82\xff\x80\0\0\0\0\0\0\0",
    b"wss://u:p@[::1]:443/?#",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\xdc\x04\x01\xbb",
];

/// Says which input it was, when it ends in a panic.
struct Tells<'a>(&'a str, &'a [u8]);

impl Drop for Tells<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(name, input) = self;
            eprintln!("{name} failed with \"{}\", in base64: {}", input.escape_ascii(), STANDARD.encode(input));
        }
    }
}

/// The target on all that was found for it, and on what is made of that by a fixed seed.
fn replay(name: &str) {
    let (_, run) = targets::ALL.iter().find(|target| target.0 == name).expect("a target of that name");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let lines = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let corpus: Vec<Vec<u8>> = lines.lines().map(|line| STANDARD.decode(line).expect("base64")).collect();
    assert!(corpus.len() >= 20, "the corpus of {name} has {} inputs", corpus.len());
    let mut chance = Chance::of(name.as_bytes());
    let made: Vec<Vec<u8>> = (0..MADE).map(|_| make(&corpus, &mut chance)).collect();
    for input in corpus.iter().chain(&made) {
        let tells = Tells(name, input);
        run(input);
        drop(tells);
    }
    println!("{name}: {} inputs that were found, {MADE} that were made of them", corpus.len());
}

/// One of the corpus, changed in up to four places.
fn make(corpus: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut input = corpus[chance.below(corpus.len())].clone();
    for _ in 0..=chance.below(4) {
        let at = chance.below(input.len() + 1);
        let end = (at + chance.below(16)).min(input.len());
        match chance.below(7) {
            0 if at < input.len() => input[at] ^= 1 << chance.below(8),
            1 if at < input.len() => input[at] = chance.below(256) as u8,
            2 => drop(input.drain(at..end)),
            3 => {
                let again = input[at..end].to_vec();
                input.splice(at..at, again);
            }
            4 => {
                let other = &corpus[chance.below(corpus.len())];
                input.truncate(at);
                input.extend_from_slice(&other[chance.below(other.len() + 1)..]);
            }
            _ => drop(input.splice(at..at, WORDS[chance.below(WORDS.len())].iter().copied())),
        }
    }
    input.truncate(LONGEST);
    input
}

macro_rules! replays {
    ($($(#[$feature:meta])? $test:ident: $name:literal,)*) => {
        $(
            $(#[$feature])?
            #[test]
            fn $test() {
                replay($name);
            }
        )*

        #[test]
        fn t35_no_target_is_left_out() {
            let tested = [$($(#[$feature])? $name),*];
            assert!(targets::ALL.iter().map(|target| target.0).eq(tested), "{tested:?}");
        }
    };
}

replays! {
    t35_chunked: "chunked",
    t35_client: "client",
    t35_codec: "codec",
    #[cfg(feature = "deflate")]
    t35_deflate: "deflate",
    #[cfg(feature = "deflate")]
    t35_extensions: "extensions",
    t35_handshake: "handshake",
    t35_origin: "origin",
    t35_pair: "pair",
    t35_proxy: "proxy",
    t35_server: "server",
    t35_session: "session",
    t35_url: "url",
}
