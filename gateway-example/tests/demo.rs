//! The demonstration of the README: over real loopback sockets, it succeeds and says so.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use chacha20::ChaCha20Rng;
use gateway_example::demo::{Demo, Options};
use rand_core::SeedableRng;
use std::sync::Mutex;

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

#[tokio::test]
async fn the_demonstration_succeeds_in_a_folder_it_makes() {
    let out = std::env::temp_dir()
        .join(format!("gateway-demo-{}", std::process::id()))
        .join("made");
    let passed = Demo::run(Options {
        out: out.clone(),
        print: |line| LINES.lock().unwrap().push(line.to_owned()),
        entropy: || {
            let mut seed = 0;
            Box::new(move || {
                seed += 1;
                Box::new(ChaCha20Rng::seed_from_u64(seed))
            })
        },
    })
    .await;
    let lines = LINES.lock().unwrap().join("\n");
    assert!(passed.unwrap(), "{lines}");
    assert!(lines.contains("Everything worked."), "{lines}");
    // Bob's old phone is worth a word, and no failure.
    assert!(
        lines.contains("ike   warn  SA with weak algorithms"),
        "{lines}"
    );
    assert!(out.join("demo.pcapng").metadata().unwrap().len() > 1000);
    std::fs::remove_dir_all(out.parent().unwrap()).unwrap();
}
