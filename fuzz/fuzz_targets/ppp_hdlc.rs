#![no_main]
//! Any line in chunks of any size, and any frame there and back.
use libfuzzer_sys::fuzz_target;
use ppp::hdlc::{Decoder, Fcs, encode};

fuzz_target!(|input: (Vec<u8>, u32, u8, bool)| {
    let (bytes, map, size, wide) = input;
    let fcs = if wide { Fcs::Fcs32 } else { Fcs::Fcs16 };
    let mut decoder = Decoder::new(fcs, map, 1504);
    let mut found = 0;
    for mut chunk in bytes.chunks(usize::from(size).max(1)) {
        while let Some(frame) = decoder.decode(&mut chunk) {
            found += 1;
            assert!(frame.is_ok_and(|f| f.len() <= 1504) || frame.is_err());
        }
    }
    assert!(found <= bytes.len());
    if (2..=1504).contains(&bytes.len()) {
        let mut line = Vec::new();
        encode(&bytes, fcs, map, &mut line);
        let mut decoder = Decoder::new(fcs, map, 1504);
        let mut rest = line.as_slice();
        assert_eq!(decoder.decode(&mut rest), Some(Ok(bytes.as_slice())));
    }
});
