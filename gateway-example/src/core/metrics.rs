//! What a gateway tells Prometheus.

use super::answer::layer_of;
use super::gateway::Gateway;
use super::status::Stage;
use crate::config::FirewallAction;
use crate::metrics::{Exposition, Kind};
use std::collections::BTreeMap;

impl Gateway {
    /// Adds all that is known here.
    pub fn expose(&self, to: &mut Exposition) {
        use Kind::{Counter, Gauge};
        let version = env!("CARGO_PKG_VERSION");
        to.family("build_info", Gauge, "Version of the gateway")
            .sample([("version", version)], 1);
        self.expose_ike(to);
        self.expose_esp(to);
        let count = self.stack.l2tp_tunnels();
        to.family("l2tp_tunnels", Gauge, "L2TP control connections")
            .sample([], count);
        let count = self.stack.l2tp_sessions();
        to.family("l2tp_sessions", Gauge, "L2TP calls")
            .sample([], count);
        to.family(
            "l2tp_control_retransmits_total",
            Counter,
            "L2TP control messages that we repeated",
        )
        .sample([], self.stack.l2tp_retransmits());
        self.expose_ppp(to);
        if let Some(radius) = self.aaa.radius() {
            radius.expose(to);
        }
        self.expose_pools(to);
        self.expose_rules(to);
        to.family("nat_flows", Gauge, "Flows that the firewall follows")
            .sample([], self.firewall.flow_count());
        let mut dropped = to.family(
            "nat_dropped_total",
            Counter,
            "Packets that the firewall dropped",
        );
        for (reason, count) in self.firewall.drops() {
            dropped.sample([("reason", reason.reason())], count);
        }
        let mut by_layer: BTreeMap<&str, Vec<(&str, u64)>> = BTreeMap::new();
        for (reason, count) in self.stack.drops() {
            by_layer
                .entry(layer_of(reason))
                .or_default()
                .push((reason, count));
        }
        let families = [
            ("isakmp", "ike_dropped_total", "IKE messages dropped"),
            (
                "natt",
                "natt_dropped_total",
                "Datagrams on the NAT traversal port dropped",
            ),
            ("l2tp", "l2tp_dropped_total", "L2TP messages dropped"),
            ("ppp", "ppp_dropped_total", "PPP frames dropped"),
            (
                "gateway",
                "stack_dropped_total",
                "Packets dropped between the protocols",
            ),
        ];
        for (layer, name, help) in families {
            let mut family = to.family(name, Counter, help);
            for (reason, count) in by_layer.remove(layer).unwrap_or_default() {
                family.sample([("reason", reason)], count);
            }
        }
    }

    fn expose_ike(&self, to: &mut Exposition) {
        let (all, half_open) = (self.stack.isakmp_sas(), self.stack.half_open());
        let mut sas = to.family("ike_sas", Kind::Gauge, "ISAKMP SAs");
        sas.sample([("state", "established")], all.saturating_sub(half_open));
        sas.sample([("state", "half_open")], half_open);
        let help = "Main and quick modes by outcome";
        let mut family = to.family("ike_handshakes_total", Kind::Counter, help);
        // Alerts divide by these: they have to be there from the start.
        for (stage, phase) in [(Stage::MainMode, "main"), (Stage::QuickMode, "quick")] {
            let of = |outcome| self.book.tally.negotiations.get(&(stage, outcome)).copied();
            let labels = [("phase", phase), ("result", "success"), ("reason", "")];
            family.sample(labels, of("success").unwrap_or(0));
            for ((at, reason), count) in &self.book.tally.negotiations {
                if *at == stage && *reason != "success" {
                    let labels = [("phase", phase), ("result", "failure"), ("reason", reason)];
                    family.sample(labels, count);
                }
            }
        }
        let stats = self.stack.isakmp_stats();
        to.family(
            "ike_retransmits_total",
            Kind::Counter,
            "IKE messages that we repeated",
        )
        .sample([], stats.retransmits);
        to.family(
            "ike_duplicates_total",
            Kind::Counter,
            "IKE requests that came again",
        )
        .sample([], stats.duplicates);
        let mut messages = to.family("ike_messages_total", Kind::Counter, "IKE messages");
        for (dir, count) in [("in", stats.received), ("out", stats.sent)] {
            for (exchange, count) in [
                ("main", count.main),
                ("quick", count.quick),
                ("informational", count.informational),
                ("other", count.other),
            ] {
                messages.sample([("dir", dir), ("exchange", exchange)], count);
            }
        }
        let mut dpd = to.family("ike_dpd_total", Kind::Counter, "Dead peer detection");
        dpd.sample([("result", "asked")], stats.dpd_asked);
        dpd.sample([("result", "answered")], stats.dpd_answered);
        dpd.sample([("result", "dead")], stats.dpd_dead);
        to.family(
            "ike_cookie_challenges_total",
            Kind::Counter,
            "First messages answered with a cookie that leaves no state",
        )
        .sample([], stats.cookie_challenges);
        let tally = &self.book.tally;
        for (name, help, took) in [
            (
                "ike_handshake_duration_seconds",
                "Main mode, from its first message here to the end",
                &tally.handshakes,
            ),
            (
                "connection_setup_seconds",
                "From the end of main mode until packets flow",
                &tally.setups,
            ),
        ] {
            to.family(name, Kind::Histogram, help).histogram(took);
        }
    }

    /// Users' own addresses are of no pool.
    fn expose_pools(&self, to: &mut Exposition) {
        let mut family = to.family("pool_addresses", Kind::Gauge, "Addresses of the pools");
        let pools = &self.config.pool;
        let named = pools.named.iter().map(|(name, pool)| (name.as_str(), pool));
        for (name, pool) in std::iter::once(("default", &pools.range)).chain(named) {
            let leased = self.sessions.values().filter_map(|s| s.leased);
            let used = leased.filter(|address| pool.contains(*address)).count();
            let used = u64::try_from(used).unwrap_or(u64::MAX);
            let free = pool.size().saturating_sub(used);
            family.sample([("pool", name), ("state", "used")], used);
            family.sample([("pool", name), ("state", "free")], free);
        }
    }

    fn expose_rules(&self, to: &mut Exposition) {
        let help = "Packets that rules have decided about: the first of each flow";
        let mut family = to.family("fw_packets_total", Kind::Counter, help);
        let rules = self.config.firewall.rules.iter();
        for (number, (rule, hits)) in rules.zip(self.firewall.rule_hits()).enumerate() {
            let action = match rule.action {
                FirewallAction::Allow => "allow",
                FirewallAction::Deny => "deny",
                FirewallAction::ForwardTo(..) => "forward",
            };
            let number = (number + 1).to_string();
            family.sample([("rule", &number), ("action", action)], hits);
        }
    }

    fn expose_esp(&self, to: &mut Exposition) {
        to.family("esp_sas", Kind::Gauge, "Pairs of ESP SAs")
            .sample([], self.stack.esp_sas());
        let counts = self.stack.esp_counts();
        let mut packets = to.family("esp_packets_total", Kind::Counter, "ESP packets");
        packets.sample([("dir", "in")], counts.opened[0]);
        packets.sample([("dir", "out")], counts.sealed[0]);
        let mut bytes = to.family("esp_bytes_total", Kind::Counter, "Bytes of ESP packets");
        bytes.sample([("dir", "in")], counts.opened[1]);
        bytes.sample([("dir", "out")], counts.sealed[1]);
        let mut dropped = to.family("esp_dropped_total", Kind::Counter, "ESP packets dropped");
        for (reason, count) in counts.dropped_in {
            dropped.sample([("dir", "in"), ("reason", reason)], count);
        }
        for (reason, count) in counts.dropped_out {
            dropped.sample([("dir", "out"), ("reason", reason)], count);
        }
        to.family(
            "esp_rekeys_total",
            Kind::Counter,
            "ESP SAs that took over from others",
        )
        .sample([], self.book.tally.esp_rekeys);
    }

    fn expose_ppp(&self, to: &mut Exposition) {
        let up = self
            .book
            .live()
            .filter(|(_, live)| live.state() == Stage::Connected);
        to.family("ppp_sessions", Kind::Gauge, "Peers whose packets flow")
            .sample([], up.count());
        let help = "PPP authentications by outcome";
        let mut family = to.family("ppp_auth_total", Kind::Counter, help);
        for ((method, result), count) in &self.book.tally.authentications {
            family.sample([("method", method), ("result", result)], count);
        }
        let help = "Ends of connections that were up";
        let mut family = to.family("ppp_terminations_total", Kind::Counter, help);
        for (cause, count) in &self.book.tally.terminations {
            family.sample([("cause", cause)], count);
        }
    }
}
