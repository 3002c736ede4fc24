#![no_main]
//! Any datagram on either port is classified, and ranges stay inside it.
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for port in [natt::PortKind::Ike, natt::PortKind::Natt] {
        match natt::classify(port, data, 0..data.len()) {
            Ok(natt::Datagram::Ike(range) | natt::Datagram::Esp(range)) => {
                assert!(range.end <= data.len() && range.start <= range.end);
            }
            Ok(_) | Err(_) => {}
        }
    }
});
