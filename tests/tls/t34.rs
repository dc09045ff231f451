//! T34 and its neighbours: what goes wrong with certificates, handshakes and endings, and that it harms nobody else.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_sockets::handshake::Target;
use actix_sockets::tls::{self, TlsError};
use actix_sockets::{
    Bind, Connect, ConnectError, Connected, Frame, HttpRequest, HttpResponse, Received, Requester, Settings, Shutdown, Sockets,
    UpgradeClient, UpgradeFailed,
};
use openssl::ssl::{ErrorCode, SslAcceptor, SslConnector, SslMethod, SslStream, SslVersion};

use crate::authority::{Authority, Signed};

const PATIENCE: Duration = Duration::from_secs(10);

// ── our side ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/// Answers with what it knows of who asks.
struct Who;

impl Actor for Who {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Who {
    type Result = ();

    fn handle(&mut self, Received { message: request, sender }: Received<HttpRequest>, _: &mut Context<Self>) {
        let who = match sender.tls() {
            None => "in the clear".to_owned(),
            Some(info) => {
                assert!(request.secure);
                let certificate = info.certificate.as_ref();
                let subject = certificate.map_or("nobody", |certificate| &certificate.subject);
                let names = certificate.map_or(String::new(), |certificate| certificate.names.join(" "));
                format!("{subject} [{names}] asks {}", info.server_name.as_deref().unwrap_or("no name"))
            }
        };
        sender.do_send(HttpResponse::ok(who));
    }
}

/// A system on a thread of its own.
struct Site {
    address: SocketAddr,
    system: System,
    thread: Option<JoinHandle<()>>,
}

impl Site {
    fn up(dress: impl FnOnce(Bind) -> Bind + Send + 'static) -> Self {
        let (tell, told) = channel();
        let thread = std::thread::spawn(move || {
            let system = System::new();
            system.block_on(async {
                let bind = Bind::factory(|| Who, "127.0.0.1:0").workers(1);
                let bound = Sockets::from_registry().send(dress(bind)).await.unwrap().unwrap();
                tell.send((bound.address, System::current())).unwrap();
            });
            system.run().unwrap();
        });
        let (address, system) = told.recv_timeout(PATIENCE).expect("the server starts");
        Self { address, system, thread: Some(thread) }
    }

    fn with(tls: &tls::Server) -> Self {
        let tls = tls.clone();
        Self::up(|bind| bind.tls(tls))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.system.stop();
        self.thread.take().unwrap().join().unwrap();
    }
}

// ── the peer: OpenSSL's own streams ─────────────────────────────────────────────────────────────────────────────────────────────────

fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A client that trusts this authority.
fn client(authority: &Authority) -> openssl::ssl::SslConnectorBuilder {
    let mut client = SslConnector::builder(SslMethod::tls_client()).unwrap();
    client.cert_store_mut().add_cert(authority.certificate().clone()).unwrap();
    client
}

fn opens(address: SocketAddr, client: openssl::ssl::SslConnectorBuilder, name: &str) -> Result<SslStream<TcpStream>, String> {
    client.build().connect(name, tcp(address)).map_err(|error| error.to_string())
}

fn asks(stream: &mut SslStream<TcpStream>) -> Result<String, String> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").map_err(|error| error.to_string())?;
    let mut got = Vec::new();
    while !got.windows(4).any(|four| four == b"\r\n\r\n") || got.ends_with(b"\r\n\r\n") {
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(0) => return Err(format!("the end, after {:?}", String::from_utf8_lossy(&got))),
            Ok(n) => got.extend_from_slice(&buffer[..n]),
            Err(error) => return Err(error.to_string()),
        }
    }
    let got = String::from_utf8(got).unwrap();
    Ok(got.split_once("\r\n\r\n").unwrap().1.to_owned())
}

fn server_of(signed: &Signed) -> tls::Server {
    tls::Server::builder(signed.identity()).build().unwrap()
}

/// The server does its work as if nothing had been.
fn is_unharmed(site: &Site, authority: &Authority) {
    let mut stream = opens(site.address, client(authority), "localhost").unwrap();
    assert!(asks(&mut stream).unwrap().contains("asks localhost"));
}

// ── certificates of servers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn t34_each_name_has_its_certificate_and_an_unknown_name_the_first() {
    let authority = Authority::new("A");
    let tls = tls::Server::builder(authority.signs(&["localhost", "one.example"]).identity())
        .also(authority.signs(&["two.example"]).identity())
        .also(authority.signs(&["*.three.example"]).identity())
        .build()
        .unwrap();
    let site = Site::with(&tls);
    for (name, expected) in [
        ("localhost", "localhost"),
        ("one.example", "localhost"),
        ("two.example", "two.example"),
        ("TWO.EXAMPLE", "two.example"),
        ("deep.three.example", "*.three.example"),
    ] {
        let mut stream = opens(site.address, client(&authority), name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let shown = stream.ssl().peer_certificate().unwrap();
        let shown = shown.subject_name().entries().next().unwrap().data().to_string().unwrap();
        assert_eq!(shown, expected, "{name}");
        assert_eq!(asks(&mut stream).unwrap(), format!("nobody [] asks {name}"));
    }
    for name in ["elsewhere.example", "three.example", "too.deep.three.example"] {
        let error = opens(site.address, client(&authority), name).unwrap_err();
        assert!(error.contains("certificate verify failed"), "it gets the first one, whose name is another: {error}");
    }
}

#[test]
fn t34_with_known_names_only_an_unknown_one_is_an_alert() {
    let authority = Authority::new("A");
    let tls = tls::Server::builder(authority.signs(&["localhost"]).identity()).known_names_only().build().unwrap();
    let site = Site::with(&tls);
    let error = opens(site.address, client(&authority), "elsewhere.example").unwrap_err();
    assert!(error.contains("unrecognized name"), "{error}");
    is_unharmed(&site, &authority);
}

#[test]
fn t34_a_certificate_is_replaced_while_running() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let tls = server_of(&old.signs(&["localhost"]));
    let site = Site::with(&tls);
    let mut before = opens(site.address, client(&old), "localhost").unwrap();
    assert!(asks(&mut before).is_ok());
    tls.replace(server_of(&new.signs(&["localhost"])));
    assert!(opens(site.address, client(&old), "localhost").unwrap_err().contains("certificate verify failed"));
    is_unharmed(&site, &new);
    assert!(asks(&mut before).is_ok(), "what was there goes on");
}

#[test]
fn an_acceptor_of_ones_own_is_used_as_it_is() {
    let authority = Authority::new("A");
    let signed = authority.signs(&["localhost"]);
    let mut acceptor = SslAcceptor::mozilla_modern_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_certificate(&signed.certificate).unwrap();
    acceptor.set_private_key(&signed.key).unwrap();
    let site = Site::with(&tls::Server::from(acceptor.build()));
    is_unharmed(&site, &authority);
    let mut old = client(&authority);
    old.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap();
    assert!(opens(site.address, old, "localhost").unwrap_err().contains("protocol version"));
}

// ── certificates of clients ─────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn the_handler_knows_the_client_by_its_certificate() {
    let (authority, people) = (Authority::new("A"), Authority::new("People"));
    let asked = tls::Server::builder(authority.signs(&["localhost"]).identity()).ask_clients(people.trusted()).build().unwrap();
    let required = tls::Server::builder(authority.signs(&["localhost"]).identity()).require_clients(people.trusted()).build().unwrap();
    let subject = [("C", "AQ"), ("O", "Station, \"West\""), ("CN", "alice")];
    let alice = people.signs_for(&subject, &["alice@example.org"], 0, 30);
    let forged = Authority::new("People").signs_for(&subject, &["alice@example.org"], 0, 30);
    let late = people.signs_for(&subject, &[], -30, -1);
    let with = |signed: &Signed| {
        let mut client = client(&authority);
        client.set_certificate(&signed.certificate).unwrap();
        client.set_private_key(&signed.key).unwrap();
        client
    };
    for (tls, must) in [(asked, false), (required, true)] {
        let site = Site::with(&tls);
        let visit = |client| opens(site.address, client, "localhost").and_then(|mut stream| asks(&mut stream));
        assert_eq!(visit(with(&alice)).unwrap(), "C=AQ, O=Station\\, \\\"West\\\", CN=alice [alice@example.org] asks localhost");
        match visit(client(&authority)) {
            Ok(said) => assert_eq!((said.as_str(), must), ("nobody [] asks localhost", false)),
            Err(error) => assert!(must && error.contains("certificate required"), "{error}"),
        }
        assert!(visit(with(&forged)).unwrap_err().contains("alert"), "another authority of the same name");
        assert!(visit(with(&late)).unwrap_err().contains("certificate expired"));
        assert!(visit(with(&alice)).unwrap().contains("CN=alice"), "nobody is harmed");
    }
}

/// OpenSSL's command, with these arguments, told these lines. Gives what it prints.
fn s_client(site: &Site, files: &[(&str, Vec<u8>)], arguments: &[&str], lines: &str) -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("actix-sockets-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut command = Command::new("openssl");
    command.args(["s_client", "-verify_return_error", "-connect", &site.address.to_string()]).args(arguments);
    for (option, content) in files {
        let path = folder.join(option.trim_start_matches('-'));
        std::fs::write(&path, content).unwrap();
        command.arg(option).arg(path);
    }
    let mut running = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command `openssl`");
    let mut stdin = running.stdin.take().unwrap();
    for line in lines.split_inclusive('\n') {
        // It takes a line for a command only if it is the first of what it reads.
        std::thread::sleep(Duration::from_millis(50));
        let _ = stdin.write_all(line.as_bytes());
    }
    // The end of its input would be its end, before it has heard the answer.
    std::thread::sleep(Duration::from_millis(500));
    drop(stdin);
    let output = running.wait_with_output().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// The command keeps its session, and connects five times more with it.
#[test]
fn a_session_with_a_certificate_is_resumed_with_it() {
    let (authority, people) = (Authority::new("A"), Authority::new("People"));
    let tls = tls::Server::builder(authority.signs(&["localhost"]).identity()).require_clients(people.trusted()).build().unwrap();
    let site = Site::with(&tls);
    let alice = people.signs_for(&[("CN", "alice")], &[], 0, 30);
    let trusted = authority.certificate().to_pem().unwrap();
    let files = [("-CAfile", trusted), ("-cert", alice.chain_pem()), ("-key", alice.key_pem())];
    let said = s_client(&site, &files, &["-tls1_2", "-reconnect"], "");
    assert_eq!((said.matches("New, TLSv1.2").count(), said.matches("Reused, TLSv1.2").count()), (1, 5), "{said}");
}

#[test]
fn t34_who_renegotiates_is_refused_and_who_updates_keys_is_not() {
    let authority = Authority::new("A");
    let site = Site::with(&server_of(&authority.signs(&["localhost"])));
    let trusted = [("-CAfile", authority.certificate().to_pem().unwrap())];
    let said = s_client(&site, &trusted, &["-tls1_2"], "R\n\n");
    assert!(said.contains("RENEGOTIATING") && said.contains("no renegotiation"), "{said}");
    // Each asks us for one of ours (RFC 8446 §4.6.3).
    let updates = "K\n".repeat(20);
    let said = s_client(&site, &trusted, &["-tls1_3"], &format!("{updates}GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
    println!("t34: {} key updates of 20 were asked for", said.matches("KEYUPDATE").count());
    assert!(said.matches("KEYUPDATE").count() > 10, "{said}");
    assert!(said.contains("HTTP/1.1 200 OK"), "{said}");
    is_unharmed(&site, &authority);
}

/// OpenSSL 3 refuses a client's renegotiation of its own, before ours is asked. With a configuration that has it take them, as 1.1.1 does anyhow, ours stands
/// alone: it is read once for a process, so this test has one of its own.
#[test]
fn t34_who_renegotiates_is_refused_where_openssl_would_not() {
    const LENIENT: &str =
        "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = lenient\n[lenient]\nOptions = ClientRenegotiation\n";
    const AGAIN: &str = "ACTIX_SOCKETS_RENEGOTIATES";
    if std::env::var_os(AGAIN).is_none() {
        let file = std::env::temp_dir().join(format!("actix-sockets-lenient-{}", std::process::id()));
        std::fs::write(&file, LENIENT).unwrap();
        let name = std::thread::current().name().unwrap().to_owned();
        let mut again = Command::new(std::env::current_exe().unwrap());
        let output = again.args(["--exact", &name, "--nocapture"]).env("OPENSSL_CONF", &file).env(AGAIN, "1").output().unwrap();
        std::fs::remove_file(&file).unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        println!("{said}");
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let authority = Authority::new("A");
    let signed = authority.signs(&["localhost"]);
    let trusted = [("-CAfile", authority.certificate().to_pem().unwrap())];
    let renegotiates = |server: &tls::Server| s_client(&Site::with(server), &trusted, &["-tls1_2"], "R\n\n");
    let mut theirs = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    theirs.set_certificate(&signed.certificate).unwrap();
    theirs.set_private_key(&signed.key).unwrap();
    let said = renegotiates(&tls::Server::from(theirs.build()));
    assert!(said.contains("RENEGOTIATING") && !said.contains("no renegotiation"), "OpenSSL lets it: {said}");
    let said = renegotiates(&server_of(&signed));
    assert!(said.contains("RENEGOTIATING") && said.contains("no renegotiation"), "{said}");
    println!("t34: OpenSSL would renegotiate, we do not");
}

// ── handshakes that fail ────────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn t34_plain_http_on_a_tls_port_is_told_so() {
    let authority = Authority::new("A");
    let site = Site::with(&server_of(&authority.signs(&["localhost"])));
    for request in ["GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "DELETE /x HTTP/1.0\r\n\r\n"] {
        let mut stream = tcp(site.address);
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 400 Bad Request\r\n") && answer.ends_with("This port speaks TLS: ask for https:// or wss://.\r\n")
        );
    }
    is_unharmed(&site, &authority);
}

#[test]
fn t34_tls_on_a_plain_port_gets_a_400_and_harms_nobody() {
    let authority = Authority::new("A");
    let site = Site::up(|bind| bind);
    let error = opens(site.address, client(&authority), "localhost").unwrap_err();
    assert!(error.contains("wrong version number"), "{error}");
    let mut stream = tcp(site.address);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("in the clear"), "{answer}");
}

#[test]
fn t34_a_handshake_that_does_not_come_ends_in_time() {
    let authority = Authority::new("A");
    let (tls, within) = (server_of(&authority.signs(&["localhost"])), Duration::from_millis(400));
    let site = Site::up(move |bind| bind.tls(tls).settings(Settings::new().tls_handshake_timeout(within)));
    for (name, hello) in [("nothing", &b""[..]), ("the beginning of a hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")] {
        let began = Instant::now();
        let mut stream = tcp(site.address);
        stream.write_all(hello).unwrap();
        let ended = stream.read(&mut [0; 100]);
        let took = began.elapsed();
        println!("{name}: ended after {took:?}, the limit is {within:?}");
        assert!(matches!(ended, Ok(0)) || ended.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset), "{name}");
        assert!(took >= within - Duration::from_millis(20) && took < PATIENCE, "{name}: {took:?}");
    }
    // A byte now and then does not prolong it.
    let (began, mut stream) = (Instant::now(), tcp(site.address));
    while stream.write_all(b"\x16").is_ok() && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(20));
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        if stream.read(&mut [0; 100]).is_ok() {
            break;
        }
    }
    assert!(began.elapsed() < PATIENCE);
    is_unharmed(&site, &authority);
}

#[test]
fn a_listener_that_ends_does_not_wait_for_handshakes() {
    let authority = Authority::new("A");
    let site = Site::with(&server_of(&authority.signs(&["localhost"])));
    let _silent: Vec<_> = (0..5).map(|_| tcp(site.address)).collect();
    is_unharmed(&site, &authority);
    let (tell, told) = channel();
    let began = Instant::now();
    site.system.arbiter().spawn(async move {
        Sockets::from_registry().send(Shutdown { grace: PATIENCE }).await.unwrap();
        tell.send(()).unwrap();
    });
    told.recv_timeout(PATIENCE).unwrap();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn alpn_agrees_on_http_1_or_on_nothing() {
    let authority = Authority::new("A");
    let site = Site::with(&server_of(&authority.signs(&["localhost"])));
    let offering = |protocols: &[u8]| {
        let mut client = client(&authority);
        client.set_alpn_protos(protocols).unwrap();
        opens(site.address, client, "localhost")
    };
    let both = offering(b"\x02h2\x08http/1.1").unwrap();
    assert_eq!(both.ssl().selected_alpn_protocol(), Some(&b"http/1.1"[..]));
    // As `curl --http1.0` does.
    let old = offering(b"\x08http/1.0").unwrap();
    assert_eq!(old.ssl().selected_alpn_protocol(), Some(&b"http/1.0"[..]));
    let error = offering(b"\x02h2").unwrap_err();
    assert!(error.contains("no application protocol"), "RFC 7301 §3.2: {error}");
}

#[test]
fn t34_nothing_older_than_tls_1_2_is_spoken() {
    let authority = Authority::new("A");
    let site = Site::with(&server_of(&authority.signs(&["localhost"])));
    let mut old = client(&authority);
    old.set_security_level(0);
    old.set_min_proto_version(Some(SslVersion::TLS1)).unwrap();
    old.set_max_proto_version(Some(SslVersion::TLS1_1)).unwrap();
    old.set_cipher_list("ALL:@SECLEVEL=0").unwrap();
    let error = opens(site.address, old, "localhost").unwrap_err();
    assert!(error.contains("protocol version"), "{error}");
    is_unharmed(&site, &authority);
}

// ── endings ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn t34_our_end_is_said_with_a_close_notify() {
    let authority = Authority::new("A");
    let site = Site::with(&server_of(&authority.signs(&["localhost"])));
    // We end it.
    let mut stream = opens(site.address, client(&authority), "localhost").unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("not cut off");
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert_eq!(stream.ssl_read(&mut [0; 10]).unwrap_err().code(), ErrorCode::ZERO_RETURN);
    // The peer does, between two requests.
    let mut stream = opens(site.address, client(&authority), "localhost").unwrap();
    asks(&mut stream).unwrap();
    stream.shutdown().unwrap();
    assert_eq!(stream.ssl_read(&mut [0; 10]).unwrap_err().code(), ErrorCode::ZERO_RETURN);
}

// ── our client ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/// Asks for one page as soon as it is connected, and tells what came.
struct Asker(Sender<Result<String, String>>);

impl Actor for Asker {
    type Context = Context<Self>;
}

impl Handler<Received<Connected, Requester>> for Asker {
    type Result = ();

    fn handle(&mut self, Received { sender, message }: Received<Connected, Requester>, ctx: &mut Context<Self>) {
        assert!(message.tls.is_some());
        let request = HttpRequest::new(http::Method::GET, "/page".parse().unwrap());
        let request = request.with_header(http::header::HOST, "localhost".parse().unwrap());
        let (answer, tell) = (sender.send(request), self.0.clone());
        ctx.spawn(
            async move {
                let answer = answer.await;
                let _ = tell.send(answer.map(|got| String::from_utf8(got.content.to_vec()).unwrap()).map_err(|error| error.to_string()));
            }
            .into_actor(self),
        );
    }
}

/// What our client gets from there.
fn fetch(host: &str, port: u16, tls: Option<tls::Client>) -> Result<Receiver<Result<String, String>>, ConnectError> {
    let (tell, told) = channel();
    let host = host.to_owned();
    let thread = std::thread::spawn(move || {
        System::new().block_on(async move {
            let connect = Connect::new(Asker(tell.clone()).start(), host, port);
            let connect = match tls {
                Some(tls) => connect.tls(tls),
                None => connect,
            };
            let connected = Sockets::from_registry().send(connect.timeout(Duration::from_secs(2))).await.unwrap();
            if connected.is_ok() {
                drop(tell);
                actix_rt::time::sleep(Duration::from_millis(500)).await;
            }
            connected.map(drop)
        })
    });
    thread.join().unwrap().map(|()| told)
}

fn trusting(authority: &Authority) -> tls::Client {
    tls::Client::builder().authorities(authority.trusted()).build().unwrap()
}

#[test]
fn t34_our_client_trusts_nobody_who_cannot_show_why() {
    let (authority, other) = (Authority::new("A"), Authority::new("B"));
    let untrusted = |signed: &Signed, tls: tls::Client, host: &str| {
        let site = Site::with(&server_of(signed));
        match fetch(host, site.address.port(), Some(tls)) {
            Err(ConnectError::Tls(_, TlsError::Untrusted(why))) => why,
            other => panic!("{other:?}"),
        }
    };
    let good = authority.signs(&["localhost", "127.0.0.1"]);
    assert_eq!(untrusted(&good, trusting(&other), "localhost"), "unable to get local issuer certificate");
    assert_eq!(untrusted(&good, tls::Client::new().unwrap(), "localhost"), "unable to get local issuer certificate");
    assert_eq!(untrusted(&authority.signs(&["example.org"]), trusting(&authority), "localhost"), "hostname mismatch");
    assert_eq!(untrusted(&authority.signs(&["localhost"]), trusting(&authority), "127.0.0.1"), "IP address mismatch");
    assert_eq!(
        untrusted(&authority.signs_for(&[("CN", "localhost")], &["localhost"], -30, -1), trusting(&authority), "localhost"),
        "certificate has expired"
    );
    let site = Site::with(&server_of(&good));
    for host in ["localhost", "127.0.0.1"] {
        let asked = if host == "localhost" { host } else { "no name" };
        let got = fetch(host, site.address.port(), Some(trusting(&authority))).unwrap().recv_timeout(PATIENCE).unwrap();
        assert_eq!(got.unwrap(), format!("nobody [] asks {asked}"), "RFC 6066 §3: an address is no name");
    }
}

/// The scheme of a URL says it all: `https` and `wss` are under TLS, with the authorities of whoever says which; `http` is in the clear.
#[test]
fn a_url_says_whether_it_is_tls() {
    let authority = Authority::new("A");
    let (secure, plain) = (Site::with(&server_of(&authority.signs(&["localhost"]))), Site::up(|bind| bind));
    for (url, tls, expected) in [
        (format!("https://localhost:{}/page", secure.address.port()), Some(trusting(&authority)), true),
        (format!("wss://localhost:{}/page", secure.address.port()), Some(trusting(&authority)), true),
        (format!("http://localhost:{}/page", plain.address.port()), None, false),
    ] {
        let target = Target::parse(&url).unwrap();
        let connected = std::thread::spawn(move || {
            System::new().block_on(async move {
                let connect = Connect::target(Listener.start(), &target);
                let connect = match tls {
                    Some(tls) => connect.tls(tls),
                    None => connect,
                };
                Sockets::from_registry().send(connect).await.unwrap().unwrap()
            })
        });
        assert_eq!(connected.join().unwrap().tls.is_some(), expected, "{url}");
    }
    // Without a word about authorities it is the system's that are asked.
    let target = Target::parse(&format!("https://localhost:{}/", secure.address.port())).unwrap();
    let refused = std::thread::spawn(move || {
        System::new().block_on(async move { Sockets::from_registry().send(Connect::target(Listener.start(), &target)).await.unwrap() })
    });
    let error = refused.join().unwrap().unwrap_err();
    assert!(matches!(error, ConnectError::Tls(_, TlsError::Untrusted(_))), "{error}");
}

/// What is for `wss` is not said on a connection that is not TLS, whoever made it so: the URL may hold a password.
#[test]
fn what_is_for_tls_is_not_said_in_the_clear() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).unwrap();
        heard
    });
    let (tell, told) = channel();
    std::thread::spawn(move || {
        System::new().block_on(async move {
            let connect = Connect::new(Careless(tell).start(), "localhost", port);
            Sockets::from_registry().send(connect).await.unwrap().unwrap();
            actix_rt::time::sleep(Duration::from_millis(300)).await;
        });
    });
    let errors: Vec<String> = (0..2).map(|_| told.recv_timeout(PATIENCE).unwrap()).collect();
    assert!(errors.iter().any(|error| error.contains("the URL is wss, and the connection is not TLS")), "{errors:?}");
    assert!(errors.iter().any(|error| error.starts_with("a request for https or wss, on a connection that is not TLS")), "{errors:?}");
    assert_eq!(heard.join().unwrap(), b"");
}

/// Asks for `wss` and for `https` on whatever connection it has.
struct Careless(Sender<String>);

impl Actor for Careless {
    type Context = Context<Self>;
}

impl Handler<Received<Connected, Requester>> for Careless {
    type Result = ();

    fn handle(&mut self, Received { sender, .. }: Received<Connected, Requester>, ctx: &mut Context<Self>) {
        let target = Target::parse("wss://user:secret@localhost/").unwrap();
        sender.do_send(UpgradeClient::to(&target, ctx.address()).hears::<UpgradeFailed>());
        let mut request = HttpRequest::new(http::Method::GET, "/".parse().unwrap());
        request.secure = true;
        let (answer, tell) = (sender.send(request), self.0.clone());
        ctx.spawn(async move { tell.send(answer.await.unwrap_err().to_string()).unwrap() }.into_actor(self));
    }
}

impl Handler<Received<UpgradeFailed>> for Careless {
    type Result = ();

    fn handle(&mut self, failed: Received<UpgradeFailed>, _: &mut Context<Self>) {
        self.0.send(failed.message.error.to_string()).unwrap();
    }
}

impl Handler<Received<Frame>> for Careless {
    type Result = ();

    fn handle(&mut self, _: Received<Frame>, _: &mut Context<Self>) {}
}

/// Only listens.
struct Listener;

impl Actor for Listener {
    type Context = Context<Self>;
}

impl Handler<Received<Connected, Requester>> for Listener {
    type Result = ();

    fn handle(&mut self, _: Received<Connected, Requester>, _: &mut Context<Self>) {}
}

#[test]
fn our_client_shows_its_certificate() {
    let (authority, people) = (Authority::new("A"), Authority::new("People"));
    let tls = tls::Server::builder(authority.signs(&["localhost"]).identity()).require_clients(people.trusted()).build().unwrap();
    let site = Site::with(&tls);
    let bob = people.signs_for(&[("CN", "bob")], &[], 0, 30);
    let as_bob = tls::Client::builder().authorities(authority.trusted()).identity(bob.identity()).build().unwrap();
    let got = fetch("localhost", site.address.port(), Some(as_bob)).unwrap().recv_timeout(PATIENCE).unwrap();
    assert_eq!(got.unwrap(), "CN=bob [] asks localhost");
}

#[test]
fn our_client_says_that_a_server_does_not_speak_tls_or_does_not_answer() {
    let authority = Authority::new("A");
    let plain = Site::up(|bind| bind);
    let error = fetch("localhost", plain.address.port(), Some(trusting(&authority))).unwrap_err();
    assert!(matches!(error, ConnectError::Tls(_, TlsError::NotTls)), "{error}");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (began, port) = (Instant::now(), silent.local_addr().unwrap().port());
    let error = fetch("localhost", port, Some(trusting(&authority))).unwrap_err();
    assert!(matches!(error, ConnectError::Tls(_, TlsError::Timeout)), "{error}");
    assert!(began.elapsed() >= Duration::from_secs(2) && began.elapsed() < PATIENCE);
}

/// Whatever the other end does then: it need not even close.
#[test]
fn our_client_says_at_once_what_is_wrong_with_a_server_that_keeps_the_connection() {
    let (authority, other) = (Authority::new("A"), Authority::new("B"));
    let signed = authority.signs(&["localhost"]);
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_certificate(&signed.certificate).unwrap();
    acceptor.set_private_key(&signed.key).unwrap();
    let (acceptor, listener) = (acceptor.build(), TcpListener::bind("127.0.0.1:0").unwrap());
    let port = listener.local_addr().unwrap().port();
    let (end, ended) = channel::<()>();
    let server = std::thread::spawn(move || {
        let untrusted = acceptor.accept(listener.accept().unwrap().0);
        let mut greeting = listener.accept().unwrap().0;
        greeting.write_all(b"220 mail.example ESMTP\r\n").unwrap();
        let _ = ended.recv();
        drop((untrusted.is_ok(), greeting));
    });
    let error = fetch("localhost", port, Some(trusting(&other))).unwrap_err();
    assert!(matches!(error, ConnectError::Tls(_, TlsError::Untrusted(_))), "{error}");
    let error = fetch("localhost", port, Some(trusting(&other))).unwrap_err();
    assert!(matches!(error, ConnectError::Tls(_, TlsError::NotTls)), "{error}");
    drop(end);
    server.join().unwrap();
}

/// A server of one connection, which answers with this and then ends, properly or not.
fn answers_once(signed: &Signed, answer: &'static str, properly: bool) -> (u16, JoinHandle<()>) {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_certificate(&signed.certificate).unwrap();
    acceptor.set_private_key(&signed.key).unwrap();
    let (acceptor, listener) = (acceptor.build(), TcpListener::bind("127.0.0.1:0").unwrap());
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut stream = acceptor.accept(stream).unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        if properly {
            stream.shutdown().unwrap();
        }
        stream.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
        // Until the client has had enough: a reset would end it otherwise.
        while matches!(stream.get_mut().read(&mut [0; 1000]), Ok(1..)) {}
    });
    (port, thread)
}

#[test]
fn t34_a_truncated_response_is_told_apart_from_a_complete_one() {
    let authority = Authority::new("A");
    let signed = authority.signs(&["localhost"]);
    let until_the_end = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf of it";
    let with_length = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nall of it!";
    for (answer, properly, expected) in [
        (until_the_end, true, Ok("half of it")),
        (until_the_end, false, Err("the connection ended inside a response (RFC 9112 §8)")),
        (with_length, true, Ok("all of it!")),
        (with_length, false, Ok("all of it!")),
    ] {
        let (port, server) = answers_once(&signed, answer, properly);
        let got = fetch("localhost", port, Some(trusting(&authority))).unwrap().recv_timeout(PATIENCE).unwrap();
        assert_eq!(got.as_deref().map_err(String::as_str), expected, "{answer:?}, properly: {properly}");
        server.join().unwrap();
    }
}

// ── what one peer can have us keep ──────────────────────────────────────────────────────────────────────────────────────────────────

/// An answer of many records that is not read is kept as plaintext, and sealed as the peer reads it.
#[test]
fn a_large_answer_arrives_whole_at_a_slow_reader() {
    let authority = Authority::new("A");
    let site = Site::with(&server_of(&authority.signs(&["localhost"])));
    let mut stream = opens(site.address, client(&authority), "localhost").unwrap();
    for _ in 0..200 {
        // Pipelined: each is answered in its turn.
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    }
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let (mut got, mut byte) = (Vec::new(), [0; 7]);
    while let Ok(n @ 1..) = stream.read(&mut byte) {
        got.extend_from_slice(&byte[..n]);
    }
    let answers = got.windows(15).filter(|found| found == b"HTTP/1.1 200 OK").count();
    assert_eq!(answers, 201);
}
