//! UTF-8 as it arrives (RFC 6455 §8.1, RFC 3629 §4): cut anywhere, refused at the first byte that no good byte can mend.

use std::fmt;

/// Bytes that are not UTF-8, nor the beginning of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUtf8;

impl fmt::Display for InvalidUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not UTF-8")
    }
}

impl std::error::Error for InvalidUtf8 {}

/// Judges text that comes in pieces. Between two pieces it remembers what may follow, not the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utf8Validator {
    /// How many bytes the character in progress still needs.
    missing: u8,
    /// The least and the greatest next byte, while one is missing. Only a character's second byte is ever bound more narrowly
    /// than 80–BF: against overlong forms, surrogates and what lies above U+10FFFF.
    least: u8,
    greatest: u8,
}

impl Default for Utf8Validator {
    fn default() -> Self {
        Self::new()
    }
}

impl Utf8Validator {
    /// A validator before the first byte of a text.
    #[must_use]
    pub const fn new() -> Self {
        Self { missing: 0, least: 0x80, greatest: 0xbf }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    ///
    /// When no continuation of the bytes so far is UTF-8. The validator is of no use after that.
    #[inline]
    pub fn push(&mut self, mut piece: &[u8]) -> Result<(), InvalidUtf8> {
        while self.missing > 0 {
            let Some((&byte, rest)) = piece.split_first() else { return Ok(()) };
            self.step(byte)?;
            piece = rest;
        }
        let (whole, cut) = piece.split_at(whole_characters(piece));
        if simdutf8::basic::from_utf8(whole).is_err() {
            return Err(InvalidUtf8);
        }
        cut.iter().try_for_each(|&byte| self.step(byte))
    }

    /// Tells whether the text may end here.
    ///
    /// # Errors
    ///
    /// When the last character is cut.
    #[inline]
    pub fn finish(self) -> Result<(), InvalidUtf8> {
        if self.missing == 0 { Ok(()) } else { Err(InvalidUtf8) }
    }

    /// One byte, by the table of RFC 3629 §4.
    fn step(&mut self, byte: u8) -> Result<(), InvalidUtf8> {
        let (missing, least, greatest) = if self.missing > 0 {
            if !(self.least..=self.greatest).contains(&byte) {
                return Err(InvalidUtf8);
            }
            (self.missing - 1, 0x80, 0xbf)
        } else {
            match byte {
                0x00..=0x7f => (0, 0x80, 0xbf),
                0xc2..=0xdf => (1, 0x80, 0xbf),
                0xe0 => (2, 0xa0, 0xbf),
                0xe1..=0xec | 0xee | 0xef => (2, 0x80, 0xbf),
                0xed => (2, 0x80, 0x9f),
                0xf0 => (3, 0x90, 0xbf),
                0xf1..=0xf3 => (3, 0x80, 0xbf),
                0xf4 => (3, 0x80, 0x8f),
                _ => return Err(InvalidUtf8),
            }
        };
        *self = Self { missing, least, greatest };
        Ok(())
    }
}

/// How much of `piece` precedes a character that its end cuts. Only leading bytes are looked at: whether the rest is UTF-8 is for others
/// to say.
fn whole_characters(piece: &[u8]) -> usize {
    for (following, &byte) in piece.iter().rev().take(3).enumerate() {
        let width = match byte {
            0x80..=0xbf => continue,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0.. => 4,
            _ => 1,
        };
        return if following + 1 < width { piece.len() - following - 1 } else { piece.len() };
    }
    piece.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The oracle: whether some continuation of `bytes` is UTF-8, and whether it is UTF-8 already.
    fn oracle(bytes: &[u8]) -> (bool, bool) {
        match std::str::from_utf8(bytes) {
            Ok(_) => (true, true),
            Err(error) => (error.error_len().is_none(), false),
        }
    }

    thread_local! {
        /// How often this thread has judged.
        static JUDGED: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    }

    fn judge(pieces: &[&[u8]]) -> (bool, bool) {
        JUDGED.set(JUDGED.get() + 1);
        let mut validator = Utf8Validator::new();
        let begins = pieces.iter().all(|piece| validator.push(piece).is_ok());
        (begins, begins && validator.finish().is_ok())
    }

    /// The borders of every row of RFC 3629's table, which stand for the values between them.
    const BORDERS: [u8; 25] = [
        0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3,
        0xf4, 0xf5, 0xff,
    ];

    #[test]
    fn t28_every_sequence_of_one_to_three_bytes_whole_and_cut_at_every_border() {
        // ASCII is all alike in front.
        for a in [0x00, 0x41, 0x7f].into_iter().chain(0x80..=255) {
            assert_eq!(judge(&[&[a]]), oracle(&[a]), "{a:02x}");
            for b in 0..=255 {
                let expected = oracle(&[a, b]);
                assert_eq!(judge(&[&[a, b]]), expected, "{a:02x} {b:02x}");
                assert_eq!(judge(&[&[a], &[b]]), expected, "{a:02x} {b:02x}");
                // What is bad already stays bad: all the third bytes where they matter.
                let third: Vec<u8> = if expected.0 { (0..=255).collect() } else { BORDERS.to_vec() };
                for c in third {
                    let bytes = [a, b, c];
                    let expected = oracle(&bytes);
                    assert_eq!(judge(&[&bytes]), expected, "{bytes:02x?}");
                    assert_eq!(judge(&[&bytes[..1], &bytes[1..]]), expected, "{bytes:02x?}");
                    assert_eq!(judge(&[&bytes[..2], &bytes[2..]]), expected, "{bytes:02x?}");
                }
            }
        }
        println!("t28: {} texts judged as the standard library judges them", JUDGED.get());
    }

    #[test]
    fn t28_four_bytes_from_every_class_whole_and_cut_at_every_border() {
        for a in [0x00, 0x41, 0x7f].into_iter().chain(0x80..=255) {
            for b in BORDERS {
                for c in BORDERS {
                    for d in BORDERS {
                        let bytes = [a, b, c, d];
                        let expected = oracle(&bytes);
                        assert_eq!(judge(&[&bytes]), expected, "{bytes:02x?}");
                        for cut in 1..4 {
                            assert_eq!(judge(&[&bytes[..cut], &bytes[cut..]]), expected, "{bytes:02x?} at {cut}");
                        }
                        assert_eq!(judge(&[&[a], &[b], &[c], &[d]]), expected, "{bytes:02x?}");
                    }
                }
            }
        }
        println!("t28: {} texts judged as the standard library judges them", JUDGED.get());
    }

    #[test]
    fn t28_every_character_at_every_place_of_a_long_text() {
        let filling = "a".repeat(130);
        for character in (0x80..=0x10ffff).step_by(997).filter_map(char::from_u32).chain(['é', '€', '𝄞', '\u{10ffff}']) {
            let text = format!("{filling}{character}{filling}");
            for cut in [0, 1, 64, 129, 130, 131, 132, 133, 134, text.len()] {
                let (head, tail) = text.as_bytes().split_at(cut);
                assert_eq!(judge(&[head, tail]), (true, true));
            }
        }
        println!("t28: {} texts judged as the standard library judges them", JUDGED.get());
    }

    #[test]
    fn fails_at_the_very_byte() {
        for (good, bad) in [
            (&b"\xf4"[..], 0x90),                // above U+10FFFF
            (b"\xe0", 0x80),                     // overlong
            (b"\xed", 0xa0),                     // a surrogate
            (b"\xf0", 0x8f),                     // overlong
            (b"caf\xc3", b'e'),                  // cut short
            (b"\xce\xba\xe1\xbd\xb9", 0xc0),     // never leads
            (b"\xce\xba\xe1\xbd\xb9\xf4", 0x90), // Autobahn 6.4.3
        ] {
            let mut validator = Utf8Validator::new();
            assert_eq!(validator.push(good), Ok(()));
            assert_eq!(validator.push(&[bad]), Err(InvalidUtf8), "{good:02x?} {bad:02x}");
        }
    }
}
