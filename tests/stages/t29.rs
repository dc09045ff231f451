//! T29: what an attacker would send as a compressed message. Each test prints what it measured.

use actix_sockets::stage::PerMessageDeflate;
use actix_sockets::stage::deflate::Context;
use actix_sockets::websocket::{Frame, OpCode, Role};
use flate2::{Compress, Compression, FlushCompress};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::deflate::{MIB, RSV1, compressed, deflate, read, wire};
use super::wire::{BINARY, CONTINUATION, FIN, PING, TEXT};

const NOTHING: [&str; 0] = [];
const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
/// The same by a reference to the message before (RFC 7692 §7.2.3.2).
const AGAIN: [u8; 5] = [0xf2, 0x00, 0x11, 0x00, 0x00];

/// A message of this many zeros, as small as can be: a mebibyte is compressed once, so that it refers to nothing before it, and repeated.
fn zeros(count: usize) -> Vec<u8> {
    let block = |count| {
        let mut block = Vec::with_capacity(4096);
        Compress::new(Compression::best(), false).compress_vec(&vec![0; count], &mut block, FlushCompress::Full).unwrap();
        block
    };
    let mut bomb = block(MIB).repeat(count / MIB);
    bomb.extend(block(count % MIB));
    assert!(bomb.ends_with(&[0, 0, 0xff, 0xff]));
    bomb.truncate(bomb.len() - 4);
    bomb
}

/// How many bytes are handed up of it, how many have been given of it, and how it ends.
fn detonate(stage: &mut PerMessageDeflate, bomb: &[u8], fragment: usize) -> (usize, usize, String) {
    let (mut up, mut given) = (0, 0);
    let last = bomb.len().div_ceil(fragment) - 1;
    for (n, data) in bomb.chunks(fragment).enumerate() {
        let data = data.to_vec();
        let frame = if n == 0 { compressed(OpCode::Binary, data) } else { Frame::continuation(data) };
        given += frame.data.len();
        match read(stage, Frame { fin: n == last, ..frame }) {
            Ok(frame) => up += frame.data.len(),
            Err(error) => return (up, given, error),
        }
    }
    (up, given, String::new())
}

#[test]
fn t29_a_gibibyte_in_a_mebibyte_is_refused_while_it_is_inflated() {
    let bomb = zeros(1 << 30);
    println!("{} bytes that inflate to {}", bomb.len(), 1 << 30);
    for fragment in [bomb.len(), 64] {
        for guarded in [true, false] {
            let stage = deflate();
            let mut stage = if guarded { stage } else { stage.ratio_unlimited() };
            let (up, given, end) = detonate(&mut stage, &bomb, fragment);
            println!("in fragments of {fragment}, guard {guarded}: {up} bytes handed up, {given} read, then {end}");
            assert!(end.starts_with("1009"), "{end}");
            let most = if guarded { MIB } else { 8 * MIB };
            assert!(up <= most);
            if fragment == 64 {
                assert!(up > most - (80 << 10), "it went as far as is allowed");
                assert!(given < most / 900, "and no farther was read");
            }
            // Behind an error, nothing.
            assert_eq!(read(&mut stage, Frame::continuation("x")), Err("[]".into()));
        }
    }
}

#[test]
fn t29_the_limit_is_the_last_byte() {
    let context = Context::default();
    for length in [0, 1, 1000, 100_000] {
        for (limit, fits) in [(length, true), (length.max(1) - 1, length == 0)] {
            for fragment in [1 << 20, 7] {
                let mut stage = PerMessageDeflate::new(context, context, limit as u64);
                let (up, _, end) = detonate(&mut stage, &zeros(length), fragment);
                assert_eq!((fits, end.is_empty()), (fits, fits), "{length} bytes, limit {limit}: {end}");
                if fragment == 7 {
                    println!("t29: limit {limit} bytes, {length} in compressed form: {}", if fits { "told" } else { "1009" });
                }
                assert!(!fits || up == length);
                assert!(fits || end.starts_with("1009 a message of at least"), "{end}");
            }
        }
    }
}

#[test]
fn t29_the_ratio_matters_from_a_mebibyte_on() {
    let end = |stage: PerMessageDeflate, length| {
        let mut stage = stage;
        detonate(&mut stage, &zeros(length), 1 << 20).2
    };
    assert_eq!(end(deflate(), MIB), "");
    assert!(end(deflate(), MIB + 1).starts_with("1009 a compressed message that swells to more than 200 times its size"));
    assert_eq!(end(deflate().ratio_unlimited(), MIB + 1), "");
    assert_eq!(end(deflate().ratio_limit(1032), 4 * MIB), "");
    // 4 MiB that are a 100th of it.
    let mut state = Compress::new(Compression::best(), false);
    let noise: Vec<u8> = {
        let mut random = StdRng::seed_from_u64(29);
        (0..40_000).map(|_| random.random()).collect()
    };
    let mut message = Vec::with_capacity(MIB);
    for noise in noise.chunks(400) {
        state.compress_vec(noise, &mut message, FlushCompress::None).unwrap();
        state.compress_vec(&vec![0; 41_000], &mut message, FlushCompress::None).unwrap();
    }
    state.compress_vec(&[], &mut message, FlushCompress::Sync).unwrap();
    let (up, given, end) = detonate(&mut deflate(), &message[..message.len() - 4], 1 << 20);
    println!("{up} bytes of {given}: {}:1 is allowed", up / given);
    assert_eq!((up, end.as_str()), (100 * 41_400, ""));
}

#[test]
fn t29_bad_blocks() {
    for (what, bytes) in [
        ("the reserved block type", &[0x06][..]),
        ("the reserved block type, BFINAL", &[0x07]),
        ("LEN and NLEN that do not fit", &[0x00, 0x05, 0x00, 0x00, 0x00, 0x48]),
        ("a distance behind nothing", &[0xf2, 0x00, 0x11, 0x00, 0x00]),
        ("too many literal codes", &[0xfc, 0xff, 0xff, 0xff]),
        ("garbage", &[0xff, 0xfe, 0xfd, 0xfc, 0xfb]),
        ("garbage behind a last block", &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0xff, 0xff]),
    ] {
        for fragment in [100, 1] {
            let (.., end) = detonate(&mut deflate(), bytes, fragment);
            assert_eq!(end, "1007 a compressed message that is not DEFLATE data (RFC 7692 §7.2.2)", "{what}, {fragment} at a time");
        }
    }
}

#[test]
fn t29_rsv1_where_it_may_not_be() {
    for (first, what) in [
        (FIN | RSV1 | PING, "a ping"),
        (FIN | RSV1 | 8, "a Close"),
        (FIN | 0x60 | TEXT, "RSV1 and RSV2"),
        (FIN | 0x20 | TEXT, "RSV2"),
        (FIN | 0x10 | TEXT, "RSV3"),
    ] {
        let mut server = wire(Role::Server, deflate());
        assert_eq!(server.frame(first, ""), NOTHING);
        assert_eq!(server.settles(), ["Closed 1002 by us"], "{what}");
    }
    for begins in [TEXT, RSV1 | TEXT] {
        let mut server = wire(Role::Server, deflate());
        server.frame(begins, "");
        assert_eq!(server.frame(FIN | RSV1 | CONTINUATION, ""), NOTHING);
        assert_eq!(server.settles(), ["Closed 1002 by us"]);
    }
}

#[test]
fn t29_without_takeover_nothing_is_remembered() {
    let alone = Context { takeover: false, ..Context::default() };
    let mut stage = PerMessageDeflate::new(alone, alone, 100);
    assert_eq!(read(&mut stage, compressed(OpCode::Text, &HELLO[..])).unwrap().data, "Hello");
    assert!(read(&mut stage, compressed(OpCode::Text, &AGAIN[..])).unwrap_err().starts_with("1007"));
    // Nor is what another connection has said, whose inflater comes from the same pool.
    let mut other = PerMessageDeflate::new(alone, alone, 100);
    assert!(read(&mut other, compressed(OpCode::Text, &AGAIN[..])).unwrap_err().starts_with("1007"));
}

/// An inflater that was in the middle of something bad never goes back to the pool.
#[test]
fn t29_what_is_broken_is_not_used_again() {
    let alone = Context { takeover: false, ..Context::default() };
    for _ in 0..20 {
        let mut stage = PerMessageDeflate::new(alone, alone, 100);
        read(&mut stage, compressed(OpCode::Text, &[0xff][..])).unwrap_err();
        let mut stage = PerMessageDeflate::new(alone, alone, 100);
        assert_eq!(read(&mut stage, compressed(OpCode::Text, &HELLO[..])).unwrap().data, "Hello");
    }
}

#[test]
fn t29_text_is_judged_as_it_comes_out() {
    let mut state = Compress::new(Compression::best(), false);
    let mut bytes = Vec::with_capacity(1000);
    state.compress_vec("κόσμε".as_bytes(), &mut bytes, FlushCompress::Sync).unwrap();
    let good = bytes.len();
    // A surrogate: its second byte is bad, and the message goes on.
    state.compress_vec(b"\xed\xa0", &mut bytes, FlushCompress::Sync).unwrap();
    let mut stage = deflate();
    read(&mut stage, compressed(OpCode::Text, bytes[..good].to_vec()).more()).unwrap();
    assert!(read(&mut stage, Frame::continuation(bytes[good..].to_vec()).more()).unwrap_err().starts_with("1007 text that is not UTF-8"));
    // As binary it may be anything.
    read(&mut deflate(), compressed(OpCode::Binary, bytes.clone())).unwrap();
    // Cut at its end.
    let mut cut = Vec::with_capacity(100);
    Compress::new(Compression::best(), false).compress_vec("κ".as_bytes()[..1].as_ref(), &mut cut, FlushCompress::Sync).unwrap();
    cut.truncate(cut.len() - 4);
    assert!(read(&mut deflate(), compressed(OpCode::Text, cut)).unwrap_err().starts_with("1007 text that is not UTF-8"));
}

#[test]
fn t29_compressed_bytes_meet_the_codecs_limits_too() {
    let mut server = wire(Role::Server, deflate());
    let header = [FIN | RSV1 | BINARY, 0x80 | 127, 0, 0, 0, 0, 0x10, 0, 0, 0, 1, 2, 3, 4];
    assert_eq!(server.reads(&header), NOTHING);
    assert_eq!(server.settles(), ["Closed 1009 by us"]);
}
