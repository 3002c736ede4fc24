//! What each client really sends, in its order and with its quirks, answered by our LNS; and our
//! LAC against LNSs that behave like the servers in the field.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use common::{Avps, PATH, Said, Script, about_us, call_connected, config, with_secret};
use l2tp::wire::{AvpType, MessageType};
use l2tp::{CloseReason, Config, Received};
use md5::{Digest as _, Md5};
use std::time::Duration;

const SCCRQ: Option<MessageType> = Some(MessageType::SCCRQ);
const SCCRP: Option<MessageType> = Some(MessageType::SCCRP);
const SCCCN: Option<MessageType> = Some(MessageType::SCCCN);
const ICRQ: Option<MessageType> = Some(MessageType::ICRQ);
const ICRP: Option<MessageType> = Some(MessageType::ICRP);
const ICCN: Option<MessageType> = Some(MessageType::ICCN);
const ZLB: Option<MessageType> = None;

/// One client's messages.
struct Client {
    request: Avps,
    window: u16,
    call: Avps,
    connected: Avps,
    /// Its Session ID.
    session: u16,
    host: &'static [u8],
    stop: Option<Avps>,
}

fn kinds(said: &[Said]) -> Vec<Option<MessageType>> {
    said.iter().map(Said::kind).collect()
}

/// Tunnel, call, a frame each way, Hello, and the end, as the client does it.
fn transcript(client: &Client) {
    let mut script = Script::new(Config::default());
    let reply = script.say(0, &client.request);
    assert_eq!(kinds(&reply), [SCCRP]);
    assert_eq!(reply[0].tunnel, 1);
    script.tunnel = reply[0].word(AvpType::ASSIGNED_TUNNEL_ID);
    // Nothing is left to carry the acknowledgement: it comes at once, and alone.
    let acknowledged = script.say(0, &Avps::new(MessageType::SCCCN));
    assert_eq!(kinds(&acknowledged), [ZLB]);
    assert_eq!(acknowledged[0].bytes.len(), 12);
    assert_eq!(acknowledged[0].nr, script.ns);
    let peer = script.end.peer.clone().unwrap();
    assert_eq!(peer.host_name, client.host);
    assert_eq!(peer.receive_window, client.window);

    let reply = script.say(0, &client.call);
    assert_eq!(kinds(&reply), [ICRP]);
    assert_eq!(reply[0].session, client.session);
    let id = reply[0].word(AvpType::ASSIGNED_SESSION_ID);
    let acknowledged = script.say(id, &client.connected);
    assert_eq!(kinds(&acknowledged), [ZLB]);
    let session = script.end.session.unwrap();

    let [t, u] = script.tunnel.to_be_bytes();
    let [s, v] = id.to_be_bytes();
    let frame = [0x00, 0x02, t, u, s, v, 0xff, 0x03, 0xc0, 0x21];
    let got = script.give(&frame).unwrap();
    assert_eq!(
        got,
        Received::Data {
            session,
            frame: 6..10
        }
    );
    let mut buf = [0xff; 32];
    let out = script
        .end
        .endpoint
        .encapsulate(session, &mut buf, 20..32)
        .unwrap();
    let [a, b] = client.session.to_be_bytes();
    assert_eq!(buf[out][..6], [0x00, 0x02, 0, 1, a, b]);

    assert_eq!(kinds(&script.say(0, &Avps::new(MessageType::HELLO))), [ZLB]);
    if let Some(stop) = &client.stop {
        assert_eq!(kinds(&script.say(0, stop)), [ZLB]);
    } else {
        // It is just gone: our Hello finds out.
        script.wait(Duration::from_secs(92));
        assert_eq!(script.end.down, [CloseReason::Timeout]);
    }
    script.wait(Duration::from_secs(40));
    assert!(script.end.gone());
}

fn stop(result: &[u8]) -> Option<Avps> {
    Some(
        Avps::new(MessageType::STOPCCN)
            .word(AvpType::ASSIGNED_TUNNEL_ID, 1)
            .bytes(AvpType::RESULT_CODE, result),
    )
}

fn windows(firmware: u16) -> Client {
    Client {
        request: Avps::new(MessageType::SCCRQ)
            .word(AvpType::PROTOCOL_VERSION, 0x0100)
            .long(AvpType::FRAMING_CAPABILITIES, 1)
            .long(AvpType::BEARER_CAPABILITIES, 0)
            .word(AvpType::FIRMWARE_REVISION, firmware)
            .bytes(AvpType::HOST_NAME, b"DESKTOP-1234567")
            .bytes(AvpType::VENDOR_NAME, b"Microsoft")
            .word(AvpType::ASSIGNED_TUNNEL_ID, 1)
            .word(AvpType::RECEIVE_WINDOW_SIZE, 8),
        window: 8,
        call: Avps::new(MessageType::ICRQ)
            .word(AvpType::ASSIGNED_SESSION_ID, 1)
            .long(AvpType::CALL_SERIAL_NUMBER, 0)
            .long(AvpType::BEARER_TYPE, 2),
        connected: Avps::new(MessageType::ICCN)
            .long(AvpType::TX_CONNECT_SPEED, 1_000_000_000)
            .long(AvpType::FRAMING_TYPE, 1)
            // Sometimes.
            .bytes(AvpType::LAST_SENT_LCP, &[5, 6, 1, 2, 3, 4])
            .raw(false, 311, 1, &[0; 4]),
        session: 1,
        host: b"DESKTOP-1234567",
        stop: stop(&[0, 6]),
    }
}

#[test]
fn windows_xp_7_and_10() {
    for firmware in [0x0501, 0x0601, 0x0a00] {
        let client = windows(firmware);
        // With the headers of IP and UDP off, as the captures have it.
        assert_eq!(client.request.0.len() + 12, 108);
        transcript(&client);
    }
}

#[test]
fn windows_repeats_its_request_in_new_datagrams() {
    let client = windows(0x0a00);
    let mut script = Script::new(Config::default());
    let request = script.next(0, &client.request);
    let mut ids = Vec::new();
    for _ in 0..3 {
        script.give(&request).unwrap();
        let said = script.heard();
        assert_eq!(kinds(&said), [SCCRP]);
        assert_eq!((said[0].ns, said[0].nr), (0, 1));
        ids.push(said[0].word(AvpType::ASSIGNED_TUNNEL_ID));
    }
    assert_eq!(ids, [ids[0]; 3]);
    assert_eq!(script.end.endpoint.tunnels().count(), 1);
    // A late copy, with the tunnel up, is acknowledged and does no harm.
    script.tunnel = ids[0];
    script.say(0, &Avps::new(MessageType::SCCCN));
    script.give(&request).unwrap();
    let said = script.heard();
    assert_eq!((kinds(&said), said[0].nr), (vec![ZLB], 2));
    assert_eq!(script.end.tunnels_up, 1);
}

fn apple(stop: Option<Avps>) -> Client {
    Client {
        request: Avps::new(MessageType::SCCRQ)
            .word(AvpType::PROTOCOL_VERSION, 0x0100)
            .long(AvpType::FRAMING_CAPABILITIES, 3)
            .bytes(AvpType::HOST_NAME, b"Annas-iPhone")
            .word(AvpType::ASSIGNED_TUNNEL_ID, 1)
            .word(AvpType::RECEIVE_WINDOW_SIZE, 4),
        window: 4,
        call: Avps::new(MessageType::ICRQ)
            .word(AvpType::ASSIGNED_SESSION_ID, 0x1a2b)
            .long(AvpType::CALL_SERIAL_NUMBER, 1),
        connected: call_connected(MessageType::ICCN),
        session: 0x1a2b,
        host: b"Annas-iPhone",
        stop,
    }
}

#[test]
fn apple_and_its_byte_swapped_result_codes() {
    transcript(&apple(stop(&[0, 1])));
    for (code, result, error) in [
        ([1, 0, 0, 0], 1, 0),
        ([3, 0, 0, 0], 3, 0),
        ([0, 2, 6, 0], 2, 6),
    ] {
        let client = apple(None);
        let mut script = Script::new(Config::default());
        let reply = script.say(0, &client.request);
        script.tunnel = reply[0].word(AvpType::ASSIGNED_TUNNEL_ID);
        script.say(0, &Avps::new(MessageType::SCCCN));
        script.say(0, &stop(&code).unwrap());
        let reason = CloseReason::Peer {
            result,
            error,
            message: String::new(),
            cause: None,
        };
        assert_eq!(script.end.down, [reason]);
    }
}

fn mtpd() -> Client {
    Client {
        request: Avps::new(MessageType::SCCRQ)
            .word(AvpType::PROTOCOL_VERSION, 0x0100)
            .bytes(AvpType::HOST_NAME, b"anonymous")
            .long(AvpType::FRAMING_CAPABILITIES, 3)
            .word(AvpType::ASSIGNED_TUNNEL_ID, 1)
            .word(AvpType::RECEIVE_WINDOW_SIZE, 1),
        window: 1,
        call: Avps::new(MessageType::ICRQ)
            .word(AvpType::ASSIGNED_SESSION_ID, 0x7733)
            .long(AvpType::CALL_SERIAL_NUMBER, 0x8a0b_17c4),
        connected: Avps::new(MessageType::ICCN)
            .long(AvpType::TX_CONNECT_SPEED, 100_000_000)
            .long(AvpType::FRAMING_TYPE, 3),
        session: 0x7733,
        host: b"anonymous",
        stop: stop(&[0, 6]),
    }
}

#[test]
fn android() {
    transcript(&mtpd());
}

#[test]
fn android_never_gets_a_second_message_before_it_has_acknowledged_the_first() {
    let client = mtpd();
    let mut script = Script::new(config(|c| c.bearer_capabilities = Some(1)));
    let reply = script.say(0, &client.request);
    // The flags it looks for, and nothing else.
    assert_eq!(reply[0].bytes[..2], [0xc8, 0x02]);
    script.tunnel = reply[0].word(AvpType::ASSIGNED_TUNNEL_ID);
    script.say(0, &Avps::new(MessageType::SCCCN));
    let (now, tunnel) = (script.now, script.end.tunnel.unwrap());
    for _ in 0..3 {
        script.end.endpoint.open(now, tunnel).unwrap();
    }
    assert_eq!(kinds(&script.heard()), [ICRQ]);
    // Every two seconds, without backing off, it repeats what it sent before it heard of the call.
    script.nr -= 1;
    let hello = script.next(0, &Avps::new(MessageType::HELLO));
    for _ in 0..3 {
        script.give(&hello).unwrap();
        assert_eq!(kinds(&script.heard()), [ZLB]);
    }
    script.nr += 1;
    assert_eq!(kinds(&script.acknowledge()), [ICRQ]);
    assert_eq!(kinds(&script.acknowledge()), [ICRQ]);
    assert_eq!(kinds(&script.acknowledge()), []);
}

/// What answers a challenge in a message.
fn response(kind: MessageType, secret: &[u8], challenge: &[u8]) -> [u8; 16] {
    let mut hash = Md5::new();
    hash.update([u8::try_from(kind.0).unwrap()]);
    hash.update(secret);
    hash.update(challenge);
    hash.finalize().into()
}

#[test]
fn android_with_a_tunnel_secret() {
    let mut script = Script::new(with_secret("secret", false));
    let challenge = [0x5a; 32];
    let request = mtpd().request.bytes(AvpType::CHALLENGE, &challenge);
    let reply = script.say(0, &request);
    let message = reply[0].message.as_ref().unwrap();
    let proof = response(MessageType::SCCRP, b"secret", &challenge);
    assert_eq!(message.bytes(AvpType::CHALLENGE_RESPONSE), Some(&proof[..]));
    let challenge = message.bytes(AvpType::CHALLENGE).unwrap();
    let proof = response(MessageType::SCCCN, b"secret", challenge);
    script.tunnel = message.word(AvpType::ASSIGNED_TUNNEL_ID).unwrap();
    script.say(
        0,
        &Avps::new(MessageType::SCCCN).bytes(AvpType::CHALLENGE_RESPONSE, &proof),
    );
    assert!(script.end.tunnel.is_some());
}

/// xl2tpd, as NetworkManager, ChromeOS and OpenWrt run it.
fn xl2tpd(window: u16, stop: Option<Avps>) -> Client {
    Client {
        request: Avps::new(MessageType::SCCRQ)
            .word(AvpType::PROTOCOL_VERSION, 0x0100)
            .long(AvpType::FRAMING_CAPABILITIES, 3)
            .long(AvpType::BEARER_CAPABILITIES, 0)
            .word(AvpType::FIRMWARE_REVISION, 0x0690)
            .bytes(AvpType::HOST_NAME, b"laptop")
            .bytes(AvpType::VENDOR_NAME, b"xelerance.com")
            .word(AvpType::ASSIGNED_TUNNEL_ID, 1)
            .word(AvpType::RECEIVE_WINDOW_SIZE, window),
        window,
        call: Avps::new(MessageType::ICRQ)
            .word(AvpType::ASSIGNED_SESSION_ID, 0x4242)
            .long(AvpType::CALL_SERIAL_NUMBER, 2)
            .long(AvpType::BEARER_TYPE, 0),
        connected: Avps::new(MessageType::ICCN)
            .long(AvpType::TX_CONNECT_SPEED, 1_000_000)
            .long(AvpType::FRAMING_TYPE, 1)
            .long(AvpType::RX_CONNECT_SPEED, 1_000_000),
        session: 0x4242,
        host: b"laptop",
        stop,
    }
}

#[test]
fn linux_networkmanager_and_openwrt() {
    transcript(&xl2tpd(8, stop(&[0, 1, 0, 0, b'G', b'o', b'o', b'd'])));
    transcript(&xl2tpd(4, stop(&[0, 6])));
}

/// xl2tpd takes its secret out of its file when it is challenged, and not before: what comes with
/// our challenge must be in clear. It puts a Random Vector in its messages and hides nothing.
#[test]
fn xl2tpd_reads_hidden_avps_once_it_was_challenged() {
    let mut script = Script::new(with_secret("s", true));
    let vector = [7; 16];
    let hidden = |said: &Said| l2tp::wire::Avps::new(&said.bytes[12..]).any(|a| a.unwrap().hidden);
    let request = about_us(MessageType::SCCRQ, 1).bytes(AvpType::RANDOM_VECTOR, &vector);
    let reply = script.say(0, &request);
    assert!(!hidden(&reply[0]));
    script.tunnel = reply[0].word(AvpType::ASSIGNED_TUNNEL_ID);
    let challenge = reply[0].message.as_ref().unwrap();
    let challenge = challenge.bytes(AvpType::CHALLENGE).unwrap();
    let response = response(MessageType::SCCCN, b"s", challenge);
    let connected = Avps::new(MessageType::SCCCN)
        .bytes(AvpType::RANDOM_VECTOR, &vector)
        .bytes(AvpType::CHALLENGE_RESPONSE, &response);
    script.say(0, &connected);
    let call = Avps::new(MessageType::ICRQ)
        .bytes(AvpType::RANDOM_VECTOR, &vector)
        .word(AvpType::ASSIGNED_SESSION_ID, 5)
        .long(AvpType::CALL_SERIAL_NUMBER, 1);
    let reply = script.say(0, &call);
    assert_eq!(reply[0].kind(), Some(MessageType::ICRP));
    assert!(hidden(&reply[0]));
}

#[test]
fn chromeos_goes_without_a_word() {
    transcript(&xl2tpd(4, None));
}

#[test]
fn routeros_opens_with_a_large_window_and_its_vendor_name() {
    let mut client = xl2tpd(16, stop(&[0, 6]));
    client.request = Avps::new(MessageType::SCCRQ)
        .word(AvpType::PROTOCOL_VERSION, 0x0100)
        .long(AvpType::FRAMING_CAPABILITIES, 1)
        .long(AvpType::BEARER_CAPABILITIES, 0)
        .word(AvpType::FIRMWARE_REVISION, 1)
        .bytes(AvpType::HOST_NAME, b"laptop")
        .bytes(AvpType::VENDOR_NAME, b"MikroTik")
        .word(AvpType::ASSIGNED_TUNNEL_ID, 1)
        .word(AvpType::RECEIVE_WINDOW_SIZE, 16);
    transcript(&client);
}

#[test]
fn a_client_without_a_window_has_one_of_four() {
    let mut client = apple(stop(&[0, 1]));
    client.host = b"peer";
    client.request = about_us(MessageType::SCCRQ, 1);
    transcript(&client);
}

/// Our LAC against an LNS whose replies the test writes.
fn against(reply: &Avps, call_reply: &Avps, alone: bool) {
    let mut script = Script::new(Config::default());
    let tunnel = script.end.endpoint.connect(script.now, PATH).unwrap();
    script.end.endpoint.open(script.now, tunnel).unwrap();
    let said = script.heard();
    assert_eq!(kinds(&said), [SCCRQ]);
    script.tunnel = said[0].word(AvpType::ASSIGNED_TUNNEL_ID);
    if alone {
        // The LNS acknowledges first and replies later.
        assert!(script.acknowledge().is_empty());
    }
    let mut said = script.say(0, reply);
    if said.len() == 1 {
        // Its window, or slow start, has us wait.
        assert_eq!(kinds(&said), [SCCCN]);
        said = script.acknowledge();
        assert_eq!(kinds(&said), [ICRQ]);
    } else {
        assert_eq!(kinds(&said), [SCCCN, ICRQ]);
    }
    let request = said.last().unwrap();
    assert_eq!((request.tunnel, request.session), (9, 0));
    let id = request.word(AvpType::ASSIGNED_SESSION_ID);
    let said = script.say(id, call_reply);
    assert_eq!(kinds(&said), [ICCN]);
    assert_eq!(said[0].session, 6);
    assert!(script.end.session.is_some());
    assert!(script.acknowledge().is_empty());
    let disconnect = Avps::new(MessageType::CDN)
        .bytes(AvpType::RESULT_CODE, &[0, 3])
        .word(AvpType::ASSIGNED_SESSION_ID, 6);
    assert_eq!(kinds(&script.say(id, &disconnect)), [ZLB]);
    assert_eq!(script.end.endpoint.session_count(), 0);
}

#[test]
fn our_lac_against_xl2tpd_softether_and_a_small_window() {
    let call_reply = Avps::new(MessageType::ICRP).word(AvpType::ASSIGNED_SESSION_ID, 6);
    for (window, alone) in [(4, true), (16, false), (1, true), (1, false)] {
        let reply = about_us(MessageType::SCCRP, 9)
            .long(AvpType::BEARER_CAPABILITIES, 0)
            .bytes(AvpType::VENDOR_NAME, b"xelerance.com")
            .word(AvpType::RECEIVE_WINDOW_SIZE, window);
        against(&reply, &call_reply, alone);
    }
    // Cisco: no window, a vendor AVP of its own that may be ignored.
    let reply = about_us(MessageType::SCCRP, 9)
        .bytes(AvpType::VENDOR_NAME, b"Cisco Systems, Inc.")
        .raw(false, 9, 7, b"?");
    against(&reply, &call_reply, false);
}
