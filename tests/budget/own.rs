//! Connections in a process of their own, as far as the budget goes.

use actix_sockets::test::{self, End, Link, Network, Process};
use actix_sockets::websocket::{Codec, Role};
use actix_sockets::{Budget, Frame, Settings, WebSockets};
use bytes::BytesMut;

use crate::{KEEPER, KIB, a_moment, heard, lets_go, one_at_a_time};

const OPENING: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Who is within a message is read to the end of that, and no further: the beginning of the next would have to be read to its end, too, and so on.
#[test]
fn above_the_limit_a_message_is_read_to_its_end_and_no_further() {
    // What this process has is the others' otherwise.
    let _turn = one_at_a_time();
    test::rerun(async {
        let server = Process::with(Budget::bytes(8 * KIB));
        let link = Link::between(&Process::default(), &server, &Network::seeded(1));
        link.serve(Settings::default(), || WebSockets::handled_by(|| KEEPER.with(Clone::clone)));
        let client = link.raw(End::Client);
        client.write(OPENING).await.unwrap();
        assert!(client.read().await.unwrap().unwrap().starts_with(b"HTTP/1.1 101 "));
        let (codec, mut bytes) = (Codec::new(Role::Client), BytesMut::new());
        for length in [30 * KIB, 1, 200, KIB, 2] {
            codec.encode(&Frame::binary(vec![1; length]), || [0; 4], &mut bytes).unwrap();
        }
        let rest = bytes.split_off(20 * KIB);
        client.write(&bytes).await.unwrap();
        a_moment().await;
        assert_eq!((heard(), server.buffered()), (0, 16 * KIB), "it has begun");
        client.write(&rest).await.unwrap();
        a_moment().await;
        assert_eq!((heard(), server.buffered()), (1, 24 * KIB));
        lets_go();
        a_moment().await;
        assert_eq!((heard(), server.buffered()), (4, 0), "the others");
        assert_eq!(Budget::buffered(), 0, "and nothing of it is this process's");
        lets_go();
    });
}
