//! SA, proposal and transform payloads, and the choice among them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| isakmp::fuzzing::sa(data));
