//! The frame codec's hot paths. `cargo bench --bench codec`.

use actix_sockets::output::Output;
use actix_sockets::websocket::utf8::Utf8Validator;
use actix_sockets::websocket::{Codec, Frame, Role, masking};
use bytes::BytesMut;
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// What a connection reads into.
const READ_BUFFER: usize = 128 << 10;
const SIZES: [usize; 4] = [16, 64, 1 << 10, 64 << 10];

fn main() {
    divan::main();
}

/// What a peer of `role` sends: `count` text messages of `size` bytes.
fn wire(role: Role, text: &str, count: usize) -> BytesMut {
    let peer = Codec::new(if role == Role::Server { Role::Client } else { Role::Server });
    let mut wire = BytesMut::new();
    for _ in 0..count {
        peer.encode(&Frame::text(text), || KEY, &mut wire).expect("a good frame");
    }
    wire
}

fn ascii(size: usize) -> String {
    "a".repeat(size)
}

fn greek(size: usize) -> String {
    "κ".repeat(size / 2)
}

/// As a connection reads: the bytes are copied into a buffer that lives on, then decoded until `None`.
fn decode(bencher: Bencher<'_, '_>, role: Role, text: &str, count: usize) {
    let wire = wire(role, text, count);
    let mut codec = Codec::new(role);
    let mut buffer = BytesMut::with_capacity(READ_BUFFER);
    bencher.counter(ItemsCount::new(count)).counter(BytesCount::new(count * text.len())).bench_local(|| {
        buffer.reserve(wire.len());
        buffer.extend_from_slice(&wire);
        while let Some(frame) = codec.decode(&mut buffer).expect("good frames") {
            black_box(frame);
        }
    });
}

#[divan::bench(sample_size = 100)]
fn decode_64_masked_of_64_bytes(bencher: Bencher<'_, '_>) {
    decode(bencher, Role::Server, &ascii(64), 64);
}

/// The same, for a caller that looks at the payload where it is and does not move the frame.
#[divan::bench(sample_size = 100)]
fn decode_64_masked_of_64_bytes_in_place(bencher: Bencher<'_, '_>) {
    let wire = wire(Role::Server, &ascii(64), 64);
    let mut codec = Codec::new(Role::Server);
    let mut buffer = BytesMut::with_capacity(READ_BUFFER);
    bencher.counter(ItemsCount::new(64usize)).bench_local(|| {
        buffer.reserve(wire.len());
        buffer.extend_from_slice(&wire);
        while let Some(frame) = codec.decode(&mut buffer).expect("good frames") {
            black_box(&frame.data[..]);
        }
    });
}

/// What of it is the copy into the buffer and the counting of references, not the codec.
#[divan::bench(sample_size = 100)]
fn baseline_64_splits_of_70_bytes(bencher: Bencher<'_, '_>) {
    let wire = wire(Role::Server, &ascii(64), 64);
    let mut buffer = BytesMut::with_capacity(READ_BUFFER);
    bencher.counter(ItemsCount::new(64usize)).bench_local(|| {
        buffer.reserve(wire.len());
        buffer.extend_from_slice(&wire);
        while !buffer.is_empty() {
            black_box(buffer.split_to(70).freeze());
        }
    });
}

#[divan::bench(args = SIZES, sample_size = 100)]
fn decode_masked_ascii(bencher: Bencher<'_, '_>, size: usize) {
    decode(bencher, Role::Server, &ascii(size), (4096 / size).max(1));
}

#[divan::bench(args = SIZES, sample_size = 100)]
fn decode_masked_greek(bencher: Bencher<'_, '_>, size: usize) {
    decode(bencher, Role::Server, &greek(size), (4096 / size).max(1));
}

#[divan::bench(args = SIZES, sample_size = 100)]
fn decode_unmasked_ascii(bencher: Bencher<'_, '_>, size: usize) {
    decode(bencher, Role::Client, &ascii(size), (4096 / size).max(1));
}

/// A large frame in reads of 4 KiB.
#[divan::bench(sample_size = 100)]
fn decode_masked_64_kib_in_pieces(bencher: Bencher<'_, '_>) {
    let wire = wire(Role::Server, &ascii(64 << 10), 1);
    let mut codec = Codec::new(Role::Server);
    let mut buffer = BytesMut::with_capacity(READ_BUFFER);
    bencher.counter(BytesCount::new(wire.len())).bench_local(|| {
        buffer.reserve(wire.len());
        for piece in wire.chunks(4096) {
            buffer.extend_from_slice(piece);
            black_box(codec.decode(&mut buffer).expect("a good frame"));
        }
    });
}

fn encode(bencher: Bencher<'_, '_>, role: Role, size: usize) {
    let codec = Codec::new(role);
    let frame = Frame::text(ascii(size));
    let mut buffer = BytesMut::with_capacity(READ_BUFFER);
    let count = (4096 / size).max(1);
    bencher.counter(ItemsCount::new(count)).counter(BytesCount::new(count * size)).bench_local(|| {
        buffer.clear();
        for _ in 0..count {
            codec.encode(black_box(&frame), || KEY, &mut buffer).expect("a good frame");
        }
        black_box(&buffer);
    });
}

#[divan::bench(args = SIZES, sample_size = 100)]
fn encode_server(bencher: Bencher<'_, '_>, size: usize) {
    encode(bencher, Role::Server, size);
}

#[divan::bench(args = SIZES, sample_size = 100)]
fn encode_client(bencher: Bencher<'_, '_>, size: usize) {
    encode(bencher, Role::Client, size);
}

#[divan::bench(args = SIZES, sample_size = 100)]
fn encode_into_output(bencher: Bencher<'_, '_>, size: usize) {
    let codec = Codec::new(Role::Server);
    let frame = Frame::text(ascii(size));
    let mut output = Output::new();
    let count = (4096 / size).max(1);
    bencher.counter(ItemsCount::new(count)).counter(BytesCount::new(count * size)).bench_local(|| {
        for _ in 0..count {
            codec.encode_into(black_box(&frame).clone(), || KEY, &mut output).expect("a good frame");
        }
        output.advance(black_box(output.len()));
    });
}

#[divan::bench(args = SIZES, sample_size = 100)]
fn mask(bencher: Bencher<'_, '_>, size: usize) {
    let mut bytes = vec![b'a'; size];
    bencher.counter(BytesCount::new(size)).bench_local(|| masking::mask(black_box(KEY), black_box(1), black_box(&mut bytes)));
}

#[divan::bench(args = SIZES, sample_size = 100)]
fn utf8_ascii(bencher: Bencher<'_, '_>, size: usize) {
    let text = ascii(size);
    bencher.counter(BytesCount::new(size)).bench_local(|| Utf8Validator::new().push(black_box(text.as_bytes())));
}

#[divan::bench(args = SIZES, sample_size = 100)]
fn utf8_greek(bencher: Bencher<'_, '_>, size: usize) {
    let text = greek(size);
    bencher.counter(BytesCount::new(size)).bench_local(|| Utf8Validator::new().push(black_box(text.as_bytes())));
}
