//! Identification payloads.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| isakmp::fuzzing::identity(data));
