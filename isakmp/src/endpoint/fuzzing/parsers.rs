//! One door for each parser; what is parsed comes back the same when it is written and parsed again.

use crate::config::{Config, Path};
use crate::endpoint::fragment::{Fragments, Key, split};
use crate::event::{Role, SaId};
use crate::keys::Cookies;
use crate::secret::PresharedKey;
use crate::vendor::Capabilities;
use crate::wire::{
    Chain, Delete, Header, Identity, Message, Notify, SaPayload, delete_payload, notify_payload,
};
use crate::{Policy, select};
use natt::{Detection, Dialect};
use std::time::{Duration, Instant};

/// All of them.
pub fn parsers(data: &[u8]) {
    chain(data);
    sa(data);
    identity(data);
    notify(data);
    delete(data);
    vendor_ids(data);
    nat_payloads(data);
}

/// Header and payload chain.
pub fn chain(data: &[u8]) {
    let Ok((header, body)) = Header::parse(data) else {
        return;
    };
    let again = header.encode(body);
    assert_eq!(Header::parse(&again), Ok((header, body)));
    let Ok(message) = Message::parse(header.next_payload, body) else {
        return;
    };
    assert!(message.len() <= body.len());
    let mut chain = Chain::default();
    for payload in message.iter() {
        chain.push(payload.kind, payload.body);
    }
    let written = chain.encode();
    assert_eq!(written.len(), message.len());
    let Ok(again) = Message::parse(chain.first(), &written) else {
        panic!("what was written does not parse")
    };
    assert!(message.iter().eq(again.iter()));
}

/// SA, proposals, transforms, attributes, and the choice among them.
pub fn sa(body: &[u8]) {
    let Ok(sa) = SaPayload::parse(body) else {
        return;
    };
    for offer in select::phase1_offers(&sa) {
        let written = offer.answer();
        let Ok(again) = SaPayload::parse(&written) else {
            panic!("what was written does not parse")
        };
        let again = select::phase1_offers(&again);
        assert_eq!(again.len(), 1);
        assert!(again.iter().all(|a| a.suite == offer.suite));
    }
    for offer in select::child_offers(&sa) {
        let written = offer.answer(4096);
        let Ok(again) = SaPayload::parse(&written) else {
            panic!("what was written does not parse")
        };
        let again = select::child_offers(&again);
        assert_eq!(again.len(), 1);
        let same = |a: &select::ChildOffer<'_>| {
            (a.suite, a.lifetime, a.pfs) == (offer.suite, offer.lifetime, offer.pfs)
        };
        assert!(again.iter().all(same));
    }
    let policy = Policy::modern();
    let _ = select::explain_phase1(&sa, &policy);
    for (nat, key_exchange) in [(false, None), (true, Some(128))] {
        let rules = select::ChildRules {
            nat,
            natt_port: nat,
            tunnel: false,
            key_exchange,
        };
        let _ = select::explain_child(&sa, &policy, &rules);
    }
}

/// Identification.
pub fn identity(body: &[u8]) {
    if let Ok((identity, protocol, port)) = Identity::parse(body) {
        let written = identity.payload(protocol, port);
        assert_eq!(written, body);
        let _ = identity.to_string();
        let again = Identity::parse(&written);
        assert_eq!(again, Ok((identity, protocol, port)));
    }
}

/// Notification, and the attributes in it.
pub fn notify(body: &[u8]) {
    if let Ok(notify) = Notify::parse(body) {
        assert_eq!(Notify::parse(&notify_payload(&notify)), Ok(notify));
        let _ = select::read_lifetime(notify.data);
    }
}

/// Delete.
pub fn delete(body: &[u8]) {
    let Ok(delete) = Delete::parse(body) else {
        return;
    };
    let bytes: usize = delete.spis.iter().map(|spi| spi.len()).sum();
    assert_eq!(bytes + 8, body.len());
    for spi in &delete.spis {
        let written = delete_payload(delete.protocol, spi);
        let again = Delete::parse(&written);
        assert!(again.is_ok_and(|again| again.spis == [*spi]));
    }
}

/// Vendor IDs, each after its length.
pub fn vendor_ids(mut data: &[u8]) {
    let mut bodies = Vec::new();
    while let Some((length, rest)) = data.split_first() {
        let (body, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        bodies.push(body);
        data = rest;
    }
    let config = Config::default();
    let found = Capabilities::read(bodies.iter().copied(), &config);
    let answer = found.answer(&config);
    assert!(answer.len() <= 3 && answer.iter().all(|a| a.len() <= 20));
    let dialects = answer
        .iter()
        .filter(|a| Dialect::from_vendor_id(a).is_some());
    assert_eq!(dialects.count(), usize::from(found.dialect.is_some()));
}

/// NAT-D and NAT-OA of every dialect, as a chain of payloads.
pub fn nat_payloads(data: &[u8]) {
    let Some((first, body)) = data.split_first() else {
        return;
    };
    let Ok(message) = Message::parse(*first, body) else {
        return;
    };
    let path = Path {
        local: ([192, 0, 2, 1], 500).into(),
        remote: ([192, 0, 2, 2], 500).into(),
    };
    let cookies = Cookies {
        initiator: [1; 8],
        responder: [2; 8],
    };
    let Ok(suite) = "aes128-sha1-ecp256".parse() else {
        return;
    };
    let psk = PresharedKey::new("fuzz");
    let role = Role::Responder;
    let mut sa = super::super::state::Sa::new(SaId(1), role, path, cookies, psk, suite);
    for dialect in Dialect::ALL {
        let received: Vec<_> = message.all(dialect.nat_d_payload()).collect();
        let detection = Detection::compare(&received, &[1; 20], &[2; 20]);
        assert_eq!(detection.is_some(), received.len() >= 2);
        sa.dialect = Some(dialect);
        for role in [Role::Initiator, Role::Responder] {
            let found = super::Endpoint::nat_oa(&sa, role, &message);
            assert!(found.is_none() || message.all(dialect.nat_oa_payload()).next().is_some());
        }
    }
}

/// Fragments: number, ID, flags, length and content of each; and a message cut and joined.
pub fn fragments(now: Instant, mut data: &[u8]) {
    const LIMIT: usize = 8;
    let path = Path {
        local: ([192, 0, 2, 1], 500).into(),
        remote: ([192, 0, 2, 2], 500).into(),
    };
    let key = |peer, id| Key::new(path, [[peer; 8], [2; 8]], id);
    let whole = data;
    let mut kept = Fragments::default();
    while let Some((&[peer, id, number, length], rest)) = data.split_first_chunk::<4>() {
        let (part, rest) = rest.split_at(usize::from(length).min(rest.len()));
        let last = number & 0x80 != 0;
        let key = key(peer & 3, u16::from(id & 7));
        let _ = kept.add(now, key, number & 0x7f, last, part, LIMIT);
        assert!(kept.messages() <= LIMIT);
        data = rest;
    }
    kept.handle_timeout(now + Duration::from_secs(11));
    assert_eq!(kept.messages(), 0);
    let parts = split(whole, 200);
    let Ok((header, _)) = Header::parse(whole) else {
        assert_eq!(parts, [whole]);
        return;
    };
    let mut joined = None;
    for part in parts.iter().take(33) {
        let Ok((outer, body)) = Header::parse(part) else {
            panic!("a part does not parse")
        };
        assert_eq!(outer.initiator_cookie, header.initiator_cookie);
        let Some(&[.., number, flags]) = body.get(4..8) else {
            panic!("a part without its header")
        };
        let content = body.get(8..).unwrap_or_default();
        joined = kept
            .add(now, key(9, 1), number, flags & 1 != 0, content, LIMIT)
            .ok()
            .flatten();
    }
    if parts.len() <= 32 {
        assert_eq!(joined.as_deref(), Some(whole));
    }
}
