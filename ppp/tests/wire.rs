//! Everything that is written is read as the same, and what answers say of the options they answer.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use common::*;
use ppp::AuthMethod;
use ppp::wire::{
    ChapValue, Code, ConfigOption, FrameHeader, MsChapFailure, MsChapV2Response, Options, Packet,
    PapRequest, Protocol,
};
use proptest::prelude::*;

type Option = (u8, Vec<u8>);

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..=most)
}

/// Options that mean something to LCP, IPCP or IPV6CP, and any others, of any length.
fn option() -> impl Strategy<Value = Option> {
    let sized = |kinds: &'static [u8], size: usize| {
        (
            prop::sample::select(kinds),
            prop::collection::vec(any::<u8>(), size),
        )
    };
    prop_oneof![
        sized(&[1, 3, 17], 2),
        sized(&[2, 3, 5, 129, 130, 131, 132], 4),
        sized(&[1], 8),
        sized(&[7, 8], 0),
        sized(&[13], 1),
        Just((3, MSCHAPV2.to_vec())),
        (any::<u8>(), bytes(20)),
        (any::<u8>(), bytes(253)),
    ]
}

fn list(options: &[Option]) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, data) in options {
        let kind = *kind;
        ConfigOption { kind, data }.emit(&mut out);
    }
    out
}

fn read(list: &[u8]) -> Vec<Option> {
    let options = Options::new(list).map(Result::unwrap);
    options.map(|o| (o.kind, o.data.to_vec())).collect()
}

/// Whether `part` is what is left of `whole` when some are taken out: order kept, bytes too.
fn is_part(part: &[Option], whole: &[Option]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|option| whole.any(|other| other == option))
}

/// What RFC 1661 sections 5.2 to 5.4 say of an answer to `asked`.
fn check(b: &mut Bench, protocol: u16, id: u8, asked: &[Option]) -> Result<(), TestCaseError> {
    b.heard.clear();
    b.say(protocol, REQUEST, id, &list(asked)).unwrap();
    let mut answers = b.heard.iter();
    let answers = answers
        .by_ref()
        .filter(|h| h.protocol == protocol && (ACK..=REJECT).contains(&h.code));
    let answers: Vec<_> = answers.collect();
    prop_assert_eq!(answers.len(), 1);
    let answer = answers[0];
    prop_assert_eq!(answer.id, id);
    let said = read(&answer.data);
    match answer.code {
        ACK => prop_assert_eq!(said, asked),
        NAK => {
            prop_assert!(!said.is_empty());
            let mut kinds: Vec<u8> = said.iter().map(|(kind, _)| *kind).collect();
            kinds.sort_unstable();
            kinds.dedup();
            prop_assert_eq!(kinds.len(), said.len(), "each once");
        }
        _ => {
            prop_assert!(!said.is_empty());
            prop_assert!(is_part(&said, asked));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_list_of_options_survives(options in prop::collection::vec(option(), 0..20)) {
        prop_assert_eq!(read(&list(&options)), options);
    }

    #[test]
    fn every_packet_survives(code in any::<u8>(), id in any::<u8>(), data in bytes(1500), padding in bytes(40)) {
        let code = Code(code);
        let packet = Packet { code, id, data: &data };
        let mut line = packet.emit();
        prop_assert_eq!(Packet::parse(&line), Ok(packet));
        line.extend(padding);
        prop_assert_eq!(Packet::parse(&line), Ok(packet));
    }

    #[test]
    fn every_frame_header_survives(
        protocol in any::<u16>(),
        (compress_address, compress_protocol) in any::<(bool, bool)>(),
        information in bytes(100),
    ) {
        // The low byte of a protocol is odd, the high one even (RFC 1661 section 2).
        let protocol = protocol & 0xfeff | 1;
        let header = FrameHeader { protocol: Protocol(protocol), compress_address, compress_protocol };
        let mut buf = vec![0xee; 4];
        buf.extend(&information);
        let whole = header.prepend(&mut buf, 4..4 + information.len()).unwrap();
        let (read, range) = FrameHeader::parse(&buf, whole.clone()).unwrap();
        prop_assert_eq!(range, 4..4 + information.len());
        prop_assert_eq!(read.protocol.0, protocol);
        prop_assert_eq!(read.compress_address, compress_address);
        prop_assert_eq!(read.compress_protocol, compress_protocol && protocol <= 0xff);
        let short = usize::from(!compress_address) * 2 + 2 - usize::from(read.compress_protocol);
        prop_assert_eq!(whole.start, 4 - short);
    }

    #[test]
    fn every_proof_survives(
        value in bytes(255),
        name in bytes(100),
        (user, password) in (bytes(255), bytes(255)),
        (peer_challenge, nt_response) in any::<([u8; 16], [u8; 24])>(),
    ) {
        let chap = ChapValue { value: &value, name: &name };
        let line = chap.emit();
        prop_assert_eq!(ChapValue::parse(&line), Ok(chap));
        let pap = PapRequest { user: &user, password: &password };
        let line = pap.emit();
        prop_assert!(PapRequest::parse(&line) == Ok(pap));
        let response = MsChapV2Response { peer_challenge, nt_response };
        prop_assert_eq!(MsChapV2Response::parse(&response.emit()), Ok(response));
    }

    #[test]
    fn every_failure_survives(
        (code, retry) in any::<(u16, bool)>(),
        (challenge, version) in any::<(std::option::Option<[u8; 16]>, std::option::Option<u32>)>(),
        message in bytes(100),
    ) {
        let failure = MsChapFailure { code, retry, challenge, version, message: &message };
        let line = failure.emit();
        prop_assert_eq!(MsChapFailure::parse(&line), Some(failure));
    }

    #[test]
    fn any_bytes_are_read_or_refused(data in bytes(300)) {
        let _ = Packet::parse(&data);
        let _ = ChapValue::parse(&data).map(|chap| MsChapV2Response::parse(chap.value));
        let _ = PapRequest::parse(&data);
        let _ = MsChapFailure::parse(&data);
        // Each option takes two bytes at least.
        prop_assert!(Options::new(&data).count() <= data.len() / 2 + 1);
        if let Ok((_, information)) = FrameHeader::parse(&data, 0..data.len()) {
            prop_assert!(information.end == data.len() && information.start <= 4);
        }
    }

    #[test]
    fn every_configure_request_gets_one_right_answer(
        requests in prop::collection::vec(prop::collection::vec(option(), 0..6), 1..6),
        client in any::<bool>(),
    ) {
        let mut config = client_config();
        config.ipv6 = true;
        config.auth.push(AuthMethod::Pap);
        // Patience is tested elsewhere.
        config.max_failure = 1000;
        let mut lcp = if client { Bench::client(config.clone()) } else { Bench::server(config.clone()) };
        let mut up = if client { Bench::client_in_network(config) } else { Bench::server_in_network(config) };
        for (id, asked) in (10..).zip(&requests) {
            check(&mut lcp, LCP, id, asked)?;
            check(&mut up, IPCP, id, asked)?;
            check(&mut up, IPV6CP, id, asked)?;
        }
    }
}
