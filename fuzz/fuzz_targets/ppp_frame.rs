#![no_main]
//! Any bytes as frames, packets and options.
use libfuzzer_sys::fuzz_target;
use ppp::wire::{
    ChapValue, FrameHeader, MsChapFailure, MsChapV2Response, Options, Packet, PapRequest,
};

fuzz_target!(|data: &[u8]| {
    if let Ok((header, information)) = FrameHeader::parse(data, 0..data.len()) {
        let mut again = vec![0; information.start];
        again.extend(&data[information.clone()]);
        let whole = header.prepend(&mut again, information).unwrap();
        assert_eq!(&again[whole], data);
    }
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
