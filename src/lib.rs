//! An HTTP/1.1 and WebSocket server and client for actix whose whole API is actor messages.

mod actor;
pub mod http;
pub mod output;
pub mod stage;
pub mod upgrade;
pub mod websocket;

pub use actor::{
    Answer, Asked, Bind, BindError, Bound, ClientConnection, Closed, Connect, ConnectError, Connected, Connection, Drained, IntoHandler,
    Listener, Nobody, Notice, Outgoing, Received, Register, Registrar, Requester, Responder, RoundTripTime, SendError, Sending, Settings,
    Shutdown, Socket, SocketId, Sockets, StageActor, StageHost, Streaming, Told, Unbind, Unbound, Upgrade, UpgradeClient, UpgradeError,
    UpgradeFailed, UpgradeServer, Upgraded, WebSocket, WebSocketSettings, WebSockets,
};
pub use http::{HttpRequest, HttpResponse};
pub use stage::Close;
pub use upgrade::handshake;
pub use websocket::Frame;
