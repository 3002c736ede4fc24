//! What Prometheus reads, and that the dashboard and the alerts ask only for what there is.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use gateway_example::config::Config;
use gateway_example::control::{Answer, Request};
use gateway_example::core::{Gateway, Metrics};
use gateway_example::io::{Control, MetricsServer};
use gateway_example::metrics::{Exposition, Histogram, Kind, Reloads, expose_process};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const DASHBOARD: &str = include_str!("../dist/grafana/roadwarrior.json");
const ALERTS: &str = include_str!("../dist/prometheus/alerts.yml");

fn exposition() -> String {
    let office = include_str!("../office.toml");
    let radius = "[[radius.server]]\naddress = \"192.168.8.5\"\nsecret = \"between us\"";
    let config = Config::parse("office.toml".as_ref(), &format!("{office}{radius}")).unwrap();
    let entropy = Box::new(|| Box::new(simnet::seeded(1)) as _);
    let gateway = Gateway::new(Arc::new(config), entropy).unwrap();
    let mut to = Exposition::default();
    gateway.expose(&mut to);
    let mut reloads = Reloads::new(Duration::from_secs(90));
    reloads.note(true, Duration::from_secs(95));
    reloads.note(false, Duration::from_secs(99));
    reloads.expose(&mut to);
    expose_process(&mut to, Duration::from_secs(7), Duration::from_secs(100), 3);
    to.into_text()
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Reads the text format strictly; gives each family's kind and its samples.
fn parse(text: &str) -> BTreeMap<String, (String, Vec<(String, f64)>)> {
    let mut families = BTreeMap::new();
    let mut current: Option<(String, String)> = None;
    let mut help: Option<String> = None;
    assert!(text.ends_with('\n'));
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, words) = rest.split_once(' ').unwrap();
            assert!(is_name(name) && !words.is_empty(), "{line}");
            help = Some(name.to_owned());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(help.take().as_deref(), Some(name), "{line}");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            let before = families.insert(name.to_owned(), (kind.to_owned(), Vec::new()));
            assert!(before.is_none(), "{name} comes twice");
            current = Some((name.to_owned(), kind.to_owned()));
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(seen.insert(series.to_owned()), "{series} comes twice");
            let (name, labels) = match series.split_once('{') {
                Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
                None => (series, ""),
            };
            for label in labels.split_terminator("\",") {
                let (label, text) = label.split_once("=\"").unwrap();
                assert!(is_name(label) && !text.contains('\n'), "{line}");
            }
            let (family, kind) = current.as_ref().unwrap();
            let suffix = name.strip_prefix(family.as_str()).unwrap();
            let allowed: &[&str] = match kind.as_str() {
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            assert!(allowed.contains(&suffix), "{line}");
            let value: f64 = value.parse().unwrap();
            assert!(value.is_finite() && value >= 0.0, "{line}");
            let (_, samples) = families.get_mut(family).unwrap();
            samples.push((series.to_owned(), value));
        }
    }
    families
}

#[test]
fn the_exposition_is_what_prometheus_reads() {
    let families = parse(&exposition());
    assert!(families.len() >= 25, "{:?}", families.keys());
    let names = families.keys();
    let ours = |name: &String| name.starts_with("gateway_") || name.starts_with("process_");
    assert!(names.into_iter().all(ours));
    let (_, samples) = &families["gateway_not_sent_packets_total"];
    assert_eq!(samples[0].1, 3.0);
    let only = |name: &str| families[name].1[0].1;
    assert_eq!(only("gateway_config_last_reload_successful"), 0.0);
    assert_eq!(only("gateway_config_last_reload_timestamp_seconds"), 95.0);
    assert_eq!(only("gateway_config_reloads_total"), 1.0);
    let (_, requests) = &families["gateway_radius_requests_total"];
    let results: Vec<_> = requests.iter().map(|(series, _)| series.as_str()).collect();
    assert_eq!(
        results[0],
        r#"gateway_radius_requests_total{server="192.168.8.5:1812",type="access",result="accept"}"#
    );
    assert_eq!(results.len(), 6);
    assert_eq!(families["gateway_radius_rtt_seconds"].0, "histogram");
}

#[test]
fn labels_are_escaped_and_histograms_add_up() {
    let mut to = Exposition::default();
    to.family("odd", Kind::Gauge, "Odd")
        .sample([("name", "a\"b\\c\nd")], 1);
    let mut took = Histogram::default();
    for milliseconds in [50, 400, 500, 60_000] {
        took.observe(Duration::from_millis(milliseconds));
    }
    to.family("took_seconds", Kind::Histogram, "Took")
        .histogram(&took);
    let text = to.into_text();
    assert!(
        text.contains("gateway_odd{name=\"a\\\"b\\\\c\\nd\"} 1\n"),
        "{text}"
    );
    let families = parse(&text);
    let (_, samples) = &families["gateway_took_seconds"];
    let values: Vec<_> = samples.iter().map(|(_, value)| *value).collect();
    let below = [&[0.0; 3][..], &[1.0; 3], &[3.0; 5]].concat();
    assert_eq!(values[..11], below);
    assert_eq!(values[11..], [4.0, 60.95, 4.0]);
}

#[test]
fn dashboard_and_alerts_use_only_what_there_is() {
    let families = parse(&exposition());
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() >= 10);
    let mut used = BTreeSet::new();
    for text in [DASHBOARD, ALERTS] {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let ours = words.filter(|w| w.starts_with("gateway_") || w.starts_with("process_"));
        used.extend(ours.map(|word| {
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|s| word.strip_suffix(s));
            base.filter(|base| families.contains_key(*base))
                .unwrap_or(word)
        }));
    }
    assert!(used.len() >= 15, "{used:?}");
    for name in &used {
        assert!(families.contains_key(*name), "{name} does not exist");
    }
}

async fn get(server: &MetricsServer, request: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(server.local())
        .await
        .unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn scrapers_get_the_text_and_nothing_else() {
    let name = format!("gateway-metrics-{}/socket", std::process::id());
    let mut control = Control::bind(&std::env::temp_dir().join(name)).unwrap();
    let server = MetricsServer::bind("127.0.0.1:0".parse().unwrap(), control.asker());
    let server = server.await.unwrap();
    tokio::spawn(async move {
        loop {
            let asked = control.next().await;
            assert_eq!(asked.request, Request::Metrics);
            let text = "# the text\n".to_owned();
            asked.answer(Answer::of(&Metrics { text }));
        }
    });
    let answer = get(&server, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n# the text\n"), "{answer}");
    let answer = get(&server, "GET / HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    let answer = get(&server, "POST /metrics HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    let answer = get(&server, &"x".repeat(4096)).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}
