//! What spray-can's own specifications ask of an HTTP server and of a client's connections, told again: one module for each of its files, one
//! test for each of its examples. Where we differ on purpose the test says what we do, and which clause is why; what spray has and we lack is an
//! ignored test.
//!
//! | specification | examples | here |
//! |---|---|---|
//! | HttpServerConnectionPipelineSpec | 21 | each |
//! | PipelineLimiterSpec | 2 | each |
//! | RequestParserSpec | 37 | each |
//! | ResponseParserSpec | 23 | each |
//! | RequestRendererSpec | 17 | each |
//! | ResponseRendererSpec | 13, and more in versions that we have not seen | those 13; of the others a status of one's own, content without a type and with a length, and three of `Server` in one test |
//! | SprayCanServerSpec | 23 | each |
//! | SprayCanClientSpec | 33 | 24, the timeouts of two levels in one test; 9 are ignored: pools of connections, and requests without one |
//!
//! Left out are HttpHeaderParserSpec, which is about spray's cache of fields, ContentLengthHeaderParserSpec, ProxySpec, HttpClientConnectionPipelineSpec and
//! HttpHostConnectorSpec.

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
