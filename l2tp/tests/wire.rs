//! Every AVP and message there and back, and known hidden values.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use hex_literal::hex;
use l2tp::Error;
use l2tp::wire::{
    Avp, AvpType, Avps, Builder, DataHeader, Fault, Header, MAX_VALUE, Message, MessageType, hide,
    reveal,
};
use proptest::prelude::*;
use simnet::seeded;

const VECTOR: [u8; 16] = hex!("000102030405060708090a0b0c0d0e0f");

/// Computed with another implementation of RFC 2661 section 4.3 (Python's hashlib).
#[test]
fn hidden_values_are_as_another_implementation_makes_them() {
    /// Type, value, secret, Random Vector, padding, and all of it hidden.
    type Known<'a> = (AvpType, &'a [u8], &'a [u8], &'a [u8], &'a [u8], &'a [u8]);
    let known: [Known<'_>; 3] = [
        (
            AvpType::ASSIGNED_TUNNEL_ID,
            &[0x12, 0x34],
            b"secret",
            &VECTOR,
            &[0; 12],
            &hex!("be6a0ff3dfe444d9cd76415abc1af578"),
        ),
        (
            AvpType::CALLING_NUMBER,
            b"+3247101234567890 and more digits",
            b"secret",
            &VECTOR,
            &[],
            &hex!("75e42cc5a01c827a78d445252b542fc3fac33b4403c1bb9caf3a69a96b205ae34286a2"),
        ),
        (AvpType::VENDOR_NAME, b"", b"k", b"rv", &[], &hex!("06a7")),
    ];
    for (kind, plain, secret, vector, padding, hidden) in known {
        assert_eq!(hide(kind, plain, secret, vector, padding), hidden);
        let revealed = reveal(kind, hidden, secret, vector).unwrap();
        assert_eq!(revealed.as_slice(), plain);
    }
}

#[test]
fn hiding_needs_the_right_secret_vector_and_type() {
    let hidden = hide(AvpType::CHALLENGE, &[7; 9], b"secret", &VECTOR, &[]);
    let wrong = [
        reveal(AvpType::CHALLENGE, &hidden, b"Secret", &VECTOR),
        reveal(AvpType::CHALLENGE, &hidden, b"secret", &VECTOR[1..]),
        reveal(AvpType::HOST_NAME, &hidden, b"secret", &VECTOR),
    ];
    for revealed in wrong {
        assert!(!revealed.is_ok_and(|v| v.as_slice() == [7; 9]));
    }
    for short in [&[][..], &[1]] {
        assert_eq!(
            reveal(AvpType::CHALLENGE, short, b"s", &VECTOR),
            Err(Error::HiddenAvp)
        );
    }
}

#[test]
fn all_that_may_be_hidden_is_and_nothing_else() {
    let mut rng = seeded(1);
    let mut builder = Builder::new(MessageType::SCCRQ).hiding(b"s", &mut rng);
    let (vector, message_type) = (AvpType::RANDOM_VECTOR, AvpType::MESSAGE_TYPE);
    let plain = AvpType::ALL
        .iter()
        .filter(|k| ![vector, message_type].contains(k));
    for kind in plain.clone() {
        builder.bytes(*kind, &vec![7; kind.definition().unwrap().least]);
    }
    let body = builder.finish();
    let mut seen = Vec::new();
    for avp in Avps::new(&body).map(Result::unwrap) {
        let definition = avp.kind.definition().unwrap();
        assert_eq!(avp.mandatory, definition.mandatory, "{:?}", avp.kind);
        assert_eq!(avp.hidden, definition.hideable, "{:?}", avp.kind);
        if avp.hidden {
            assert!(seen.contains(&vector));
            assert_eq!(avp.value.len() % 16, 0);
        }
        seen.push(avp.kind);
    }
    assert_eq!(seen.len(), AvpType::ALL.len());
    let message = Message::parse(&body, Some(b"s")).unwrap();
    assert_eq!(message.fault, None);
    assert!(
        plain.eq(message
            .avps()
            .map(|(kind, _)| kind)
            .collect::<Vec<_>>()
            .iter())
    );
}

#[test]
fn only_mandatory_strangers_are_a_fault() {
    let unknown = |vendor, kind, mandatory| {
        let mut body = Builder::new(MessageType::HELLO).finish();
        let avp = Avp {
            mandatory,
            hidden: false,
            vendor,
            kind: AvpType(kind),
            value: b"?",
        };
        avp.emit(&mut body);
        Message::parse(&body, None).unwrap().fault
    };
    for (vendor, kind) in [(311, 0), (9, 7), (0, 20), (0, 40), (0, 0xffff)] {
        assert_eq!(unknown(vendor, kind, false), None);
        let fault = Fault::Unknown {
            vendor,
            kind: AvpType(kind),
        };
        assert_eq!(unknown(vendor, kind, true), Some(fault));
    }
}

#[test]
fn debug_of_a_message_shows_no_value() {
    let mut builder = Builder::new(MessageType::ICCN);
    builder.bytes(AvpType::PROXY_AUTHEN_RESPONSE, b"AAAA");
    let body = builder.finish();
    let shown = format!("{:?}", Message::parse(&body, None).unwrap());
    assert!(shown.contains("PROXY_AUTHEN_RESPONSE: 4"), "{shown}");
    assert!(!shown.contains("65"), "{shown}");
}

fn any_avp() -> impl Strategy<Value = (AvpType, Vec<u8>)> {
    let kinds: Vec<_> = AvpType::ALL
        .iter()
        .copied()
        .filter(|k| *k != AvpType::RANDOM_VECTOR)
        .collect();
    prop::sample::select(kinds).prop_flat_map(|kind| {
        let definition = kind.definition().unwrap();
        let size = definition.least..=definition.most.min(MAX_VALUE);
        (Just(kind), prop::collection::vec(any::<u8>(), size))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_message_survives_there_and_back(
        kind in prop::sample::select(MessageType::ALL),
        avps in prop::collection::vec(any_avp(), 0..12),
        hidden in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let mut rng = seeded(seed);
        let mut builder = Builder::new(kind);
        if hidden {
            builder = builder.hiding(b"secret", &mut rng);
        }
        for (kind, value) in &avps {
            builder.bytes(*kind, value);
        }
        let body = builder.finish();
        let message = Message::parse(&body, Some(b"secret")).unwrap();
        prop_assert_eq!((message.kind, message.mandatory, message.fault), (kind, true, None));
        let read: Vec<_> = message.avps().map(|(k, v)| (k, v.to_vec())).collect();
        prop_assert_eq!(read, avps);
        // And the bytes are those of its AVPs one after the other.
        let mut again = Vec::new();
        for avp in Avps::new(&body) {
            avp.unwrap().emit(&mut again);
        }
        prop_assert_eq!(again, body);
    }

    #[test]
    fn every_avp_survives_hidden(
        (kind, value) in any_avp(),
        secret in prop::collection::vec(any::<u8>(), 1..40),
        vector in prop::collection::vec(any::<u8>(), 0..40),
        padding in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let hidden = hide(kind, &value, &secret, &vector, &padding);
        prop_assert_eq!(hidden.len(), value.len() + padding.len() + 2);
        let revealed = reveal(kind, &hidden, &secret, &vector).unwrap();
        prop_assert_eq!(revealed.as_slice(), value.as_slice());
    }

    #[test]
    fn every_data_header_survives(
        (tunnel, session) in any::<(u16, u16)>(),
        (length, priority) in any::<(bool, bool)>(),
        sequence in any::<Option<(u16, u16)>>(),
        offset in prop::option::of(0_u16..64),
        frame in 0_usize..200,
    ) {
        let header = DataHeader { tunnel, session, length, priority, sequence, offset };
        let mut buf = vec![0xaa; 100 + frame];
        let message = header.prepend(&mut buf, 100..100 + frame).unwrap();
        prop_assert_eq!(message.start, 100 - header.size());
        let read = Header::parse(&buf, message).unwrap();
        prop_assert!(!read.control);
        prop_assert_eq!(read.data(), header);
        prop_assert_eq!(read.payload, 100..100 + frame);
    }

    #[test]
    fn every_control_header_survives(
        (tunnel, session, ns, nr) in any::<(u16, u16, u16, u16)>(),
        body in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let bytes = Header::emit_control(tunnel, session, ns, nr, &body).unwrap();
        let read = Header::parse(&bytes, 0..bytes.len()).unwrap();
        prop_assert!(read.control);
        prop_assert_eq!((read.tunnel, read.session, read.sequence), (tunnel, session, Some((ns, nr))));
        prop_assert_eq!(&bytes[read.payload], body.as_slice());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(header) = Header::parse(&bytes, 0..bytes.len()) {
            prop_assert!(header.payload.end <= bytes.len());
        }
        let _ = Message::parse(&bytes, Some(b"secret"));
    }
}
