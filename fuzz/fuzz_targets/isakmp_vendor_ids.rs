//! Vendor IDs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| isakmp::fuzzing::vendor_ids(data));
