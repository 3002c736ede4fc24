#![no_main]
//! Any bytes as packets and options.
use libfuzzer_sys::fuzz_target;
use ppp::wire::{ChapValue, MsChapFailure, MsChapV2Response, Options, Packet, PapRequest};

fuzz_target!(|data: &[u8]| {
    if let Ok(packet) = Packet::parse(data) {
        assert!(packet.emit().len() <= data.len());
        let options: Result<Vec<_>, _> = Options::new(packet.data).collect();
        if let Ok(options) = options {
            let mut again = Vec::new();
            options.iter().for_each(|option| option.emit(&mut again));
            assert_eq!(again, packet.data);
        }
        if let Some(failure) = MsChapFailure::parse(packet.data) {
            assert_eq!(MsChapFailure::parse(&failure.emit()), Some(failure));
        }
        let _ = ChapValue::parse(packet.data).map(|c| MsChapV2Response::parse(c.value));
        let _ = PapRequest::parse(packet.data);
    }
});
