//! Logins, limits and records, with a RADIUS server where one is needed.

use super::*;
use crate::radius::wire::{Code, Encoder, Packet, kind, ms, verify_request};
use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng as _;
use ppp::{AuthRequest, Claim, Verdict};
use std::path::Path;
use zeroize::Zeroizing;

const SECRET: &[u8] = b"testing123";
const WALL: Duration = Duration::from_secs(1_700_000_000);

struct Lab {
    aaa: Aaa,
    now: Instant,
    traffic: HashMap<CallId, Traffic>,
    notes: Vec<String>,
}

/// What has happened to calls.
#[derive(Debug)]
enum Seen {
    In(CallId, ppp::Assignment),
    Out(u16, bool, String),
    HungUp(CallId),
}

fn office(more: &str) -> Config {
    let text = format!(
        r#"
[gateway]
[[psk]]
peer = "any"
secret = "abcdefghij0123456789"
[ppp]
local = "192.168.8.1"
dns = ["192.168.8.10"]
[pool]
range = "192.168.200.10-192.168.200.19"
named = {{ guests = "192.168.201.10-192.168.201.19" }}
[[user]]
name = "ann"
password = "secret"
address = "192.168.8.50"
[[user]]
name = "bob"
password = "builder"
{more}
"#
    );
    Config::parse(Path::new("office.toml"), &text).unwrap()
}

const RADIUS: &str = r#"
[radius]
nas_identifier = "office"
nas_address = "192.168.8.1"
dynamic_port = 3799
addresses = ["192.168.40.0/24"]
[[radius.server]]
address = "192.168.8.5"
secret = "testing123"
"#;

fn pap(user: &str, password: &str) -> AuthRequest {
    let password = Zeroizing::new(password.as_bytes().to_vec());
    AuthRequest::new(user.as_bytes(), Claim::Pap { password })
}

impl Lab {
    fn new(more: &str) -> Self {
        #[allow(
            clippy::disallowed_methods,
            reason = "any start will do for virtual time"
        )]
        let now = Instant::now();
        let rng = Box::new(ChaCha20Rng::seed_from_u64(1));
        Self {
            aaa: Aaa::new(Arc::new(office(more)), rng),
            now,
            traffic: HashMap::new(),
            notes: Vec::new(),
        }
    }

    fn call(&mut self, peer: [u8; 4]) -> CallId {
        self.aaa.begin(Caller {
            peer: (peer, 4500).into(),
            local: ([198, 51, 100, 1], 4500).into(),
        })
    }

    fn login(&mut self, user: &str, password: &str) -> CallId {
        let call = self.call([203, 0, 113, 9]);
        self.aaa.authenticate(self.now, call, &pap(user, password));
        call
    }

    /// The call that logs in and is open, and its address.
    fn connect(&mut self, user: &str, password: &str) -> (CallId, Ipv4Addr) {
        let call = self.login(user, password);
        let address = self.admitted(call).peer;
        self.aaa.opened(self.now, call);
        (call, address)
    }

    fn seen(&mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        while let Some(event) = self.aaa.poll_event() {
            seen.push(match event {
                Event::Verdict {
                    call,
                    verdict: Verdict::Accept { assignment, .. },
                } => Seen::In(call, assignment),
                Event::Verdict {
                    verdict:
                        Verdict::Reject {
                            code,
                            retry,
                            message,
                        },
                    ..
                } => Seen::Out(code, retry, message),
                Event::HangUp { call, reason, .. } => {
                    // As the gateway does.
                    self.end(call, reason);
                    Seen::HungUp(call)
                }
                Event::Note { text, .. } => {
                    self.notes.push(text);
                    continue;
                }
                Event::Denied { .. } => continue,
                Event::Verdict { .. } => panic!("another verdict"),
            });
        }
        seen
    }

    fn admitted(&mut self, call: CallId) -> ppp::Assignment {
        match self.seen().pop() {
            Some(Seen::In(id, assignment)) if id == call => assignment,
            other => panic!("{other:?}, {:?}", self.notes),
        }
    }

    fn refused(&mut self, reason: &str) -> (u16, bool, String) {
        match self.seen().pop() {
            Some(Seen::Out(code, retry, message)) => {
                let last = self.notes.iter().rfind(|n| n.starts_with("auth failed"));
                let end = format!(" reason={reason}");
                assert!(last.is_some_and(|n| n.ends_with(&end)), "{:?}", self.notes);
                (code, retry, message)
            }
            other => panic!("{other:?}, {:?}", self.notes),
        }
    }

    fn end(&mut self, call: CallId, reason: &str) {
        let traffic = self.traffic.get(&call).copied().unwrap_or_default();
        self.aaa.end(self.now, call, reason, traffic);
    }

    fn wait(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        while let Some(at) = self.aaa.poll_timeout().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            let traffic = self.traffic.clone();
            self.aaa.handle_timeout(self.now, &|call| {
                traffic.get(&call).copied().unwrap_or_default()
            });
        }
        self.now = until;
    }

    // --- the RADIUS server ---

    fn asked(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.aaa.poll_radius())
            .map(|t| t.payload)
            .collect()
    }

    fn reply(&mut self, asked: &[u8], code: Code, fill: impl FnOnce(&mut Encoder)) {
        let packet = Packet::parse(asked).unwrap();
        let mut attributes = Encoder::new();
        fill(&mut attributes);
        let payload = attributes.reply(code, packet.id, &packet.authenticator, SECRET);
        let (port, number) = if packet.code == Code::ACCESS_REQUEST {
            (Port::Access, 1812)
        } else {
            (Port::Accounting, 1813)
        };
        let from = ([192, 168, 8, 5], number).into();
        self.aaa
            .handle_radius(self.now, port, from, &payload)
            .unwrap();
    }

    /// A login that the server accepts with these attributes.
    fn remote(&mut self, user: &str, fill: impl FnOnce(&mut Encoder)) -> CallId {
        let call = self.login(user, "whatever");
        let asked = self.asked().pop().unwrap();
        self.reply(&asked, Code::ACCESS_ACCEPT, fill);
        call
    }

    /// Takes the records that wait, confirms them, and returns them.
    fn records(&mut self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let asked = self.asked();
            if asked.is_empty() {
                return all;
            }
            for record in asked {
                let packet = Packet::parse(&record).unwrap();
                assert_eq!(packet.code, Code::ACCOUNTING_REQUEST);
                verify_request(&packet, SECRET).unwrap();
                self.reply(&record, Code::ACCOUNTING_RESPONSE, |_| {});
                all.push(record);
            }
        }
    }
}

fn integer(record: &[u8], kind: u8) -> Option<u32> {
    let packet = Packet::parse(record).unwrap();
    packet.attributes.integer(kind).unwrap()
}

fn text(record: &[u8], kind: u8) -> String {
    let packet = Packet::parse(record).unwrap();
    String::from_utf8_lossy(packet.attributes.get(kind).unwrap_or_default()).into_owned()
}

#[test]
fn users_get_their_own_address_or_one_of_the_pool() {
    let mut lab = Lab::new("");
    assert_eq!(
        lab.connect("ann", "secret").1,
        Ipv4Addr::new(192, 168, 8, 50)
    );
    let (call, address) = lab.connect("bob", "builder");
    assert_eq!(address, Ipv4Addr::new(192, 168, 200, 10));
    assert_eq!(lab.aaa.user(call), Some(("bob", address)));
    assert_eq!(lab.aaa.addresses_in_use(), 2);
    lab.end(call, "peer_terminated");
    lab.end(call, "peer_terminated");
    assert_eq!(lab.aaa.addresses_in_use(), 1);
    assert_eq!(lab.connect(r"OFFICE\bob", "builder").1, address);
}

#[test]
fn a_user_may_have_a_pool_of_its_own() {
    let mut lab = Lab::new("[[user]]\nname = \"eve\"\npassword = \"e\"\npool = \"guests\"");
    assert_eq!(lab.connect("eve", "e").1, Ipv4Addr::new(192, 168, 201, 10));
}

#[test]
fn a_wrong_password_and_an_unknown_user_get_the_same_answer_at_the_same_time() {
    let mut answers = Vec::new();
    for (user, password, reason) in [
        ("ann", "guess", "bad_password"),
        ("nobody", "guess", "unknown_user"),
        ("", "guess", "bad_user_name"),
    ] {
        let mut lab = Lab::new("");
        lab.login(user, password);
        assert!(lab.seen().is_empty());
        let due = lab.aaa.poll_timeout().unwrap() - lab.now;
        lab.wait(2);
        answers.push((due, lab.refused(reason)));
    }
    assert!(answers.iter().all(|a| *a == answers[0]), "{answers:?}");
    assert_eq!(answers[0].0, Duration::from_secs(2));
    assert_eq!(answers[0].1.0, 691);
}

#[test]
fn guesses_at_one_user_wait_for_each_other_but_the_others_do_not() {
    let mut lab = Lab::new("");
    for _ in 0..3 {
        lab.login("ann", "guess");
    }
    // Even the right password is not told from a wrong one before its turn.
    let right = lab.login("ann", "secret");
    let bob = lab.login("bob", "builder");
    assert!(matches!(lab.seen().as_slice(), [Seen::In(call, _)] if *call == bob));
    // Somebody else's guesses do not keep ann out.
    let elsewhere = lab.call([198, 51, 100, 77]);
    lab.aaa
        .authenticate(lab.now, elsewhere, &pap("ann", "secret"));
    assert!(matches!(lab.seen().as_slice(), [Seen::In(call, _)] if *call == elsewhere));
    let mut rejected = 0;
    let mut seconds = 0;
    let in_at = loop {
        lab.wait(1);
        seconds += 1;
        for seen in lab.seen() {
            match seen {
                Seen::Out(..) => rejected += 1,
                Seen::In(call, _) if call == right => assert!(seconds >= 2),
                _ => {}
            }
        }
        if lab.aaa.user(right).is_some() && rejected == 3 {
            break seconds;
        }
        assert!(seconds < 30);
    };
    assert!((4..=12).contains(&in_at), "{in_at}");
}

#[test]
fn a_flood_of_guesses_fills_no_memory_and_each_is_answered_in_ten_seconds() {
    let mut lab = Lab::new("");
    for n in 0..6000 {
        lab.login(&format!("user{n}"), "guess");
        lab.login("ann", "guess");
    }
    lab.wait(10);
    let answered = lab.seen().len();
    assert!(answered >= 6001, "{answered}");
    lab.wait(10);
    assert_eq!(answered + lab.seen().len(), 12_000);
}

#[test]
fn one_more_call_replaces_is_refused_or_is_one_of_n() {
    let user = |sessions: &str| {
        format!("[[user]]\nname = \"eve\"\npassword = \"e\"\nsessions = {sessions}")
    };
    let mut lab = Lab::new(&user("\"replace\""));
    let (old, address) = lab.connect("eve", "e");
    let new = lab.login("eve", "e");
    let seen = lab.seen();
    assert!(
        matches!(seen.as_slice(), [Seen::HungUp(o), Seen::In(n, a)]
            if *o == old && *n == new && a.peer == address),
        "{seen:?}"
    );
    assert_eq!((lab.aaa.calls(), lab.aaa.addresses_in_use()), (1, 1));

    let mut lab = Lab::new(&user("\"deny\""));
    let (old, _) = lab.connect("eve", "e");
    lab.login("eve", "e");
    assert_eq!(lab.refused("already_connected").0, 649);
    lab.end(old, "echo_timeout");
    lab.connect("eve", "e");

    let mut lab = Lab::new(&user("2"));
    lab.connect("eve", "e");
    let (second, _) = lab.connect("eve", "e");
    lab.login("eve", "e");
    lab.refused("too_many_sessions");
    lab.end(second, "peer_terminated");
    lab.connect("eve", "e");

    // For all users.
    let mut lab = Lab::new("[aaa]\nsessions = \"deny\"");
    lab.connect("bob", "builder");
    lab.login("bob", "builder");
    lab.refused("already_connected");
}

#[test]
fn an_address_of_its_own_follows_the_user_unless_there_may_be_two() {
    let mut lab = Lab::new("");
    let (old, address) = lab.connect("ann", "secret");
    let new = lab.login("ann", "secret");
    let seen = lab.seen();
    assert!(
        matches!(seen.as_slice(), [Seen::HungUp(o), Seen::In(n, a)]
            if *o == old && *n == new && a.peer == address),
        "{seen:?}"
    );
    let mut lab = Lab::new("[aaa]\nsessions = 2");
    let (_, first) = lab.connect("ann", "secret");
    let (_, second) = lab.connect("ann", "secret");
    assert_eq!(first, address);
    assert_eq!(second, Ipv4Addr::new(192, 168, 200, 10));
}

#[test]
fn a_full_pool_refuses_and_says_why() {
    let mut lab = Lab::new("");
    for _ in 0..10 {
        lab.connect("bob", "builder");
    }
    lab.login("bob", "builder");
    lab.refused("no_address_free");
    lab.connect("ann", "secret");
}

#[test]
fn a_call_ends_when_its_time_is_up() {
    let mut lab = Lab::new("[aaa]\nsession_timeout_seconds = 3600");
    let (call, _) = lab.connect("bob", "builder");
    lab.wait(3599);
    assert!(lab.seen().is_empty());
    lab.wait(1);
    assert!(matches!(lab.seen().as_slice(), [Seen::HungUp(c)] if *c == call));
    assert!(lab.notes.last().unwrap().contains("cause=Session-Timeout"));
    assert_eq!((lab.aaa.calls(), lab.aaa.poll_timeout()), (0, None));
}

#[test]
fn a_silent_call_ends_and_one_that_talks_does_not() {
    let mut lab = Lab::new("[aaa]\nidle_timeout_seconds = 600");
    let (silent, _) = lab.connect("bob", "builder");
    let (busy, _) = lab.connect("bob", "builder");
    for _ in 0..20 {
        lab.traffic.entry(busy).or_default().bytes_in += 1;
        lab.wait(60);
        assert!(
            lab.seen()
                .iter()
                .all(|s| matches!(s, Seen::HungUp(c) if *c == silent))
        );
    }
    assert!(
        lab.notes.last().unwrap().contains("dur=6"),
        "{:?}",
        lab.notes
    );
    assert!(lab.aaa.user(silent).is_none() && lab.aaa.user(busy).is_some());
    lab.wait(700);
    assert!(matches!(lab.seen().as_slice(), [Seen::HungUp(c)] if *c == busy));
}

#[test]
fn a_call_that_ends_during_its_login_leaves_nothing() {
    let mut lab = Lab::new(RADIUS);
    let call = lab.login("carol", "c");
    let asked = lab.asked().pop().unwrap();
    lab.end(call, "lower_layer_down");
    lab.reply(&asked, Code::ACCESS_ACCEPT, |_| {});
    assert!(lab.seen().is_empty());
    let call = lab.login("ann", "guess");
    lab.end(call, "lower_layer_down");
    assert_eq!((lab.aaa.calls(), lab.aaa.addresses_in_use()), (0, 0));
    assert_eq!(lab.aaa.poll_timeout(), None);
}

#[test]
fn cve_2013_5018_user_names_of_any_kind_are_only_names() {
    for name in [&b""[..], b"0", b"\x30", b"\0", &[b'x'; 255], &[0xff; 253]] {
        for more in ["", RADIUS] {
            let mut lab = Lab::new(more);
            let call = lab.call([203, 0, 113, 9]);
            let password = Zeroizing::new(b"p".to_vec());
            let request = AuthRequest::new(name, Claim::Pap { password });
            lab.aaa.authenticate(lab.now, call, &request);
            for asked in lab.asked() {
                let packet = Packet::parse(&asked).unwrap();
                assert_eq!(packet.attributes.get(kind::USER_NAME), Some(name));
                lab.reply(&asked, Code::ACCESS_REJECT, |_| {});
            }
            lab.wait(10);
            assert!(matches!(lab.seen().as_slice(), [Seen::Out(..)]));
        }
    }
}

#[test]
fn log_injection_crlf_ansi() {
    let mut lab = Lab::new("");
    lab.login("a\" peer=9.9.9.9\r\nauth failed\u{1b}[2J", "guess");
    lab.wait(2);
    lab.refused("unknown_user");
    let line = lab.notes.pop().unwrap();
    assert_eq!(
        line,
        r#"auth failed user="a\" peer=9.9.9.9\r\nauth failed\u{1b}[2J" peer=203.0.113.9 method=pap reason=unknown_user"#
    );
}

// --- RADIUS ---

#[test]
fn a_request_says_who_where_and_how() {
    let mut lab = Lab::new(RADIUS);
    lab.login("OFFICE\\carol", "a password of more than sixteen bytes");
    let asked = lab.asked().pop().unwrap();
    let packet = Packet::parse(&asked).unwrap();
    assert_eq!(packet.code, Code::ACCESS_REQUEST);
    let first = packet.attributes.iter().next().unwrap().0;
    assert_eq!(first, kind::MESSAGE_AUTHENTICATOR);
    assert_eq!(text(&asked, kind::USER_NAME), "OFFICE\\carol");
    assert_eq!(text(&asked, kind::NAS_IDENTIFIER), "office");
    assert_eq!(text(&asked, kind::CALLING_STATION_ID), "203.0.113.9");
    assert_eq!(text(&asked, kind::TUNNEL_CLIENT_ENDPOINT), "203.0.113.9");
    assert_eq!(text(&asked, kind::TUNNEL_SERVER_ENDPOINT), "198.51.100.1");
    for (kind, value) in [
        (kind::SERVICE_TYPE, 2),
        (kind::FRAMED_PROTOCOL, 1),
        (kind::NAS_PORT_TYPE, 5),
        (kind::TUNNEL_TYPE, 3),
        (kind::TUNNEL_MEDIUM_TYPE, 1),
    ] {
        assert_eq!(integer(&asked, kind), Some(value));
    }
    let password = packet.attributes.get(kind::USER_PASSWORD).unwrap();
    assert_eq!(password.len(), 48);
}

#[test]
fn chap_and_mschapv2_go_through_and_the_proof_comes_back() {
    let mut lab = Lab::new(RADIUS);
    let call = lab.call([203, 0, 113, 9]);
    let chap = Claim::ChapMd5 {
        id: 7,
        challenge: vec![1; 16],
        response: vec![2; 16],
    };
    let request = AuthRequest::new(b"carol", chap);
    lab.aaa.authenticate(lab.now, call, &request);
    let asked = lab.asked().pop().unwrap();
    let packet = Packet::parse(&asked).unwrap();
    let value = packet.attributes.get(kind::CHAP_PASSWORD).unwrap();
    assert_eq!((value[0], &value[1..]), (7, &[2; 16][..]));
    assert_eq!(
        packet.attributes.get(kind::CHAP_CHALLENGE),
        Some(&[1; 16][..])
    );
    lab.reply(&asked, Code::ACCESS_ACCEPT, |_| {});
    lab.admitted(call);

    let mschap = Claim::MsChapV2 {
        id: 9,
        challenge: [1; 16],
        peer_challenge: [2; 16],
        nt_response: [3; 24],
    };
    let request = AuthRequest::new(b"dave", mschap);
    for success in [true, false] {
        let call = lab.call([203, 0, 113, 9]);
        lab.aaa.authenticate(lab.now, call, &request);
        let asked = lab.asked().pop().unwrap();
        let packet = Packet::parse(&asked).unwrap();
        let vendor: Vec<_> = packet.attributes.vendor(ms::VENDOR).collect();
        let mut response = vec![9, 0];
        response.extend([2; 16]);
        response.extend([0; 8]);
        response.extend([3; 24]);
        assert_eq!(
            vendor,
            [
                (ms::CHAP_CHALLENGE, &[1; 16][..]),
                (ms::CHAP2_RESPONSE, response.as_slice())
            ]
        );
        lab.reply(&asked, Code::ACCESS_ACCEPT, |a| {
            let value = format!("\u{9}S={}", "A".repeat(40));
            if success {
                a.vendor(ms::VENDOR, ms::CHAP2_SUCCESS, value.as_bytes());
            }
        });
        if success {
            lab.admitted(call);
        } else {
            // The client could not tell us from an impostor.
            lab.refused("radius_no_ms_chap2_success");
        }
    }
}

#[test]
fn what_the_server_grants_is_what_the_client_gets() {
    let mut lab = Lab::new(RADIUS);
    let [own, dns] = [
        Ipv4Addr::new(192, 168, 40, 7),
        Ipv4Addr::new(192, 168, 8, 11),
    ];
    let call = lab.remote("carol", |a| {
        a.address(kind::FRAMED_IP_ADDRESS, own);
        a.vendor(ms::VENDOR, ms::PRIMARY_DNS_SERVER, &dns.octets());
        a.vendor(ms::VENDOR, ms::SECONDARY_NBNS_SERVER, &dns.octets());
        a.integer(kind::SESSION_TIMEOUT, 100);
    });
    let got = lab.admitted(call);
    assert_eq!((got.peer, got.dns), (own, [Some(dns), None]));
    assert_eq!(got.wins, [None, Some(dns)]);
    lab.aaa.opened(lab.now, call);
    lab.wait(100);
    assert!(matches!(lab.seen().as_slice(), [Seen::HungUp(c)] if *c == call));

    // The gateway's choice, by either number or by none, or from a pool by name.
    for number in [0xffff_fffe, 0xffff_ffff] {
        let call = lab.remote("carol", |a| {
            a.integer(kind::FRAMED_IP_ADDRESS, number);
        });
        let got = lab.admitted(call);
        assert_eq!(got.peer, Ipv4Addr::new(192, 168, 200, 10));
        assert_eq!(got.dns, [Some(Ipv4Addr::new(192, 168, 8, 10)), None]);
        lab.end(call, "peer_terminated");
    }
    let call = lab.remote("dave", |a| {
        a.text(kind::FRAMED_POOL, "guests");
    });
    assert_eq!(lab.admitted(call).peer, Ipv4Addr::new(192, 168, 201, 10));
    lab.remote("dave", |a| {
        a.text(kind::FRAMED_POOL, "nowhere");
    });
    lab.refused("unknown_pool");
    lab.remote("dave", |a| {
        a.address(kind::FRAMED_IP_ADDRESS, Ipv4Addr::new(8, 8, 8, 8));
    });
    lab.refused("address_not_ours");
    lab.remote("dave", |a| {
        a.address(kind::FRAMED_IP_ADDRESS, Ipv4Addr::new(192, 168, 201, 10));
    });
    // It is dave's own, who has come back.
    assert!(matches!(lab.seen().last(), Some(Seen::In(..))));
    lab.remote("mallory", |a| {
        a.address(kind::FRAMED_IP_ADDRESS, Ipv4Addr::new(192, 168, 201, 10));
    });
    lab.refused("address_in_use");
    let call = lab.remote("erin", |a| {
        a.integer(kind::PORT_LIMIT, 1);
    });
    lab.admitted(call);
    lab.remote("erin", |a| {
        a.integer(kind::PORT_LIMIT, 1);
    });
    lab.refused("too_many_sessions");
}

#[test]
fn a_reject_is_told_to_the_client_with_its_reason() {
    let mut lab = Lab::new(RADIUS);
    lab.login("carol", "c");
    let asked = lab.asked().pop().unwrap();
    lab.reply(&asked, Code::ACCESS_REJECT, |a| {
        a.vendor(ms::VENDOR, ms::CHAP_ERROR, b"\x07E=648 R=0 V=3");
        a.text(kind::REPLY_MESSAGE, "Your password has expired");
    });
    lab.wait(2);
    let (code, retry, message) = lab.refused("radius_reject");
    assert_eq!((code, retry), (648, false));
    assert_eq!(message, "Your password has expired");
    // A challenge is no way in.
    lab.login("dave", "c");
    let asked = lab.asked().pop().unwrap();
    lab.reply(&asked, Code::ACCESS_CHALLENGE, |_| {});
    lab.wait(2);
    lab.refused("radius_reject");
    lab.login("erin", "c");
    lab.wait(30);
    lab.refused("radius_no_reply");
    // Users of the configuration need no server.
    lab.connect("ann", "secret");
}

#[test]
fn a_server_that_signs_nothing_is_named_once_a_minute() {
    let mut lab = Lab::new(RADIUS);
    lab.login("carol", "c");
    let asked = lab.asked().pop().unwrap();
    let packet = Packet::parse(&asked).unwrap();
    let reply = Encoder::new().without_message_authenticator(
        Code::ACCESS_ACCEPT,
        packet.id,
        &packet.authenticator,
        Some(SECRET),
    );
    let from = ([192, 168, 8, 5], 1812).into();
    for _ in 0..10 {
        let dropped = lab.aaa.handle_radius(lab.now, Port::Access, from, &reply);
        assert!(dropped.is_err());
    }
    assert!(lab.seen().is_empty());
    let named = |n: &&String| n.contains("reason=radius_no_message_authenticator");
    assert_eq!(lab.notes.iter().filter(named).count(), 1);
}

#[test]
fn records_say_what_a_call_has_carried() {
    let interim = RADIUS.replace("dynamic_port", "interim_seconds = 600\ndynamic_port");
    let mut lab = Lab::new(&interim);
    lab.aaa.set_clock(lab.now, WALL);
    let on = lab.records();
    assert_eq!(on.len(), 1);
    assert_eq!(integer(&on[0], kind::ACCT_STATUS_TYPE), Some(7));
    let call = lab.remote("carol", |a| {
        a.bytes(kind::CLASS, b"one");
        a.bytes(kind::CLASS, b"two");
    });
    lab.admitted(call);
    assert!(lab.records().is_empty());
    lab.wait(3);
    lab.aaa.opened(lab.now, call);
    let start = lab.records().pop().unwrap();
    assert_eq!(integer(&start, kind::ACCT_STATUS_TYPE), Some(1));
    assert_eq!(integer(&start, kind::ACCT_AUTHENTIC), Some(1));
    let stamp = u32::try_from(WALL.as_secs()).unwrap() + 3;
    assert_eq!(integer(&start, kind::EVENT_TIMESTAMP), Some(stamp));
    let classes = Packet::parse(&start).unwrap().attributes.all(kind::CLASS);
    assert_eq!(classes.collect::<Vec<_>>(), [b"one", b"two"]);
    let id = text(&start, kind::ACCT_SESSION_ID);
    assert_eq!(id, lab.aaa.session_id(call));
    let traffic = Traffic {
        bytes_in: 5,
        bytes_out: (3 << 32) + 7,
        packets_in: 2,
        packets_out: 9,
    };
    lab.traffic.insert(call, traffic);
    lab.wait(600);
    let interim = lab.records().pop().unwrap();
    assert_eq!(integer(&interim, kind::ACCT_STATUS_TYPE), Some(3));
    assert_eq!(integer(&interim, kind::ACCT_SESSION_TIME), Some(600));
    lab.wait(10);
    lab.end(call, "peer_terminated");
    let stop = lab.records().pop().unwrap();
    for (kind, value) in [
        (kind::ACCT_STATUS_TYPE, 2),
        (kind::ACCT_SESSION_TIME, 610),
        (kind::ACCT_INPUT_OCTETS, 5),
        (kind::ACCT_INPUT_GIGAWORDS, 0),
        (kind::ACCT_OUTPUT_OCTETS, 7),
        (kind::ACCT_OUTPUT_GIGAWORDS, 3),
        (kind::ACCT_INPUT_PACKETS, 2),
        (kind::ACCT_OUTPUT_PACKETS, 9),
        (kind::ACCT_TERMINATE_CAUSE, 1),
    ] {
        assert_eq!(integer(&stop, kind), Some(value), "{kind}");
    }
    assert_eq!(text(&stop, kind::ACCT_SESSION_ID), id);
    assert!(lab.aaa.is_idle());
}

#[test]
fn what_ends_with_the_gateway_says_so() {
    let mut lab = Lab::new(RADIUS);
    let (call, _) = lab.connect("ann", "secret");
    lab.records();
    lab.aaa.closing();
    lab.end(call, "local");
    lab.aaa.close(lab.now);
    assert!(!lab.aaa.is_idle());
    let records = lab.records();
    assert_eq!(integer(&records[0], kind::ACCT_AUTHENTIC), Some(2));
    assert_eq!(integer(&records[0], kind::ACCT_TERMINATE_CAUSE), Some(7));
    assert_eq!(integer(&records[1], kind::ACCT_STATUS_TYPE), Some(8));
    assert!(lab.aaa.is_idle());
}

#[test]
fn causes_follow_from_the_reasons_of_the_protocols() {
    for (reason, cause) in [
        ("peer_terminated", Cause::UserRequest),
        ("peer_closed (result 3, error 0)", Cause::UserRequest),
        ("echo_timeout", Cause::LostCarrier),
        ("tunnel_down", Cause::LostCarrier),
        ("administrative", Cause::AdminReset),
        ("negotiation_failed", Cause::NasError),
    ] {
        assert_eq!(Cause::of(reason), cause, "{reason}");
    }
}

// --- RFC 5176 ---

impl Lab {
    fn dynamic(&mut self, code: Code, fill: impl FnOnce(&mut Encoder)) -> (Code, Option<u32>) {
        let mut attributes = Encoder::new();
        fill(&mut attributes);
        let stamp = u32::try_from(self.aaa.wall(self.now).unwrap().as_secs()).unwrap();
        attributes.integer(kind::EVENT_TIMESTAMP, stamp);
        let payload = attributes.signed_request(code, 1, SECRET);
        let from = ([192, 168, 8, 5], 40_000).into();
        self.aaa
            .handle_radius(self.now, Port::Dynamic, from, &payload)
            .unwrap();
        let reply = std::iter::from_fn(|| self.aaa.poll_radius())
            .find(|t| t.port == Port::Dynamic)
            .unwrap();
        let packet = Packet::parse(&reply.payload).unwrap();
        let cause = packet.attributes.integer(kind::ERROR_CAUSE).unwrap();
        (packet.code, cause)
    }
}

#[test]
fn a_server_ends_a_call_by_each_of_its_names() {
    type Fill = fn(&mut Encoder, &Lab, CallId, Ipv4Addr);
    let names: [Fill; 4] = [
        |a, lab, call, _| {
            a.text(kind::ACCT_SESSION_ID, &lab.aaa.session_id(call));
        },
        |a, _, _, _| {
            a.text(kind::USER_NAME, "bob");
            a.text(kind::NAS_IDENTIFIER, "office");
        },
        |a, _, _, address| {
            a.address(kind::FRAMED_IP_ADDRESS, address);
            a.address(kind::NAS_IP_ADDRESS, Ipv4Addr::new(192, 168, 8, 1));
        },
        |a, _, _, _| {
            a.text(kind::USER_NAME, "bob");
            a.text(kind::CALLING_STATION_ID, "203.0.113.9");
        },
    ];
    for name in names {
        let mut lab = Lab::new(RADIUS);
        lab.aaa.set_clock(lab.now, WALL);
        let (other, _) = lab.connect("ann", "secret");
        let (call, address) = lab.connect("bob", "builder");
        let mut attributes = Encoder::new();
        name(&mut attributes, &lab, call, address);
        let (code, cause) = lab.dynamic(Code::DISCONNECT_REQUEST, |a| {
            a.append(&attributes);
        });
        assert_eq!((code, cause), (Code::DISCONNECT_ACK, None));
        assert!(matches!(lab.seen().as_slice(), [Seen::HungUp(c)] if *c == call));
        assert!(lab.notes.iter().any(|n| n.contains("cause=Admin-Reset")));
        assert!(lab.aaa.user(other).is_some());
    }
}

#[test]
fn a_server_ends_nothing_that_does_not_fit_in_full() {
    let mut lab = Lab::new(RADIUS);
    lab.aaa.set_clock(lab.now, WALL);
    lab.connect("bob", "builder");
    for (wrong, cause) in [(kind::FRAMED_IP_ADDRESS, 503), (kind::NAS_IP_ADDRESS, 403)] {
        let answer = lab.dynamic(Code::DISCONNECT_REQUEST, |a| {
            a.text(kind::USER_NAME, "bob");
            a.address(wrong, Ipv4Addr::new(10, 0, 0, 1));
        });
        assert_eq!(answer, (Code::DISCONNECT_NAK, Some(cause)));
    }
    let answer = lab.dynamic(Code::DISCONNECT_REQUEST, |a| {
        a.text(kind::USER_NAME, "nobody");
    });
    assert_eq!(answer, (Code::DISCONNECT_NAK, Some(503)));
    assert!(lab.seen().is_empty());
}

#[test]
fn a_server_changes_how_long_a_call_may_last() {
    let mut lab = Lab::new(RADIUS);
    lab.aaa.set_clock(lab.now, WALL);
    let (call, _) = lab.connect("bob", "builder");
    lab.records();
    lab.wait(100);
    let (code, _) = lab.dynamic(Code::COA_REQUEST, |a| {
        a.text(kind::USER_NAME, "bob");
        a.integer(kind::SESSION_TIMEOUT, 300);
    });
    assert_eq!(code, Code::COA_ACK);
    lab.wait(199);
    assert!(lab.seen().is_empty());
    lab.wait(1);
    assert!(matches!(lab.seen().as_slice(), [Seen::HungUp(c)] if *c == call));
    let answer = lab.dynamic(Code::COA_REQUEST, |a| {
        a.text(kind::USER_NAME, "bob");
        a.integer(kind::IDLE_TIMEOUT, 60);
    });
    assert_eq!(answer, (Code::COA_NAK, Some(503)));
}
