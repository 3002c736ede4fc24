//! Accounting.

use super::*;

#[test]
fn records_say_what_a_call_has_carried() {
    let interim = RADIUS.replace("dynamic_port", "interim_seconds = 600\ndynamic_port");
    let mut lab = Lab::new(&interim);
    lab.aaa.set_clock(lab.now, WALL);
    let on = lab.records();
    assert_eq!(on.len(), 1);
    assert_eq!(integer(&on[0], kind::ACCT_STATUS_TYPE), Some(7));
    let call = lab.remote("carol", |a| {
        a.bytes(kind::CLASS, b"one");
        a.bytes(kind::CLASS, b"two");
    });
    lab.admitted(call);
    assert!(lab.records().is_empty());
    lab.wait(3);
    lab.aaa.opened(lab.now, call);
    let start = lab.records().pop().unwrap();
    assert_eq!(integer(&start, kind::ACCT_STATUS_TYPE), Some(1));
    assert_eq!(integer(&start, kind::ACCT_AUTHENTIC), Some(1));
    let stamp = u32::try_from(WALL.as_secs()).unwrap() + 3;
    assert_eq!(integer(&start, kind::EVENT_TIMESTAMP), Some(stamp));
    let classes = Packet::parse(&start).unwrap().attributes.all(kind::CLASS);
    assert_eq!(classes.collect::<Vec<_>>(), [b"one", b"two"]);
    let id = text(&start, kind::ACCT_SESSION_ID);
    assert_eq!(id, lab.aaa.session_id(call));
    let traffic = Traffic {
        bytes_in: 5,
        bytes_out: (3 << 32) + 7,
        packets_in: 2,
        packets_out: 9,
    };
    lab.traffic.insert(call, traffic);
    lab.wait(600);
    let interim = lab.records().pop().unwrap();
    assert_eq!(integer(&interim, kind::ACCT_STATUS_TYPE), Some(3));
    assert_eq!(integer(&interim, kind::ACCT_SESSION_TIME), Some(600));
    lab.wait(10);
    lab.end(call, "peer_terminated");
    let stop = lab.records().pop().unwrap();
    for (kind, value) in [
        (kind::ACCT_STATUS_TYPE, 2),
        (kind::ACCT_SESSION_TIME, 610),
        (kind::ACCT_INPUT_OCTETS, 5),
        (kind::ACCT_INPUT_GIGAWORDS, 0),
        (kind::ACCT_OUTPUT_OCTETS, 7),
        (kind::ACCT_OUTPUT_GIGAWORDS, 3),
        (kind::ACCT_INPUT_PACKETS, 2),
        (kind::ACCT_OUTPUT_PACKETS, 9),
        (kind::ACCT_TERMINATE_CAUSE, 1),
    ] {
        assert_eq!(integer(&stop, kind), Some(value), "{kind}");
    }
    assert_eq!(text(&stop, kind::ACCT_SESSION_ID), id);
    assert!(lab.aaa.is_idle());
}

#[test]
fn what_ends_with_the_gateway_says_so() {
    let mut lab = Lab::new(RADIUS);
    let (call, _) = lab.connect("ann", "secret");
    lab.records();
    lab.aaa.closing();
    lab.end(call, "local");
    lab.aaa.close(lab.now);
    assert!(!lab.aaa.is_idle());
    let records = lab.records();
    assert_eq!(integer(&records[0], kind::ACCT_AUTHENTIC), Some(2));
    assert_eq!(integer(&records[0], kind::ACCT_TERMINATE_CAUSE), Some(7));
    assert_eq!(integer(&records[1], kind::ACCT_STATUS_TYPE), Some(8));
    assert!(lab.aaa.is_idle());
}

#[test]
fn causes_follow_from_the_reasons_of_the_protocols() {
    for (reason, cause) in [
        ("peer_terminated", Cause::UserRequest),
        ("peer_closed (result 3, error 0)", Cause::UserRequest),
        ("echo_timeout", Cause::LostCarrier),
        ("tunnel_down", Cause::LostCarrier),
        ("administrative", Cause::AdminReset),
        ("negotiation_failed", Cause::NasError),
    ] {
        assert_eq!(Cause::of(reason), cause, "{reason}");
    }
}
