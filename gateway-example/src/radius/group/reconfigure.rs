//! Other servers while requests wait.

use super::{Config, Context, Group, Happened, Sent, Urgency};
use std::time::Instant;

impl Group {
    /// Takes the servers of `context` in place of those of `old`. What a server has been sent that
    /// stays is awaited still; what one has been sent that goes, or whose secret is another, is
    /// sent to the new ones.
    pub(in crate::radius) fn reconfigure(
        &mut self,
        now: Instant,
        old: &Config,
        context: &mut Context<'_>,
    ) {
        let fresh = Self::new(self.port, context.config);
        self.limit = fresh.limit;
        self.resume_at = None;
        let mut back: Vec<Sent> = Vec::new();
        for mut lane in std::mem::replace(&mut self.lanes, fresh.lanes) {
            let heir = self.lanes.iter_mut().find(|l| l.address == lane.address);
            let Some(heir) = heir else {
                back.extend(lane.in_flight.into_values());
                continue;
            };
            heir.next_id = lane.next_id;
            heir.tally = lane.tally;
            let before = old.servers.get(lane.server).map(|s| &s.secret);
            let after = context.config.servers.get(heir.server).map(|s| &s.secret);
            if before == after {
                (heir.state, heir.heard) = (lane.state, lane.heard);
                heir.in_flight = std::mem::take(&mut lane.in_flight);
            } else {
                back.extend(lane.in_flight.into_values());
            }
        }
        back.sort_by_key(|sent| sent.first);
        for sent in back.into_iter().rev() {
            self.busy.remove(&sent.request.key);
            self.queue.push_front(sent.request);
        }
        // Servers have other places now.
        let in_flight = self.lanes.iter_mut().flat_map(|l| l.in_flight.values_mut());
        let all = in_flight.map(|sent| &mut sent.request);
        for request in all.chain(&mut self.queue) {
            (request.tried, request.rounds) = (0, 0);
        }
        if self.lanes.is_empty() {
            self.give_up();
        }
        self.pump(now, context);
    }

    /// There is nobody to ask.
    fn give_up(&mut self) {
        for request in self.queue.drain(..) {
            if request.urgency == Urgency::Login {
                let key = request.key;
                self.happened.push_back(Happened::NoReply { key });
            } else {
                self.lost += 1;
            }
        }
    }
}
