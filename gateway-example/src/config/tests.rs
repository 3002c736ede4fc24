use super::{Config, Network, Policy};
use std::path::Path;

const OFFICE: &str = include_str!("../../office.toml");

fn error(text: &str) -> String {
    match Config::parse(Path::new("office.toml"), text) {
        Ok(_) => panic!("accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_example_is_valid() {
    let config = Config::parse(Path::new("office.toml"), OFFICE).unwrap();
    assert_eq!(config.policy, Policy::Compat);
    assert_eq!(config.users.len(), 4);
    assert!(config.users["dialin1"].address.is_some());
}

#[test]
fn an_unknown_key_is_named_with_its_place() {
    let error = error(&OFFICE.replace("policy =", "polizy ="));
    assert!(error.starts_with("office.toml:"), "{error}");
    assert!(error.contains("unknown field `polizy`"), "{error}");
    assert!(error.contains("`policy`"), "{error}");
}

#[test]
fn a_bad_value_says_what_would_be_right() {
    let error = error(&OFFICE.replace("192.168.200.10-192.168.200.99", "192.168.200.10"));
    assert!(error.contains("is not a range of addresses"), "{error}");
    assert!(
        error.contains("= help: write the first and the last"),
        "{error}"
    );
    let line = OFFICE
        .lines()
        .position(|l| l.contains("192.168.200.10-"))
        .unwrap()
        + 1;
    assert!(error.contains(&format!("office.toml:{line}:")), "{error}");
}

#[test]
fn no_message_shows_a_secret() {
    let broken = OFFICE.replace("secret = \"", "secret = 7 # \"");
    assert!(!error(&broken).contains("7 #"));
    let config = Config::parse(Path::new("office.toml"), OFFICE).unwrap();
    let shown = format!("{config:?}");
    for user in config.users.values() {
        assert!(!shown.contains(user.password.expose()), "{shown}");
    }
}

#[test]
fn a_user_named_twice_is_refused() {
    assert!(error(&OFFICE.replace("dialin2", "dialin1")).contains("stands here twice"));
}

#[test]
fn networks_contain_their_addresses() {
    let lan: Network = "192.168.8.0/24".parse().unwrap();
    assert!(lan.contains([192, 168, 8, 50].into()));
    assert!(!lan.contains([192, 168, 9, 50].into()));
    let all: Network = "0.0.0.0/0".parse().unwrap();
    assert!(all.contains([8, 8, 8, 8].into()));
    assert!("1.2.3.4/33".parse::<Network>().is_err());
}

#[test]
fn every_mistake_is_told_what_would_be_right() {
    for (right, wrong, help) in [
        (
            "policy = \"compat\"",
            "policy = \"weak\"",
            "use one of those listed",
        ),
        (
            "policy =",
            "polizy =",
            "one of those listed, or remove the line",
        ),
        ("mru = 1400", "mru = 70000", "0 to 65535"),
        ("mru = 1400", "mru = 100", "576 to 1500"),
        ("local = \"192.168.8.1\"", "", "add local ="),
        ("peer = \"any\"", "", "add peer ="),
        ("peer = \"any\"", "peer = \"all\"", "write \"any\""),
        ("[ppp]", "[ppp", "office.toml shows"),
        ("\"mschapv2\"", "\"eap\"", "choose from"),
    ] {
        let error = error(&OFFICE.replace(right, wrong));
        let (_, told) = error.split_once("= help: ").unwrap();
        assert!(told.contains(help), "{wrong}: {error}");
        assert!(error.starts_with("office.toml:"), "{error}");
    }
}
