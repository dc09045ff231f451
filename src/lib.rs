//! An HTTP/1.1 and WebSocket server and client for actix whose whole API is actor messages.

pub mod http;
pub mod output;
pub mod stage;
pub mod upgrade;
pub mod websocket;
