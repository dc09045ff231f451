//! What a client says first.

/// The content type of a handshake message (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;
/// Nobody is waited for who has said so much: a hello is shorter, as a rule.
const ENOUGH: usize = 4 << 10;

/// Whether what a client has said first is enough for a handshake to begin with: a whole record, or what is none.
pub(crate) fn begins(said: &[u8]) -> bool {
    match *said {
        [] => false,
        // Type, version, length, and so many bytes.
        [HANDSHAKE, _, _, high, low, ref fragment @ ..] => {
            fragment.len() >= usize::from(u16::from_be_bytes([high, low])) || said.len() >= ENOUGH
        }
        [HANDSHAKE, ..] => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_begins_with_a_whole_record() {
        let hello = [&[22, 3, 1, 1, 44][..], &[0; 300]].concat();
        for cut in 0..hello.len() {
            assert!(!begins(&hello[..cut]), "{cut}");
        }
        assert!(begins(&hello) && begins(&[&hello[..], b"more"].concat()));
    }

    #[test]
    fn nobody_is_waited_for_who_says_too_much_or_something_else() {
        let long = [&[22, 3, 1, 64, 0][..], &[0; ENOUGH]].concat();
        assert!(!begins(&long[..ENOUGH - 1]) && begins(&long[..ENOUGH]));
        assert!(begins(b"G") && begins(&[21]), "an alert, and HTTP");
    }
}
