//! Many packets at once: their flows are fetched from memory together.

use crate::event::{DropReason, Ingress, Verdict};
use crate::firewall::Firewall;
use crate::interface::InterfaceId;
use std::net::IpAddr;
use std::ops::Range;
use std::time::Instant;

/// A packet of a batch, and what is to become of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Job<'a> {
    /// How it came in.
    pub ingress: Ingress,
    /// Where the packet lies.
    pub buf: &'a mut [u8],
    /// Which part of `buf` it is.
    pub packet: Range<usize>,
    /// The verdict, when it has been processed; [`DropReason::Malformed`] before.
    pub verdict: Verdict,
}

impl<'a> Job<'a> {
    /// Something to process.
    #[must_use]
    pub fn new(ingress: Ingress, buf: &'a mut [u8], packet: Range<usize>) -> Self {
        Self {
            ingress,
            buf,
            packet,
            verdict: Verdict::Drop(DropReason::Malformed),
        }
    }
}

/// As many misses as a processor has under way, and more than one flow is worth.
const BATCH: usize = 32;

impl Firewall {
    /// Does what [`process`](Self::process) does, for one packet after the other, but waits for
    /// memory once for many of them: with a million flows that is most of the time.
    pub fn process_batch(
        &mut self,
        now: Instant,
        jobs: &mut [Job<'_>],
        route: &dyn Fn(IpAddr) -> Option<InterfaceId>,
    ) {
        if let [job] = jobs {
            // There is nothing to wait for together.
            job.verdict = self.process(now, job.ingress, job.buf, job.packet.clone(), route);
            return;
        }
        self.advance(now);
        for jobs in jobs.chunks_mut(BATCH) {
            let mut glances = [None; BATCH];
            let mut others = [const { None }; BATCH];
            let mut hashes = [0; BATCH];
            let places = glances.iter_mut().zip(&mut others).zip(&mut hashes);
            for (job, ((glance, other), hash)) in jobs.iter().zip(places) {
                *glance = self.glance(job.buf, &job.packet);
                *hash = match glance {
                    Some(glance) => glance.hash(),
                    None => {
                        let seen = other.insert(self.see(job.buf, &job.packet));
                        seen.as_ref().map_or(0, |seen| seen.hash)
                    }
                };
            }
            self.table
                .touch(hashes.get(..jobs.len()).unwrap_or_default());
            let connections = glances.iter().flatten();
            let connections = connections.filter_map(|glance| self.table.connection_of(glance));
            self.table.touch_records(connections);
            for (job, (glance, other)) in jobs.iter_mut().zip(glances.iter().zip(&mut others)) {
                let (ingress, packet) = (job.ingress, job.packet.clone());
                let passed = glance
                    .as_ref()
                    .and_then(|glance| self.pass(ingress, job.buf, &packet, glance, route));
                job.verdict = match passed {
                    Some(egress) => Verdict::Forward { egress, packet },
                    None => {
                        let seen = other.get_or_insert_with(|| self.see(job.buf, &packet));
                        self.judge(ingress, job.buf, packet, seen.as_mut(), route)
                    }
                };
            }
        }
    }
}
