//! A checksum made to fit other addresses and back again is what it was; a right one stays right.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use std::net::IpAddr;

#[derive(Arbitrary, Debug)]
struct Input {
    protocol: u8,
    sent: [u128; 2],
    seen: [u128; 2],
    v4: [bool; 2],
    segment: Vec<u8>,
}

fn addresses([source, destination]: [u128; 2], v4: bool) -> (IpAddr, IpAddr) {
    let one = |bits: u128| match v4 {
        true => IpAddr::from((bits as u32).to_be_bytes()),
        false => IpAddr::from(bits.to_be_bytes()),
    };
    (one(source), one(destination))
}

fuzz_target!(|input: Input| {
    let [sent, seen] = [(input.sent, input.v4[0]), (input.seen, input.v4[1])];
    let (sent, seen) = (addresses(sent.0, sent.1), addresses(seen.0, seen.1));
    let protocol = [6, 17, input.protocol][usize::from(input.protocol) % 3];
    let mut segment = input.segment.clone();
    if natt::repair_checksum(&mut segment, protocol, sent, seen).is_err() {
        assert_eq!(segment, input.segment, "untouched");
        return;
    }
    let field = match protocol {
        6 => 16..18,
        17 => 6..8,
        _ => 0..0,
    };
    assert_eq!(segment[..field.start], input.segment[..field.start]);
    assert_eq!(segment[field.end..], input.segment[field.end..]);
    natt::repair_checksum(&mut segment, protocol, seen, sent).unwrap();
    // Both zeros of one's complement are the same sum.
    let normal = |s: &[u8]| match &s[field.clone()] {
        [0xff, 0xff] if protocol != 17 || input.segment[6..8] != [0, 0] => vec![0, 0],
        other => other.to_vec(),
    };
    assert_eq!(normal(&segment), normal(&input.segment));
});
