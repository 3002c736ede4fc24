//! Fragment payloads, and a message cut and joined again.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| isakmp::fuzzing::fragments(
    std::time::Instant::now(),
    data
));
