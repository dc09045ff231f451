//! The frame codec against bytes written by hand: RFC 6455 §5, §7.4 and §8.1.

#![allow(clippy::unwrap_used, reason = "a test")]

mod fuzz;
mod limits;
mod peer;
mod rules;
mod sending;
mod text;
