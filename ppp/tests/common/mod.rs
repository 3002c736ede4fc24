//! One real link and a peer that follows a script.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use ppp::{
    Assignment, Config, Credentials, Error, Event, Link, Received, Role, Verdict, mschapv2,
    wire::{ChapValue, ConfigOption, MsChapV2Response, Options, Packet, PapRequest},
};
use simnet::seeded;
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) const LCP: u16 = 0xc021;
pub(crate) const PAP: u16 = 0xc023;
pub(crate) const CHAP: u16 = 0xc223;
pub(crate) const EAP: u16 = 0xc227;
pub(crate) const IPCP: u16 = 0x8021;
pub(crate) const IPV6CP: u16 = 0x8057;
pub(crate) const CCP: u16 = 0x80fd;
pub(crate) const ACSP: u16 = 0x8235;

pub(crate) const REQUEST: u8 = 1;
pub(crate) const ACK: u8 = 2;
pub(crate) const NAK: u8 = 3;
pub(crate) const REJECT: u8 = 4;
pub(crate) const TERMINATE: u8 = 5;
pub(crate) const TERMINATE_ACK: u8 = 6;
pub(crate) const CODE_REJECT: u8 = 7;
pub(crate) const PROTOCOL_REJECT: u8 = 8;
pub(crate) const ECHO: u8 = 9;
pub(crate) const ECHO_REPLY: u8 = 10;

pub(crate) const CHAP_MD5: &[u8] = &[0xc2, 0x23, 5];
pub(crate) const MSCHAPV2: &[u8] = &[0xc2, 0x23, 0x81];
pub(crate) const PASSWORD: &str = "wonderland";

pub(crate) const LOCAL: Ipv4Addr = Ipv4Addr::new(192, 168, 8, 1);
pub(crate) const PEER: Ipv4Addr = Ipv4Addr::new(192, 168, 8, 50);
pub(crate) const DNS: [Ipv4Addr; 2] = [
    Ipv4Addr::new(192, 168, 8, 10),
    Ipv4Addr::new(192, 168, 8, 11),
];

/// A control packet the link has sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) protocol: u16,
    pub(crate) code: u8,
    pub(crate) id: u8,
    pub(crate) data: Vec<u8>,
}

impl Heard {
    pub(crate) fn option(&self, kind: u8) -> Option<Vec<u8>> {
        let options = Options::new(&self.data);
        options
            .map(Result::unwrap)
            .find(|o| o.kind == kind)
            .map(|o| o.data.to_vec())
    }
}

pub(crate) struct Bench {
    pub(crate) link: Link,
    pub(crate) now: Instant,
    pub(crate) heard: VecDeque<Heard>,
    pub(crate) events: Vec<Event>,
    /// Judges by this password, if any; else the test does.
    pub(crate) password: Option<&'static str>,
}

#[allow(
    clippy::disallowed_methods,
    reason = "any start will do for virtual time"
)]
pub(crate) fn start() -> Instant {
    Instant::now()
}

pub(crate) fn credentials() -> Credentials {
    Credentials::new("OFFICE\\alice", PASSWORD)
}

pub(crate) fn client_config() -> Config {
    let mut config = Config::default();
    config.credentials = Some(credentials());
    config
}

pub(crate) fn accept(proof: ppp::Proof) -> Verdict {
    let mut assignment = Assignment::new(LOCAL, PEER);
    assignment.dns = DNS.map(Some);
    Verdict::Accept { proof, assignment }
}

impl Bench {
    pub(crate) fn new(config: Config, role: Role) -> Self {
        let mut bench = Self {
            link: Link::new(Arc::new(config), role, Box::new(seeded(7))).unwrap(),
            now: start(),
            heard: VecDeque::new(),
            events: Vec::new(),
            password: Some(PASSWORD),
        };
        bench.link.open(bench.now);
        bench.drain();
        bench
    }

    pub(crate) fn server(config: Config) -> Self {
        Self::new(config, Role::Server)
    }

    pub(crate) fn client(config: Config) -> Self {
        Self::new(config, Role::Client)
    }

    pub(crate) fn drain(&mut self) {
        loop {
            if let Some(frame) = self.link.poll_transmit() {
                assert_eq!(frame[..2], [0xff, 0x03]);
                let protocol = u16::from_be_bytes([frame[2], frame[3]]);
                let packet = Packet::parse(&frame[4..]).unwrap();
                assert_eq!(packet.data.len() + 8, frame.len(), "no padding of ours");
                self.heard.push_back(Heard {
                    protocol,
                    code: packet.code.0,
                    id: packet.id,
                    data: packet.data.to_vec(),
                });
            } else if let Some(event) = self.link.poll_event() {
                match (event, self.password) {
                    (Event::Authenticate(request), Some(password)) => {
                        let verdict = request
                            .verify(password)
                            .map_or_else(Verdict::refuse, accept);
                        self.link.authenticate(self.now, verdict).unwrap();
                    }
                    (event, _) => self.events.push(event),
                }
            } else {
                return;
            }
        }
    }

    /// The peer sends a frame, from its protocol field.
    pub(crate) fn feed(&mut self, frame: &[u8]) -> Result<Received, Error> {
        let mut buf = frame.to_vec();
        let result = self.link.handle_frame(self.now, &mut buf, 0..frame.len());
        self.drain();
        result
    }

    /// The peer sends a control packet.
    pub(crate) fn say(
        &mut self,
        protocol: u16,
        code: u8,
        id: u8,
        data: &[u8],
    ) -> Result<Received, Error> {
        let mut frame = vec![0xff, 0x03];
        frame.extend(protocol.to_be_bytes());
        frame.extend(packet(code, id, data));
        self.feed(&frame)
    }

    /// The first packet of that kind the link has sent and nobody has taken yet.
    pub(crate) fn take(&mut self, protocol: u16, code: u8) -> Option<Heard> {
        let mut heard = self.heard.iter();
        let at = heard.position(|h| (h.protocol, h.code) == (protocol, code))?;
        self.heard.remove(at)
    }

    /// The same, which must be there.
    #[track_caller]
    pub(crate) fn expect(&mut self, protocol: u16, code: u8) -> Heard {
        self.take(protocol, code).unwrap_or_else(|| {
            panic!(
                "no {protocol:04x} code {code} in {:?}; {:?}",
                self.heard, self.events
            )
        })
    }

    #[track_caller]
    pub(crate) fn expect_silence(&mut self) {
        assert_eq!(self.heard, []);
    }

    pub(crate) fn wait(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = self.link.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.link.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    pub(crate) fn closed(&self) -> Option<String> {
        self.events.iter().find_map(|event| match event {
            Event::Closed { reason } => Some(reason.to_string()),
            _ => None,
        })
    }

    pub(crate) fn ipv4_up(&self) -> Option<(Ipv4Addr, Ipv4Addr)> {
        self.events.iter().find_map(|event| match event {
            Event::Ipv4Up { local, peer, .. } => Some((*local, *peer)),
            _ => None,
        })
    }

    pub(crate) fn authenticated(&self) -> bool {
        let mut events = self.events.iter();
        events.any(|event| matches!(event, Event::Authenticated { .. }))
    }

    /// Agrees to what the link asks for, and has `options` agreed to.
    #[track_caller]
    pub(crate) fn open_lcp(&mut self, asked: &[u8]) -> Heard {
        self.say(LCP, REQUEST, 1, asked).unwrap();
        assert_eq!(self.expect(LCP, ACK).data, asked);
        let ours = self.expect(LCP, REQUEST);
        self.say(LCP, ACK, ours.id, &ours.data).unwrap();
        ours
    }

    /// A peer that answers the link's MS-CHAPv2 challenge as `user`.
    #[track_caller]
    pub(crate) fn answer_mschapv2(
        &mut self,
        user: &[u8],
        password: &str,
    ) -> (u8, [u8; 24], [u8; 16], [u8; 16]) {
        let asked = self.expect(CHAP, 1);
        let challenge = ChapValue::parse(&asked.data)
            .unwrap()
            .value
            .try_into()
            .unwrap();
        let (peer_challenge, nt_response) =
            self.respond_mschapv2(asked.id, challenge, user, password);
        (asked.id, nt_response, peer_challenge, challenge)
    }

    pub(crate) fn respond_mschapv2(
        &mut self,
        id: u8,
        challenge: [u8; 16],
        user: &[u8],
        password: &str,
    ) -> ([u8; 16], [u8; 24]) {
        let peer_challenge = [0x33; 16];
        let hash = mschapv2::nt_password_hash(password);
        let name = mschapv2::without_domain(user);
        let nt_response = mschapv2::nt_response(&challenge, &peer_challenge, name, &hash);
        let response = MsChapV2Response {
            peer_challenge,
            nt_response,
        };
        let data = ChapValue {
            value: &response.emit(),
            name: user,
        }
        .emit();
        let _ = self.say(CHAP, 2, id, &data);
        (peer_challenge, nt_response)
    }

    /// A server with LCP open that has just asked for `method`.
    pub(crate) fn asking_server(config: Config) -> Self {
        let mut bench = Self::server(config);
        bench.open_lcp(&magic());
        bench
    }

    /// A server that has let its peer in, and begins with the network protocols.
    pub(crate) fn server_in_network(config: Config) -> Self {
        let mut bench = Self::asking_server(config);
        bench.answer_mschapv2(b"alice", PASSWORD);
        bench.expect(CHAP, 3);
        bench
    }

    /// A client that was let in, and begins with the network protocols.
    pub(crate) fn client_in_network(config: Config) -> Self {
        let mut bench = Self::asked_client(config, MSCHAPV2);
        let proof = bench.challenge_mschapv2(1, [1; 16], PASSWORD);
        bench.say(CHAP, 3, 1, proof.as_bytes()).unwrap();
        bench
    }

    /// A server link that is all up.
    pub(crate) fn server_up(config: Config) -> Self {
        let mut bench = Self::server_in_network(config);
        bench.open_ipcp_as_client();
        bench
    }

    #[track_caller]
    pub(crate) fn open_ipcp_as_client(&mut self) {
        let ours = self.expect(IPCP, REQUEST);
        self.say(IPCP, ACK, ours.id, &ours.data).unwrap();
        let address = options(&[(3, &PEER.octets())]);
        self.say(IPCP, REQUEST, 1, &address).unwrap();
        self.expect(IPCP, ACK);
        assert!(self.ipv4_up().is_some());
    }

    #[track_caller]
    pub(crate) fn open_ipcp_as_server(&mut self) {
        let ours = self.expect(IPCP, REQUEST);
        let given = options(&[
            (3, &PEER.octets()),
            (129, &DNS[0].octets()),
            (131, &DNS[1].octets()),
        ]);
        self.say(IPCP, NAK, ours.id, &given).unwrap();
        let ours = self.expect(IPCP, REQUEST);
        self.say(IPCP, ACK, ours.id, &ours.data).unwrap();
        let address = options(&[(3, &LOCAL.octets())]);
        self.say(IPCP, REQUEST, 1, &address).unwrap();
        self.expect(IPCP, ACK);
        assert_eq!(self.ipv4_up(), Some((PEER, LOCAL)));
    }

    /// A client whose server asks for `method`.
    pub(crate) fn asked_client(config: Config, method: &[u8]) -> Self {
        let mut bench = Self::client(config);
        bench.open_lcp(&options(&[(3, method), (5, &[9, 9, 9, 9])]));
        bench
    }

    /// A server asks with MS-CHAPv2 and knows `password`.
    pub(crate) fn challenge_mschapv2(
        &mut self,
        id: u8,
        challenge: [u8; 16],
        password: &str,
    ) -> String {
        let data = ChapValue {
            value: &challenge,
            name: b"server",
        }
        .emit();
        self.say(CHAP, 1, id, &data).unwrap();
        let response = self.expect(CHAP, 2);
        assert_eq!(response.id, id);
        prove(&response.data, challenge, password)
    }
}

/// What a server that knows `password` answers to a response.
pub(crate) fn prove(response: &[u8], challenge: [u8; 16], password: &str) -> String {
    let response = ChapValue::parse(response).unwrap();
    let value = MsChapV2Response::parse(response.value).unwrap();
    let hash = mschapv2::nt_password_hash(password);
    let user = mschapv2::without_domain(response.name);
    let expected = mschapv2::nt_response(&challenge, &value.peer_challenge, user, &hash);
    assert_eq!(value.nt_response, expected);
    mschapv2::authenticator_response(
        &hash,
        &value.nt_response,
        &value.peer_challenge,
        &challenge,
        user,
    )
}

pub(crate) fn packet(code: u8, id: u8, data: &[u8]) -> Vec<u8> {
    Packet {
        code: ppp::wire::Code(code),
        id,
        data,
    }
    .emit()
}

pub(crate) fn options(list: &[(u8, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, data) in list {
        ConfigOption { kind: *kind, data }.emit(&mut out);
    }
    out
}

pub(crate) fn magic() -> Vec<u8> {
    options(&[(5, &[1, 2, 3, 4])])
}

pub(crate) fn pap_request(user: &[u8], password: &[u8]) -> Vec<u8> {
    PapRequest { user, password }.emit()
}

pub(crate) fn pap_server() -> Config {
    let mut config = Config::default();
    config.auth = vec![ppp::AuthMethod::Pap];
    config
}
