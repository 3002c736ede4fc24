//! The phases of a link (RFC 1661 section 3): from LCP to the network and back.

use super::{Auth, Echo, Link, Phase};
use crate::auth::{ClientAuth, ServerAuth};
use crate::ipcp::Ipcp;
use crate::ipv6cp::Ipv6cp;
use crate::negotiate::{Negotiation, Policy, Signal};
use crate::wire::{Code, Packet, Protocol};
use crate::{AuthMethod, CloseReason, Event, Role};
use std::time::Instant;

impl Link {
    /// Acts on what the automata have signalled and sends what they have made.
    pub(super) fn settle(&mut self, now: Instant) {
        loop {
            let out = std::mem::take(&mut self.lcp.out);
            self.send_all(Protocol::LCP, out);
            if let Some(ipcp) = &mut self.ipcp {
                let out = std::mem::take(&mut ipcp.out);
                self.send_all(Protocol::IPCP, out);
            }
            if let Some(ipv6cp) = &mut self.ipv6cp {
                let out = std::mem::take(&mut ipv6cp.out);
                self.send_all(Protocol::IPV6CP, out);
            }
            let lcp = std::mem::take(&mut self.lcp.signals);
            let ipcp = signals(&mut self.ipcp);
            let ipv6cp = signals(&mut self.ipv6cp);
            if lcp.is_empty() && ipcp.is_empty() && ipv6cp.is_empty() {
                return;
            }
            for signal in ipcp {
                self.on_ipcp(now, signal);
            }
            for signal in ipv6cp {
                self.on_ipv6cp(signal);
            }
            for signal in lcp {
                self.on_lcp(now, signal);
            }
        }
    }

    pub(super) fn on_lcp(&mut self, now: Instant, signal: Signal) {
        match signal {
            Signal::Up => self.lcp_up(now),
            Signal::Down => {
                self.auth = Auth::None;
                if self.ipcp.as_ref().is_some_and(Negotiation::is_open) {
                    self.ipv4_down();
                }
                self.ipcp = None;
                self.drop_ipv6();
                self.echo = Echo::default();
                if self.phase != Phase::Terminate {
                    self.phase = Phase::Establish;
                }
            }
            Signal::Finished => {
                let silent = CloseReason::NegotiationTimeout;
                let reason = self.reason.take().unwrap_or(silent);
                self.finish(reason);
            }
            Signal::Hopeless => {
                let reason = CloseReason::NegotiationFailed("lcp");
                self.terminate(now, reason, "no agreement on options");
            }
        }
    }

    pub(super) fn lcp_up(&mut self, now: Instant) {
        if self.phase == Phase::Terminate {
            return;
        }
        self.lcp.policy.loopbacks = 0;
        self.reason = None;
        let (asked, peer) = (self.lcp.policy.asked, self.lcp.policy.peer);
        self.event(Event::LcpUp {
            peer_mru: peer.mru,
            auth: asked.or(peer.auth),
        });
        self.echo.next = self.config.echo_interval.map(|interval| now + interval);
        let mut out = Vec::new();
        match (self.role, asked, peer.auth) {
            (Role::Server, Some(method), _) => {
                self.phase = Phase::Authenticate;
                // Never that of an earlier try, whose response may still be on its way.
                self.auth_id = self.auth_id.wrapping_add(1);
                let (id, config) = (self.auth_id, &self.config);
                let auth = ServerAuth::new(now, method, id, config, &mut *self.rng, &mut out);
                self.auth = Auth::Server(Box::new(auth));
                self.send_all(method.protocol(), out);
            }
            (Role::Client, _, Some(method)) => {
                self.phase = Phase::Authenticate;
                self.start_client_auth(now, method);
            }
            _ => self.start_network(now),
        }
    }

    pub(super) fn start_client_auth(&mut self, now: Instant, method: AuthMethod) {
        let mut out = Vec::new();
        if let Some(credentials) = &self.config.credentials {
            let auth = ClientAuth::new(now, method, &self.config, credentials, &mut out);
            self.auth = Auth::Client(Box::new(auth));
        }
        self.send_all(method.protocol(), out);
    }

    pub(super) fn start_network(&mut self, now: Instant) {
        self.phase = Phase::Network;
        let ipcp = match (self.role, &self.assignment) {
            (Role::Server, Some(assignment)) => Some(Ipcp::server(assignment)),
            (Role::Server, None) => None,
            (Role::Client, _) => Some(Ipcp::client(&self.config)),
        };
        self.ipcp = ipcp.map(|policy| {
            let mut ipcp = Negotiation::new(policy);
            ipcp.start(now, &self.config);
            ipcp
        });
        if self.config.ipv6 {
            let mut ipv6cp = Negotiation::new(Ipv6cp::new(&mut *self.rng));
            ipv6cp.start(now, &self.config);
            self.ipv6cp = Some(ipv6cp);
        }
    }

    pub(super) fn on_ipcp(&mut self, now: Instant, signal: Signal) {
        match signal {
            Signal::Up => {
                if let Some(ipcp) = &self.ipcp {
                    if ipcp.policy.local.is_unspecified() {
                        let reason = CloseReason::NegotiationFailed("ipcp");
                        self.terminate(now, reason, "no address was given");
                        return;
                    }
                    let given = |address: Option<std::net::Ipv4Addr>| {
                        address.filter(|address| !address.is_unspecified())
                    };
                    let event = Event::Ipv4Up {
                        local: ipcp.policy.local,
                        peer: ipcp.policy.peer,
                        dns: ipcp.policy.dns.map(given),
                        wins: ipcp.policy.wins.map(given),
                    };
                    self.event(event);
                }
            }
            Signal::Down => self.ipv4_down(),
            Signal::Finished => {
                // A link without IPv4 is of no use to anybody here.
                let reason = self.reason.take();
                let reason = reason.unwrap_or(CloseReason::NegotiationFailed("ipcp"));
                self.terminate(now, reason, "IPCP has ended");
            }
            Signal::Hopeless => {
                let reason = CloseReason::NegotiationFailed("ipcp");
                self.terminate(now, reason, "no agreement on addresses");
            }
        }
    }

    fn ipv4_down(&mut self) {
        // Without an address it never was up.
        if self
            .ipcp
            .as_ref()
            .is_some_and(|ipcp| !ipcp.policy.local.is_unspecified())
        {
            self.event(Event::Ipv4Down);
        }
    }

    pub(super) fn on_ipv6cp(&mut self, signal: Signal) {
        match signal {
            Signal::Up => {
                if let Some(ipv6cp) = &self.ipv6cp {
                    let (local, peer) = (ipv6cp.policy.local, ipv6cp.policy.peer);
                    self.event(Event::Ipv6Up { local, peer });
                }
            }
            Signal::Down => self.event(Event::Ipv6Down),
            Signal::Finished | Signal::Hopeless => self.drop_ipv6(),
        }
    }

    pub(super) fn terminate(&mut self, now: Instant, reason: CloseReason, text: &str) {
        match self.phase {
            Phase::Closed | Phase::Terminate => {}
            Phase::Dead => self.finish(reason),
            Phase::Establish | Phase::Authenticate | Phase::Network => {
                self.phase = Phase::Terminate;
                self.reason = Some(reason);
                self.lcp.close(now, text, &self.config);
            }
        }
    }

    pub(super) fn finish(&mut self, reason: CloseReason) {
        if self.phase != Phase::Closed {
            self.phase = Phase::Closed;
            self.auth = Auth::None;
            self.ipcp = None;
            self.ipv6cp = None;
            self.event(Event::Closed { reason });
        }
    }

    pub(super) fn auth_timeout(&mut self, now: Instant) {
        let mut out = Vec::new();
        let (in_time, method) = match &mut self.auth {
            Auth::Server(auth) => (
                auth.handle_timeout(now, &self.config, &mut out),
                auth.method,
            ),
            Auth::Client(auth) => (
                auth.handle_timeout(now, &self.config, &mut out),
                auth.method,
            ),
            Auth::None => return,
        };
        let protocol = method.protocol();
        self.send_all(protocol, out);
        if !in_time {
            self.auth = Auth::None;
            self.terminate(now, CloseReason::AuthenticationTimeout, "too slow");
        }
    }

    pub(super) fn echo_timeout(&mut self, now: Instant) {
        let (Some(at), Some(interval)) = (self.echo.next, self.config.echo_interval) else {
            return;
        };
        if at > now || !self.lcp.is_open() {
            return;
        }
        if std::mem::take(&mut self.echo.heard) {
            // Who sends packets is there.
            self.echo.unanswered = 0;
            self.echo.next = Some(now + interval);
            return;
        }
        if self.echo.unanswered >= self.config.echo_failures {
            self.echo.next = None;
            let (reason, text) = if self.echo.looped {
                (CloseReason::Loopback, "loopback")
            } else {
                (CloseReason::EchoTimeout, "no answer to echo")
            };
            self.terminate(now, reason, text);
            return;
        }
        self.echo.unanswered += 1;
        self.echo.id = self.echo.id.wrapping_add(1);
        self.echo.next = Some(now + interval);
        let magic = self.lcp.policy.magic.unwrap_or(0).to_be_bytes();
        let id = self.echo.id;
        let packet = Packet {
            code: Code::ECHO_REQUEST,
            id,
            data: &magic,
        };
        self.send(Protocol::LCP, &packet.emit());
    }
}

fn signals<P: Policy>(negotiation: &mut Option<Negotiation<P>>) -> Vec<Signal> {
    negotiation
        .as_mut()
        .map(|n| std::mem::take(&mut n.signals))
        .unwrap_or_default()
}
