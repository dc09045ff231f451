//! What spray-can's own specifications ask of an HTTP server and of a connection of a client, told again: one module for each of its files,
//! one test for each of its examples. Where we differ on purpose the test says what we do, and which clause is why; what spray has and we
//! lack is an ignored test.

#![allow(clippy::unwrap_used, reason = "a test")]

/// What spray has and we do not: `name: what it is;`.
macro_rules! lacking {
    ($($name:ident: $reason:literal;)*) => { $(
        #[test]
        #[ignore = $reason]
        fn $name() {
            unimplemented!($reason);
        }
    )* };
}

#[cfg(feature = "tls")]
#[path = "../tls/authority.rs"]
#[allow(dead_code, reason = "shared with tests/tls")]
mod authority;
mod closed;
mod http_server_connection_pipeline;
mod peer;
mod pipeline_limiter;
mod request_parser;
mod request_renderer;
mod response_parser;
mod response_renderer;
mod spray_can_client;
mod spray_can_server;
