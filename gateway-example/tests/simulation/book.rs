//! Which packets were sent to whom, and which came out.

use crate::office::udp;
use chacha20::ChaCha20Rng;
use rand_core::Rng as _;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Instant;

/// The beginning of every payload; it stands on no wire.
const MARK: &[u8; 16] = b"of the office's!";

/// Of what is sent: headers, mark and serial number. An error quotes all of a packet this short.
const SHORTEST: usize = 20 + 8 + MARK.len() + 8;

/// Who may see a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Gateway,
    Warrior(usize),
}

struct Entry {
    /// Nobody, if it should be refused.
    to: Option<Owner>,
    warrior: usize,
    sent: Instant,
    times: u32,
    /// May be lost.
    forgiven: bool,
}

#[derive(Default)]
pub(super) struct Book {
    packets: HashMap<Vec<u8>, Entry>,
    serial: u64,
    /// From when on those that come out are counted as coming through.
    since: Option<Instant>,
    /// Warriors whose packets came out, here and there.
    up: Vec<usize>,
    down: Vec<usize>,
}

impl Book {
    /// Counts those that come through from now on.
    pub(super) fn begin(&mut self, now: Instant) {
        self.since = Some(now);
        self.up.clear();
        self.down.clear();
    }

    /// A new packet, unlike all others.
    pub(super) fn packet(
        &mut self,
        rng: &mut ChaCha20Rng,
        now: Instant,
        from: Ipv4Addr,
        to: Ipv4Addr,
        owner: Option<Owner>,
        warrior: usize,
    ) -> Vec<u8> {
        self.serial += 1;
        let mut payload = MARK.to_vec();
        payload.extend(self.serial.to_be_bytes());
        let mut rest = vec![0; rng.next_u32() as usize % 1200];
        rng.fill_bytes(&mut rest);
        payload.extend(rest);
        let packet = udp(from, to, &payload);
        let entry = Entry {
            to: owner,
            warrior,
            sent: now,
            times: 0,
            forgiven: false,
        };
        self.packets.insert(packet.clone(), entry);
        packet
    }

    pub(super) fn came_out(
        &mut self,
        now: Instant,
        at: Owner,
        packet: &[u8],
    ) -> Result<(), String> {
        if self.is_error_about_own(at, packet) {
            return Ok(());
        }
        let Some(entry) = self.packets.get_mut(packet) else {
            return Err(format!(
                "nobody has sent what came out at {at:?}: {}",
                self.differences(packet)
            ));
        };
        entry.times += 1;
        if entry.to != Some(at) {
            return Err(format!("a packet for {:?} came out at {at:?}", entry.to));
        }
        if entry.times > 1 {
            return Err(format!("a packet came out twice at {at:?}"));
        }
        if self
            .since
            .is_some_and(|since| entry.sent >= since && now >= since)
        {
            let list = match at {
                Owner::Gateway => &mut self.up,
                Owner::Warrior(_) => &mut self.down,
            };
            list.push(entry.warrior);
        }
        Ok(())
    }

    /// Whether the gateway tells a sender that its packet could not be delivered (RFC 792).
    fn is_error_about_own(&self, at: Owner, packet: &[u8]) -> bool {
        const ICMP: u8 = 1;
        const UNREACHABLE: u8 = 3;
        let (Some(&ICMP), Some(&UNREACHABLE)) = (packet.get(9), packet.get(20)) else {
            return false;
        };
        let quoted = packet.get(28..).unwrap_or_default();
        quoted.len() >= SHORTEST
            && self
                .packets
                .iter()
                .any(|(sent, entry)| entry.to != Some(at) && sent.starts_with(quoted))
    }

    /// Where a packet is not as one that begins alike.
    fn differences(&self, packet: &[u8]) -> String {
        let like = |sent: &&Vec<u8>| sent.get(20..52) == packet.get(20..52);
        let Some(sent) = self.packets.keys().find(like) else {
            return format!("{} bytes: {packet:02x?}", packet.len());
        };
        let pairs = sent.iter().zip(packet).enumerate();
        let differ: Vec<_> = pairs.filter(|(_, (a, b))| a != b).take(20).collect();
        format!("{} and {} bytes: {differ:02x?}", sent.len(), packet.len())
    }

    /// Whether packets of this warrior came through both ways.
    pub(super) fn through(&self, warrior: usize) -> bool {
        self.up.contains(&warrior) && self.down.contains(&warrior)
    }

    /// What was sent so far may be lost: [`undelivered`](Self::undelivered) tells of the rest.
    pub(super) fn forgive(&mut self) {
        for entry in self.packets.values_mut() {
            entry.forgiven = true;
        }
    }

    pub(super) fn undelivered(&self) -> usize {
        let lost = self.packets.values();
        let lost = lost.filter(|e| !e.forgiven && e.to.is_some() && e.times == 0);
        lost.count()
    }
}

/// Whether a datagram shows what is inside.
pub(super) fn in_clear(datagram: &[u8]) -> bool {
    datagram.windows(MARK.len()).any(|window| window == MARK)
}
