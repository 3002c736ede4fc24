//! HDLC-like framing (RFC 1662).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use ppp::hdlc::{Decoder, ESCAPE, FLAG, Fcs, FrameError, encode};
use ppp::wire::FrameHeader;
use proptest::prelude::*;

type Frames = Vec<Result<Vec<u8>, FrameError>>;

/// What `decoder` finds in `line`, brought in chunks of `size`.
fn decode(decoder: &mut Decoder, line: &[u8], size: usize) -> Frames {
    let mut frames = Vec::new();
    for mut chunk in line.chunks(size) {
        while let Some(frame) = decoder.decode(&mut chunk) {
            frames.push(frame.map(<[u8]>::to_vec));
        }
        assert!(chunk.is_empty());
    }
    frames
}

fn line(frame: &[u8]) -> Vec<u8> {
    let mut line = Vec::new();
    encode(frame, Fcs::Fcs16, 0, &mut line);
    line
}

fn decoder() -> Decoder {
    Decoder::new(Fcs::Fcs16, 0, 64)
}

/// The catalogued check values of the two polynomials: X.25's and ISO 3309's over "123456789".
#[test]
fn known_check_sequences() {
    assert_eq!(Fcs::Fcs16.of(b"123456789"), 0x906e);
    assert_eq!(Fcs::Fcs32.of(b"123456789"), 0xcbf4_3926);
}

/// The first entries of the table of RFC 1662 appendix C.2, each the sequence of one byte.
#[test]
fn table_of_appendix_c() {
    for (index, entry) in [0x0000, 0x1189, 0x2312, 0x329b, 0x4624]
        .into_iter()
        .enumerate()
    {
        // From 0xffff on, the table is entered at the complement of the byte.
        let byte = 0xff ^ u8::try_from(index).unwrap();
        assert_eq!(Fcs::Fcs16.of(&[byte]), (0x00ff ^ entry) ^ 0xffff);
    }
}

/// The examples of RFC 1662 section 4.2: 0x7e, 0x7d and 0x03 escaped.
#[test]
fn escapes_of_section_4_2() {
    let mut line = Vec::new();
    encode(&[FLAG, ESCAPE, 0x03, 0x11], Fcs::Fcs16, 1 << 3, &mut line);
    assert_eq!(line[..8], [0x7e, 0x7d, 0x5e, 0x7d, 0x5d, 0x7d, 0x23, 0x11]);
    let frames = decode(&mut decoder(), &line, 1);
    assert_eq!(frames, [Ok(vec![FLAG, ESCAPE, 0x03, 0x11])]);
}

#[test]
fn frames_may_share_a_flag_and_be_far_apart() {
    let mut all = line(b"first");
    all.extend(&line(b"second")[1..]);
    all.extend([FLAG; 5]);
    all.extend(line(b"third"));
    let wanted: Frames = [&b"first"[..], b"second", b"third"]
        .map(|f| Ok(f.to_vec()))
        .into();
    for size in 1..=all.len() {
        assert_eq!(decode(&mut decoder(), &all, size), wanted);
    }
}

#[test]
fn what_comes_before_the_first_flag_is_no_frame() {
    let mut noise = b"NO CARRIER\r\n".to_vec();
    noise.extend(line(b"frame"));
    assert_eq!(decode(&mut decoder(), &noise, 7), [Ok(b"frame".to_vec())]);
}

#[test]
fn bad_frames_are_dropped_and_the_next_is_found() {
    let mut abort = vec![FLAG, 1, 2, 3, ESCAPE];
    let mut short = vec![FLAG, 1, 2, 3];
    let mut wrong = line(b"frame");
    wrong[2] ^= 1;
    let mut long = line(&[0x55; 65]);
    for (bad, error) in [
        (&mut abort, FrameError::Aborted),
        (&mut short, FrameError::Short),
        (&mut wrong, FrameError::CheckSequence),
        (&mut long, FrameError::Long),
    ] {
        bad.extend(line(b"good"));
        assert_eq!(
            decode(&mut decoder(), bad, 3),
            [Err(error), Ok(b"good".to_vec())]
        );
    }
}

#[test]
fn the_longest_frame_fits() {
    for fcs in [Fcs::Fcs16, Fcs::Fcs32] {
        let mut line = Vec::new();
        encode(&[0x55; 64], fcs, 0, &mut line);
        let frames = decode(&mut Decoder::new(fcs, 0, 64), &line, 5);
        assert_eq!(frames, [Ok(vec![0x55; 64])]);
    }
}

/// RFC 1662 section 4.2: modems put in XON and XOFF; those that were sent come escaped.
#[test]
fn characters_of_the_line_are_taken_out() {
    let map = 1 << 0x11 | 1 << 0x13;
    let mut line = Vec::new();
    encode(&[1, 0x11, 2, 3], Fcs::Fcs16, map, &mut line);
    line.insert(2, 0x13);
    line.insert(4, 0x11);
    // Before LCP has found out, they belong to the frame.
    let mut decoder = decoder();
    let taken = decode(&mut decoder, &line, 2);
    assert_eq!(taken, [Err(FrameError::CheckSequence)]);
    decoder.set_async_map(map);
    assert_eq!(decode(&mut decoder, &line, 2), [Ok(vec![1, 0x11, 2, 3])]);
}

/// CVE-2024-2397: a de-escaping that never ended. Here each byte is looked at once.
#[test]
fn cve_2024_2397_escapes_without_end() {
    for line in [
        vec![ESCAPE; 10_000],
        vec![FLAG; 10_000],
        [FLAG, ESCAPE].repeat(5_000),
    ] {
        for frame in decode(&mut decoder(), &line, 1_000) {
            assert_eq!(frame, Err(FrameError::Aborted));
        }
    }
}

proptest! {
    #[test]
    fn round_trip(
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 2..64), 1..5),
        map in any::<u32>(),
        wide in any::<bool>(),
        size in 1_usize..80,
    ) {
        let fcs = if wide { Fcs::Fcs32 } else { Fcs::Fcs16 };
        let mut line = Vec::new();
        for frame in &frames {
            encode(frame, fcs, map, &mut line);
        }
        let mut decoder = Decoder::new(fcs, map, 64);
        let wanted: Frames = frames.into_iter().map(Ok).collect();
        prop_assert_eq!(decode(&mut decoder, &line, size), wanted);
    }

    #[test]
    fn chunks_make_no_difference(line in prop::collection::vec(any::<u8>(), 0..200), size in 1_usize..50) {
        prop_assert_eq!(decode(&mut decoder(), &line, size), decode(&mut decoder(), &line, 1_000));
    }
}

/// A modem's line as pppd recorded it: what was dialled, a login, and a whole PPP session in and
/// out, of which its giver has overwritten the passwords.
#[test]
fn a_recorded_dial_up_comes_out_of_its_bytes() {
    let name = "ppp/ppp-dialup-chap.pppd";
    let Some(record) = simnet::corpus(env!("CARGO_MANIFEST_DIR"), name) else {
        return;
    };
    let record = std::fs::read(record).unwrap();
    let mut decoders = [0; 2].map(|map| Decoder::new(Fcs::Fcs16, map, 1504));
    let mut frames = [Frames::new(), Frames::new()];
    let mut rest = record.as_slice();
    while let [kind, after @ ..] = rest {
        rest = match kind {
            1 | 2 => {
                let (size, after) = after.split_first_chunk::<2>().unwrap();
                let (line, after) = after.split_at(u16::from_be_bytes(*size).into());
                let way = usize::from(kind - 1);
                frames[way].extend(decode(&mut decoders[way], line, line.len()));
                after
            }
            // Time, which goes by in one byte or four.
            6 => &after[1..],
            5 | 7 => &after[4..],
            _ => after,
        };
    }
    let protocols = |way: usize| {
        let good = frames[way].iter().flatten();
        let read = good.map(|f| FrameHeader::parse(f, 0..f.len()).unwrap().0.protocol.0);
        read.collect::<Vec<_>>()
    };
    let bad = frames.iter().flatten().filter(|f| f.is_err()).count();
    assert_eq!(bad, 1, "the response, whose value was overwritten");
    let (lcp, chap, ipcp, ip) = (0xc021, 0xc223, 0x8021, 0x0021);
    let sent = [lcp, lcp, lcp, ipcp, ipcp, ipcp, ip, ip, lcp];
    assert_eq!(protocols(0), sent);
    let heard = [lcp, lcp, lcp, chap, chap, ipcp, ipcp, ipcp, ip, ip, lcp];
    assert_eq!(protocols(1), heard);
}
