//! Frames into bytes (RFC 6455 §5.2).

use bytes::{BufMut, BytesMut};

use super::header::{self, LONGEST, SHORT};
use super::masking::mask;
use super::{Codec, EncodeError, Frame, OpCode, Role, close};
use crate::output::{COPY_BELOW, Output};

impl Codec {
    /// Appends `frame` to `dst`. A client masks it, with the frame's own masking-key or else with what `key` gives; RFC 6455 §10.3 wants that
    /// to be unpredictable. A server never masks, and never asks for a key.
    ///
    /// # Errors
    ///
    /// When the frame may not be sent; nothing has been written then. Fragments in a wrong order and text that is not UTF-8 are not
    /// found out here.
    #[inline]
    pub fn encode(&self, frame: &Frame, key: impl FnOnce() -> [u8; 4], dst: &mut BytesMut) -> Result<(), EncodeError> {
        self.may_send(frame)?;
        let key = self.masking_key(frame, key);
        dst.reserve(LONGEST + frame.data.len());
        Self::header(frame, key, dst);
        dst.put_slice(&frame.data);
        if let Some(key) = key {
            let payload = dst.len() - frame.data.len();
            mask(key, 0, &mut dst[payload..]);
        }
        Ok(())
    }

    /// Appends `frame` to `output`: a small one as a copy, a large payload by reference. Only a client's large payload that somebody else
    /// holds too is copied, as it has to be masked.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    #[inline]
    pub fn encode_into(&self, frame: Frame, key: impl FnOnce() -> [u8; 4], output: &mut Output) -> Result<(), EncodeError> {
        if frame.data.len() < COPY_BELOW {
            return self.encode(&frame, key, output.tail());
        }
        self.may_send(&frame)?;
        let key = self.masking_key(&frame, key);
        Self::header(&frame, key, output.tail());
        output.push(match key {
            None => frame.data,
            Some(key) => {
                let mut data = frame.data.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
                mask(key, 0, &mut data);
                data.freeze()
            }
        });
        Ok(())
    }

    /// How many bytes `frame` is on the wire.
    #[inline]
    #[must_use]
    pub fn wire_len(&self, frame: &Frame) -> usize {
        header::len(self.role() == Role::Client, frame.data.len()) + frame.data.len()
    }

    #[inline]
    fn header(frame: &Frame, key: Option<[u8; 4]>, dst: &mut BytesMut) {
        header::write(frame.fin, frame.rsv & !Frame::UNCOMPRESSED, frame.opcode, key, frame.data.len(), dst);
    }

    #[inline]
    fn masking_key(&self, frame: &Frame, key: impl FnOnce() -> [u8; 4]) -> Option<[u8; 4]> {
        match self.role() {
            Role::Server => None,
            Role::Client => Some(frame.masking_key.unwrap_or_else(key)),
        }
    }

    #[inline]
    fn may_send(&self, frame: &Frame) -> Result<(), EncodeError> {
        if !self.may_have(frame.rsv & !Frame::UNCOMPRESSED, frame.opcode) {
            return Err(EncodeError::ReservedBits(frame.rsv));
        }
        if frame.opcode.is_control() {
            if !frame.fin {
                return Err(EncodeError::FragmentedControl);
            }
            if frame.data.len() as u64 > SHORT {
                return Err(EncodeError::ControlTooLong(frame.data.len()));
            }
            if frame.opcode == OpCode::Close {
                close::parse(&frame.data).map_err(EncodeError::CloseBody)?;
            }
        }
        Ok(())
    }
}
