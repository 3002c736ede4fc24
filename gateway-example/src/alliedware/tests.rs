use super::{Conversion, Problem, convert};

pub(super) const OFFICE: &str = include_str!("../../office.cfg");

fn good(script: &str) -> Conversion {
    match convert(script) {
        Ok(conversion) => conversion,
        Err(problems) => panic!("{problems:#?}"),
    }
}

fn first_problem(script: &str) -> (String, Problem) {
    let problems = convert(script).expect_err("accepted");
    let problem = problems.into_iter().next().unwrap();
    let pointed = script[problem.span.clone()].to_owned();
    (pointed, problem)
}

/// What is wrong after `right` was replaced by `wrong`, and where it points.
fn spoiled(right: &str, wrong: &str) -> (String, Problem) {
    assert!(OFFICE.contains(right), "{right}");
    first_problem(&OFFICE.replace(right, wrong))
}

#[test]
fn the_example_says_what_it_says() {
    let Conversion { toml, notes } = good(OFFICE);
    for line in [
        "listen = \"198.51.100.1\"",
        "secret = \"change7this8to9a2long3random4key\"",
        "send_deletes = true",
        "nat_traversal = true",
        "proposals = [\"aes256-sha1\", \"aes128-sha1\", \"3des-sha1\"]",
        "peers = [\"1.1.1.1-255.255.255.254\"]",
        "local = \"192.168.8.1\"",
        "dns = [\"192.168.8.10\"]",
        "auth = [\"chap\"]",
        "echo_seconds = 30",
        "range = \"192.168.200.10-192.168.200.99\"",
        "networks = [\"192.168.8.1/24\"]",
        "interface = \"vlan1\"",
        "interface = \"eth0\"",
        "clients = true",
        "lan = true",
        "address = \"192.168.8.50\"",
    ] {
        assert!(toml.lines().any(|l| l == line), "{line} is not in\n{toml}");
    }
    // Rules 1 to 3 are what the gateway does by itself.
    assert!(!toml.contains("[[firewall.rule]]"), "{toml}");
    let unused: Vec<_> = notes.iter().filter(|n| !n.applied).collect();
    let lines: Vec<_> = unused.iter().map(|n| n.command.as_str()).collect();
    assert_eq!(lines, ["set system name=Office", "add ip route=0.0.0.0"]);
}

/// Never silently dropped.
#[test]
fn every_command_has_its_note() {
    let commands = OFFICE
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with(['#', ' ']));
    assert_eq!(good(OFFICE).notes.len(), commands.count());
}

#[test]
fn no_note_shows_a_secret() {
    let script = format!("{OFFICE}add radius server=192.0.2.1 secret=whisper\n");
    for note in good(&script).notes {
        for secret in ["friend", "whisper", "change7this"] {
            assert!(!note.to_string().contains(secret), "{note}");
        }
    }
}

#[test]
fn radius_servers_have_the_routers_ports_and_times() {
    let script = format!(
        "{OFFICE}add radius server=192.168.8.5 secret=\"between us\"
add rad ser=192.168.8.6 sec=x port=1812 accp=1813 local=1
add rad ser=192.168.8.7 sec=y port=0
set radius timeout=15 retransmitcount=2 deadtime=3\n"
    );
    let config = crate::config::Config::parse("office.toml".as_ref(), &good(&script).toml).unwrap();
    let radius = config.radius.unwrap();
    let ports = radius.servers.iter().map(|s| (s.auth_port, s.acct_port));
    let expected = [
        (Some(1645), Some(1646)),
        (Some(1812), Some(1813)),
        (None, Some(1646)),
    ];
    assert_eq!(ports.collect::<Vec<_>>(), expected);
    assert_eq!(radius.servers[0].secret.expose(), "between us");
    let times = (
        radius.timeout.as_secs(),
        radius.tries,
        radius.dead_time.as_secs(),
    );
    assert_eq!(times, (10, 2, 180));
    let (pointed, problem) = first_problem(&format!(
        "{OFFICE}add radius server=192.0.2.1 secret=x\nadd radius server=192.0.2.1 secret=y\n"
    ));
    assert_eq!(pointed, "192.0.2.1");
    assert!(problem.problem.contains("already"), "{problem:?}");
}

#[test]
fn specifications_keep_the_order_of_the_bundle() {
    let turned = OFFICE.replace("\"1 or 2 or 3\"", "\"3 or 1 or 2\"");
    let expected = "proposals = [\"3des-sha1\", \"aes256-sha1\", \"aes128-sha1\"]";
    assert!(good(&turned).toml.contains(expected));
}

#[test]
fn words_are_as_short_as_they_are_clear() {
    for (long, short) in [
        ("enable fire", "ena fir"),
        (
            "create ipsec policy=internet int=eth0 ac=permit",
            "cre ipsec pol=internet inter=eth0 ac=per",
        ),
        ("senddeletes=true", "sendd=on"),
        ("enable l2tp\n", "enable 12tp\n"),
        ("lqr=off", "lgr=off"),
        ("dnsprimary", "DNSP"),
        ("authentication=chap", "auth=chap"),
    ] {
        let short_script = OFFICE.replace(long, short);
        assert_ne!(short_script, OFFICE, "{long}");
        assert_eq!(
            body(&good(&short_script).toml),
            body(&good(OFFICE).toml),
            "{short}"
        );
    }
}

/// Without the comments.
fn body(toml: &str) -> String {
    let lines = toml.lines().filter(|l| !l.starts_with('#'));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn lines_are_continued_in_every_way() {
    let one = "add user=dialin2 password=friend2 login=no";
    for other in [
        "add user=dialin2\n   password=friend2\n\tlogin=no",
        "add user=dialin2 \\\npassword=friend2 login=no",
        "add user=dialin2\npassword=friend2\n# between\n  login=no # behind",
        "add user=dialin2\r\n   password=\"friend2\"\r\n   login=no",
        "  add user=dialin2 password=\u{201c}friend2\u{201d} login=no",
    ] {
        let script = OFFICE.replace(one, other);
        assert_eq!(
            body(&good(&script).toml),
            body(&good(OFFICE).toml),
            "{other}"
        );
    }
}

#[test]
fn quotes_keep_what_would_be_syntax() {
    let script = OFFICE.replace("password=friend2", "password=\"a # b=<c> \\\"");
    let toml = good(&script).toml;
    assert!(toml.contains(r#"password = "a # b=<c> \\""#), "{toml}");
    let script = OFFICE.replace("password=friend2", "password=a#b");
    assert!(good(&script).toml.contains(r#"password = "a#b""#));
}

#[test]
fn what_is_wrong_is_pointed_at() {
    for (right, wrong, place, problem) in [
        ("set system", "sit system", "sit", "`sit` is not a command"),
        (
            "enable fire",
            "enable fyre",
            "fyre",
            "`fyre` is not something to configure",
        ),
        (
            "enable ipsec",
            "enable i",
            "i",
            "may be ip or ipsec or isakmp",
        ),
        (
            "echo=30",
            "ecko=30",
            "ecko",
            "`ecko` is not a parameter of `ppp`",
        ),
        ("echo=30", "echo=3o", "3o", "`3o` is not a number"),
        (
            "login=no ip=192.168.8.50",
            "login=no login=no",
            "login",
            "stands here twice",
        ),
        (
            "ip=192.168.8.50",
            "ip=192.168.8.500",
            "192.168.8.500",
            "not an IPv4 address",
        ),
        (
            "mask=255.255.255.0",
            "mask=255.0.255.0",
            "255.0.255.0",
            "not a mask",
        ),
        (
            "value=change7",
            "value=<alphanumeric-string>change7",
            "<alphanumeric-string>",
            "is not filled in",
        ),
        (
            "name=\"Office\"",
            "name=\"Office",
            "\"",
            "the quotation has no end",
        ),
        (
            "\"1 or 2 or 3\"",
            "\"1 or 2 or 4\"",
            "\"1 or 2 or 4\"",
            "there is no SA specification `4`",
        ),
        (
            "\"1 or 2 or 3\"",
            "\"1 and 2\"",
            "\"1 and 2\"",
            "not a choice",
        ),
        (
            "ippool=\"staff\"",
            "ippool=stuff",
            "stuff",
            "there is no IP pool `stuff`",
        ),
        (
            "isa=roaming",
            "isa=home",
            "home",
            "there is no ISAKMP policy `home`",
        ),
        (
            "policy=roaming peer=any key=1",
            "policy=roaming peer=any key=2",
            "2",
            "there is no pre-shared key 2",
        ),
        ("enable isakmp\n", "", "", "isakmp is not enabled"),
        (
            "create ipsec sas=2",
            "create ipsec sas=1",
            "1",
            "`1` is there already",
        ),
        (
            "encap=ipsec",
            "",
            "add fire",
            "L2TP without IPsec is not served",
        ),
        ("ac=allow", "ac=", "ac", "action has no value"),
        (
            "add user=dialin2",
            "add user=dialin1",
            "dialin1",
            "stands here twice",
        ),
        (
            "authentication=chap",
            "authentication=none",
            "create ppp",
            "everybody",
        ),
        (
            "gblinterface=eth0",
            "gblinterface=eth1",
            "eth1",
            "no public interface",
        ),
        (
            "enable ip\n",
            "disable ip\n",
            "disable ip",
            "does not belong",
        ),
        (
            "transport=udp lport=1701",
            "lport=1702",
            "create ipsec policy=staff",
            "only L2TP",
        ),
    ] {
        let (pointed, found) = spoiled(right, wrong);
        assert!(found.problem.contains(problem), "{wrong}: {found:?}");
        assert!(pointed.starts_with(place), "{wrong}: points at {pointed:?}");
        assert!(!found.remedy.is_empty());
    }
}

#[test]
fn everything_wrong_is_told_at_once() {
    let script = OFFICE
        .replace("ip=192.168.8.1\n", "ip=<LAN address>\n")
        .replace("ac=allow", "ac=<what>");
    assert_eq!(convert(&script).unwrap_err().len(), 4);
}

#[test]
fn pinholes_to_the_lan_become_rules() {
    let script = format!(
        "{OFFICE}add fire policy=main rule=4 int=eth0 ac=allow prot=tcp ip=192.168.8.10 port=443 gblip=198.51.100.1 gblport=8443\nadd fire policy=main rule=5 int=eth0 ac=deny prot=any remoteip=203.0.113.9\n"
    );
    let toml = good(&script).toml;
    let rule = "action = \"forward\"\nprotocol = \"tcp\"\ndestination = \"198.51.100.1\"\nports = \"8443\"\nto = \"192.168.8.10:443\"\n";
    assert!(toml.contains(rule), "{toml}");
    let rule = "action = \"deny\"\nsource = \"203.0.113.9\"\n";
    assert!(toml.contains(rule), "{toml}");
}

#[test]
fn a_rule_is_about_what_comes_in_by_its_interface() {
    let rule = |interface: &str| {
        format!("{OFFICE}add fire policy=main rule=6 int={interface} ac=deny prot=udp port=53\n")
    };
    for (interface, expected) in [
        (
            "eth0",
            "action = \"deny\"\nprotocol = \"udp\"\nports = \"53\"\n",
        ),
        ("vlan1", "action = \"deny\"\nfrom = \"lan\"\nprotocol"),
        (
            "dyn-dynamic",
            "action = \"deny\"\nfrom = \"clients\"\nprotocol",
        ),
    ] {
        let toml = good(&rule(interface)).toml;
        assert!(toml.contains(expected), "{toml}");
    }
    let (pointed, problem) = first_problem(&rule("eth9"));
    assert_eq!(pointed, "eth9");
    assert_eq!(
        problem.problem,
        "there is no interface of the firewall `eth9`"
    );
}

#[test]
fn translation_needs_a_policy_that_lets_it_pass() {
    let script = OFFICE.replace("create ipsec policy=internet int=eth0 ac=permit\n", "");
    let Conversion { toml, notes } = good(&script);
    assert!(!body(&toml).contains("[internet]"), "{toml}");
    let nats = notes
        .iter()
        .filter(|n| n.text.contains("no IPsec policy permits"));
    assert_eq!(nats.filter(|n| !n.applied).count(), 2);
}

#[test]
fn the_steps_before_the_script_may_stand_in_it() {
    let steps = "add user=secoff pass=topsecret priv=securityofficer\nenable system security\nlogin secoff\n\
        create enco key=2 description=\"Server Key\" type=rsa length=768 format=ssh\ncreate conf=vpn.cfg\nset conf=vpn.cfg\n\
        set user securedelay=600\nadd user=secoff pass=topsecret privilege=securityOfficer login=yes\n\
        set user=secoff description=\"Security Officer Account\"\nenable isakmp debug\nadd alias=ed string=\"enable isa debug\"\n\
        enable ssh server serverkey=2 hostkey=3 expirytime=12 logintimeout=60\nadd ssh user=secoff password=x ipaddress=192.0.2.9\n";
    let script = format!("{steps}{OFFICE}");
    let notes = good(&script).notes;
    let before = steps.lines().count();
    for (line, note) in steps.lines().zip(&notes) {
        assert!(!note.applied, "{line}: {note}");
    }
    assert_eq!(notes[before].command, "set system name=Office");
    assert!(!good(&script).toml.contains("topsecret"));
}

/// Words and signs of the example in any order: never a panic, and never a command without its note.
#[test]
fn any_text_is_understood_or_refused() {
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(below).unwrap()).unwrap()
    };
    let lines: Vec<&str> = OFFICE.lines().collect();
    let mut understood = 0;
    for _ in 0..2000 {
        let mut mutated: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        for _ in 0..=random(3) {
            let (to, from) = (random(lines.len()), random(lines.len()));
            let words: Vec<&str> = lines[from].split(' ').collect();
            let word = words[random(words.len())];
            match random(5) {
                0 => mutated[to] = format!("{} {word}", mutated[to]),
                1 => {
                    mutated[to] = mutated[to].replacen(
                        ['=', '"', ' '],
                        ["\"", "=", "<", "\\", "\u{201c}"][random(5)],
                        1,
                    );
                }
                2 => mutated[to] = mutated[from].clone(),
                3 => mutated[to] = mutated[to].chars().rev().collect(),
                _ => mutated[to].clear(),
            }
        }
        match convert(&mutated.join("\n")) {
            Ok(_) => understood += 1,
            Err(problems) => assert!(!problems.is_empty()),
        }
    }
    assert!((50..1950).contains(&understood), "{understood}");
}
