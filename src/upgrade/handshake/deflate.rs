//! permessage-deflate, as far as it is negotiated (RFC 7692 §5, §7.1).
//!
//! ```text
//!   client                                                                     server
//!   Preferences::offer ── permessage-deflate; client_max_window_bits ──▶  Preferences::accept
//!   Preferences::judge ◀── permessage-deflate; server_max_window_bits=12 ──── Parameters
//! ```
//!
//! An offer that breaks a rule is declined, and the next one looked at; a response that breaks one fails the handshake. Both ends use one
//! set of names, the RFC's: `server_…` is about the messages that the server sends, whoever asks.

use std::fmt;

use http::header::{HeaderMap, HeaderValue, SEC_WEBSOCKET_EXTENSIONS};

use super::{HandshakeError, list};
use crate::http::{HttpRequest, HttpResponse};

/// The extension's name.
const NAME: &str = "permessage-deflate";
/// The largest window: what holds when nothing is said.
const LARGEST: u8 = 15;

/// What is wanted of permessage-deflate, of a server or a client. The default is the RFC's: all contexts taken over, windows of 15 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Preferences {
    /// The server compresses each message by itself (§7.1.1.1).
    pub server_no_context_takeover: bool,
    /// The client does (§7.1.1.2).
    pub client_no_context_takeover: bool,
    /// The most bits of the server's window, 8 to 15 (§7.1.2.1).
    pub server_max_window_bits: u8,
    /// The most bits of the client's window, 8 to 15 (§7.1.2.2). To a server it is a wish: a client that does not offer the parameter
    /// cannot be asked for it, and its messages may refer as far back as they like.
    pub client_max_window_bits: u8,
}

impl Default for Preferences {
    fn default() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: LARGEST,
            client_max_window_bits: LARGEST,
        }
    }
}

/// What was agreed on. Prints as the element of the `Sec-WebSocket-Extensions` that says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Parameters {
    /// The server compresses each message by itself.
    pub server_no_context_takeover: bool,
    /// The client does.
    pub client_no_context_takeover: bool,
    /// The bits of the server's window; `None`: 15, and it is not said.
    pub server_max_window_bits: Option<u8>,
    /// The bits of the client's window; `None`: 15, and it is not said.
    pub client_max_window_bits: Option<u8>,
}

/// One `permessage-deflate` with its parameters, legal each by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Element {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// In an offer it may stand without a value: "you may say it" (§7.1.2.2).
    client_max_window_bits: Option<Option<u8>>,
}

impl Preferences {
    /// The server's side: the first offer of permessage-deflate that is legal, and what is agreed on by accepting it.
    #[must_use]
    pub fn accept(&self, request: &HttpRequest) -> Option<Parameters> {
        elements(&request.headers).find_map(|offer| Some(self.answer(read(offer).ok()?)))
    }

    fn answer(&self, offer: Element) -> Parameters {
        // Said if it was asked for (§7.1.2.1), or if it is less than what would hold unsaid.
        let server_bits = offer.server_max_window_bits.unwrap_or(LARGEST).min(self.server_max_window_bits.clamp(8, LARGEST));
        let said = offer.server_max_window_bits.is_some() || server_bits < LARGEST;
        Parameters {
            server_no_context_takeover: offer.server_no_context_takeover || self.server_no_context_takeover,
            client_no_context_takeover: offer.client_no_context_takeover || self.client_no_context_takeover,
            server_max_window_bits: said.then_some(server_bits),
            client_max_window_bits: offer
                .client_max_window_bits
                .map(|bits| bits.unwrap_or(LARGEST).min(self.client_max_window_bits.clamp(8, LARGEST)))
                .filter(|bits| *bits < LARGEST),
        }
    }

    /// The client's side: adds the offer to the request. `client_max_window_bits` is always in it, so that the server may choose.
    pub fn offer(&self, request: &mut HttpRequest) {
        let mut offer = String::from(NAME);
        if self.server_no_context_takeover {
            offer.push_str("; server_no_context_takeover");
        }
        if self.client_no_context_takeover {
            offer.push_str("; client_no_context_takeover");
        }
        if self.server_max_window_bits < LARGEST {
            offer.push_str(&format!("; server_max_window_bits={}", self.server_max_window_bits.max(8)));
        }
        offer.push_str("; client_max_window_bits");
        if self.client_max_window_bits < LARGEST {
            offer.push_str(&format!("={}", self.client_max_window_bits.max(8)));
        }
        // A request that goes where it was redirected to has it already.
        if let Ok(offer) = HeaderValue::try_from(offer)
            && !request.headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter().any(|there| *there == offer)
        {
            request.headers.append(SEC_WEBSOCKET_EXTENSIONS, offer);
        }
    }

    /// The client's side: what the response to that offer agrees on; `None` if it does without.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Deflate`] with what is wrong: a parameter that the offer does not allow or that the response lacks, one that is
    /// unknown, doubled or out of its range, or the extension agreed on twice.
    pub fn judge(&self, response: &HttpResponse) -> Result<Option<Parameters>, HandshakeError> {
        let Some(answer) = only(&response.headers)? else { return Ok(None) };
        if self.server_no_context_takeover && !answer.server_no_context_takeover {
            return Err(HandshakeError::Deflate("server_no_context_takeover was asked for and is not agreed on (RFC 7692 §7.1.1.1)"));
        }
        if self.server_max_window_bits < LARGEST
            && answer.server_max_window_bits.is_none_or(|bits| bits > self.server_max_window_bits.max(8))
        {
            return Err(HandshakeError::Deflate("server_max_window_bits is missing, or more than was asked for (RFC 7692 §7.1.2.1)"));
        }
        let client_max_window_bits = answer.client_max_window_bits.flatten();
        if client_max_window_bits.is_some_and(|bits| bits > self.client_max_window_bits.max(8)) {
            return Err(HandshakeError::Deflate("client_max_window_bits is more than was offered (RFC 7692 §7.1.2.2)"));
        }
        Ok(Some(Parameters {
            server_no_context_takeover: answer.server_no_context_takeover,
            // Nobody is asked to remember more than we said that we would use.
            client_no_context_takeover: answer.client_no_context_takeover || self.client_no_context_takeover,
            server_max_window_bits: answer.server_max_window_bits,
            client_max_window_bits: client_max_window_bits
                .or((self.client_max_window_bits < LARGEST).then(|| self.client_max_window_bits.max(8))),
        }))
    }
}

/// Whether this names permessage-deflate among what is offered, or agreed on.
#[must_use]
pub fn is_named(headers: &HeaderMap) -> bool {
    elements(headers).next().is_some()
}

/// The server's last look, before the 101 goes out: with preferences, what is agreed on is added to the response; a permessage-deflate that
/// stands in it already must be the same.
pub(crate) fn answer(
    preferences: Option<&Preferences>,
    request: &HttpRequest,
    response: &mut HttpResponse,
) -> Result<Option<Parameters>, HandshakeError> {
    let Some(preferences) = preferences else { return Ok(None) };
    let agreed = preferences.accept(request);
    if is_named(&response.headers) {
        let written = only(&response.headers)?;
        if written.is_none() || written != agreed.map(Parameters::element) {
            return Err(HandshakeError::Deflate("the 101 agrees on another than the websocket would speak (RFC 7692 §5)"));
        }
    } else if let Some(agreed) = agreed
        && let Ok(value) = HeaderValue::try_from(agreed.to_string())
    {
        response.headers.append(SEC_WEBSOCKET_EXTENSIONS, value);
    }
    Ok(agreed)
}

impl Parameters {
    fn element(self) -> Element {
        let Self { server_no_context_takeover, client_no_context_takeover, server_max_window_bits, client_max_window_bits } = self;
        let client_max_window_bits = client_max_window_bits.map(Some);
        Element { server_no_context_takeover, client_no_context_takeover, server_max_window_bits, client_max_window_bits }
    }
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        if self.server_no_context_takeover {
            f.write_str("; server_no_context_takeover")?;
        }
        if self.client_no_context_takeover {
            f.write_str("; client_no_context_takeover")?;
        }
        if let Some(bits) = self.server_max_window_bits {
            write!(f, "; server_max_window_bits={bits}")?;
        }
        if let Some(bits) = self.client_max_window_bits {
            write!(f, "; client_max_window_bits={bits}")?;
        }
        Ok(())
    }
}

fn elements(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    list::elements(headers, SEC_WEBSOCKET_EXTENSIONS).filter(|element| {
        element.split(|&byte| byte == b';').next().is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(NAME.as_bytes()))
    })
}

/// The one permessage-deflate of a response. A response gives `client_max_window_bits` a value (§7.1.2.2).
fn only(headers: &HeaderMap) -> Result<Option<Element>, HandshakeError> {
    let mut elements = elements(headers);
    let Some(element) = elements.next() else { return Ok(None) };
    if elements.next().is_some() {
        return Err(HandshakeError::Deflate("it is agreed on twice (RFC 7692 §5)"));
    }
    let element = read(element).map_err(HandshakeError::Deflate)?;
    if element.client_max_window_bits == Some(None) {
        return Err(HandshakeError::Deflate("client_max_window_bits without a value (RFC 7692 §7.1.2.2)"));
    }
    Ok(Some(element))
}

/// The parameters of one element, each legal and there once (§7.1).
fn read(element: &[u8]) -> Result<Element, &'static str> {
    let mut read = Element::default();
    for parameter in element.split(|&byte| byte == b';').skip(1) {
        let (name, value) = match parameter.iter().position(|&byte| byte == b'=') {
            Some(at) => (&parameter[..at], Some(&parameter[at + 1..])),
            None => (parameter, None),
        };
        let again = match (name.trim_ascii(), value) {
            (b"server_no_context_takeover", None) => std::mem::replace(&mut read.server_no_context_takeover, true),
            (b"client_no_context_takeover", None) => std::mem::replace(&mut read.client_no_context_takeover, true),
            (b"server_max_window_bits", Some(value)) => read.server_max_window_bits.replace(bits(value)?).is_some(),
            (b"client_max_window_bits", value) => read.client_max_window_bits.replace(value.map(bits).transpose()?).is_some(),
            (b"server_no_context_takeover" | b"client_no_context_takeover", Some(_)) => {
                return Err("a …_no_context_takeover with a value (RFC 7692 §7.1.1)");
            }
            (b"server_max_window_bits", None) => return Err("server_max_window_bits without a value (RFC 7692 §7.1.2.1)"),
            _ => return Err("an unknown parameter (RFC 7692 §7.1)"),
        };
        if again {
            return Err("a parameter that stands twice (RFC 7692 §7.1)");
        }
    }
    Ok(read)
}

/// A decimal number from 8 to 15, without leading zeros (§7.1.2). It may be quoted (RFC 6455 §9.1).
fn bits(value: &[u8]) -> Result<u8, &'static str> {
    let value = value.trim_ascii();
    let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
    match value {
        [digit @ b'8'..=b'9'] => Ok(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Ok(10 + digit - b'0'),
        _ => Err("a …_max_window_bits that is not a number from 8 to 15 (RFC 7692 §7.1.2)"),
    }
}
