//! Plain text over HTTP/1.1 on actix-web.
use actix_web::{App, HttpServer, web};
use common::PLAINTEXT;

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let args = common::args(&["--http"]);
    HttpServer::new(|| App::new().route("/", web::get().to(async || PLAINTEXT)))
        .workers(args.threads)
        .backlog(4096)
        .tcp_nodelay(true)
        .bind(("127.0.0.1", args.port))?
        .run()
        .await
}
