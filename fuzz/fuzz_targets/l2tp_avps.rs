#![no_main]
//! Any bytes as AVPs: those that can be read are written as the same bytes, hidden ones are
//! revealed or refused, and what we write we can read.
use l2tp::wire::{AvpType, Avps, Builder, MAX_VALUE, Message, MessageType, hide, reveal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut again = Vec::new();
    let mut whole = true;
    for avp in Avps::new(data) {
        match avp {
            Ok(avp) => {
                avp.emit(&mut again);
                let _ = reveal(avp.kind, avp.value, b"secret", b"vector");
            }
            Err(_) => whole = false,
        }
    }
    assert!(again.len() <= data.len());
    // Reserved bits of the flags are not kept.
    assert!(!whole || again.len() == data.len());

    let Some((kind, value)) = data.split_first() else {
        return;
    };
    let kind = AvpType(u16::from(*kind));
    let Some(definition) = kind.definition() else {
        return;
    };
    let value = value.get(..MAX_VALUE).unwrap_or(value);
    let hidden = hide(kind, value, b"secret", b"vector", &[7; 5]);
    let revealed = reveal(kind, &hidden, b"secret", b"vector").unwrap();
    assert_eq!(revealed.as_slice(), value);
    let fits = (definition.least..=definition.most).contains(&value.len());
    if fits && ![AvpType::MESSAGE_TYPE, AvpType::RANDOM_VECTOR].contains(&kind) {
        let mut builder = Builder::new(MessageType::HELLO);
        builder.bytes(kind, value);
        let message = Message::parse(&builder.finish(), None).unwrap();
        assert_eq!(message.bytes(kind), Some(value));
    }
});
