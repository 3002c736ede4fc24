use super::*;
use crate::radius::{Accept, FramedAddress, Reject};
use hex_literal::hex;
use proptest::prelude::*;
use std::net::Ipv4Addr;

const XYZZY: &[u8] = b"xyzzy5461";

/// A reply's attributes behind a header.
fn packet_of(attributes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(HEADER + attributes.len()).unwrap();
    let mut packet = vec![2, 7];
    packet.extend(length.to_be_bytes());
    packet.extend([0; 16]);
    packet.extend(attributes);
    packet
}

fn accept(attributes: &[u8]) -> Result<Accept, Error> {
    let packet = packet_of(attributes);
    Accept::parse(&Packet::parse(&packet)?.attributes)
}

#[test]
fn rfc_2865_section_7_1() {
    let authenticator = hex!("0f403f9473978057bd83d5cb98f4227a");
    let request = hex!(
        "01000038 0f403f9473978057bd83d5cb98f4227a 01066e656d6f
         02120dbe708d93d413ce3196e43f782a0aee 0406c0a80110 050600000003"
    );
    let mut encoder = Encoder::new();
    let hidden = hide_password(XYZZY, &authenticator, b"arctangent").unwrap();
    encoder
        .text(kind::USER_NAME, "nemo")
        .bytes(kind::USER_PASSWORD, &hidden)
        .address(kind::NAS_IP_ADDRESS, Ipv4Addr::new(192, 168, 1, 16))
        .integer(kind::NAS_PORT, 3);
    let code = Code::ACCESS_REQUEST;
    let made = encoder.without_message_authenticator(code, 0, &authenticator, None);
    assert_eq!(made, request);
    let reply =
        hex!("02000026 86fe220e7624ba2a1005f6bf9b55e0b2 060600000001 0f0600000000 0e06c0a80103");
    let parsed = Packet::parse(&reply).unwrap();
    assert_eq!(verify_reply(&parsed, &authenticator, XYZZY, false), Ok(()));
    assert_eq!(
        verify_reply(&parsed, &authenticator, XYZZY, true),
        Err(Error::NoMessageAuthenticator)
    );
    // Service-Type Login is not what a PPP client gets.
    assert_eq!(
        Accept::parse(&parsed.attributes),
        Err(Error::BadAttribute(kind::SERVICE_TYPE))
    );
}

#[test]
fn rfc_2865_section_7_2() {
    let authenticator = hex!("2aee86f08d0d55969ca5978e0d3367a2");
    let reply = hex!(
        "02010038 15efbc7dab26cfa3dc34d9c03c8601a4 060600000002 070600000001
         0806fffffffe 0a0600000002 0d0600000001 0c06000005dc"
    );
    let parsed = Packet::parse(&reply).unwrap();
    assert_eq!(verify_reply(&parsed, &authenticator, XYZZY, false), Ok(()));
    let accept = Accept::parse(&parsed.attributes).unwrap();
    assert_eq!(accept.address, FramedAddress::Ours);
    let mut encoder = Encoder::new();
    encoder
        .text(kind::USER_NAME, "flopsy")
        .bytes(
            kind::CHAP_PASSWORD,
            &hex!("16e97557c316185895f293ff6344077275"),
        )
        .address(kind::NAS_IP_ADDRESS, Ipv4Addr::new(192, 168, 1, 16))
        .integer(kind::NAS_PORT, 20)
        .integer(kind::SERVICE_TYPE, 2)
        .integer(kind::FRAMED_PROTOCOL, 1);
    let request = hex!(
        "01010047 2aee86f08d0d55969ca5978e0d3367a2 0108666c6f707379
         0313 16e97557c316185895f293ff6344077275 0406c0a80110 050600000014 060600000002 070600000001"
    );
    let code = Code::ACCESS_REQUEST;
    let made = encoder.without_message_authenticator(code, 1, &authenticator, None);
    assert_eq!(made, request);
}

#[test]
fn rfc_2865_section_7_3() {
    let first = hex!("f3a47a1f6a6d76710b947ab930 41a039");
    let hidden = hide_password(XYZZY, &first, b"challenge").unwrap();
    assert_eq!(*hidden, hex!("3365757377 8289b570885e15084825c5"));
    let challenge = hex!(
        "0b02004e 36f3c8764ae8c71157403c0c71ff9c45 12304368616c6c656e67652033323736393433302e
         2020456e74657220726573706f6e73652061742070726f6d70742e 180a3332373639343330"
    );
    let parsed = Packet::parse(&challenge).unwrap();
    assert_eq!(parsed.code, Code::ACCESS_CHALLENGE);
    assert_eq!(verify_reply(&parsed, &first, XYZZY, false), Ok(()));
    let second = hex!("b122556d428a13d0d6253807c457ecf0");
    let hidden = hide_password(XYZZY, &second, b"99101462").unwrap();
    assert_eq!(*hidden, hex!("692c1f205fc081b919b95195f561a581"));
    let reject = hex!("03030014 a42f4fca45916c4e09c8340f9e746aa0");
    let parsed = Packet::parse(&reject).unwrap();
    assert_eq!(verify_reply(&parsed, &second, XYZZY, false), Ok(()));
    assert_eq!(Reject::parse(&parsed.attributes), Reject::default());
}

#[test]
fn a_long_password_is_hidden_block_by_block() {
    let authenticator = [7; 16];
    for length in [0, 1, 15, 16, 17, 32, 127, 128] {
        let password = vec![b'x'; length];
        let hidden = hide_password(XYZZY, &authenticator, &password).unwrap();
        assert_eq!(hidden.len(), length.max(1).next_multiple_of(16));
    }
    assert!(hide_password(XYZZY, &authenticator, &[b'x'; 129]).is_none());
}

#[test]
fn the_message_authenticator_comes_first_in_everything_we_send() {
    let mut encoder = Encoder::new();
    encoder.text(kind::USER_NAME, "ann");
    let packets = [
        encoder.access_request(1, &[9; 16], XYZZY),
        encoder.signed_request(Code::ACCOUNTING_REQUEST, 1, XYZZY),
        encoder.reply(Code::DISCONNECT_ACK, 1, &[9; 16], XYZZY),
    ];
    for packet in packets {
        let parsed = Packet::parse(&packet).unwrap();
        let (first, value) = parsed.attributes.iter().next().unwrap();
        assert_eq!((first, value.len()), (kind::MESSAGE_AUTHENTICATOR, 16));
        assert_ne!(value, [0; 16]);
    }
}

/// CVE-2024-3596: what BlastRADIUS makes of a reject, and what it cannot make.
#[test]
fn cve_2024_3596_a_reply_without_message_authenticator_is_dropped() {
    let request = [5; 16];
    let mut forged = Encoder::new();
    forged.integer(kind::SERVICE_TYPE, 2);
    forged.bytes(kind::PROXY_STATE, &[0xaa; 200]);
    let code = Code::ACCESS_ACCEPT;
    // The attack ends in a valid Response Authenticator.
    let packet = forged.without_message_authenticator(code, 1, &request, Some(XYZZY));
    let parsed = Packet::parse(&packet).unwrap();
    assert_eq!(verify_reply(&parsed, &request, XYZZY, false), Ok(()));
    assert_eq!(
        verify_reply(&parsed, &request, XYZZY, true),
        Err(Error::NoMessageAuthenticator)
    );
    // A made up one does not help, even where none is required.
    forged.bytes(kind::MESSAGE_AUTHENTICATOR, &[1; 16]);
    let packet = forged.without_message_authenticator(code, 1, &request, Some(XYZZY));
    let parsed = Packet::parse(&packet).unwrap();
    for required in [true, false] {
        assert_eq!(
            verify_reply(&parsed, &request, XYZZY, required),
            Err(Error::BadMessageAuthenticator)
        );
    }
    // Nor do two, of which one is right.
    let mut twice = Encoder::new();
    twice.bytes(kind::MESSAGE_AUTHENTICATOR, &[1; 16]);
    let packet = twice.reply(code, 1, &request, XYZZY);
    let parsed = Packet::parse(&packet).unwrap();
    assert_eq!(
        verify_reply(&parsed, &request, XYZZY, true),
        Err(Error::BadMessageAuthenticator)
    );
}

#[test]
fn cve_2004_0055_cve_2026_35333_radius_attr_len_0_1_2_gt() {
    for length in [0, 1, 4, 255] {
        let packet = packet_of(&[kind::USER_NAME, length, b'x']);
        assert_eq!(Packet::parse(&packet), Err(Error::BadAttributeLength));
    }
    let packet = packet_of(&[kind::USER_NAME, 2]);
    let parsed = Packet::parse(&packet).unwrap();
    assert_eq!(parsed.attributes.get(kind::USER_NAME), Some(&[][..]));
    assert_eq!(
        Packet::parse(&packet_of(&[1])),
        Err(Error::BadAttributeLength)
    );
}

#[test]
fn cve_2021_42870_radius_ipaddr_integer_wrong_len() {
    let typed = [
        kind::FRAMED_IP_ADDRESS,
        kind::SESSION_TIMEOUT,
        kind::IDLE_TIMEOUT,
        kind::SERVICE_TYPE,
        kind::PORT_LIMIT,
        kind::ACCT_INTERIM_INTERVAL,
    ];
    for kind in typed {
        for length in [2, 3, 5, 7, 10] {
            let mut attribute = vec![kind, length];
            attribute.resize(length.into(), 0);
            assert_eq!(accept(&attribute), Err(Error::BadAttribute(kind)));
        }
    }
    // What we do not read may have any length: Framed-Interface-Id, Framed-IPv6-Prefix.
    assert!(accept(&[96, 3, 0, 97, 2]).is_ok());
}

#[test]
fn cve_2015_3310_radius_reply_message_x16_253() {
    let mut encoder = Encoder::new();
    for _ in 0..15 {
        encoder.bytes(kind::REPLY_MESSAGE, &[b'm'; 253]);
    }
    let packet = encoder.reply(Code::ACCESS_REJECT, 1, &[0; 16], XYZZY);
    let reject = Reject::parse(&Packet::parse(&packet).unwrap().attributes);
    assert_eq!(reject.message.len(), 255);
}

#[test]
fn log_injection_crlf_ansi_in_reply_message() {
    let mut encoder = Encoder::new();
    encoder.text(kind::REPLY_MESSAGE, "no\r\nauth failed \u{1b}[31m\u{9b}x");
    let packet = encoder.reply(Code::ACCESS_REJECT, 1, &[0; 16], XYZZY);
    let reject = Reject::parse(&Packet::parse(&packet).unwrap().attributes);
    assert_eq!(reject.message, "noauth failed [31mx");
}

#[test]
fn cve_2017_10978_bad_tunnel_passwords_and_mppe_keys_do_no_harm() {
    for length in 0..40 {
        let mut encoder = Encoder::new();
        encoder.bytes(69, &vec![1; length]);
        for key in [16, 17] {
            encoder.vendor(ms::VENDOR, key, &vec![1; length]);
        }
        let packet = encoder.reply(Code::ACCESS_ACCEPT, 1, &[0; 16], XYZZY);
        assert!(Accept::parse(&Packet::parse(&packet).unwrap().attributes).is_ok());
    }
}

#[test]
fn vendor_attributes_that_are_cut_short_end_there() {
    let mut encoder = Encoder::new();
    encoder.bytes(kind::VENDOR_SPECIFIC, &[0, 0, 1]);
    encoder.bytes(kind::VENDOR_SPECIFIC, &hex!("00000137 1c00"));
    encoder.bytes(kind::VENDOR_SPECIFIC, &hex!("00000137 1c06 0a000001 1d09"));
    encoder.bytes(kind::VENDOR_SPECIFIC, &hex!("00000009 1c06 0a000009"));
    let packet = encoder.reply(Code::ACCESS_ACCEPT, 1, &[0; 16], XYZZY);
    let accept = Accept::parse(&Packet::parse(&packet).unwrap().attributes).unwrap();
    assert_eq!(accept.dns, [Some(Ipv4Addr::new(10, 0, 0, 1)), None]);
}

#[test]
fn ms_chap_2_success_and_error_are_read() {
    let mut encoder = Encoder::new();
    let text = format!("S={}", "0123456789".repeat(4));
    let mut value = vec![7];
    value.extend(text.as_bytes());
    encoder.vendor(ms::VENDOR, ms::CHAP2_SUCCESS, &value);
    let packet = encoder.reply(Code::ACCESS_ACCEPT, 1, &[0; 16], XYZZY);
    let accept = Accept::parse(&Packet::parse(&packet).unwrap().attributes).unwrap();
    assert_eq!(accept.success, Some(text.into_bytes()));
    let short = [26, 12, 0, 0, 1, 55, 26, 6, 7, b'S', b'=', b'1'];
    assert!(self::accept(&short).is_err());
    let error = b"\x07E=648 R=0 C=00112233445566778899AABBCCDDEEFF V=3 M=old";
    let read = MsChapError::parse(error).unwrap();
    assert_eq!((read.code, read.retry), (648, false));
    let read = MsChapError::parse(b"E=691 R=1").unwrap();
    assert_eq!((read.code, read.retry), (691, true));
    assert_eq!(MsChapError::parse(b""), None);
}

#[test]
fn lengths_of_the_packet_are_checked() {
    let good = packet_of(&[]);
    assert!(Packet::parse(&good).is_ok());
    for length in 0..20 {
        assert_eq!(Packet::parse(&good[..length]), Err(Error::Short));
    }
    let mut padded = good.clone();
    padded.extend([1, 2, 3]);
    assert_eq!(Packet::parse(&padded).unwrap().bytes(), good);
    for length in [0_u16, 19, 4097, 0xffff] {
        let mut packet = vec![0; 5000];
        packet[2..4].copy_from_slice(&length.to_be_bytes());
        assert_eq!(Packet::parse(&packet), Err(Error::BadLength));
    }
    let mut longer = good;
    longer[3] = 21;
    assert_eq!(Packet::parse(&longer), Err(Error::Short));
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        id: u8,
        request: [u8; 16],
        secret in prop::collection::vec(any::<u8>(), 1..100),
        attributes in prop::collection::vec(
            (any::<u8>(), prop::collection::vec(any::<u8>(), 1..=253)), 0..14),
    ) {
        let mut encoder = Encoder::new();
        let attributes: Vec<_> = attributes.into_iter()
            .filter(|(kind, _)| *kind != kind::MESSAGE_AUTHENTICATOR)
            .collect();
        for (kind, value) in &attributes {
            encoder.bytes(*kind, value);
        }
        let packet = encoder.reply(Code::ACCESS_ACCEPT, id, &request, &secret);
        let parsed = Packet::parse(&packet).unwrap();
        prop_assert_eq!((parsed.code, parsed.id), (Code::ACCESS_ACCEPT, id));
        let read: Vec<_> = parsed.attributes.iter().skip(1)
            .map(|(kind, value)| (kind, value.to_vec()))
            .collect();
        prop_assert_eq!(read, attributes);
        prop_assert_eq!(verify_reply(&parsed, &request, &secret, true), Ok(()));
        let signed = encoder.signed_request(Code::DISCONNECT_REQUEST, id, &secret);
        let parsed = Packet::parse(&signed).unwrap();
        prop_assert_eq!(verify_request(&parsed, &secret), Ok(()));
    }

    #[test]
    fn no_bit_of_a_reply_can_be_changed(at in 0_usize..60, bit in 0_u8..8) {
        let mut encoder = Encoder::new();
        encoder.integer(kind::SESSION_TIMEOUT, 60).text(kind::REPLY_MESSAGE, "hello, ann");
        let mut packet = encoder.reply(Code::ACCESS_ACCEPT, 1, &[3; 16], XYZZY);
        let at = at % packet.len();
        packet[at] ^= 1 << bit;
        if let Ok(parsed) = Packet::parse(&packet) {
            prop_assert!(verify_reply(&parsed, &[3; 16], XYZZY, true).is_err());
        }
    }

    #[test]
    fn any_bytes_are_taken_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(packet) = Packet::parse(&bytes) {
            let _ = Accept::parse(&packet.attributes);
            let _ = Reject::parse(&packet.attributes);
            let _ = verify_reply(&packet, &[0; 16], XYZZY, true);
            let _ = verify_request(&packet, XYZZY);
        }
    }
}
