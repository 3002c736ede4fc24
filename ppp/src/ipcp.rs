//! The options of IPCP: addresses (RFC 1332), DNS and WINS servers (RFC 1877).

use crate::answer::{Answer, Objections};
use crate::negotiate::Policy;
use crate::wire::ConfigOption;
use crate::{Assignment, Config, Role};
use rand_core::CryptoRng;
use std::net::Ipv4Addr;

const ADDRESS: u8 = 3;
const PRIMARY_DNS: u8 = 129;
const PRIMARY_WINS: u8 = 130;
const SECONDARY_DNS: u8 = 131;
const SECONDARY_WINS: u8 = 132;

#[derive(Debug)]
pub(crate) struct Ipcp {
    role: Role,
    pub(crate) local: Ipv4Addr,
    pub(crate) peer: Ipv4Addr,
    send_address: bool,
    /// Server: what we give. Client: what we were given.
    pub(crate) dns: [Option<Ipv4Addr>; 2],
    pub(crate) wins: [Option<Ipv4Addr>; 2],
    /// Whether the peer has named its address yet.
    told: bool,
}

impl Ipcp {
    pub(crate) fn server(assignment: &Assignment) -> Self {
        Self {
            role: Role::Server,
            local: assignment.local,
            peer: assignment.peer,
            send_address: true,
            dns: assignment.dns,
            wins: assignment.wins,
            told: false,
        }
    }

    pub(crate) fn client(config: &Config) -> Self {
        let ask = |wanted: bool| wanted.then_some(Ipv4Addr::UNSPECIFIED);
        Self {
            role: Role::Client,
            local: config.request_address.unwrap_or(Ipv4Addr::UNSPECIFIED),
            peer: Ipv4Addr::UNSPECIFIED,
            send_address: true,
            dns: [ask(config.request_dns); 2],
            wins: [ask(config.request_wins); 2],
            told: false,
        }
    }

    /// What a server would answer for a server-address option; the outer none is "unknown".
    fn server_address(&mut self, kind: u8) -> Option<&mut Option<Ipv4Addr>> {
        let [dns_1, dns_2] = &mut self.dns;
        let [wins_1, wins_2] = &mut self.wins;
        match kind {
            PRIMARY_DNS => Some(dns_1),
            SECONDARY_DNS => Some(dns_2),
            PRIMARY_WINS => Some(wins_1),
            SECONDARY_WINS => Some(wins_2),
            _ => None,
        }
    }

    fn consider_as_server(&mut self, options: &[ConfigOption<'_>]) -> Answer {
        let mut objections = Objections::default();
        let mut named = false;
        for option in options {
            let right = if option.kind == ADDRESS {
                named = true;
                Some(self.peer)
            } else {
                self.server_address(option.kind).and_then(|a| *a)
            };
            match (right, address(option)) {
                (Some(right), Some(asked)) if asked == right => {}
                (Some(right), Some(_)) => objections.prefer(option.kind, &right.octets()),
                _ => objections.reject(option),
            }
        }
        let mut answer = objections.answer();
        if !named && !self.told && !matches!(answer, Answer::Reject(_)) {
            // A peer that does not ask is told once (RFC 1332 section 3.3); then it may go
            // without.
            self.told = true;
            let mut nak = match answer {
                Answer::Nak(nak) => nak,
                _ => Vec::new(),
            };
            let data = &self.peer.octets();
            let kind = ADDRESS;
            ConfigOption { kind, data }.emit(&mut nak);
            answer = Answer::Nak(nak);
        }
        answer
    }

    fn consider_as_client(&mut self, options: &[ConfigOption<'_>]) -> Answer {
        let mut objections = Objections::default();
        let mut peer = self.peer;
        for option in options {
            match (option.kind, address(option)) {
                (ADDRESS, Some(theirs)) if !theirs.is_unspecified() => peer = theirs,
                _ => objections.reject(option),
            }
        }
        let answer = objections.answer();
        if answer == Answer::Ack {
            self.peer = peer;
        }
        answer
    }
}

impl Policy for Ipcp {
    fn request(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut add = |kind, address: Ipv4Addr| {
            let data = &address.octets();
            ConfigOption { kind, data }.emit(&mut out);
        };
        if self.send_address {
            add(ADDRESS, self.local);
        }
        if self.role == Role::Client {
            let [dns_1, dns_2] = self.dns;
            let [wins_1, wins_2] = self.wins;
            for (kind, server) in [
                (PRIMARY_DNS, dns_1),
                (PRIMARY_WINS, wins_1),
                (SECONDARY_DNS, dns_2),
                (SECONDARY_WINS, wins_2),
            ] {
                if let Some(server) = server {
                    add(kind, server);
                }
            }
        }
        out
    }

    fn consider(&mut self, options: &[ConfigOption<'_>], _: &mut dyn CryptoRng) -> Answer {
        match self.role {
            Role::Server => self.consider_as_server(options),
            Role::Client => self.consider_as_client(options),
        }
    }

    fn insists(&self, kind: u8) -> bool {
        kind == ADDRESS
    }

    fn naked(&mut self, option: &ConfigOption<'_>, _: &mut dyn CryptoRng) {
        let Some(wanted) = address(option) else {
            return;
        };
        // A server's own address and servers are not for the peer to choose.
        if self.role == Role::Server {
            return;
        }
        if option.kind == ADDRESS {
            self.local = wanted;
        } else if let Some(server @ Some(_)) = self.server_address(option.kind) {
            *server = Some(wanted);
        }
    }

    fn rejected(&mut self, option: &ConfigOption<'_>) {
        if option.kind == ADDRESS {
            self.send_address = false;
        } else if self.role == Role::Client
            && let Some(server) = self.server_address(option.kind)
        {
            *server = None;
        }
    }
}

fn address(option: &ConfigOption<'_>) -> Option<Ipv4Addr> {
    let octets: [u8; 4] = option.data.try_into().ok()?;
    Some(octets.into())
}
