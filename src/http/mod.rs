//! HTTP/1.1 (RFC 9110, RFC 9112): bytes ⇄ [`HttpRequest`] and [`HttpResponse`].

mod message;

pub use message::{HttpRequest, HttpResponse};
