//! What came of requests, for those who look after the servers.

use super::{Client, Port};
use crate::metrics::{Exposition, Kind};
use crate::radius::wire::Code;

/// What came of requests to one server.
#[derive(Debug, Default)]
pub(super) struct Tally {
    accepts: u64,
    rejects: u64,
    challenges: u64,
    /// Accounting-Responses.
    responses: u64,
    /// Requests that it left unanswered, each counted once however often it was sent.
    pub(super) timeouts: u64,
}

impl Tally {
    pub(super) fn note(&mut self, code: Code) {
        let count = match code {
            Code::ACCESS_ACCEPT => &mut self.accepts,
            Code::ACCESS_REJECT => &mut self.rejects,
            Code::ACCESS_CHALLENGE => &mut self.challenges,
            _ => &mut self.responses,
        };
        *count += 1;
    }

    /// Counts by result, those too that are zero: rates are asked for from the start.
    fn results(&self, port: Port) -> Vec<(&'static str, u64)> {
        if port == Port::Access {
            vec![
                ("accept", self.accepts),
                ("reject", self.rejects),
                ("challenge", self.challenges),
                ("timeout", self.timeouts),
            ]
        } else {
            vec![("response", self.responses), ("timeout", self.timeouts)]
        }
    }
}

impl Client {
    /// Adds all that is known of the servers.
    pub fn expose(&self, to: &mut Exposition) {
        let groups = [("access", &self.access), ("accounting", &self.accounting)];
        let help = "RADIUS requests by what came of them";
        let mut family = to.family("radius_requests_total", Kind::Counter, help);
        for (kind, group) in groups {
            for (server, tally) in group.tallies() {
                let server = server.to_string();
                for (result, count) in tally.results(group.port) {
                    let labels = [("server", &*server), ("type", kind), ("result", result)];
                    family.sample(labels, count);
                }
            }
        }
        let help = "From a RADIUS request, first sent, to its reply";
        to.family("radius_rtt_seconds", Kind::Histogram, help)
            .histogram(&self.round_trips);
        let help = "Whether a RADIUS server is in use, not passed over as silent";
        let mut family = to.family("radius_server_up", Kind::Gauge, help);
        for (kind, group) in groups {
            for (server, up) in group.servers() {
                let labels = [("server", &*server.to_string()), ("type", kind)];
                family.sample(labels, u8::from(up));
            }
        }
        let status = self.status();
        let help = "RADIUS requests sent again for want of a reply";
        to.family("radius_retransmits_total", Kind::Counter, help)
            .sample([], status.repeated);
        let help = "RADIUS requests that wait for a reply";
        let mut family = to.family("radius_waiting", Kind::Gauge, help);
        family.sample([("type", "access")], status.logins);
        family.sample([("type", "accounting")], status.records);
        let help = "Accounting records that no server has confirmed";
        to.family("radius_records_lost_total", Kind::Counter, help)
            .sample([], status.records_lost);
        let help = "RADIUS packets dropped";
        let mut family = to.family("radius_dropped_total", Kind::Counter, help);
        for (reason, count) in self.drops() {
            family.sample([("reason", reason)], count);
        }
    }
}
