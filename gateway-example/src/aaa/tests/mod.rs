//! Logins, limits and records, with a RADIUS server where one is needed.

mod dynamic;
mod login;
mod records;
mod remote;

use super::*;
use crate::radius::tests::start;
use crate::radius::wire::{Code, Encoder, Packet, kind, ms, verify_request};
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
    let shared = include_str!("../../../tests/common/office.toml");
    Config::parse(Path::new("office.toml"), &format!("{shared}{more}")).unwrap()
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
        let (now, rng) = start();
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
