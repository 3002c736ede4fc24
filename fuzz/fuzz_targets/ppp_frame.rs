#![no_main]
//! Any bytes as packets and options.
use libfuzzer_sys::fuzz_target;
use ppp::wire::{ChapValue, MsChapV2Response, Options, Packet, PapRequest};

fuzz_target!(|data: &[u8]| {
    if let Ok(packet) = Packet::parse(data) {
        assert!(packet.emit().len() <= data.len());
        let _ = Options::new(packet.data).count();
        let _ = ChapValue::parse(packet.data).map(|c| MsChapV2Response::parse(c.value));
        let _ = PapRequest::parse(packet.data);
    }
});
