//! From one protocol to the other (RFC 6455 §4, RFC 9110 §7.8).
