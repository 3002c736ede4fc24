use super::*;

#[test]
fn metrics_tell_what_each_server_said_and_how_long_it_took() {
    let mut lab = Lab::new(2, |_| {});
    for (key, code) in [
        (1, Code::ACCESS_ACCEPT),
        (2, Code::ACCESS_ACCEPT),
        (3, Code::ACCESS_REJECT),
    ] {
        lab.login(key);
        let asked = lab.one();
        lab.now += Duration::from_millis(30);
        lab.reply(&asked, code).unwrap();
    }
    // The first server falls silent, and the second takes over.
    lab.wait(1);
    lab.login(4);
    lab.sent();
    for _ in 0..10 {
        if lab.client.status().servers[0].1 {
            lab.wait(1);
        }
    }
    let asked = lab.sent().pop().unwrap();
    assert_eq!(asked.transmit.to.ip(), address(2));
    lab.reply(&asked, Code::ACCESS_ACCEPT).unwrap();
    let mut exposition = crate::metrics::Exposition::default();
    lab.client.expose(&mut exposition);
    let text = exposition.into_text();
    for (name, labels, value) in [
        (
            "requests_total",
            "server=\"192.168.8.1:1812\",type=\"access\",result=\"accept\"",
            2,
        ),
        (
            "requests_total",
            "server=\"192.168.8.1:1812\",type=\"access\",result=\"reject\"",
            1,
        ),
        (
            "requests_total",
            "server=\"192.168.8.1:1812\",type=\"access\",result=\"timeout\"",
            1,
        ),
        (
            "requests_total",
            "server=\"192.168.8.2:1812\",type=\"access\",result=\"accept\"",
            1,
        ),
        (
            "requests_total",
            "server=\"192.168.8.2:1812\",type=\"access\",result=\"timeout\"",
            0,
        ),
        (
            "server_up",
            "server=\"192.168.8.1:1812\",type=\"access\"",
            0,
        ),
        (
            "server_up",
            "server=\"192.168.8.2:1812\",type=\"access\"",
            1,
        ),
        ("rtt_seconds_bucket", "le=\"0.025\"", 0),
        ("rtt_seconds_bucket", "le=\"0.05\"", 3),
        ("rtt_seconds_bucket", "le=\"+Inf\"", 4),
    ] {
        let line = format!("gateway_radius_{name}{{{labels}}} {value}\n");
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
}
