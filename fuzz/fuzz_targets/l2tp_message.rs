#![no_main]
//! Any bytes as a control message's AVPs, hidden ones too.
use l2tp::wire::{Header, Message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(header) = Header::parse(data, 0..data.len()) {
        assert!(header.payload.end <= data.len());
    }
    if let Ok(message) = Message::parse(data, Some(b"secret")) {
        let _ = message.result();
    }
});
