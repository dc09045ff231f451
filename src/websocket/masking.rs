//! Masking (RFC 6455 §5.3): the payload, exclusive-or a key of four bytes, over and over.

/// Masks or unmasks `data` in place. `offset` is the position of `data` in its frame's payload. SprayWebSockets' `maskArray`.
#[inline]
pub fn mask(mut key: [u8; 4], offset: usize, data: &mut [u8]) {
    key.rotate_left(offset % 4);
    let [a, b, c, d] = key;
    // Eight bytes at a time in the source; the compiler makes vectors of it.
    let key = [a, b, c, d, a, b, c, d];
    let word = u64::from_ne_bytes(key);
    let (chunks, rest) = data.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

/// Unmasks a whole payload, and tells whether it is ASCII: one pass where short text needs two.
#[inline]
pub(super) fn mask_ascii(key: [u8; 4], data: &mut [u8]) -> bool {
    let [a, b, c, d] = key;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut seen = [0; 4];
    // Four words at a time: two vectors of the smallest kind.
    let (blocks, rest) = data.as_chunks_mut::<32>();
    for block in blocks {
        for (chunk, seen) in block.as_chunks_mut::<8>().0.iter_mut().zip(&mut seen) {
            let plain = u64::from_ne_bytes(*chunk) ^ word;
            *seen |= plain;
            *chunk = plain.to_ne_bytes();
        }
    }
    let mut seen = seen[0] | seen[1] | seen[2] | seen[3];
    let (chunks, rest) = rest.as_chunks_mut::<8>();
    for chunk in chunks {
        let plain = u64::from_ne_bytes(*chunk) ^ word;
        seen |= plain;
        *chunk = plain.to_ne_bytes();
    }
    let mut last = 0;
    for (byte, key) in rest.iter_mut().zip([a, b, c, d, a, b, c]) {
        *byte ^= key;
        last |= *byte;
    }
    (seen | u64::from(last)) & 0x8080_8080_8080_8080 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455 §5.3, to the letter: `transformed-octet-i = original-octet-i XOR masking-key-octet-(i MOD 4)`.
    fn naive(key: [u8; 4], offset: usize, data: &mut [u8]) {
        for (i, octet) in data.iter_mut().enumerate() {
            *octet ^= key[(offset + i) % 4];
        }
    }

    #[test]
    fn as_the_naive_loop_at_all_offsets_lengths_and_alignments() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let bytes: Vec<u8> = (0..200u8).map(|i| i.wrapping_mul(31)).collect();
        for start in 0..9 {
            for length in 0..=180 {
                for offset in (0..9).chain([1 << 20, (1 << 20) + 3, usize::MAX - 300]) {
                    let (mut fast, mut slow) = (bytes.clone(), bytes.clone());
                    mask(key, offset, &mut fast[start..start + length]);
                    naive(key, offset, &mut slow[start..start + length]);
                    assert_eq!(fast, slow, "start {start} length {length} offset {offset}");
                }
            }
        }
    }

    #[test]
    fn twice_is_nothing_and_in_pieces_is_whole() {
        let original: Vec<u8> = (0..=255).collect();
        let key = [1, 2, 3, 4];
        for cut in 0..=256 {
            let mut bytes = original.clone();
            mask(key, 0, &mut bytes);
            assert_ne!(bytes, original);
            let (head, tail) = bytes.split_at_mut(cut);
            mask(key, 0, head);
            mask(key, cut, tail);
            assert_eq!(bytes, original);
        }
    }

    /// RFC 6455 §5.7: a single-frame masked text message.
    #[test]
    fn the_rfcs_own_example() {
        let mut bytes = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        mask([0x37, 0xfa, 0x21, 0x3d], 0, &mut bytes);
        assert_eq!(&bytes, b"Hello");
    }
}
