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
    assert_eq!(config.gateway.policy, Policy::Compat);
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
        (
            "[ppp]",
            "[ppp",
            "`gateway init` writes a file that shows how",
        ),
        ("[ppp]", "[[ppp]]", "has one bracket"),
        ("[[psk]]", "[psk]", "has two brackets"),
        (
            "[\"192.168.8.10\"]",
            "\"192.168.8.10\"",
            "a list in brackets",
        ),
        ("\"dialin2\"", "dialin2", "in quotes"),
        (
            "\"/run/roadwarrior/control.sock\"",
            "7",
            "the path in quotes",
        ),
        ("echo_seconds = 30", "echo_seconds = -1", "from 0 on"),
        (
            "echo_seconds = 30",
            "echo_seconds = 9000000000000000000",
            "0 to 86400",
        ),
        ("mtu = 1400", "mtu = 0", "576 to 9000"),
        ("\"192.168.8.50\"", "\"192.168.8.1\"", "another address"),
        ("\"mschapv2\"", "\"eap\"", "choose from"),
    ] {
        let error = error(&OFFICE.replace(right, wrong));
        let (_, told) = error.split_once("= help: ").unwrap();
        assert!(told.contains(help), "{wrong}: {error}");
        assert!(error.starts_with("office.toml:"), "{error}");
    }
}

#[test]
fn what_is_doubtful_is_told() {
    let warnings = |text: &str| {
        let config = Config::parse(Path::new("office.toml"), text).unwrap();
        config.warnings().join("\n")
    };
    // Two users have addresses in the LAN, where nobody answers ARP for them yet.
    let found = warnings(OFFICE);
    assert!(found.contains("192.168.8.50") && found.contains("lan.interface"));
    let answered = OFFICE.replace("# interface = \"eth1\"", "interface = \"eth1\"");
    assert_eq!(warnings(&answered), "");
    let pool = "192.168.8.2-192.168.8.99";
    let found = warnings(&answered.replace("192.168.200.10-192.168.200.99", pool));
    assert!(found.contains("a pool has 192.168.8.10"), "{found}");
    let found = warnings(&answered.replace("change7this8to9a2long3random4key", "abc"));
    assert!(
        found.contains("of \"any\" can be guessed offline"),
        "{found}"
    );
}

const SCRIPT: &str = include_str!("../../office.cfg");

#[test]
fn a_script_and_its_toml_are_the_same_configuration() {
    let path = Path::new("office.cfg");
    let toml = super::convert(path, SCRIPT).unwrap().toml;
    let config = Config::parse(Path::new("office.toml"), &toml).unwrap();
    assert_eq!(
        config.gateway.listen,
        std::net::IpAddr::from([198, 51, 100, 1])
    );
    let suites: Vec<_> = config.esp.proposals.iter().map(|s| s.to_string()).collect();
    let expected = [
        "AES_CBC-256/HMAC_SHA1_96",
        "AES_CBC-128/HMAC_SHA1_96",
        "3DES_CBC/HMAC_SHA1_96",
    ];
    assert_eq!(suites, expected);
    assert_eq!(
        config.users["dialin1"].address,
        Some([192, 168, 8, 50].into())
    );
    assert_eq!(config.users["dialin2"].address, None);
    assert_eq!(config.ppp.auth, [ppp::AuthMethod::ChapMd5]);
    assert_eq!(config.ppp.echo_seconds, 30);
    let internet = config.internet.as_ref().unwrap();
    assert!(internet.clients && internet.lan && internet.address.is_none());
    // What loads a script and what loads its TOML is the same.
    let folder = std::env::temp_dir().join(format!("gateway-script-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (script, converted) = (folder.join("office.cfg"), folder.join("office.toml"));
    std::fs::write(&script, SCRIPT).unwrap();
    std::fs::write(&converted, &toml).unwrap();
    let loaded = Config::load(&script).unwrap();
    assert_eq!(loaded, Config::load(&converted).unwrap());
    assert_eq!(loaded, config);
    assert!(loaded.diff(&config).is_empty());
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn mistakes_in_a_script_are_told_all_at_once_with_their_places() {
    let script = SCRIPT
        .replace("encalg=aes256", "encalg=aes512")
        .replace("echo=30", "echo=3o");
    let error = super::convert(Path::new("office.cfg"), &script)
        .unwrap_err()
        .to_string();
    for (text, wrong) in [("encalg=aes512", "aes512"), ("echo=3o", "3o")] {
        let row = script.lines().position(|l| l.contains(text)).unwrap();
        let column = script.lines().nth(row).unwrap().find(wrong).unwrap();
        let place = format!("office.cfg:{}:{}: ", row + 1, column + 1);
        assert!(error.contains(&place), "{error}");
    }
    assert_eq!(error.matches("= help: ").count(), 2, "{error}");
    // A line that has a secret is not shown.
    let script = SCRIPT.replace("value=change7", "value=<change7");
    let script = script.replace("<change7this8to9a2long3random4key", "<key>");
    let script = script.replace(
        "password=friend1 login=no",
        "password=friend1 login=perhaps",
    );
    let error = super::convert(Path::new("office.cfg"), &script).unwrap_err();
    assert!(!error.to_string().contains("friend1"), "{error}");
}

#[test]
fn a_new_file_is_valid_and_has_secrets_of_its_own() {
    let text = super::starting_file(|length| "Zx9".repeat(length / 3));
    let config = Config::parse(Path::new("office.toml"), &text).unwrap();
    assert_eq!(config.psks[0].secret.expose(), "Zx9".repeat(8));
    let example = Config::parse(Path::new("office.toml"), OFFICE).unwrap();
    for change in example.diff(&config) {
        assert!(change.key.ends_with("password") || change.key.ends_with("secret"));
    }
    assert!(super::holds_secrets(&text) && super::holds_secrets(SCRIPT));
    assert!(!super::holds_secrets(
        "[[psk]]\npeer = \"any\"\nsecret_file = \"psk\"\n# secret = 1"
    ));
}

#[test]
fn differences_are_named_and_secrets_masked() {
    let old = Config::parse(Path::new("office.toml"), OFFICE).unwrap();
    let text = OFFICE
        .replace("friend2", "other-password")
        .replace("echo_seconds = 30", "echo_seconds = 31")
        .replace("address = \"192.168.8.51\"\n", "");
    let new = Config::parse(Path::new("office.toml"), &text).unwrap();
    let lines: Vec<_> = old.diff(&new).iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "~ ppp.echo_seconds = 30 -> 31",
            "~ user.dialin2.password = ******** -> ********",
            "- user.dialin3.address = \"192.168.8.51\"",
        ]
    );
}

#[test]
fn users_and_secrets_may_stand_in_files_of_their_own() {
    let folder = std::env::temp_dir().join(format!("gateway-users-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (main, users) = (folder.join("office.toml"), folder.join("users.toml"));
    std::fs::write(folder.join("psk"), "from-a-file-8a7b6c5d4e\nmore\n").unwrap();
    std::fs::write(
        &users,
        "[[user]]\nname = \"ann\"\npassword_file = \"psk\"\n",
    )
    .unwrap();
    let text = OFFICE
        .replace(
            "secret = \"change7this8to9a2long3random4key\"",
            "secret_file = \"psk\"",
        )
        .replace(
            "[[user]]\nname = \"dialin1\"",
            "[users]\nfile = \"users.toml\"\n\n[[user]]\nname = \"dialin1\"",
        );
    std::fs::write(&main, &text).unwrap();
    let config = Config::load(&main).unwrap();
    assert_eq!(config.psks[0].secret.expose(), "from-a-file-8a7b6c5d4e");
    assert_eq!(
        config.users["ann"].password.expose(),
        "from-a-file-8a7b6c5d4e"
    );
    assert_eq!(config.users.len(), 5);
    // A mistake there is told with that file's name.
    for (wrong, told) in [
        (
            "[[user]]\nname = \"dialin1\"\npassword = \"x\"\n",
            "users.toml:2:8: user `dialin1` stands here twice",
        ),
        (
            "[[user]]\nname = \"ann\"\npasword = \"x\"\n",
            "users.toml:3:1: unknown field `pasword`",
        ),
        (
            "[[user]]\nname = \"ann\"\n",
            "users.toml:2:8: a user has no password",
        ),
        (
            "[[user]]\nname = \"ann\"\npassword = \"\"\n",
            "users.toml:2:8: the password is empty",
        ),
    ] {
        std::fs::write(&users, wrong).unwrap();
        let error = Config::load(&main).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Each table of `docs/configuration.md` names the keys that the file may have, and no others.
#[test]
fn every_setting_is_documented() {
    const PAGE: &str = include_str!("../../../docs/configuration.md");
    let expected = |table: &str| -> Vec<String> {
        // What the reader would have taken in place of an unknown key.
        let error = error(&format!("{table}\nunheard_of = 1\n"));
        let (_, listed) = error.split_once("expected ").expect(table);
        let line = listed.lines().next().unwrap_or("");
        line.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    let mut tables = Vec::new();
    for part in PAGE.split("\n## ").skip(1) {
        let table = part.split('`').nth(1).unwrap();
        let keys: Vec<_> = part
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
            .collect();
        let mut real = expected(table);
        let name = table.trim_matches(['[', ']']);
        // Tables inside of it have a heading of their own.
        real.retain(|key| !PAGE.contains(&format!("\n## `[[{name}.{key}]]`")));
        assert_eq!(keys, real, "{table}");
        tables.push(name.to_owned());
    }
    for table in expected("") {
        assert!(
            tables.contains(&table),
            "[{table}] has no place on the page"
        );
    }
}
