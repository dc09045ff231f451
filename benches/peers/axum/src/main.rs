//! Echo on axum's WebSocket extractor.
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::serve::ListenerExt;
use axum::{Router, routing::any};

fn main() {
    let args = common::args(&["--batch"]);
    let app = Router::new().route(
        "/",
        any(move |ws: WebSocketUpgrade| async move {
            ws.on_upgrade(move |ws: WebSocket| {
                tokio::task::unconstrained(async move {
                    let data = |m: &Message| matches!(m, Message::Text(_) | Message::Binary(_));
                    let _ = common::echo(ws, args.batch, data).await;
                })
            })
        }),
    );
    common::runtime(args.threads).block_on(async move {
        let listener = common::listen(args.port).tap_io(|s| {
            let _ = s.set_nodelay(true);
        });
        axum::serve(listener, app).await.expect("serve");
    });
}
