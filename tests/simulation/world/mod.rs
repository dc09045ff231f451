//! A whole connection, from its first byte to its last, as one seed says: the library's own actors at both ends, a network that is bad in
//! any way that the seed wants, time that is virtual; and books that are kept beside all that (see `ledger.rs`).

mod chance;
mod company;
mod conflating;
mod dropping;
mod hostile;
mod judge;
mod ledger;
mod log;
pub(crate) mod plan;
mod site;
mod streams;
mod talker;
mod tap;

use std::time::Duration;

use actix_sockets::handshake::{self, Target};
use actix_sockets::test::{self, End};
use actix_sockets::{HttpRequest, Register, RequestStart, Requester, Settings};
use http::Method;
use http::header::{HOST, HeaderValue};
use tokio::time::{Instant, advance, sleep};

pub(crate) use plan::Plan;

use chance::Chance;
use company::Company;
use ledger::{Books, Exchange, Said, Shared, futures_now};
use log::Log;
use plan::{Ending, Fault, How};
use site::Site;
use talker::Talker;

/// A panic that the plan has asked for.
#[derive(Debug)]
pub(crate) struct Planned;

/// What became of a seed.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The same for the same seed, whatever the process.
    pub(crate) hash: u64,
    /// What was not as it must be.
    pub(crate) wrong: Vec<String>,
    pub(crate) transcript: Vec<String>,
    /// Messages heard at both ends.
    pub(crate) heard: usize,
    /// Messages that the policies at both ends are told to have dropped.
    pub(crate) dropped: usize,
}

/// How long scripts run; how long it takes until all is quiet behind them, in a kind network at most, and in another.
const BUSY: Duration = Duration::from_secs(5);
const QUIET: Duration = Duration::from_secs(600);
const UNKIND: Duration = Duration::from_secs(9);

/// Runs a seed, on a thread of its own, where nothing is left of another.
pub(crate) fn run(plan: Plan, recorded: bool, prepare: impl FnOnce() + Send + 'static) -> Outcome {
    let seed = plan.seed;
    let thread = std::thread::Builder::new().name(format!("seed {seed}")).spawn(move || {
        prepare();
        test::rerun(world(plan, recorded))
    });
    match thread.expect("a thread").join() {
        Ok(outcome) => outcome,
        Err(panic) => {
            let what = panic.downcast_ref::<String>().cloned().or(panic.downcast_ref::<&str>().map(ToString::to_string));
            let wrong = vec![format!("panicked: {}", what.unwrap_or_default())];
            Outcome { hash: 0, wrong, transcript: Vec::new(), heard: 0, dropped: 0 }
        }
    }
}

async fn world(plan: Plan, recorded: bool) -> Outcome {
    let log = Log::new(recorded);
    let company = plan.company.as_ref().map(|beside| Company::new(beside, &log));
    let books = match &company {
        Some(company) => company.comes(plan),
        None => vec![Books::new(plan, log.clone(), None)],
    };
    match (&company, &books[..]) {
        (None, [alone]) => {
            live(alone).await;
            end(alone).await;
        }
        (None, _) => unreachable!("nobody else"),
        (Some(company), all) => company.lives(all).await,
    }
    let (mut heard, mut dropped) = (0, 0);
    for books in &books {
        books.judge();
        dropped += books.dropped();
        let mut inner = books.open();
        heard += inner.sides.iter().map(|side| side.heard - side.missed).sum::<usize>();
        let sockets = [inner.sides[0].socket.take(), inner.sides[1].socket.take()];
        drop(inner);
        drop(sockets);
    }
    let (hash, wrong, transcript) = log.close();
    Outcome { hash, wrong, transcript, heard, dropped }
}

/// A connection from its beginning to where all is quiet, in a kind network, or a while has passed.
async fn live(books: &Shared) {
    let (plan, link) = (&books.plan, &books.link);
    let (window, soft) = plan.streams.unwrap_or((256 << 10, 64 << 10));
    let http = actix_sockets::http::Settings::default()
        .pipelining_limit(plan.pipelining)
        .pipeline_any_method(true)
        .content_window(window)
        .output_soft_limit(soft);
    let settings = Settings::default().http(http.clone());
    if let Some(end) = plan.hostile {
        hostile::comes(books, end);
    }
    if plan.hostile != Some(End::Server) {
        let site = books.clone();
        let make = move || Site::new(site.clone());
        match plan.streams {
            None => link.serve(settings.clone(), make),
            Some(_) => link.registering(settings.clone(), move || Register::factory(make.clone()).hears::<RequestStart>()),
        }
    }
    weather(books);
    if plan.hostile == Some(End::Client) {
        return sleep(BUSY + UNKIND).await;
    }
    // Who shares a server with others may have to wait for them.
    let settings = if plan.accompanied { Settings::default().http(http.response_timeout(QUIET).write_stall(QUIET)) } else { settings };
    let requester = link.connect(settings);
    ask(books, &requester).await;
    if plan.kind && (plan.streams.is_some() || plan.accompanied) {
        // The scripts begin behind all that is asked before.
        let late = Instant::now() + QUIET;
        while !books.is_begun() && Instant::now() < late {
            sleep(Duration::from_secs(1)).await;
        }
    }
    sleep(BUSY).await;
    if plan.kind {
        let late = Instant::now() + QUIET;
        while !books.is_quiet() && Instant::now() < late {
            sleep(Duration::from_secs(1)).await;
        }
        // Nor does anything come of it.
        sleep(Duration::from_secs(1)).await;
        books.judge_quiet();
    } else {
        sleep(UNKIND).await;
    }
}

/// What happens to the network, and to the time.
fn weather(books: &Shared) {
    let (link, plan) = (books.link.clone(), &books.plan);
    if let Some((at, fault)) = plan.fault {
        let (books, link) = (books.clone(), link.clone());
        actix::spawn(async move {
            sleep(at).await;
            books.note(format_args!("{fault:?}"));
            match fault {
                Fault::Reset => link.reset(),
                Fault::Dark(client, server) => {
                    let ends = [(client, End::Client), (server, End::Server)];
                    ends.iter().filter(|(dark, _)| *dark).for_each(|(_, end)| link.darken(*end));
                }
                Fault::Stall(client, time) => link.stall(if client { End::Client } else { End::Server }, time),
            }
        });
    }
    if let Some((at, time)) = plan.jump {
        let books = books.clone();
        actix::spawn(async move {
            sleep(at).await;
            advance(time).await;
            books.note(format_args!("{time:?} have gone by at once"));
        });
    }
    if let Some((at, server, grace)) = plan.wind_down {
        let books = books.clone();
        actix::spawn(async move {
            sleep(at).await;
            wind_down(&books, if server { End::Server } else { End::Client }, grace).await;
        });
    }
}

/// An end winds down: within its grace and the time that a cut takes nobody is there any more.
async fn wind_down(books: &Shared, end: End, grace: Duration) {
    books.note(format_args!("{end:?} winds down within {grace:?}"));
    let cut = books.link.wind_down(end, grace).await.cut_off();
    books.note(format_args!("{end:?} has wound down: {cut} cut off"));
    let left = books.link.connections(end);
    if left > 0 {
        books.wrong(format_args!("{end:?} has wound down, and {left} connections are there"));
    }
    if cut > 0 && books.plan.kind {
        books.wrong(format_args!("{end:?} has wound down, and {cut} connections had to be cut off"));
    }
}

/// The client's HTTP requests, and the one for an upgrade behind them.
async fn ask(books: &Shared, requester: &Requester) {
    let plan = &books.plan;
    for number in 0..plan.exchanges.len() {
        let uri = format!("/r/{number}").parse().expect("a path");
        let request = HttpRequest::new(Method::POST, uri).with_header(HOST, HeaderValue::from_static("localhost"));
        books.open().http.push(Exchange::default());
        if let Some(streamed) = plan.exchanges[number].streamed {
            let (books, requester) = (books.clone(), requester.clone());
            // Asked at once, whenever it is answered.
            let mut told = Box::pin(async move { streams::ask(&books, &requester, number, request, streamed).await });
            if futures_now(&mut told).is_none() {
                if plan.at_once {
                    actix::spawn(told);
                } else {
                    told.await;
                }
            }
            continue;
        }
        let request = request.with_content(site::content(books, End::Client, number, plan.exchanges[number].content));
        let answer = requester.send(request);
        let told = {
            let books = books.clone();
            async move { answered(&books, number, answer.await) }
        };
        if plan.at_once {
            actix::spawn(told);
        } else {
            told.await;
        }
    }
    if !plan.upgrades {
        return;
    }
    let (request, mut chance) = (handshake_of(books), Chance::of(plan.seed, "masks"));
    Talker::upgrade(books, End::Client, request, |upgrade| {
        let masks = move || (chance.next() as u32).to_be_bytes();
        requester.do_send(upgrade.masks(masks).hears::<actix_sockets::HttpResponse>().hears::<actix_sockets::UpgradeFailed>());
    });
}

/// The request for the upgrade.
fn handshake_of(books: &Books) -> HttpRequest {
    let target = Target::parse("ws://localhost/socket").expect("a URL");
    let mut chance = Chance::of(books.plan.seed, "handshake");
    handshake::request(&target, std::array::from_fn(|_| chance.next() as u8))
}

fn answered(books: &Shared, number: usize, answer: Result<actix_sockets::HttpResponse, actix_sockets::http::HttpError>) {
    books.note(format_args!("request {number} is answered: {:?}", answer.as_ref().map(|response| response.status)));
    let asked = books.plan.exchanges[number];
    let mut inner = books.open();
    inner.http[number].told += 1;
    match answer {
        Ok(response) => {
            let right = match (asked.after, response.status.as_u16()) {
                (Some(_), 200) => response.content == site::content(books, End::Server, number, asked.answer),
                (None, 500) => true,
                // In time it is cut short.
                // 408: time may jump while a head is on its way.
                (_, 408 | 500 | 503) => !books.plan.kind,
                _ => false,
            };
            if !right {
                inner.wrong(format_args!("request {number} is answered with {}, {} bytes", response.status, response.content.len()));
            }
            if inner.http[..number].iter().any(|before| before.told == 0 && !before.begun) {
                inner.wrong(format_args!("request {number} is answered before those before it"));
            }
        }
        Err(error) => inner.http[number].error = Some(error.to_string()),
    }
    inner.answered += 1;
}

/// What is still there is ended, and all of it must be gone within its deadlines.
async fn end(books: &Shared) {
    let plan = &books.plan;
    let sockets = [End::Client, End::Server].map(|end| (end, books.open().sides[end as usize].socket.clone()));
    let closes = match plan.ending {
        _ if !plan.kind => [true, true],
        Ending::Close(client, server) => [client, server],
        Ending::WindDown(_) => [false, false],
    };
    if let (true, Ending::WindDown(server)) = (plan.kind, plan.ending) {
        wind_down(books, if server { End::Server } else { End::Client }, Duration::from_secs(8)).await;
    }
    for (end, socket) in &sockets {
        if let (true, Some(socket)) = (closes[*end as usize], socket) {
            let one = plan.kind && closes != [true, true];
            for _ in 0..if one { plan.last_words } else { 0 } {
                books.say(*end, socket, Said { hot: true, ..Said::new(plan.longest.min(40), true) }, 1, How::Send);
            }
            books.close(*end, socket, 1000 + 3000 * u16::from(plan.seed.is_multiple_of(2)));
        }
    }
    // Our Close, the peer's, what waits to be written, what is read and thrown away.
    let deadline = |end: End| {
        let plan = &plan.ends[end as usize];
        plan.closing * 2 + plan.stall + Duration::from_secs(1)
    };
    let mut waited = Duration::ZERO;
    let mut ends = [End::Client, End::Server].map(|end| (deadline(end), end));
    ends.sort_by_key(|(deadline, _)| *deadline);
    for (deadline, end) in ends {
        sleep(deadline.saturating_sub(waited)).await;
        waited = waited.max(deadline);
        if books.link.connections(end) > 0 && sockets[end as usize].1.is_some() {
            books.wrong(format_args!("{end:?} is there still, {deadline:?} after it was closed"));
        }
    }
    // HTTP that never became a websocket, and websockets that became one late; who has others beside it waits as long as they may.
    let tens = if books.plan.accompanied { QUIET.as_secs() / 10 + 30 } else { 30 };
    for _ in 0..tens {
        if books.link.is_abandoned() {
            break;
        }
        for end in [End::Client, End::Server] {
            let socket = books.open().sides[end as usize].socket.clone();
            if let Some(socket) = socket {
                books.close(end, &socket, 1000);
            }
        }
        sleep(Duration::from_secs(10)).await;
    }
    // What a handler keeps for a while it may have heard last.
    if books.open().sides.iter().any(|side| side.held > 0) {
        sleep(books.plan.ends.iter().map(|end| end.hold_for).max().unwrap_or_default()).await;
    }
    for end in [End::Client, End::Server] {
        let left = books.link.connections(end);
        if left > 0 {
            books.wrong(format_args!("{left} connections are left at {end:?}"));
        }
    }
    if !books.link.is_abandoned() {
        books.wrong(format_args!("somebody holds on to the network"));
    }
}
