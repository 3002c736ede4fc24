//! One test for each published vulnerability of L2TP implementations.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use common::{Avps, PATH, Script, about_us, config, connected_pair, endpoint, start, with_secret};
use l2tp::wire::{AvpType, Header, MAX_VALUE, Message, MessageType};
use l2tp::{CloseReason, Config, Error, PathId, SessionId};
use simnet::Node as _;
use std::collections::HashSet;
use std::time::Duration;

/// Gives bytes to an LNS that must neither answer nor keep anything.
fn refused(bytes: &[u8]) -> Error {
    let mut script = Script::new(with_secret("s", false));
    let error = script.give(bytes).unwrap_err();
    assert!(!error.reason().is_empty());
    assert!(script.heard().is_empty() && script.end.gone());
    error
}

fn control(avps: &Avps) -> Vec<u8> {
    Header::emit_control(0, 0, 0, 0, &avps.0).unwrap()
}

/// AVP values shorter or longer than their types need: never read past, and fatal only if mandatory.
#[test]
fn cve_2017_13006_avp_short_each_type() {
    for kind in AvpType::ALL {
        let definition = kind.definition().unwrap();
        for size in (0..definition.least).chain([definition.most + 1]) {
            if size > 1017 || *kind == AvpType::MESSAGE_TYPE {
                continue;
            }
            let avps = Avps::new(MessageType::HELLO).bytes(*kind, &vec![0; size]);
            let message = Message::parse(&avps.0, None).unwrap();
            assert_eq!(message.bytes(*kind), None);
            assert_eq!(message.fault.is_some(), definition.mandatory, "{kind:?}");
            // In a tunnel.
            let mut script = Script::new(Config::default());
            script.tunnel_up();
            script.say(0, &avps);
            assert_eq!(script.end.empty(), definition.mandatory, "{kind:?} {size}");
        }
    }
    for size in [0, 1, 3] {
        let avps = Avps::default().raw(true, 0, 0, &vec![0; size]);
        assert_eq!(refused(&control(&avps)), Error::MissingAvp("message type"));
    }
}

/// AVP lengths 0 to 5, beyond the packet, and the longest one.
#[test]
fn cve_2020_15173_avp_len_0_to_5_gt_packet_1023() {
    let whole = about_us(MessageType::SCCRQ, 3);
    for length in (0..6_u16).chain([50, 1023]) {
        let mut avps = whole.clone();
        let at = avps.0.len();
        avps.0.extend([0x80, 0, 0, 0, 0, 7, b'x']);
        avps.0[at..at + 2].copy_from_slice(&(0x8000 | length).to_be_bytes());
        assert_eq!(
            refused(&control(&avps)),
            Error::BadLength("AVP"),
            "{length}"
        );
    }
    for short in 1..6 {
        let mut avps = whole.clone();
        avps.0.extend(&[0x80, 6, 0, 0, 0][..short - 1]);
        avps.0.push(0);
        assert_eq!(refused(&control(&avps)), Error::Short("AVP header"));
    }
}

/// npppd's crash on AVPs of a wrong length is the same set.
#[test]
fn npppd_errata_2023_avp_len() {
    cve_2020_15173_avp_len_0_to_5_gt_packet_1023();
}

/// Length field against datagram, and every combination of the flags, on control and data.
#[test]
fn cve_2020_28194_l2tp_len_field_and_flags_matrix() {
    let message = control(&about_us(MessageType::SCCRQ, 3));
    let actual = u16::try_from(message.len()).unwrap();
    for length in (0..12).chain([actual + 1, actual + 100, 0xffff]) {
        let mut bytes = message.clone();
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        assert_eq!(refused(&bytes), Error::BadLength("message"), "{length}");
    }
    // Cut inside an AVP; what follows the length is padding of the layer below.
    let mut bytes = message.clone();
    bytes[2..4].copy_from_slice(&(actual - 1).to_be_bytes());
    assert_eq!(refused(&bytes), Error::BadLength("AVP"));
    let mut padded = message.clone();
    padded.extend([0; 9]);
    assert!(Script::new(Config::default()).give(&padded).is_ok());

    for flags in 0..32_u16 {
        let bit = |n: u16, mask: u16| if flags & (1 << n) != 0 { mask } else { 0 };
        let (t, l) = (bit(0, 0x8000), bit(1, 0x4000));
        let (s, o, p) = (bit(2, 0x0800), bit(3, 0x0200), bit(4, 0x0100));
        let mut bytes = message.clone();
        bytes[..2].copy_from_slice(&(t | l | s | o | p | 2).to_be_bytes());
        let mut script = Script::new(Config::default());
        let taken = script.give(&bytes).is_ok();
        assert_eq!(taken, t != 0 && l != 0 && s != 0 && o == 0, "{flags:#x}");
        if !taken {
            assert!(script.heard().is_empty() && script.end.gone());
        }
        // Data of a call that is up, cut at every byte.
        if t == 0 {
            let mut pair = connected_pair(Config::default(), Config::default());
            let mut buf = [0; 40];
            let session = pair.a.session.unwrap();
            let plain = pair
                .a
                .endpoint
                .encapsulate(session, &mut buf, 20..40)
                .unwrap();
            let mut header = Header::parse(&buf, plain).unwrap().data();
            header.length = l != 0;
            header.priority = p != 0;
            header.sequence = (s != 0).then_some((0, 0));
            header.offset = (o != 0).then_some(3);
            let mut buf = [0; 60];
            let whole = header.prepend(&mut buf, 40..60).unwrap();
            for end in whole.start..whole.end {
                let mut cut = buf;
                let result =
                    pair.b
                        .endpoint
                        .handle_datagram(pair.now, PATH, &mut cut, whole.start..end);
                let enough = end >= 40 && l == 0;
                if !enough {
                    assert!(result.is_err(), "{flags:#x} {end}");
                }
            }
        }
    }
}

/// accel-ppp 9554ce05: the length inside a hidden AVP is believed.
#[test]
fn accel_ppp_9554ce05_hidden_avp_bad_plain_len() {
    for size in 2..=64_usize {
        for claimed in [size - 1, size, 1016, 0x7fff, 0xffff] {
            let mut plain = vec![0xaa; size];
            plain[..2].copy_from_slice(&u16::try_from(claimed).unwrap().to_be_bytes());
            // Enciphered without a length of its own: hide() puts the true one first.
            let hidden = l2tp::wire::hide(AvpType::CHALLENGE, &plain, b"s", b"rv", &[]);
            let inner = l2tp::wire::reveal(AvpType::CHALLENGE, &hidden, b"s", b"rv").unwrap();
            assert_eq!(inner.len(), size);
            // The same cipher stream with the false length instead of the true one.
            let mut forged = hidden;
            let truth = u16::try_from(size).unwrap().to_be_bytes();
            let lie = u16::try_from(size + 1 + claimed)
                .unwrap_or(u16::MAX)
                .to_be_bytes();
            for n in 0..2 {
                forged[n] ^= truth[n] ^ lie[n];
            }
            let revealed = l2tp::wire::reveal(AvpType::CHALLENGE, &forged, b"s", b"rv");
            assert_eq!(revealed, Err(Error::HiddenAvp), "{size} {claimed}");
        }
    }
    // Hidden without a Random Vector, or with one that comes too late, or without a secret.
    let hide = |avps: Avps| {
        let mut avps = avps.bytes(AvpType::CHALLENGE, &[0; 16]);
        let at = avps.0.len() - 22;
        avps.0[at] |= 0x40;
        avps
    };
    let late = hide(about_us(MessageType::SCCRQ, 3)).bytes(AvpType::RANDOM_VECTOR, &[1; 16]);
    for (avps, secret) in [
        (hide(about_us(MessageType::SCCRQ, 3)), true),
        (late, true),
        (
            hide(about_us(MessageType::SCCRQ, 3).bytes(AvpType::RANDOM_VECTOR, b"1")),
            false,
        ),
    ] {
        let mut script = Script::new(if secret {
            with_secret("s", false)
        } else {
            Config::default()
        });
        let said = script.say(0, &avps);
        assert_eq!(said[0].kind(), Some(MessageType::STOPCCN));
        assert!(script.end.empty());
    }
}

/// accel-ppp 2bbf451b: numbers of up to 1017 bytes.
#[test]
fn accel_ppp_2bbf451b_avp_number_1017() {
    for (size, fits) in [(MAX_VALUE, true), (1017, false)] {
        let mut script = Script::new(Config::default());
        script.tunnel_up();
        let request = Avps::new(MessageType::ICRQ)
            .word(AvpType::ASSIGNED_SESSION_ID, 5)
            .bytes(AvpType::CALLING_NUMBER, &vec![b'1'; size])
            .bytes(AvpType::CALLED_NUMBER, &vec![b'2'; size]);
        let said = script.say(0, &request);
        let expected = if fits {
            MessageType::ICRP
        } else {
            MessageType::CDN
        };
        assert_eq!(said[0].kind(), Some(expected));
    }
}

/// l2tpd: long vendor and host names.
#[test]
fn cve_2002_0873_cve_2004_0649_avp_vendor_hostname_1017() {
    let mut script = Script::new(Config::default());
    let request = Avps::new(MessageType::SCCRQ)
        .bytes(AvpType::HOST_NAME, &[b'h'; MAX_VALUE])
        .bytes(AvpType::VENDOR_NAME, &[b'v'; 1017])
        .word(AvpType::ASSIGNED_TUNNEL_ID, 3);
    let said = script.say(0, &request);
    // A vendor name is not mandatory: one that is too long is left out.
    assert_eq!(said[0].kind(), Some(MessageType::SCCRP));
    script.tunnel = said[0].word(AvpType::ASSIGNED_TUNNEL_ID);
    script.say(0, &Avps::new(MessageType::SCCCN));
    let peer = script.end.peer.unwrap();
    assert_eq!(
        (peer.host_name.len(), peer.vendor_name.len()),
        (MAX_VALUE, 0)
    );
}

/// Linux: a UDP length beyond 65,535 was cut off.
#[test]
fn cve_2026_43080_l2tp_tx_gt_65507() {
    let mut pair = connected_pair(Config::default(), Config::default());
    let session = pair.a.session.unwrap();
    let mut buf = vec![0; 70_000];
    let mut send = |end| pair.a.endpoint.encapsulate(session, &mut buf, 6..end);
    assert_eq!(send(65_507), Ok(0..65_507));
    for end in [65_508, 65_535, 65_536, 70_000] {
        assert_eq!(send(end), Err(Error::TooLong));
    }
    assert_eq!(send(70_001), Err(Error::NoHeadroom));
}

/// Linux: a wrong version leaked the session.
#[test]
fn cve_2026_23072_l2tp_version_0_1_3_to_15() {
    let mut pair = connected_pair(Config::default(), Config::default());
    let session = pair.a.session.unwrap();
    let mut buf = [0; 40];
    let message = pair
        .a
        .endpoint
        .encapsulate(session, &mut buf, 20..40)
        .unwrap();
    for version in (0..16).filter(|v| *v != 2) {
        let mut odd = buf;
        odd[message.start + 1] = version;
        let got = pair
            .b
            .endpoint
            .handle_datagram(pair.now, PATH, &mut odd, message.clone());
        assert_eq!(got, Err(Error::BadVersion(version)));
        let mut sccrq = control(&about_us(MessageType::SCCRQ, 3));
        sccrq[1] = version;
        assert_eq!(refused(&sccrq), Error::BadVersion(version));
    }
    let now = pair.now;
    pair.b.endpoint.close_path(now, PATH);
    pair.b.drain();
    assert!(pair.b.gone());
}

/// l2tpd: ids from an unseeded generator.
#[test]
fn cve_2002_0872_ids_from_the_csprng_never_0_never_reused() {
    let limits = config(|c| {
        c.max_tunnels_per_path = 65_000;
        c.max_tunnels = 65_000;
        c.max_sessions_per_tunnel = 65_000;
        c.max_queue = 65_000;
    });
    let now = start();
    let mut ends = [endpoint(limits.clone(), 1), endpoint(limits.clone(), 2)];
    let mut firsts = Vec::new();
    for end in &mut ends {
        let first = end.connect(now, PATH).unwrap();
        firsts.push(first.to_string());
        // Nearly all sessions there can be: none twice, none 0.
        let mut taken = HashSet::new();
        for _ in 0..5_000 {
            let session: SessionId = end.open(now, first).unwrap();
            assert!(taken.insert(session));
            assert!(!session.to_string().ends_with("/0"));
        }
        let mut tunnels = HashSet::from([first]);
        for path in 0..5_000 {
            assert!(tunnels.insert(end.connect(now, PathId(path)).unwrap()));
        }
        // Spread over all of them, not counted up.
        let high = tunnels
            .iter()
            .filter(|t| t.to_string().parse::<u16>().unwrap() >= 0x8000);
        assert!((2_250..2_750).contains(&high.count()));
    }
    assert_ne!(firsts[0], firsts[1]);
}

/// Races in the teardown of Windows' and Linux' L2TP (CVE-2010-4160, CVE-2022-4129,
/// CVE-2023-28219, CVE-2023-41765 and others): messages for what has just gone.
#[test]
fn cve_2023_41765_messages_after_the_end_touch_nothing() {
    let mut script = Script::new(Config::default());
    script.tunnel_up();
    let id = script.call_up(5, &common::call_connected(MessageType::ICCN));
    let goodbye = Avps::new(MessageType::CDN)
        .word(AvpType::RESULT_CODE, 3)
        .word(AvpType::ASSIGNED_SESSION_ID, 5);
    script.say(id, &goodbye);
    for kind in MessageType::ALL {
        if kind.is_of_call() && ![MessageType::ICRQ, MessageType::OCRQ].contains(kind) {
            script.say(id, &Avps::new(*kind));
            assert_eq!(script.end.endpoint.session_count(), 0, "{kind:?}");
        }
    }
    let stop = Avps::new(MessageType::STOPCCN)
        .word(AvpType::ASSIGNED_TUNNEL_ID, 1)
        .word(AvpType::RESULT_CODE, 6);
    script.say(0, &stop);
    for kind in MessageType::ALL {
        let said = script.say(id, &about_us(*kind, 1));
        assert!(said.iter().all(|s| s.kind().is_none()), "{kind:?}");
        assert!(script.end.empty());
    }
}

/// Cisco CVE-2008-3813 and the soak tests: every prefix and every flipped bit of good messages.
#[test]
fn cve_2008_3813_prefixes_and_flipped_bits() {
    let good = control(&about_us(MessageType::SCCRQ, 3));
    for end in 0..good.len() {
        refused(&good[..end]);
    }
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let mut script = Script::new(Config::default());
        let _ = script.give(&bytes);
        assert!(script.end.endpoint.tunnels().count() <= 1);
        let now = script.now;
        script.end.endpoint.close_path(now, PATH);
        script.end.drain();
        assert!(script.end.gone() && script.end.poll_transmit().is_none());
    }
}

/// A peer that opens and closes tunnels without end keeps out nobody but itself.
#[test]
fn tunnels_that_come_and_go_are_bounded() {
    let mut script = Script::new(config(|c| c.max_tunnels = 20));
    for id in 1..1000 {
        (script.tunnel, script.ns, script.nr) = (0, 0, 0);
        let reply = script.say(0, &about_us(MessageType::SCCRQ, id));
        script.tunnel = reply[0].word(AvpType::ASSIGNED_TUNNEL_ID);
        let stop = Avps::new(MessageType::STOPCCN)
            .word(AvpType::ASSIGNED_TUNNEL_ID, id)
            .word(AvpType::RESULT_CODE, 6);
        script.say(0, &stop);
    }
    assert!(script.end.endpoint.lingering_count() <= 4);
    assert!(script.end.endpoint.connect(script.now, PathId(99)).is_ok());
}

/// LAND: what we send comes back to us. Our own SCCRQ makes no tunnel with ourselves.
#[test]
fn cve_1999_0016_cve_2005_0688_src_is_self() {
    for settings in [Config::default(), with_secret("s", false)] {
        let mut script = Script::new(settings);
        script.end.endpoint.connect(script.now, PATH).unwrap();
        for _ in 0..3 {
            for said in script.heard() {
                assert_eq!(script.give(&said.bytes), Err(Error::Reflected));
            }
            script.wait(Duration::from_secs(2));
        }
        assert_eq!(script.end.endpoint.tunnels().count(), 1);
        script.wait(Duration::from_secs(120));
        assert_eq!(script.end.down, [CloseReason::Timeout]);
        assert!(script.end.gone());
    }
    // A tunnel of the peer's with our challenge in it would have us answer it ourselves.
    let mut script = Script::new(with_secret("s", false));
    script.end.endpoint.connect(script.now, PATH).unwrap();
    let ours = script.heard();
    let challenge = ours[0].message.as_ref().unwrap();
    let challenge = challenge.bytes(AvpType::CHALLENGE).unwrap();
    let theirs = about_us(MessageType::SCCRQ, 9).bytes(AvpType::CHALLENGE, challenge);
    assert_eq!(script.give(&control(&theirs)), Err(Error::Reflected));
    assert!(script.heard().is_empty());
}

/// Errors that answer errors: what ends a tunnel or call is acknowledged and no more, and two LNSs
/// that hear each other's stray messages fall silent.
#[test]
fn cve_2024_2169_two_endpoints_face_to_face() {
    for kind in MessageType::ALL {
        for (tunnel, session) in [(0, 0), (7, 0), (7, 9)] {
            let stray = about_us(*kind, 3).word(AvpType::RESULT_CODE, 2);
            let stray = Header::emit_control(tunnel, session, 0, 0, &stray.0).unwrap();
            let link = simnet::Link::PERFECT;
            let mut pair = common::idle_pair(Config::default(), Config::default(), link, 1);
            let now = pair.now;
            pair.a.handle(now, stray.clone());
            let mut said = 0;
            while let Some(message) = pair.a.poll_transmit() {
                pair.b.handle(now, message);
                said += 1;
                while let Some(message) = pair.b.poll_transmit() {
                    pair.a.handle(now, message);
                    said += 1;
                }
            }
            assert!(said <= 1, "{kind:?} to {tunnel}: {said}");
            pair.run_for(Duration::from_secs(600));
            assert!(pair.a.gone() && pair.b.gone(), "{kind:?} to {tunnel}");
        }
    }
    // In a tunnel: an end is acknowledged by a ZLB, which nothing answers.
    let mut script = Script::new(Config::default());
    script.tunnel_up();
    let id = script.call_up(5, &common::call_connected(MessageType::ICCN));
    let errors = Avps::new(MessageType::CDN)
        .word(AvpType::RESULT_CODE, 2)
        .word(AvpType::ASSIGNED_SESSION_ID, 5);
    assert!(script.say(id, &errors).iter().all(|s| s.kind().is_none()));
    assert!(script.acknowledge().is_empty());
    let errors = Avps::new(MessageType::STOPCCN)
        .word(AvpType::ASSIGNED_TUNNEL_ID, 1)
        .word(AvpType::RESULT_CODE, 2);
    assert!(script.say(0, &errors).iter().all(|s| s.kind().is_none()));
    assert!(script.acknowledge().is_empty());
}

/// Requests without end from one peer: a few tunnels, another peer is still welcome, and what
/// never came up is forgotten.
#[test]
fn sccrq_flood_is_bounded_for_each_path() {
    let mut script = Script::new(Config::default());
    let (mut taken, mut sent) = (0, 0);
    for id in 1..=10_000 {
        taken += usize::from(
            script
                .give(&control(&about_us(MessageType::SCCRQ, id)))
                .is_ok(),
        );
        sent += script.heard().len();
    }
    assert_eq!((taken, sent), (4, 4));
    assert_eq!(script.end.endpoint.tunnels().count(), 4);
    let mut other = control(&about_us(MessageType::SCCRQ, 1));
    let whole = 0..other.len();
    let endpoint = &mut script.end.endpoint;
    let received = endpoint.handle_datagram(script.now, PathId(99), &mut other, whole);
    assert!(received.is_ok());
    while script.end.endpoint.poll_transmit().is_some() {}
    let now = script.now;
    script.end.endpoint.close_path(now, PathId(99));
    script.wait(Duration::from_secs(300));
    assert!(script.end.gone());
}
