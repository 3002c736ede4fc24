//! What people, their devices, their networks and the gateway do.

use super::book::Owner;
use super::plan::Action;
use super::{Fault, Simulation};
use crate::common::SERVER;
use crate::office::{Node, OFFICE, Peer};
use gateway_example::core::{Client, Gateway, SessionStatus};
use rand_core::Rng as _;
use simnet::Datagram;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

impl Simulation {
    pub(super) fn act(&mut self, action: Action) {
        let now = self.office.world.now;
        if !matches!(action, Action::Traffic) {
            self.say(|| format!("{action:?}"));
        }
        match action {
            Action::Call(n) if self.warriors[n].wanted => self.call(n),
            Action::Traffic => {
                let n = self.rng.next_u32() as usize % self.warriors.len();
                match self.rng.next_u32() % 5 {
                    0..2 => self.send_up(n),
                    2..4 => self.send_down(n),
                    _ => self.spoof(n),
                }
            }
            Action::Rebind(nat) => self.office.world.nat(self.nats[nat]).rebind(),
            Action::Renumber(nat) => {
                let other = 100 + 50 * nat as u8 + (self.rng.next_u32() % 50) as u8;
                let other = Ipv4Addr::new(203, 0, 113, other);
                let nat = self.office.world.nat(self.nats[nat]);
                nat.rebind();
                nat.public = other.into();
            }
            Action::Exhaust(nat) => {
                let nat = self.office.world.nat(self.nats[nat]);
                let hog = SocketAddr::from(([10, 66, 0, 1], 6881));
                nat.mapping = simnet::Mapping::AddressAndPortDependent;
                for n in 1..=u16::MAX {
                    let swarm = SocketAddr::from(([192, 0, 2, 99], n));
                    if nat.outbound(now, hog, swarm).is_none() {
                        break;
                    }
                }
            }
            Action::Restart => {
                let config = self.config.clone();
                let gateway = Gateway::new(Arc::new(config), self.entropy()).unwrap();
                let host = self.office.gateway;
                *self.office.world.host(host) = Peer::new(Node::Gateway(gateway));
            }
            Action::Rekey(n) => self.with_client(n, |client| client.rekey(now)),
            Action::RenewEsp(n) => self.with_client(n, |client| client.renew_esp(now)),
            Action::Sleep(n, span) => {
                let host = self.warriors[n].host;
                self.office.world.host(host).asleep = true;
                self.after(span, Action::Wake(n));
            }
            Action::Wake(n) if self.warriors[n].wanted => {
                let host = self.warriors[n].host;
                self.office.world.host(host).asleep = false;
            }
            Action::Vanish(n) => {
                self.warriors[n].wanted = false;
                let host = self.warriors[n].host;
                self.office.world.host(host).asleep = true;
            }
            Action::Call(_) | Action::Wake(_) => {}
        }
    }

    fn with_client(&mut self, n: usize, command: impl FnOnce(&mut Client)) {
        let host = self.office.world.host(self.warriors[n].host);
        if host.address.is_some() && host.gone.is_none() && !host.asleep {
            command(host.client());
            host.drain();
        }
    }

    /// A new call, with the device as it was.
    fn call(&mut self, n: usize) {
        let warrior = &self.warriors[n];
        let (profile, user) = (warrior.profile.clone(), warrior.user.clone());
        let address = warrior.address;
        let client = self.client(&profile, &user, address);
        self.summary.calls += 1;
        let now = self.office.world.now;
        self.warriors[n].was_up = false;
        let host = self.office.world.host(self.warriors[n].host);
        let asleep = host.asleep;
        *host = Peer::new(Node::Client(client));
        host.asleep = asleep;
        if self.fault == Some(Fault::CutOff) && n == 0 {
            return;
        }
        host.client().connect(now).unwrap();
        host.drain();
    }

    fn sessions(&mut self) -> Vec<SessionStatus> {
        let now = self.office.world.now;
        let gateway = self.office.gateway;
        self.office
            .world
            .host(gateway)
            .gateway()
            .status(now)
            .sessions
    }

    pub(super) fn send_up(&mut self, n: usize) {
        let host = self.warriors[n].host;
        let peer = self.office.world.host(host);
        let (Some(address), None, false) = (peer.address, &peer.gone, peer.asleep) else {
            return;
        };
        let now = self.office.world.now;
        let packet = self
            .book
            .packet(&mut self.rng, now, address, OFFICE, Some(Owner::Gateway), n);
        if self.fault == Some(Fault::InClear) {
            let [source, destination] = [SERVER, SERVER].map(|ip| SocketAddr::from((ip, 7)));
            let payload = packet.clone();
            self.office.world.inject(Datagram {
                source,
                destination,
                payload,
            });
        }
        self.office.world.host(host).send(now, &packet);
    }

    /// From the office to a warrior's address, which by the gateway's own account is somebody's.
    pub(super) fn send_down(&mut self, n: usize) {
        let host = self.warriors[n].host;
        let Some(address) = self.office.world.host(host).address else {
            return;
        };
        let sessions = self.sessions();
        let text = address.to_string();
        let session = sessions.iter().find(|s| s.address.as_ref() == Some(&text));
        let user = session.and_then(|s| s.user.as_ref());
        let Some(to) = self.warriors.iter().position(|w| Some(&w.user) == user) else {
            return;
        };
        let now = self.office.world.now;
        let owner = Some(Owner::Warrior(to));
        let packet = self
            .book
            .packet(&mut self.rng, now, OFFICE, address, owner, n);
        let gateway = self.office.gateway;
        self.office.world.host(gateway).send(now, &packet);
    }

    /// With another's address: to nobody.
    fn spoof(&mut self, n: usize) {
        let others = self.warriors.iter().enumerate().filter(|(m, _)| *m != n);
        let others: Vec<_> = others.map(|(_, w)| w.host).collect();
        let address = others
            .into_iter()
            .find_map(|host| self.office.world.host(host).address)
            .unwrap_or(Ipv4Addr::new(192, 168, 8, 77));
        let host = self.warriors[n].host;
        if self.office.world.host(host).address == Some(address) {
            return;
        }
        let now = self.office.world.now;
        let packet = self
            .book
            .packet(&mut self.rng, now, address, OFFICE, None, n);
        self.office.world.host(host).send(now, &packet);
    }
}
