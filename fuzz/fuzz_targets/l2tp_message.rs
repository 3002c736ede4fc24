#![no_main]
//! Any bytes as a control or data message, read alone and given to an LNS.
use chacha20::{ChaCha20Rng, rand_core::SeedableRng};
use l2tp::wire::{Header, Message};
use l2tp::{Config, Endpoint, PathId, Secret};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use std::time::Instant;

fuzz_target!(|data: &[u8]| {
    if let Ok(header) = Header::parse(data, 0..data.len()) {
        assert!(header.payload.end <= data.len());
        if !header.control && header.data().size() + header.payload.len() <= 65_507 {
            let mut buf = vec![0; header.data().size()];
            let start = buf.len();
            buf.extend(&data[header.payload.clone()]);
            let end = buf.len();
            let message = header.data().prepend(&mut buf, start..end).unwrap();
            let again = Header::parse(&buf, message).unwrap();
            assert_eq!(again.data(), header.data());
        }
    }
    if let Ok(message) = Message::parse(data, Some(b"secret")) {
        let _ = message.result();
    }
    let mut config = Config::default();
    config.secret = Some(Secret::new(b"secret"));
    let rng = Box::new(ChaCha20Rng::seed_from_u64(1));
    let (mut lns, now, path) = (
        Endpoint::new(Arc::new(config), rng).unwrap(),
        Instant::now(),
        PathId(1),
    );
    // As the bytes are, and as the AVPs of a message with a good header.
    let good = Header::emit_control(0, 0, 0, 0, data);
    for mut message in [Some(data.to_vec()), good].into_iter().flatten() {
        let length = message.len();
        let _ = lns.handle_datagram(now, path, &mut message, 0..length);
    }
    lns.close_path(now, path);
    assert_eq!((lns.tunnels().count(), lns.session_count()), (0, 0));
    assert!(lns.poll_timeout().is_none() && lns.poll_transmit().is_none());
});
