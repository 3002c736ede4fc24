//! NAT-D and NAT-OA of all dialects.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| isakmp::fuzzing::nat_payloads(data));
