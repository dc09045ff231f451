//! What was on the wire, read by a reader that shares nothing with the library.

/// A frame as it lay on the wire, unmasked.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) fin: bool,
    pub(crate) rsv: u8,
    pub(crate) opcode: u8,
    pub(crate) masked: bool,
    pub(crate) data: Vec<u8>,
}

/// Reads the frames of one direction, as far as they have come.
#[derive(Debug, Default)]
pub(crate) struct Tap {
    /// Where the frames begin, once that is known.
    at: Option<usize>,
    pub(crate) frames: Vec<Raw>,
    /// Messages that are complete.
    pub(crate) messages: usize,
    /// Bytes of a frame that is not all there.
    pub(crate) rest: usize,
}

impl Tap {
    /// Goes on with all that was ever written. Frames begin behind the head that `opening` begins.
    pub(crate) fn read(&mut self, written: &[u8], opening: &[u8]) {
        let Some(mut at) = self.at.or_else(|| beginning(written, opening)) else { return };
        while let Some((frame, length)) = frame(&written[at..]) {
            at += length;
            self.messages += usize::from(frame.fin && frame.opcode < 8);
            self.frames.push(frame);
        }
        self.rest = written.len() - at;
        self.at = Some(at);
    }

    /// What breaks RFC 6455 in what has come, if anything does.
    pub(crate) fn judge(&self, client: bool, compressed: bool) -> Result<(), String> {
        let mut within = false;
        for (number, frame) in self.frames.iter().enumerate() {
            let wrong = |what: &str| Err(format!("frame {number} (opcode {}, {} bytes): {what}", frame.opcode, frame.data.len()));
            if frame.masked != client {
                return wrong("masked by the server, or not masked by the client");
            }
            if self.frames[..number].last().is_some_and(|before| before.opcode == 8) {
                return wrong("it stands behind a Close frame");
            }
            if frame.rsv != 0 && !(compressed && frame.rsv == 4 && (frame.opcode == 1 || frame.opcode == 2)) {
                return wrong("RSV bits");
            }
            match frame.opcode {
                0 if !within => return wrong("a continuation of nothing"),
                1 | 2 if within => return wrong("a message within another"),
                0..=2 => within = !frame.fin,
                8..=10 if frame.fin && frame.data.len() <= 125 => {}
                _ => return wrong("no such frame"),
            }
        }
        Ok(())
    }

    /// The code of the Close frame, if there is one: 1005 if it has none.
    pub(crate) fn close_code(&self) -> Option<u16> {
        let close = self.frames.last().filter(|frame| frame.opcode == 8)?;
        Some(close.data.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code)))
    }
}

fn beginning(written: &[u8], opening: &[u8]) -> Option<usize> {
    let find = |from: usize, what: &[u8]| written[from..].windows(what.len()).position(|window| window == what).map(|at| from + at);
    let head = find(0, opening)?;
    Some(find(head, b"\r\n\r\n")? + 4)
}

fn frame(bytes: &[u8]) -> Option<(Raw, usize)> {
    let &[first, second, ..] = bytes else { return None };
    let (length, mut at) = match second & 0x7f {
        126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        127 => (usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?, 10),
        short => (usize::from(short), 2),
    };
    let masked = second & 0x80 != 0;
    let key: [u8; 4] = if masked { bytes.get(at..at + 4)?.try_into().ok()? } else { [0; 4] };
    at += if masked { 4 } else { 0 };
    let data = bytes.get(at..at.checked_add(length)?)?.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    Some((Raw { fin: first & 0x80 != 0, rsv: first >> 4 & 7, opcode: first & 0xf, masked, data }, at + length))
}
