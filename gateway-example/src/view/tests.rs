//! What people and scripts have come to rely on.

use super::View;
use crate::control::Answer;
use crate::core::{
    AttemptStatus, Counter, Counters, EspStatus, Explanation, FlowStatus, Flows, IsakmpStatus,
    LastError, Nat, Sas, SessionStatus, Sessions, Stage, UserStatus, Users,
};

fn session() -> SessionStatus {
    SessionStatus {
        id: 3,
        state: Stage::Connected,
        peer: "203.0.113.9:4500".into(),
        nat: Nat::Client,
        ike_suite: "AES_CBC-256/HMAC_SHA1/MODP_2048".into(),
        esp_suite: "AES_CBC-128/HMAC_SHA1_96".into(),
        host: Some("laptop\u{7}".into()),
        user: Some("ann".into()),
        address: Some("192.168.200.10".into()),
        uptime_seconds: 3725,
        bytes_in: 1_500_000,
        bytes_out: 42,
        last_error: Some(LastError {
            reason: "bad_password".into(),
            seconds_ago: 90,
        }),
    }
}

fn sas() -> Sas {
    Sas {
        isakmp: vec![IsakmpStatus {
            id: 3,
            peer: "203.0.113.9:4500".into(),
            local: "198.51.100.1:4500".into(),
            nat: Nat::Client,
            suite: "AES_CBC-256/HMAC_SHA1/MODP_2048".into(),
            age_seconds: 5,
        }],
        esp: vec![EspStatus {
            id: 3,
            peer: "203.0.113.9:4500".into(),
            local: "198.51.100.1:4500".into(),
            udp_encapsulation: true,
            suite: "AES_CBC-128/HMAC_SHA1_96".into(),
            spi_in: "c0ffee01".into(),
            spi_out: "0badcafe".into(),
            age_seconds: 4,
        }],
    }
}

#[test]
fn names_in_json_stay() {
    let sessions = Sessions {
        sessions: vec![session()],
    };
    let expected = "{\"schema_version\":1,\"sessions\":[{\"id\":3,\"state\":\"connected\",\
        \"peer\":\"203.0.113.9:4500\",\"nat\":\"client\",\
        \"ike_suite\":\"AES_CBC-256/HMAC_SHA1/MODP_2048\",\
        \"esp_suite\":\"AES_CBC-128/HMAC_SHA1_96\",\"host\":\"laptop\\u0007\",\"user\":\"ann\",\
        \"address\":\"192.168.200.10\",\"uptime_seconds\":3725,\"bytes_in\":1500000,\
        \"bytes_out\":42,\"last_error\":{\"reason\":\"bad_password\",\"seconds_ago\":90}}]}";
    let answer = Answer::of(&sessions);
    assert_eq!(answer.json(), expected);
    assert_eq!(answer.read::<Sessions>().unwrap(), sessions);
    let expected = "{\"schema_version\":1,\"isakmp\":[{\"id\":3,\"peer\":\"203.0.113.9:4500\",\
        \"local\":\"198.51.100.1:4500\",\"nat\":\"client\",\
        \"suite\":\"AES_CBC-256/HMAC_SHA1/MODP_2048\",\"age_seconds\":5}],\
        \"esp\":[{\"id\":3,\"peer\":\"203.0.113.9:4500\",\"local\":\"198.51.100.1:4500\",\
        \"udp_encapsulation\":true,\"suite\":\"AES_CBC-128/HMAC_SHA1_96\",\
        \"spi_in\":\"c0ffee01\",\"spi_out\":\"0badcafe\",\"age_seconds\":4}]}";
    assert_eq!(Answer::of(&sas()).json(), expected);
    let counters = Counters {
        counters: vec![Counter {
            layer: "esp".into(),
            reason: "replay".into(),
            count: 7,
        }],
    };
    let expected = "{\"schema_version\":1,\"counters\":[{\"layer\":\"esp\",\
        \"reason\":\"replay\",\"count\":7}]}";
    assert_eq!(Answer::of(&counters).json(), expected);
}

#[test]
fn an_answer_of_another_version_is_not_guessed_at() {
    let answer = Answer::from_line("{\"schema_version\":2,\"sessions\":[]}".into());
    let refusal = answer.read::<Sessions>().unwrap_err();
    assert!(refusal.message.contains("version 2"), "{refusal}");
}

#[test]
fn tables_are_aligned_and_clean() {
    let sessions = Sessions {
        sessions: vec![session()],
    };
    let expected = "\
ID  USER  ADDRESS         STATE      PEER              NAT     ESP                          UP      IN   OUT  LAST ERROR
 3  ann   192.168.200.10  connected  203.0.113.9:4500  client  AES_CBC-128/HMAC_SHA1_96  1h02m  1.4 MiB  42 B  bad_password 1m30s ago";
    let words = |text: &str| {
        let lines = text
            .lines()
            .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "));
        lines.collect::<Vec<_>>()
    };
    let shown = sessions.view();
    assert_eq!(words(&shown), words(expected), "{shown}");
    let [heading, line] = shown.lines().collect::<Vec<_>>()[..] else {
        panic!("{shown}");
    };
    for word in ["USER", "PEER", "LAST ERROR"] {
        let at = heading.find(word).unwrap();
        assert_eq!(line.as_bytes()[at - 1], b' ', "{shown}");
        assert_ne!(line.as_bytes()[at], b' ', "{shown}");
    }
    assert_eq!(Sessions::default().view(), "nobody is connected");
    let flows = Flows {
        total: 3,
        flows: vec![FlowStatus {
            user: Some("ann".into()),
            state: "established".into(),
            age_seconds: 9,
            protocol: "tcp".into(),
            source: "192.168.200.10:50000".into(),
            destination: "1.1.1.1:443".into(),
            translated_source: Some("198.51.100.1:61000".into()),
            translated_destination: None,
        }],
    };
    let shown = flows.view();
    assert!(
        shown.contains("192.168.200.10:50000 as 198.51.100.1:61000"),
        "{shown}"
    );
    assert!(shown.ends_with("... and 2 more"), "{shown}");
    let users = Users {
        users: vec![UserStatus {
            name: "ann".into(),
            connections: vec![3, 4],
            ..UserStatus::default()
        }],
    };
    assert!(users.view().contains("3,4"));
}

#[test]
fn sas_are_shown_as_ip_xfrm_shows_them() {
    let expected = "\
src 203.0.113.9 dst 198.51.100.1
\tproto esp spi 0xc0ffee01 reqid 3 mode transport
\tencap type espinudp sport 4500 dport 4500 addr 0.0.0.0
src 198.51.100.1 dst 203.0.113.9
\tproto esp spi 0x0badcafe reqid 3 mode transport
\tencap type espinudp sport 4500 dport 4500 addr 0.0.0.0";
    assert_eq!(sas().ip_xfrm(), expected);
}

#[test]
fn an_explanation_says_what_why_and_what_to_change() {
    let told = Explanation {
        who: "ann".into(),
        connected: Vec::new(),
        attempts: vec![AttemptStatus {
            id: Some(3),
            peer: "203.0.113.9:4500".into(),
            user: Some("ann".into()),
            host: Some("laptop\u{1b}[2J".into()),
            connected: false,
            stage: Stage::Authentication,
            reason: "bad_password".into(),
            explanation: "Wrong password".into(),
            detail: None,
            advice: Some("Enter the password again".into()),
            windows_error: Some(691),
            times: 2,
            first_seconds_ago: 70,
            last_seconds_ago: 10,
        }],
    };
    let expected = "\
ann is not connected.

10s ago, 2 times since 1m10s ago, from 203.0.113.9:4500 (laptop\\u{1b}[2J), user ann: failed in authentication bad_password
  what     Wrong password; Windows shows error 691
  change   Enter the password again
  log      conn=3";
    assert_eq!(told.view(), expected);
    let never = Explanation {
        who: "203.0.113.77".into(),
        ..Explanation::default()
    };
    assert!(never.view().contains("Windows shows error 809"));
}
