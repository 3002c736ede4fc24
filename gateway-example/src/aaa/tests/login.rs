//! Users of the configuration: proof, sessions, addresses and time.

use super::*;

#[test]
fn users_get_their_own_address_or_one_of_the_pool() {
    let mut lab = Lab::new("");
    assert_eq!(
        lab.connect("ann", "secret").1,
        Ipv4Addr::new(192, 168, 8, 50)
    );
    let (call, address) = lab.connect("bob", "builder");
    assert_eq!(address, Ipv4Addr::new(192, 168, 200, 10));
    assert_eq!(lab.aaa.user(call), Some(("bob", address)));
    assert_eq!(lab.aaa.addresses_in_use(), 2);
    lab.end(call, "peer_terminated");
    lab.end(call, "peer_terminated");
    assert_eq!(lab.aaa.addresses_in_use(), 1);
    assert_eq!(lab.connect(r"OFFICE\bob", "builder").1, address);
}

#[test]
fn a_user_may_have_a_pool_of_its_own() {
    let mut lab = Lab::new("[[user]]\nname = \"eve\"\npassword = \"e\"\npool = \"guests\"");
    assert_eq!(lab.connect("eve", "e").1, Ipv4Addr::new(192, 168, 201, 10));
}

#[test]
fn a_wrong_password_and_an_unknown_user_get_the_same_answer_at_the_same_time() {
    let mut answers = Vec::new();
    for (user, password, reason) in [
        ("ann", "guess", "bad_password"),
        ("nobody", "guess", "unknown_user"),
        ("", "guess", "bad_user_name"),
    ] {
        let mut lab = Lab::new("");
        lab.login(user, password);
        assert!(lab.seen().is_empty());
        let due = lab.aaa.poll_timeout().unwrap() - lab.now;
        lab.wait(2);
        answers.push((due, lab.refused(reason)));
    }
    assert!(answers.iter().all(|a| *a == answers[0]), "{answers:?}");
    assert_eq!(answers[0].0, Duration::from_secs(2));
    assert_eq!(answers[0].1.0, 691);
}

#[test]
fn guesses_at_one_user_wait_for_each_other_but_the_others_do_not() {
    let mut lab = Lab::new("");
    for _ in 0..3 {
        lab.login("ann", "guess");
    }
    // Even the right password is not told from a wrong one before its turn.
    let right = lab.login("ann", "secret");
    let bob = lab.login("bob", "builder");
    assert!(matches!(lab.seen().as_slice(), [Seen::In(call, _)] if *call == bob));
    // Somebody else's guesses do not keep ann out.
    let elsewhere = lab.call([198, 51, 100, 77]);
    lab.aaa
        .authenticate(lab.now, elsewhere, &pap("ann", "secret"));
    assert!(matches!(lab.seen().as_slice(), [Seen::In(call, _)] if *call == elsewhere));
    let mut rejected = 0;
    let mut seconds = 0;
    let in_at = loop {
        lab.wait(1);
        seconds += 1;
        for seen in lab.seen() {
            match seen {
                Seen::Out(..) => rejected += 1,
                Seen::In(call, _) if call == right => assert!(seconds >= 2),
                _ => {}
            }
        }
        if lab.aaa.user(right).is_some() && rejected == 3 {
            break seconds;
        }
        assert!(seconds < 30);
    };
    assert!((4..=12).contains(&in_at), "{in_at}");
}

#[test]
fn a_flood_of_guesses_fills_no_memory_and_each_is_answered_in_ten_seconds() {
    let mut lab = Lab::new("");
    for n in 0..6000 {
        lab.login(&format!("user{n}"), "guess");
        lab.login("ann", "guess");
    }
    lab.wait(10);
    let answered = lab.seen().len();
    assert!(answered >= 6001, "{answered}");
    lab.wait(10);
    assert_eq!(answered + lab.seen().len(), 12_000);
}

#[test]
fn one_more_call_replaces_is_refused_or_is_one_of_n() {
    let user = |sessions: &str| {
        format!("[[user]]\nname = \"eve\"\npassword = \"e\"\nsessions = {sessions}")
    };
    let mut lab = Lab::new(&user("\"replace\""));
    let (old, address) = lab.connect("eve", "e");
    let new = lab.login("eve", "e");
    let seen = lab.seen();
    assert!(
        matches!(seen.as_slice(), [Seen::HungUp(o), Seen::In(n, a)]
            if *o == old && *n == new && a.peer == address),
        "{seen:?}"
    );
    assert_eq!((lab.aaa.calls(), lab.aaa.addresses_in_use()), (1, 1));

    let mut lab = Lab::new(&user("\"deny\""));
    let (old, _) = lab.connect("eve", "e");
    lab.login("eve", "e");
    assert_eq!(lab.refused("already_connected").0, 649);
    lab.end(old, "echo_timeout");
    lab.connect("eve", "e");

    let mut lab = Lab::new(&user("2"));
    lab.connect("eve", "e");
    let (second, _) = lab.connect("eve", "e");
    lab.login("eve", "e");
    lab.refused("too_many_sessions");
    lab.end(second, "peer_terminated");
    lab.connect("eve", "e");

    // For all users.
    let mut lab = Lab::new("[aaa]\nsessions = \"deny\"");
    lab.connect("bob", "builder");
    lab.login("bob", "builder");
    lab.refused("already_connected");
}

#[test]
fn an_address_of_its_own_follows_the_user_unless_there_may_be_two() {
    let mut lab = Lab::new("");
    let (old, address) = lab.connect("ann", "secret");
    let new = lab.login("ann", "secret");
    let seen = lab.seen();
    assert!(
        matches!(seen.as_slice(), [Seen::HungUp(o), Seen::In(n, a)]
            if *o == old && *n == new && a.peer == address),
        "{seen:?}"
    );
    let mut lab = Lab::new("[aaa]\nsessions = 2");
    let (_, first) = lab.connect("ann", "secret");
    let (_, second) = lab.connect("ann", "secret");
    assert_eq!(first, address);
    assert_eq!(second, Ipv4Addr::new(192, 168, 200, 10));
}

#[test]
fn a_full_pool_refuses_and_says_why() {
    let mut lab = Lab::new("");
    for _ in 0..90 {
        lab.connect("bob", "builder");
    }
    lab.login("bob", "builder");
    lab.refused("no_address_free");
    lab.connect("ann", "secret");
}

#[test]
fn a_call_ends_when_its_time_is_up() {
    let mut lab = Lab::new("[aaa]\nsession_timeout_seconds = 3600");
    let (call, _) = lab.connect("bob", "builder");
    lab.wait(3599);
    assert!(lab.seen().is_empty());
    lab.wait(1);
    assert!(matches!(lab.seen().as_slice(), [Seen::HungUp(c)] if *c == call));
    assert!(lab.notes.last().unwrap().contains("cause=Session-Timeout"));
    assert_eq!((lab.aaa.calls(), lab.aaa.poll_timeout()), (0, None));
}

#[test]
fn a_silent_call_ends_and_one_that_talks_does_not() {
    let mut lab = Lab::new("[aaa]\nidle_timeout_seconds = 600");
    let (silent, _) = lab.connect("bob", "builder");
    let (busy, _) = lab.connect("bob", "builder");
    for _ in 0..20 {
        lab.traffic.entry(busy).or_default().bytes_in += 1;
        lab.wait(60);
        assert!(
            lab.seen()
                .iter()
                .all(|s| matches!(s, Seen::HungUp(c) if *c == silent))
        );
    }
    assert!(
        lab.notes.last().unwrap().contains("dur=6"),
        "{:?}",
        lab.notes
    );
    assert!(lab.aaa.user(silent).is_none() && lab.aaa.user(busy).is_some());
    lab.wait(700);
    assert!(matches!(lab.seen().as_slice(), [Seen::HungUp(c)] if *c == busy));
}

#[test]
fn a_call_that_ends_during_its_login_leaves_nothing() {
    let mut lab = Lab::new(RADIUS);
    let call = lab.login("carol", "c");
    let asked = lab.asked().pop().unwrap();
    lab.end(call, "lower_layer_down");
    lab.reply(&asked, Code::ACCESS_ACCEPT, |_| {});
    assert!(lab.seen().is_empty());
    let call = lab.login("ann", "guess");
    lab.end(call, "lower_layer_down");
    assert_eq!((lab.aaa.calls(), lab.aaa.addresses_in_use()), (0, 0));
    assert_eq!(lab.aaa.poll_timeout(), None);
}

#[test]
fn cve_2013_5018_user_names_of_any_kind_are_only_names() {
    for name in [&b""[..], b"0", b"\x30", b"\0", &[b'x'; 255], &[0xff; 253]] {
        for more in ["", RADIUS] {
            let mut lab = Lab::new(more);
            let call = lab.call([203, 0, 113, 9]);
            let password = Zeroizing::new(b"p".to_vec());
            let request = AuthRequest::new(name, Claim::Pap { password });
            lab.aaa.authenticate(lab.now, call, &request);
            for asked in lab.asked() {
                let packet = Packet::parse(&asked).unwrap();
                assert_eq!(packet.attributes.get(kind::USER_NAME), Some(name));
                lab.reply(&asked, Code::ACCESS_REJECT, |_| {});
            }
            lab.wait(10);
            assert!(matches!(lab.seen().as_slice(), [Seen::Out(..)]));
        }
    }
}

#[test]
fn log_injection_crlf_ansi() {
    let mut lab = Lab::new("");
    lab.login("a\" peer=9.9.9.9\r\nauth failed\u{1b}[2J", "guess");
    lab.wait(2);
    lab.refused("unknown_user");
    let line = lab.notes.pop().unwrap();
    assert_eq!(
        line,
        r#"auth failed user="a\" peer=9.9.9.9\r\nauth failed\u{1b}[2J" peer=203.0.113.9 method=pap reason=unknown_user"#
    );
}
