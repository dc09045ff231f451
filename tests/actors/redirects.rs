//! Our client, sent elsewhere by raw servers (T19, RFC 9110 §15.4).

use crate::client::with_each_client;
use crate::peer::{Host, Peer, text};
use crate::site::{Heard, Site};

/// A redirect as it is on the wire.
fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: 6\r\n\r\nmoved\n")
}

/// The next connection, and what it asks for. It is answered so, and its client goes.
fn answers(host: &Host, answer: &str) -> (Peer, String) {
    let mut peer = host.accepts();
    let head = peer.hears_head();
    peer.says_bytes(answer);
    (peer, head)
}

#[track_caller]
fn fails(client: &Site) -> String {
    client.until(|heard| match heard {
        Heard::Failed(error) => Some(error),
        Heard::Stopped => None,
        other => panic!("{other:?} in place of a failure"),
    })
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.to_lowercase().starts_with(name).then(|| line[name.len() + 1..].trim()))
}

/// To another path, then to another origin, where the credentials do not go; frames that come behind the 101 are frames.
#[test]
fn t19_redirects_are_followed() {
    with_each_client(|plan, host| {
        let other = Host::up(plan.transport);
        let client = plan.redirects(2).visits(&host.url().replace("://", "://Aladdin:open%20sesame@"));
        let (mut first, asked) = answers(host, &redirect(302, "../lounge?x=1#top"));
        assert!(asked.starts_with("GET /chat HTTP/1.1\r\n"), "{asked}");
        let (mut second, again) = answers(host, &redirect(307, &other.url()));
        // Nobody has anything to say on those any more.
        first.hears_fin();
        second.hears_fin();
        assert!(again.starts_with("GET /lounge?x=1 HTTP/1.1\r\n"), "{again}");
        let mut peer = other.accepts();
        let last = peer.hears_head();
        assert!(last.starts_with("GET /chat HTTP/1.1\r\n"), "{last}");
        assert_eq!(field(&last, "host"), other.url().split('/').nth(2), "{last}");
        let credentials = [&asked, &again, &last].map(|head| field(head, "authorization"));
        assert_eq!(credentials, [Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), None]);
        let keys = [&asked, &again, &last].map(|head| field(head, "sec-websocket-key").expect("a nonce"));
        assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2], "{keys:?}");
        let behind = peer.encoded(&[text("welcome")]);
        peer.says_bytes([crate::peer::switching(&last).as_bytes(), &behind].concat());
        assert!(matches!(client.next(), Heard::Response(101)));
        client.upgraded();
        client.hears_text("welcome");
    });
}

/// Each is told, and nobody is asked again: one too many, one back, one that is no URL; and none where none is to be followed.
#[test]
fn t19_redirects_that_are_not_followed() {
    with_each_client(|plan, host| {
        let url = host.url();
        let cases: [(usize, &[&str], &str); 7] = [
            (0, &["/elsewhere"], "the response's status is 302 Found, not 101 (RFC 6455 §4.1 item 1)"),
            (2, &["/1", "/2", "/3"], "there are more than 2, one after the other (RFC 9110 §15.4)"),
            (9, &["/1", "/2", "/1"], "it leads to where we have been (RFC 9110 §15.4)"),
            (9, &[&url], "it leads to where we have been (RFC 9110 §15.4)"),
            (9, &["//user@127.0.0.1/"], "its Location has a userinfo (RFC 9110 §4.2.4)"),
            (9, &["gopher://127.0.0.1/"], "Location: the URL's scheme is neither ws nor wss (RFC 6455 §3)"),
            (9, &["/a\tSet-Cookie: x"], "Location: the URL has white space, a control character or a backslash (RFC 3986 §2)"),
        ];
        for (limit, locations, error) in cases {
            let client = plan.clone().redirects(limit).visits(&url);
            for location in locations {
                answers(host, &redirect(302, location)).0.hears_fin();
            }
            let failed = fails(&client);
            assert!(failed.ends_with(error), "{failed}");
            println!("limit {limit}, asked {} times: {failed}", locations.len());
        }
    });
}

#[cfg(feature = "tls")]
#[test]
fn t19_tls_is_not_left_for_the_clear() {
    with_each_client(|plan, host| {
        let clear = Host::up(crate::transport::Transport::Clear);
        let client = plan.clone().redirects(3).visits(&host.url());
        answers(host, &redirect(301, &clear.url())).0.hears_fin();
        if plan.transport == crate::transport::Transport::Clear {
            clear.upgrades(&[text("welcome")]);
            assert!(matches!(client.next(), Heard::Response(101)));
        } else {
            let failed = fails(&client);
            assert!(failed.ends_with("it leads from TLS to the clear (RFC 6455 §10.6)"), "{failed}");
        }
    });
}

/// Nobody is there, or somebody who does something else: the upgrade has failed, and its handler hears so.
#[test]
fn t19_a_redirect_that_leads_nowhere() {
    with_each_client(|plan, host| {
        let nobody = Host::up(plan.transport).url();
        let client = plan.clone().redirects(3).visits(&host.url());
        answers(host, &redirect(308, &nobody)).0.hears_fin();
        let failed = fails(&client);
        assert!(failed.starts_with("no connection to 127.0.0.1:"), "{failed}");
        let client = plan.clone().redirects(3).visits(&host.url());
        answers(host, &redirect(308, "/x")).0.hears_fin();
        answers(host, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").0.hears_fin();
        let failed = fails(&client);
        assert!(failed.contains("403"), "{failed}");
    });
}
