//! The bridge's other way: an actix-web `App` is the handler of a server of ours.
//!
//! An `App` is a service, made once on each arbiter and called for each request. A handler of ours is made for each connection: it finds the
//! service of its arbiter, and runs each call as a task, which ends with the connection, as actix-web's handlers do.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix::{Actor, Context, Handler};
use actix_http::Request;
use actix_service::IntoServiceFactory;
use actix_web::Error;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{AppConfig, Payload, Response, Service, ServiceFactory};
use actix_web::error::PayloadError;
use tokio::sync::{OnceCell, watch};
use tokio::task::JoinHandle;

use super::super::content::{ContentAborted, RequestId, RequestStart};
use super::super::messages::Received;
use super::super::register::Register;
use super::super::responder::Responder;
use super::exchange::{self, Asked};
use super::payload::{Incoming, payload};
use crate::http::{Chunk, ContentEnd, HttpRequest};

/// Registers handlers of connections that give their requests to an actix-web `App`: for [`Server::registering`](crate::Server::registering), as
/// [`Server::app`](crate::Server::app) does, and for [`Bind::registering`](crate::Bind::registering).
///
/// `make` is called once on each arbiter that has connections, as `HttpServer::new` has it; the `App` goes with the server's end. One that
/// cannot be made, because a data factory fails, say, is tried again with the next request; until then all are answered with a 500.
///
/// ```no_run
/// use actix_sockets::{Bind, Sockets, web};
/// use actix_web::{App, web::get};
///
/// # async fn bind() -> Result<(), Box<dyn std::error::Error>> {
/// # use actix::SystemService;
/// let hello = web::app(|| App::new().route("/", get().to(async || "Hello!")));
/// let bound = Sockets::from_registry().send(Bind::registering(hello, "127.0.0.1:8080")).await??;
/// # Ok(()) }
/// ```
pub fn app<F, I, S, B>(make: F) -> impl Fn() -> Register<AppHandler> + Clone + Send + Sync + 'static
where
    F: Fn() -> I + Send + Sync + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error>,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>>,
    B: MessageBody + 'static,
{
    static NAMES: AtomicU64 = AtomicU64::new(0);
    let name = NAMES.fetch_add(1, Ordering::Relaxed);
    let make = move || -> Making {
        let factory = make().into_factory();
        Box::pin(async move {
            let service = factory.new_service(AppConfig::default()).await.map_err(|error| format!("{error:?}"))?;
            Ok(Rc::new(Erased(service, |response: S::Response| response.into().map_into_boxed_body())) as Rc<dyn Serve>)
        })
    };
    let plan = Arc::new(Plan { name, make: Box::new(make), there: watch::Sender::new(()) });
    move || {
        let plan = plan.clone();
        Register::factory(move || AppHandler { site: Site::here(&plan), plan, calls: Vec::new(), incoming: None })
            .hears::<RequestStart>()
            .knows_head()
    }
}

/// The handler of one connection, whose requests an actix-web `App` answers. [`app`] makes it.
pub struct AppHandler {
    site: Rc<Site>,
    /// The `App` stays as long as somebody may call it.
    plan: Arc<Plan>,
    /// More than one where requests are pipelined.
    calls: Vec<JoinHandle<()>>,
    /// Whose content is on its way.
    incoming: Option<(RequestId, Incoming)>,
}

impl AppHandler {
    fn call(&mut self, request: HttpRequest, payload: Payload, responder: Responder) {
        self.calls.retain(|call| !call.is_finished());
        // A task of its own: a handler that panics takes its responder along, which answers with a 500.
        self.calls.push(actix_rt::spawn(call(self.site.clone(), self.plan.clone(), request, payload, responder)));
    }
}

impl Actor for AppHandler {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for AppHandler {
    type Result = ();

    fn handle(&mut self, Received { message: request, sender }: Received<HttpRequest>, _: &mut Context<Self>) {
        self.call(request, Payload::None, sender);
    }
}

impl Handler<Received<RequestStart>> for AppHandler {
    type Result = ();

    fn handle(&mut self, Received { message: start, sender }: Received<RequestStart>, _: &mut Context<Self>) {
        let (incoming, payload) = payload(start.content);
        self.incoming = Some((sender.request(), incoming));
        self.call(start.request, Payload::Stream { payload: Box::pin(payload) }, sender);
    }
}

impl Handler<Received<Chunk>> for AppHandler {
    type Result = ();

    fn handle(&mut self, Received { message: chunk, sender }: Received<Chunk>, _: &mut Context<Self>) {
        if let Some((_, incoming)) = self.incoming.as_ref().filter(|(request, _)| *request == sender.request()) {
            incoming.push(chunk.data, sender);
        }
    }
}

impl Handler<Received<ContentEnd>> for AppHandler {
    type Result = ();

    fn handle(&mut self, Received { sender, .. }: Received<ContentEnd>, _: &mut Context<Self>) {
        if let Some((_, incoming)) = self.incoming.take_if(|(request, _)| *request == sender.request()) {
            incoming.end(Ok(()));
        }
    }
}

impl Handler<Received<ContentAborted>> for AppHandler {
    type Result = ();

    fn handle(&mut self, Received { message: aborted, sender }: Received<ContentAborted>, _: &mut Context<Self>) {
        if let Some((_, incoming)) = self.incoming.take_if(|(request, _)| *request == sender.request()) {
            incoming.end(Err(PayloadError::Incomplete(Some(std::io::Error::other(aborted.error)))));
        }
    }
}

impl Drop for AppHandler {
    /// The connection has ended: nobody waits for an answer.
    fn drop(&mut self) {
        self.calls.iter().for_each(JoinHandle::abort);
    }
}

impl fmt::Debug for AppHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppHandler").field("calls", &self.calls.len()).finish_non_exhaustive()
    }
}

/// One request and its answer.
async fn call(site: Rc<Site>, plan: Arc<Plan>, request: HttpRequest, payload: Payload, responder: Responder) {
    let service = match site.service.get_or_try_init(plan.make.as_ref()).await {
        Ok(service) => service.clone(),
        // Its responder answers with a 500.
        Err(error) => return tracing::error!(%error, "the App cannot be made"),
    };
    let asked = Asked::of(&request);
    let request = exchange::request(request, payload, &responder);
    exchange::answer(service.call(request).await, &asked, responder).await;
}

/// How an `App` is made, wherever it is needed.
struct Plan {
    name: u64,
    make: Box<dyn Fn() -> Making + Send + Sync>,
    /// Nothing is sent: that it is gone tells that nobody calls the `App` any more.
    there: watch::Sender<()>,
}

type Making = Pin<Box<dyn Future<Output = Result<Rc<dyn Serve>, String>>>>;

/// An `App` on one arbiter.
struct Site {
    name: u64,
    service: OnceCell<Rc<dyn Serve>>,
}

thread_local! {
    static SITES: RefCell<Vec<Rc<Site>>> = const { RefCell::new(Vec::new()) };
}

impl Site {
    /// That of this arbiter.
    fn here(plan: &Plan) -> Rc<Self> {
        let found = SITES.with_borrow(|sites| sites.iter().find(|site| site.name == plan.name).cloned());
        found.unwrap_or_else(|| {
            let site = Rc::new(Self { name: plan.name, service: OnceCell::new() });
            SITES.with_borrow_mut(|sites| sites.push(site.clone()));
            let (leaves, mut there) = (Leaves(plan.name), plan.there.subscribe());
            actix_rt::spawn(async move {
                let _leaves = leaves;
                while there.changed().await.is_ok() {}
            });
            site
        })
    }
}

/// Takes an `App` from its arbiter, when its server has ended, or the arbiter does.
struct Leaves(u64);

impl Drop for Leaves {
    fn drop(&mut self) {
        let left = SITES.try_with(|sites| {
            let mut sites = sites.borrow_mut();
            let at = sites.iter().position(|site| site.name == self.0)?;
            Some(sites.swap_remove(at))
        });
        // Only now, as it may be the last, and its end is the user's code.
        drop(left);
    }
}

/// A service, whatever its type.
trait Serve {
    fn call(&self, request: Request) -> Pin<Box<dyn Future<Output = Response<BoxBody>> + '_>>;
}

struct Erased<S, R>(S, fn(R) -> Response<BoxBody>);

impl<S> Serve for Erased<S, S::Response>
where
    S: Service<Request>,
    S::Error: Into<Error>,
{
    fn call(&self, request: Request) -> Pin<Box<dyn Future<Output = Response<BoxBody>> + '_>> {
        Box::pin(async move {
            let answered = match poll_fn(|cx| self.0.poll_ready(cx)).await {
                Ok(()) => self.0.call(request).await,
                Err(error) => Err(error),
            };
            answered.map_or_else(|error| Response::from(error.into()), self.1)
        })
    }
}
