#![no_main]
//! A router's script: whatever the text, it is understood or refused, and problems lie within it.

#[allow(dead_code, reason = "the gateway itself is no dependency")]
#[path = "../../gateway-example/src/alliedware/mod.rs"]
mod alliedware;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match alliedware::convert(text) {
        Ok(conversion) => {
            assert!(!conversion.notes.is_empty());
            assert!(conversion.toml.contains("[[psk]]"));
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(text.get(problem.span).is_some());
            }
        }
    }
});
