#![no_main]
//! Any bytes as a packet, and a client between servers that answer, forge, or are silent: no
//! panic, no growth, each login answered once.
use arbitrary::Arbitrary;
use chacha20::{ChaCha20Rng, rand_core::SeedableRng};
use gateway_example::config::Secret;
use gateway_example::radius::wire::{
    Code, Encoder, Packet, hide_password, verify_reply, verify_request,
};
use gateway_example::radius::{
    Accept, Client, Config, Event, Port, Reject, Request, ServerConfig, Transmit, Urgency,
};
use libfuzzer_sys::fuzz_target;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

#[derive(Arbitrary, Debug)]
enum Step {
    Login(Vec<(u8, Vec<u8>)>, Option<Vec<u8>>),
    Record(u8, bool),
    /// A server's true answer to one of the requests it has.
    Answer(u8, u8, Vec<(u8, Vec<u8>)>),
    Forge(u8, u8, Vec<u8>),
    Dynamic(u8, bool, Vec<(u8, Vec<u8>)>),
    Wait(u16),
}

const SECRET: &[u8] = b"testing123";
const WALL: Duration = Duration::from_secs(1_700_000_000);

fn encoder(attributes: &[(u8, Vec<u8>)]) -> Encoder {
    let mut encoder = Encoder::new();
    for (kind, value) in attributes {
        encoder.bytes(*kind, value);
    }
    encoder
}

fn bytes(data: &[u8]) {
    let Ok(packet) = Packet::parse(data) else {
        return;
    };
    assert!(packet.bytes().len() <= data.len());
    let total: usize = packet.attributes.iter().map(|(_, v)| v.len() + 2).sum();
    assert_eq!(total + 20, packet.bytes().len());
    let _ = Accept::parse(&packet.attributes);
    assert!(Reject::parse(&packet.attributes).message.len() <= 255);
    let _ = verify_reply(&packet, &packet.authenticator, SECRET, true);
    let _ = verify_request(&packet, SECRET);
    let _ = hide_password(SECRET, &packet.authenticator, data);
}

fuzz_target!(|input: (Vec<u8>, Vec<Step>)| {
    let (data, steps) = input;
    bytes(&data);
    let mut config = Config::default();
    config.access_queue = 8;
    config.accounting_queue = 8;
    for n in 1..=2 {
        let address = IpAddr::from(Ipv4Addr::new(10, 0, 0, n));
        let secret = Secret::new(String::from_utf8_lossy(SECRET).into_owned());
        config.servers.push(ServerConfig::new(address, secret));
    }
    let mut client = Client::new(config, Box::new(ChaCha20Rng::seed_from_u64(1)));
    let mut now = Instant::now();
    let mut sent: Vec<Transmit> = Vec::new();
    let (mut asked, mut answered) = (0_u64, 0_u64);
    for step in steps.into_iter().take(200) {
        match step {
            Step::Login(attributes, password) => {
                let mut request = Request::new(asked, Urgency::Login, encoder(&attributes));
                request.password = password.map(Into::into);
                asked += u64::from(client.access(now, request).is_ok());
            }
            Step::Record(key, interim) => {
                let urgency = if interim {
                    Urgency::Interim
                } else {
                    Urgency::Record
                };
                let record = Request::new(key.into(), urgency, Encoder::new());
                let _ = client.account(now, record);
            }
            Step::Answer(which, code, attributes) => {
                let Some(t) = sent.get(usize::from(which)) else {
                    continue;
                };
                let Ok(request) = Packet::parse(&t.payload) else {
                    continue;
                };
                let reply = encoder(&attributes);
                let reply = reply.reply(Code(code), request.id, &request.authenticator, SECRET);
                let _ = client.handle_datagram(now, Some(WALL), t.port, t.to, &reply);
            }
            Step::Forge(which, port, payload) => {
                let port = [Port::Access, Port::Accounting, Port::Dynamic][usize::from(port % 3)];
                let from = sent
                    .get(usize::from(which))
                    .map_or_else(|| SocketAddr::from(([10, 0, 0, 1], 1812)), |t| t.to);
                let _ = client.handle_datagram(now, Some(WALL), port, from, &payload);
            }
            Step::Dynamic(id, coa, attributes) => {
                let code = if coa {
                    Code::COA_REQUEST
                } else {
                    Code::DISCONNECT_REQUEST
                };
                let request = encoder(&attributes).signed_request(code, id, SECRET);
                let from = SocketAddr::from(([10, 0, 0, 1], 40_000));
                let _ = client.handle_datagram(now, Some(WALL), Port::Dynamic, from, &request);
            }
            Step::Wait(ms) => now += Duration::from_millis(ms.into()),
        }
        while client.poll_timeout().is_some_and(|at| at <= now) {
            client.handle_timeout(now);
        }
        sent.extend(std::iter::from_fn(|| client.poll_transmit()));
        let excess = sent.len().saturating_sub(256);
        sent.drain(..excess);
        while let Some(event) = client.poll_event() {
            match event {
                Event::Access { .. } => answered += 1,
                Event::Dynamic(request) => client.answer(&request, Ok(())),
                _ => {}
            }
        }
        let status = client.status();
        assert!(status.logins <= 8 + 512 && status.records <= 8 + 512);
    }
    // Every login is answered, at the latest when its time is up.
    for _ in 0..100_000 {
        let Some(at) = client
            .poll_timeout()
            .filter(|at| *at <= now + Duration::from_secs(60))
        else {
            break;
        };
        client.handle_timeout(at);
        let _ = std::iter::from_fn(|| client.poll_transmit()).count();
        while let Some(event) = client.poll_event() {
            answered += u64::from(matches!(event, Event::Access { .. }));
        }
    }
    assert_eq!(asked, answered);
});
