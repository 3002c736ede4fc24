//! From the trouble to the end: what must hold when.

use super::plan::Action;
use super::{AFTERWARDS, Fault, PATIENCE, STEPS, Simulation, TROUBLE};
use gateway_example::core::Core as _;
use rand_core::Rng as _;
use simnet::Link;
use std::time::{Duration, Instant};

impl Simulation {
    /// The whole of it.
    pub(super) fn live(&mut self) -> Result<(), String> {
        let end = self.start + TROUBLE;
        self.run_to(end)?;
        self.calm()?;
        self.quiet_exchange()?;
        self.leave()
    }

    /// Good links, and everybody comes through.
    fn calm(&mut self) -> Result<(), String> {
        self.say(|| "the trouble is over".into());
        self.office.world.link = Link::PERFECT;
        for warrior in 0..self.warriors.len() {
            let host = self.warriors[warrior].host;
            if self.warriors[warrior].wanted {
                self.office.world.host(host).asleep = false;
            }
        }
        self.all_come_through()?;
        // Who slept has come through, but may have been given up just now.
        self.pass(Duration::from_secs(60))?;
        for warrior in &mut self.warriors {
            warrior.through = false;
        }
        self.all_come_through()
    }

    fn all_come_through(&mut self) -> Result<(), String> {
        self.book.begin(self.office.world.now);
        let end = self.office.world.now + PATIENCE;
        while self.office.world.now < end {
            for n in 0..self.warriors.len() {
                self.send_up(n);
                self.send_down(n);
            }
            self.pass(Duration::from_secs(5))?;
            for (n, warrior) in self.warriors.iter_mut().enumerate() {
                warrior.through |= self.book.through(n);
            }
            if self.missing().is_empty() {
                return Ok(());
            }
        }
        Err(format!(
            "not connected in {} s: {:?}",
            PATIENCE.as_secs(),
            self.missing()
        ))
    }

    fn missing(&self) -> Vec<&str> {
        let missing = self.warriors.iter().filter(|w| w.wanted && !w.through);
        missing.map(|w| w.user.as_str()).collect()
    }

    /// Nobody disturbs: all arrives.
    fn quiet_exchange(&mut self) -> Result<(), String> {
        let active = std::mem::replace(&mut self.attacker.active, false);
        // What is on its way passes.
        self.pass(Duration::from_secs(20))?;
        self.book.forgive();
        self.quiet_from = Some(self.summary.packets);
        for _ in 0..3 {
            for n in 0..self.warriors.len() {
                if !self.warriors[n].wanted {
                    continue;
                }
                // The first goes up, so that whatever the attacker has made of an address is mended.
                self.send_up(n);
                self.pass(Duration::from_millis(500))?;
                self.send_down(n);
            }
        }
        self.pass(Duration::from_secs(5))?;
        self.attacker.active = active;
        match self.book.undelivered() {
            0 => Ok(()),
            lost => Err(format!("{lost} packets lost in quiet")),
        }
    }

    /// All go, each in its way, and nothing is left.
    fn leave(&mut self) -> Result<(), String> {
        self.say(|| "all leave".into());
        self.troubled = true;
        for n in 0..self.warriors.len() {
            if self.fault == Some(Fault::Stays) && n == 0 {
                continue;
            }
            self.warriors[n].wanted = false;
            let now = self.office.world.now;
            let vanishes = self.rng.next_u32().is_multiple_of(4);
            let host = self.office.world.host(self.warriors[n].host);
            if vanishes {
                host.asleep = true;
            } else if !host.asleep {
                host.client().shutdown(now);
                host.drain();
            }
            let pause = self.rng.next_u32() % 3000;
            self.pass(Duration::from_millis(pause.into()))?;
        }
        self.pass(Duration::from_secs(60))?;
        self.attacker.active = false;
        for n in 0..self.warriors.len() {
            let (host, wanted) = (self.warriors[n].host, self.warriors[n].wanted);
            let host = self.office.world.host(host);
            if !wanted && !host.asleep && !host.client().is_idle() {
                return Err(format!("w{n} has left and is not idle"));
            }
        }
        self.pass(AFTERWARDS)?;
        let now = self.office.world.now;
        let gateway = self.office.gateway;
        let status = self.office.world.host(gateway).gateway().status(now);
        let counts = [
            ("ISAKMP SAs", status.isakmp_sas),
            ("ESP SAs", status.esp_sas),
            ("tunnels", status.l2tp_tunnels),
            ("sessions", status.l2tp_sessions),
            ("peers", status.peers),
            ("addresses", status.addresses_in_use),
            ("flows", status.flows),
        ];
        let left: Vec<_> = counts.iter().filter(|(_, count)| *count > 0).collect();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("left behind: {left:?}"))
        }
    }

    pub(super) fn pass(&mut self, span: Duration) -> Result<(), String> {
        let end = self.office.world.now + span;
        self.run_to(end)
    }

    fn run_to(&mut self, end: Instant) -> Result<(), String> {
        loop {
            let due = self
                .agenda
                .keys()
                .next()
                .copied()
                .filter(|key| key.0 <= end);
            let next = self.office.world.next_at().filter(|at| *at <= end);
            match (due, next) {
                (Some(key), next) if next.is_none_or(|at| key.0 <= at) => {
                    self.office.world.now = self.office.world.now.max(key.0);
                    if let Some(action) = self.agenda.remove(&key) {
                        self.act(action);
                    }
                }
                (_, Some(_)) => {
                    self.office.world.step();
                }
                _ => break,
            }
            self.steps += 1;
            if self.steps > STEPS {
                return Err("somebody never sleeps".into());
            }
            self.observe()?;
        }
        self.office.world.now = self.office.world.now.max(end);
        Ok(())
    }

    pub(super) fn after(&mut self, span: Duration, action: Action) {
        self.serial += 1;
        let at = self.office.world.now + span;
        self.agenda.insert((at, self.serial), action);
    }
}
