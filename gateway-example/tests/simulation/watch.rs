//! Looks at all that happens in a world, and at what must hold.

use super::book::{self, Owner};
use super::plan::Action;
use super::{Fault, Simulation};
use rand_core::Rng as _;
use simnet::{Datagram, HostId};
use std::time::{Duration, Instant};

impl Simulation {
    /// Looks at all that has happened since it looked last.
    pub(super) fn observe(&mut self) -> Result<(), String> {
        self.watch_the_internet()?;
        let gateway = self.office.gateway;
        let inner = std::mem::take(&mut self.office.world.host(gateway).inner);
        for packet in inner {
            self.came_out(Owner::Gateway, packet)?;
        }
        self.log(gateway, "gateway");
        for n in 0..self.warriors.len() {
            let host = self.warriors[n].host;
            let name = self.warriors[n].user.clone();
            self.log(host, &name);
            let peer = self.office.world.host(host);
            let inner = std::mem::take(&mut peer.inner);
            let (up, gone) = (peer.address.is_some(), peer.gone.take());
            let was_up = std::mem::replace(&mut self.warriors[n].was_up, up);
            for packet in inner {
                self.came_out(Owner::Warrior(n), packet)?;
            }
            let hung_up =
                self.fault == Some(Fault::HungUp) && up && n == 0 && self.summary.packets > 9;
            let gone = gone.or_else(|| hung_up.then(|| "fault".into()));
            if let Some(reason) = gone {
                self.say(|| format!("{name} lost its call: {reason}"));
                self.office.world.host(host).address = None;
                if was_up && !self.troubled {
                    return Err(format!("{name} lost its call for nothing: {reason}"));
                }
                let pause = 2000 + self.rng.next_u32() % 8000;
                self.after(Duration::from_millis(pause.into()), Action::Call(n));
            }
        }
        Ok(())
    }

    fn came_out(&mut self, at: Owner, mut packet: Vec<u8>) -> Result<(), String> {
        self.summary.packets += 1;
        let (mut at, mut times) = (at, 1);
        if self.fault == Some(Fault::Lost)
            && self.quiet_from.map(|from| from + 3) == Some(self.summary.packets)
        {
            return Ok(());
        }
        if self.summary.packets == 7 {
            match self.fault {
                Some(Fault::Altered) => packet[40] ^= 1,
                Some(Fault::Twice) => times = 2,
                Some(Fault::Misdelivered) => {
                    at = match at {
                        Owner::Gateway => Owner::Warrior(0),
                        Owner::Warrior(_) => Owner::Gateway,
                    }
                }
                _ => {}
            }
        }
        let now = self.office.world.now;
        (0..times).try_for_each(|_| self.book.came_out(now, at, &packet))
    }

    fn watch_the_internet(&mut self) -> Result<(), String> {
        let log = self.office.world.log();
        let seen: Vec<_> = log[self.attacker.seen..].to_vec();
        for (at, datagram) in seen {
            self.summary.datagrams += 1;
            if book::in_clear(&datagram.payload) {
                return Err("a packet is on the internet as it is".into());
            }
            self.digest(at, &datagram);
            for evil in self.attacker.attack(&datagram) {
                self.summary.attacks += 1;
                self.office.world.inject(evil);
            }
        }
        self.attacker.seen = self.office.world.log().len();
        Ok(())
    }

    fn digest(&mut self, at: Instant, datagram: &Datagram) {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut hasher = DefaultHasher::new();
        self.summary.digest.hash(&mut hasher);
        at.duration_since(self.start).hash(&mut hasher);
        datagram.source.hash(&mut hasher);
        datagram.destination.hash(&mut hasher);
        datagram.payload.hash(&mut hasher);
        self.summary.digest = hasher.finish();
    }

    fn log(&mut self, host: HostId, name: &str) {
        let lines = std::mem::take(&mut self.office.world.host(host).log);
        if self.trace.is_some() {
            for (_, line) in lines {
                self.say(|| format!("{name}: {line}"));
            }
        }
    }

    pub(super) fn say(&mut self, line: impl FnOnce() -> String) {
        let at = self.office.world.now.duration_since(self.start);
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>10.3} {}", at.as_secs_f64(), line()));
        }
    }
}
