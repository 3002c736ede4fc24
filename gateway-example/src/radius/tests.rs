//! The client against servers that answer, are silent, or lie, in virtual time.

mod metrics;
mod reconfigure;

use super::wire::{Code, Encoder, Packet, kind};
use super::*;
use crate::config::Secret;
use chacha20::ChaCha20Rng;
use chacha20::rand_core::{CryptoRng, SeedableRng as _};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

const SECRET: &str = "testing123";

fn address(n: u8) -> IpAddr {
    Ipv4Addr::new(192, 168, 8, n).into()
}

/// Where virtual time begins, and what is drawn in it.
pub(crate) fn start() -> (Instant, Box<dyn CryptoRng + Send>) {
    #[allow(
        clippy::disallowed_methods,
        reason = "any start will do for virtual time"
    )]
    let now = Instant::now();
    (now, Box::new(ChaCha20Rng::seed_from_u64(1)))
}

struct Lab {
    client: Client,
    now: Instant,
}

/// A request as a server gets it.
struct Asked {
    transmit: Transmit,
    code: Code,
    id: u8,
    authenticator: [u8; 16],
}

impl Lab {
    fn new(servers: u8, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        for n in 1..=servers {
            let secret = Secret::new(SECRET.into());
            config.servers.push(ServerConfig::new(address(n), secret));
        }
        change(&mut config);
        let (now, rng) = start();
        Self {
            client: Client::new(config, rng),
            now,
        }
    }

    fn login(&mut self, key: u64) {
        let mut attributes = Encoder::new();
        attributes.text(kind::USER_NAME, "ann");
        let request = Request::new(key, Urgency::Login, attributes);
        self.client.access(self.now, request).unwrap();
    }

    fn record(&mut self, key: u64, urgency: Urgency) -> Result<(), QueueFull> {
        let mut attributes = Encoder::new();
        attributes.integer(kind::ACCT_STATUS_TYPE, u32::try_from(key).unwrap());
        self.client
            .account(self.now, Request::new(key, urgency, attributes))
    }

    fn sent(&mut self) -> Vec<Asked> {
        let client = &mut self.client;
        std::iter::from_fn(|| client.poll_transmit())
            .map(|transmit| {
                let packet = Packet::parse(&transmit.payload).unwrap();
                Asked {
                    code: packet.code,
                    id: packet.id,
                    authenticator: packet.authenticator,
                    transmit,
                }
            })
            .collect()
    }

    fn one(&mut self) -> Asked {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1);
        sent.remove(0)
    }

    fn reply(&mut self, asked: &Asked, code: Code) -> Result<(), Error> {
        let payload = Encoder::new().reply(code, asked.id, &asked.authenticator, SECRET.as_bytes());
        self.deliver(asked, asked.transmit.to, &payload)
    }

    fn deliver(&mut self, asked: &Asked, from: SocketAddr, payload: &[u8]) -> Result<(), Error> {
        let (now, port) = (self.now, asked.transmit.port);
        self.client.handle_datagram(now, None, port, from, payload)
    }

    fn wait(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        while let Some(at) = self.client.poll_timeout().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            self.client.handle_timeout(self.now);
        }
        self.now = until;
    }

    fn outcomes(&mut self) -> Vec<(u64, Outcome)> {
        let client = &mut self.client;
        std::iter::from_fn(|| client.poll_event())
            .filter_map(|event| match event {
                Event::Access { key, outcome } => Some((key, outcome)),
                _ => None,
            })
            .collect()
    }
}

#[test]
fn a_reply_is_taken_once_and_from_its_server_alone() {
    let mut lab = Lab::new(2, |_| {});
    lab.login(5);
    let asked = lab.one();
    assert_eq!(asked.transmit.to, SocketAddr::new(address(1), 1812));
    let good = Encoder::new().reply(
        Code::ACCESS_ACCEPT,
        asked.id,
        &asked.authenticator,
        SECRET.as_bytes(),
    );
    for wrong in [
        SocketAddr::new(address(1), 1813),
        SocketAddr::new(address(1), 40000),
        SocketAddr::new(address(9), 1812),
    ] {
        let dropped = lab.deliver(&asked, wrong, &good);
        assert_eq!(dropped, Err(Error::UnknownServer));
    }
    // The other server has no request with this identifier.
    let other = SocketAddr::new(address(2), 1812);
    assert_eq!(
        lab.deliver(&asked, other, &good),
        Err(Error::UnknownIdentifier)
    );
    let mut wrong_id = good.clone();
    wrong_id[1] ^= 1;
    let to = asked.transmit.to;
    assert_eq!(
        lab.deliver(&asked, to, &wrong_id),
        Err(Error::UnknownIdentifier)
    );
    let wrong_secret = Encoder::new().reply(
        Code::ACCESS_ACCEPT,
        asked.id,
        &asked.authenticator,
        b"guess",
    );
    assert_eq!(
        lab.deliver(&asked, to, &wrong_secret),
        Err(Error::BadMessageAuthenticator)
    );
    let of_accounting = Encoder::new().reply(
        Code::ACCOUNTING_RESPONSE,
        asked.id,
        &asked.authenticator,
        SECRET.as_bytes(),
    );
    assert_eq!(
        lab.deliver(&asked, to, &of_accounting),
        Err(Error::UnexpectedCode)
    );
    assert!(lab.outcomes().is_empty());
    lab.deliver(&asked, to, &good).unwrap();
    assert!(matches!(
        lab.outcomes().as_slice(),
        [(5, Outcome::Accept(_))]
    ));
    assert_eq!(
        lab.deliver(&asked, to, &good),
        Err(Error::UnknownIdentifier)
    );
    assert_eq!(lab.client.drops().values().sum::<u64>(), 8);
    assert_eq!(lab.client.poll_timeout(), None);
}

/// CVE-2024-3596, and where an old server makes it necessary, the way around.
#[test]
fn cve_2024_3596_only_a_server_declared_old_may_leave_the_message_authenticator_out() {
    for (required, expected) in [(true, Err(Error::NoMessageAuthenticator)), (false, Ok(()))] {
        let mut lab = Lab::new(1, |c| c.servers[0].require_message_authenticator = required);
        lab.login(1);
        let asked = lab.one();
        let old = Encoder::new().without_message_authenticator(
            Code::ACCESS_ACCEPT,
            asked.id,
            &asked.authenticator,
            Some(SECRET.as_bytes()),
        );
        assert_eq!(lab.deliver(&asked, asked.transmit.to, &old), expected);
    }
}

#[test]
fn a_silent_server_is_asked_again_then_the_next_one() {
    let mut lab = Lab::new(2, |_| {});
    lab.login(1);
    lab.wait(6);
    let sent = lab.sent();
    assert_eq!(sent.len(), 3);
    // The same packet again: same identifier and authenticator (RFC 2865 section 3).
    assert!(sent.iter().all(|s| s.transmit == sent[0].transmit));
    lab.wait(2);
    let asked = lab.one();
    assert_eq!(asked.transmit.to.ip(), address(2));
    assert_ne!(asked.authenticator, sent[0].authenticator);
    lab.reply(&asked, Code::ACCESS_ACCEPT).unwrap();
    assert!(matches!(
        lab.outcomes().as_slice(),
        [(1, Outcome::Accept(_))]
    ));
    // The dead one is passed over.
    lab.login(2);
    let asked = lab.one();
    assert_eq!(asked.transmit.to.ip(), address(2));
    lab.reply(&asked, Code::ACCESS_REJECT).unwrap();
    assert!(matches!(
        lab.outcomes().as_slice(),
        [(2, Outcome::Reject(_))]
    ));
    // After its time, one login tries it, once; the others do not wait for that.
    lab.wait(60);
    lab.login(3);
    lab.login(4);
    let sent = lab.sent();
    let to: Vec<_> = sent.iter().map(|s| s.transmit.to.ip()).collect();
    assert_eq!(to, [address(1), address(2)]);
    lab.reply(&sent[1], Code::ACCESS_ACCEPT).unwrap();
    lab.wait(2);
    let asked = lab.one();
    assert_eq!(asked.transmit.to.ip(), address(2));
    lab.wait(70);
    lab.sent();
    lab.login(5);
    let asked = lab.one();
    assert_eq!(asked.transmit.to.ip(), address(1));
    lab.reply(&asked, Code::ACCESS_ACCEPT).unwrap();
    let status = lab.client.status();
    assert!(status.servers[0].1, "{status:?}");
}

#[test]
fn what_waits_for_a_dead_server_goes_on_with_the_first_that_gave_up() {
    let mut lab = Lab::new(2, |_| {});
    for key in 0..50 {
        lab.login(key);
        lab.wait(0);
    }
    lab.wait(5);
    lab.login(50);
    assert_eq!(lab.sent().len(), 50 * 3 + 1);
    lab.wait(3);
    let moved = lab.sent();
    let second = moved
        .iter()
        .filter(|s| s.transmit.to.ip() == address(2))
        .count();
    assert_eq!(second, 51);
}

#[test]
fn no_reply_at_all_is_an_answer_too_and_in_time() {
    let mut lab = Lab::new(1, |_| {});
    lab.login(1);
    lab.wait(10);
    assert_eq!(lab.outcomes(), [(1, Outcome::NoReply)]);
    // The only server is asked even while it is thought dead.
    lab.login(2);
    let sent = lab.sent();
    assert_eq!(sent.len(), 4);
    lab.reply(&sent[3], Code::ACCESS_ACCEPT).unwrap();
    assert!(matches!(
        lab.outcomes().as_slice(),
        [(2, Outcome::Accept(_))]
    ));
}

#[test]
fn identifiers_and_queue_are_bounded() {
    let mut lab = Lab::new(1, |c| c.access_queue = 100);
    for key in 0..356 {
        lab.login(key);
    }
    let request = Request::new(999, Urgency::Login, Encoder::new());
    assert_eq!(lab.client.access(lab.now, request), Err(QueueFull));
    let sent = lab.sent();
    assert_eq!(sent.len(), 256);
    let ids: std::collections::HashSet<_> = sent.iter().map(|s| s.id).collect();
    assert_eq!(ids.len(), 256);
    lab.reply(&sent[7], Code::ACCESS_ACCEPT).unwrap();
    assert_eq!(lab.one().id, sent[7].id);
    lab.wait(60);
    // Each is answered, one way or the other.
    assert_eq!(lab.outcomes().len(), 356);
    assert_eq!(lab.client.poll_timeout(), None);
}

#[test]
fn records_of_one_call_go_out_one_after_another() {
    let mut lab = Lab::new(1, |_| {});
    lab.record(1, Urgency::Record).unwrap();
    lab.record(1, Urgency::Record).unwrap();
    lab.record(2, Urgency::Record).unwrap();
    let sent = lab.sent();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|s| s.code == Code::ACCOUNTING_REQUEST));
    assert!(sent.iter().all(|s| s.transmit.to.port() == 1813));
    lab.reply(&sent[0], Code::ACCOUNTING_RESPONSE).unwrap();
    assert_eq!(lab.sent().len(), 1);
    assert!(!lab.client.is_idle());
}

#[test]
fn records_outlast_an_outage_of_an_hour() {
    let mut lab = Lab::new(2, |_| {});
    for key in 1..=20 {
        lab.record(key, Urgency::Record).unwrap();
    }
    lab.wait(3600);
    // Few packets: the servers are tried now and then.
    assert!(lab.sent().len() < 20 * 6 + 400);
    let mut arrived = Vec::new();
    for _ in 0..200 {
        lab.wait(1);
        for asked in lab.sent() {
            if lab.reply(&asked, Code::ACCOUNTING_RESPONSE).is_ok() {
                arrived.push(asked.authenticator);
            }
        }
    }
    assert_eq!(arrived.len(), 20);
    assert!(lab.client.is_idle());
    assert_eq!(lab.client.status().records_lost, 0);
}

#[test]
fn a_full_queue_loses_interim_records_first_and_counts() {
    let mut lab = Lab::new(1, |c| c.accounting_queue = 10);
    for key in 0..256 {
        lab.record(key, Urgency::Record).unwrap();
    }
    for key in 300..310 {
        lab.record(key, Urgency::Interim).unwrap();
        // The newer of a call says all.
        lab.record(key, Urgency::Interim).unwrap();
    }
    assert_eq!(lab.client.status().records, 266);
    assert_eq!(lab.record(400, Urgency::Interim), Err(QueueFull));
    for key in 500..510 {
        lab.record(key, Urgency::Record).unwrap();
    }
    assert_eq!(lab.record(600, Urgency::Record), Err(QueueFull));
    assert_eq!(lab.client.status().records_lost, 12);
}

#[test]
fn a_record_that_no_live_server_takes_is_given_up() {
    let mut lab = Lab::new(1, |_| {});
    lab.record(1, Urgency::Record).unwrap();
    for key in 2..300 {
        lab.wait(1);
        lab.record(key, Urgency::Record).unwrap();
        for asked in lab.sent() {
            let packet = Packet::parse(&asked.transmit.payload).unwrap();
            if packet.attributes.integer(kind::ACCT_STATUS_TYPE) != Ok(Some(1)) {
                lab.reply(&asked, Code::ACCOUNTING_RESPONSE).unwrap();
            }
        }
    }
    assert_eq!(lab.client.status().records_lost, 1);
    assert!(lab.client.status().records < 3);
}

// --- RFC 5176 ---

const WALL: Duration = Duration::from_secs(1_700_000_000);

fn request(code: Code, id: u8, fill: impl FnOnce(&mut Encoder)) -> Vec<u8> {
    let mut attributes = Encoder::new();
    fill(&mut attributes);
    attributes.signed_request(code, id, SECRET.as_bytes())
}

fn stamped(user: &str, stamp: u64) -> Vec<u8> {
    request(Code::DISCONNECT_REQUEST, 1, |a| {
        a.text(kind::USER_NAME, user)
            .integer(kind::EVENT_TIMESTAMP, u32::try_from(stamp).unwrap());
    })
}

impl Lab {
    fn dynamic(&mut self, from: u8, payload: &[u8]) -> Result<(), Error> {
        let from = SocketAddr::new(address(from), 34567);
        self.client
            .handle_datagram(self.now, Some(WALL), Port::Dynamic, from, payload)
    }

    fn asked(&mut self) -> DynamicRequest {
        match self.client.poll_event() {
            Some(Event::Dynamic(request)) => *request,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_disconnect_request_is_asked_once_and_answered_each_time() {
    let mut lab = Lab::new(1, |_| {});
    let payload = stamped("ann", WALL.as_secs());
    lab.dynamic(1, &payload).unwrap();
    let asked = lab.asked();
    assert_eq!(asked.selector.user.as_deref(), Some(&b"ann"[..]));
    assert_eq!(asked.change, Change::Disconnect);
    lab.dynamic(1, &payload).unwrap();
    assert!(lab.client.poll_event().is_none());
    lab.client.answer(&asked, Ok(()));
    lab.dynamic(1, &payload).unwrap();
    assert!(lab.client.poll_event().is_none());
    let sent = lab.sent();
    assert_eq!(sent.len(), 2);
    for reply in sent {
        assert_eq!(reply.code, Code::DISCONNECT_ACK);
        assert_eq!(reply.transmit.to, SocketAddr::new(address(1), 34567));
        let packet = Packet::parse(&reply.transmit.payload).unwrap();
        let of = Packet::parse(&payload).unwrap().authenticator;
        wire::verify_reply(&packet, &of, SECRET.as_bytes(), true).unwrap();
    }
}

#[test]
fn a_disconnect_request_of_a_stranger_a_forger_or_the_past_gets_no_answer() {
    let mut lab = Lab::new(1, |_| {});
    let now = WALL.as_secs();
    let good = stamped("ann", now);
    assert_eq!(lab.dynamic(9, &good), Err(Error::UnknownServer));
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(lab.dynamic(1, &forged), Err(Error::BadAuthenticator));
    for stamp in [now - 301, now + 301, 0] {
        assert_eq!(lab.dynamic(1, &stamped("ann", stamp)), Err(Error::Stale));
    }
    let no_stamp = request(Code::DISCONNECT_REQUEST, 2, |a| {
        a.text(kind::USER_NAME, "ann");
    });
    assert_eq!(lab.dynamic(1, &no_stamp), Err(Error::Stale));
    let reply = Encoder::new().reply(Code::ACCESS_ACCEPT, 1, &[0; 16], SECRET.as_bytes());
    assert_eq!(lab.dynamic(1, &reply), Err(Error::UnexpectedCode));
    let bad = request(Code::DISCONNECT_REQUEST, 3, |a| {
        a.bytes(kind::EVENT_TIMESTAMP, &[1, 2]);
    });
    assert!(lab.dynamic(1, &bad).is_err());
    assert!(lab.client.poll_event().is_none());
    assert!(lab.sent().is_empty());
    // Without a stamp, but of one call that can never be another.
    let by_session = request(Code::DISCONNECT_REQUEST, 4, |a| {
        a.text(kind::ACCT_SESSION_ID, "00000001-00000002");
    });
    lab.dynamic(1, &by_session).unwrap();
    lab.asked();
}

#[test]
fn what_a_request_cannot_have_is_refused_by_its_name() {
    let stamp = u32::try_from(WALL.as_secs()).unwrap();
    type Fill = fn(&mut Encoder);
    let cases: [(Code, Fill, ErrorCause); 5] = [
        (
            Code::DISCONNECT_REQUEST,
            |_| {},
            ErrorCause::MissingAttribute,
        ),
        (
            Code::DISCONNECT_REQUEST,
            |a| {
                a.bytes(kind::FRAMED_IP_ADDRESS, &[10, 0, 0]);
            },
            ErrorCause::InvalidAttributeValue,
        ),
        (
            Code::COA_REQUEST,
            |a| {
                a.text(kind::USER_NAME, "ann");
                a.text(kind::FRAMED_POOL, "guests");
            },
            ErrorCause::UnsupportedAttribute,
        ),
        (
            Code::COA_REQUEST,
            |a| {
                a.text(kind::USER_NAME, "ann");
            },
            ErrorCause::MissingAttribute,
        ),
        (
            Code::COA_REQUEST,
            |a| {
                a.text(kind::USER_NAME, "ann");
                a.integer(kind::SERVICE_TYPE, 17);
            },
            ErrorCause::UnsupportedService,
        ),
    ];
    for (code, fill, expected) in cases {
        let mut lab = Lab::new(1, |_| {});
        let payload = request(code, 1, |a| {
            fill(a);
            a.integer(kind::EVENT_TIMESTAMP, stamp);
            a.bytes(kind::PROXY_STATE, b"way back");
        });
        lab.dynamic(1, &payload).unwrap();
        let asked = lab.asked();
        assert_eq!(asked.change, Change::Unsupported(expected));
        lab.client.answer(&asked, Err(expected));
        let reply = lab.one();
        let packet = Packet::parse(&reply.transmit.payload).unwrap();
        assert!(packet.attributes.integer(kind::ERROR_CAUSE).unwrap() > Some(400));
        let state = packet.attributes.get(kind::PROXY_STATE);
        assert_eq!(state, Some(&b"way back"[..]));
    }
}

#[test]
fn times_are_read_from_a_coa_request() {
    let mut lab = Lab::new(1, |_| {});
    let stamp = u32::try_from(WALL.as_secs()).unwrap();
    let payload = request(Code::COA_REQUEST, 1, |a| {
        a.address(kind::FRAMED_IP_ADDRESS, Ipv4Addr::new(10, 0, 0, 1))
            .integer(kind::SESSION_TIMEOUT, 600)
            .integer(kind::EVENT_TIMESTAMP, stamp);
    });
    lab.dynamic(1, &payload).unwrap();
    let asked = lab.asked();
    assert_eq!(
        asked.change,
        Change::Times {
            session_timeout: Some(Duration::from_secs(600)),
            idle_timeout: None,
            interim_interval: None,
        }
    );
    lab.client.answer(&asked, Ok(()));
    assert_eq!(lab.one().code, Code::COA_ACK);
}

#[test]
fn requests_are_remembered_while_they_could_be_replayed_and_no_longer() {
    let mut lab = Lab::new(1, |_| {});
    for n in 0..1024_u32 {
        let payload = request(Code::DISCONNECT_REQUEST, 1, |a| {
            a.text(kind::ACCT_SESSION_ID, &n.to_string());
        });
        lab.dynamic(1, &payload).unwrap();
    }
    let one_more = request(Code::DISCONNECT_REQUEST, 1, |a| {
        a.text(kind::ACCT_SESSION_ID, "one more");
    });
    assert_eq!(lab.dynamic(1, &one_more), Err(Error::Flood));
    lab.now += Duration::from_secs(601);
    lab.dynamic(1, &one_more).unwrap();
}

/// A server that is silent and due for another trial, while it still has all the requests that it
/// can be told apart by.
#[test]
fn a_storm_of_logins_at_a_silent_server_ends() {
    let mut lab = Lab::new(1, |config| {
        config.timeout = Duration::from_secs(10);
        config.tries = 1;
        config.dead_time = Duration::from_secs(2);
    });
    lab.login(0);
    lab.wait(12);
    assert!(!lab.client.status().servers[0].1, "silent");
    for key in 1..=300 {
        lab.login(key);
    }
    lab.wait(3);
    lab.login(301);
    assert_eq!(lab.client.status().logins, 301);
    lab.wait(60);
    assert_eq!(lab.outcomes().len(), 302);
}
