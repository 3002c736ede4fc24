//! Control packets: who deals with them, and what is rejected.

use super::{Auth, LOOPBACKS, Link, Phase};
use crate::auth::{Outcome, Step};
use crate::event::printable;
use crate::negotiate::{Negotiation, REJECTED_BYTES};
use crate::wire::{Code, Packet, Protocol};
use crate::{CloseReason, Error, Event};
use std::time::Instant;

/// Numbers from here on are of the link itself: LCP, authentication, quality (RFC 1661 section 2).
const FIRST_LINK_PROTOCOL: u16 = 0xc000;

impl Link {
    pub(super) fn control(
        &mut self,
        now: Instant,
        protocol: Protocol,
        data: &[u8],
    ) -> Result<(), Error> {
        if protocol == Protocol::LCP {
            return self.handle_lcp(now, &Packet::parse(data)?);
        }
        // Nothing but LCP before LCP is open (RFC 1661 section 3.4).
        if !self.lcp.is_open() {
            return Err(Error::UnexpectedPhase);
        }
        match protocol {
            Protocol::PAP | Protocol::CHAP => self.handle_auth(now, protocol, data),
            // Of the network layer nothing before authentication (RFC 1661 section 3.5).
            _ if self.phase == Phase::Authenticate && protocol.0 < FIRST_LINK_PROTOCOL => {
                Err(Error::UnexpectedPhase)
            }
            Protocol::IPCP => match &mut self.ipcp {
                Some(ipcp) => ipcp.handle(now, &Packet::parse(data)?, &self.config, &mut *self.rng),
                None => Err(Error::UnexpectedPhase),
            },
            Protocol::IPV6CP if self.ipv6cp.is_some() => {
                let packet = Packet::parse(data)?;
                match &mut self.ipv6cp {
                    Some(ncp) => ncp.handle(now, &packet, &self.config, &mut *self.rng),
                    None => Err(Error::UnexpectedPhase),
                }
            }
            // A straggler from before its protocol went down.
            Protocol::IPV4 => Err(Error::UnexpectedPhase),
            Protocol::IPV6 if self.ipv6cp.is_some() => Err(Error::UnexpectedPhase),
            _ => {
                self.reject_protocol(protocol, data);
                Err(Error::UnsupportedProtocol(protocol.0))
            }
        }
    }

    pub(super) fn handle_lcp(&mut self, now: Instant, packet: &Packet<'_>) -> Result<(), Error> {
        match packet.code {
            Code::PROTOCOL_REJECT => {
                let rejected = packet
                    .data
                    .first_chunk::<2>()
                    .ok_or(Error::Short("rejected protocol"))?;
                self.protocol_rejected(now, Protocol(u16::from_be_bytes(*rejected)))
            }
            Code::ECHO_REQUEST => self.answer_echo(packet),
            Code::ECHO_REPLY => self.echo_reply(packet),
            Code::CODE_REJECT if packet.data.first() == Some(&Code::ECHO_REQUEST.0) => {
                // A peer without echo cannot be asked whether it is there.
                self.echo.next = None;
                Ok(())
            }
            Code::DISCARD_REQUEST | Code::IDENTIFICATION | Code::TIME_REMAINING => Ok(()),
            Code::TERMINATE_REQUEST => {
                if self.reason.is_none() {
                    self.reason = Some(CloseReason::PeerTerminated(printable(packet.data)));
                }
                self.lcp.handle(now, packet, &self.config, &mut *self.rng)
            }
            _ => {
                self.lcp.handle(now, packet, &self.config, &mut *self.rng)?;
                if self.lcp.policy.no_common_auth {
                    let text = "no common authentication method";
                    self.terminate(now, CloseReason::NoCommonAuthentication, text);
                }
                if self.lcp.policy.loopbacks >= LOOPBACKS {
                    self.terminate(now, CloseReason::Loopback, "loopback");
                }
                Ok(())
            }
        }
    }

    pub(super) fn answer_echo(&mut self, packet: &Packet<'_>) -> Result<(), Error> {
        let (theirs, rest) = echo_magic(packet)?;
        if self.is_own(theirs) {
            self.echo.looped = true;
        }
        if self.lcp.is_open() {
            let mut data = self.lcp.policy.magic.unwrap_or(0).to_be_bytes().to_vec();
            // The reply must fit what the peer takes: header, magic, data.
            let room = usize::from(self.lcp.policy.peer.mru).saturating_sub(8);
            data.extend(rest.get(..room).unwrap_or(rest));
            let reply = Packet {
                code: Code::ECHO_REPLY,
                id: packet.id,
                data: &data,
            };
            self.send(Protocol::LCP, &reply.emit());
        }
        Ok(())
    }

    /// An answer that bears our own number is no sign of life, but of a loop.
    fn echo_reply(&mut self, packet: &Packet<'_>) -> Result<(), Error> {
        let (theirs, _) = echo_magic(packet)?;
        if self.is_own(theirs) {
            self.echo.looped = true;
        } else {
            self.echo.unanswered = 0;
            self.echo.looped = false;
        }
        Ok(())
    }

    fn is_own(&self, magic: u32) -> bool {
        self.lcp.policy.magic == Some(magic)
    }

    pub(super) fn protocol_rejected(
        &mut self,
        now: Instant,
        protocol: Protocol,
    ) -> Result<(), Error> {
        if !self.lcp.is_open() {
            return Err(Error::UnexpectedPhase);
        }
        match protocol {
            Protocol::IPCP | Protocol::IPV4 => {
                if let Some(ipcp) = &mut self.ipcp {
                    ipcp.protocol_rejected(now, &self.config);
                }
            }
            Protocol::IPV6CP | Protocol::IPV6 => self.drop_ipv6(),
            Protocol::LCP | Protocol::PAP | Protocol::CHAP => {
                let reason = CloseReason::NegotiationFailed("protocol rejected");
                self.terminate(now, reason, "cannot go on without");
            }
            _ => {}
        }
        Ok(())
    }

    /// IPv4 goes on without it.
    pub(super) fn drop_ipv6(&mut self) {
        if self
            .ipv6cp
            .take()
            .is_some_and(|ncp| Negotiation::is_open(&ncp))
        {
            self.event(Event::Ipv6Down);
        }
    }

    pub(super) fn reject_protocol(&mut self, protocol: Protocol, data: &[u8]) {
        self.reject_id = self.reject_id.wrapping_add(1);
        let mut rejected = protocol.0.to_be_bytes().to_vec();
        rejected.extend(data.get(..REJECTED_BYTES).unwrap_or(data));
        let id = self.reject_id;
        let packet = Packet {
            code: Code::PROTOCOL_REJECT,
            id,
            data: &rejected,
        };
        self.send(Protocol::LCP, &packet.emit());
    }

    pub(super) fn handle_auth(
        &mut self,
        now: Instant,
        protocol: Protocol,
        data: &[u8],
    ) -> Result<(), Error> {
        let packet = Packet::parse(data)?;
        let mut out = Vec::new();
        match &mut self.auth {
            Auth::Server(auth) if auth.method.protocol() == protocol => {
                if let Step::Ask(request) = auth.handle(&packet, &mut out)? {
                    self.event(Event::Authenticate(request));
                }
            }
            Auth::Client(auth) if auth.method.protocol() == protocol => {
                let method = auth.method;
                let known = self.retried.as_deref();
                let Some(credentials) = known.or(self.config.credentials.as_ref()) else {
                    return Err(Error::NotNow);
                };
                let first = self.phase == Phase::Authenticate;
                let outcome = auth.handle(
                    now,
                    &packet,
                    &self.config,
                    credentials,
                    &mut *self.rng,
                    &mut out,
                )?;
                match outcome {
                    Outcome::Accepted if first => {
                        let user = credentials.user.clone();
                        self.event(Event::Authenticated { user, method });
                        self.start_network(now);
                    }
                    Outcome::Refused(failure) => {
                        let retry = failure.retry;
                        self.event(Event::AuthenticationFailed(failure));
                        if !retry {
                            self.terminate(now, CloseReason::AuthenticationFailed, "refused");
                        }
                    }
                    Outcome::Accepted | Outcome::Pending => {}
                }
            }
            _ => return Err(Error::UnexpectedPhase),
        }
        self.send_all(protocol, out);
        Ok(())
    }
}

fn echo_magic<'a>(packet: &Packet<'a>) -> Result<(u32, &'a [u8]), Error> {
    let (magic, rest) = packet
        .data
        .split_first_chunk::<4>()
        .ok_or(Error::Short("echo magic number"))?;
    Ok((u32::from_be_bytes(*magic), rest))
}
