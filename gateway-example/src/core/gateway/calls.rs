//! What becomes of a call: its login, its traffic's way through the firewall, its end.

use super::{Gateway, GatewayEvent, Session};
use crate::aaa::{self, CallId, Caller};
use crate::core::event::Event;
use crate::core::{PeerId, Severity, convert};
use l2tp::SessionId;
use std::net::Ipv4Addr;
use std::time::Instant;

impl Gateway {
    pub(super) fn on_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::SessionUp { peer, session } if !self.is_taken(session) => {
                self.step(GatewayEvent::Step {
                    layer: "l2tp",
                    peer: Some(peer),
                    severity: Severity::Failure,
                    text: "call refused reason=peer_not_allowed: see l2tp.peers".into(),
                });
                self.stack.hang_up(now, session, "not from your address");
            }
            Event::SessionUp { peer, session } => self.begin(peer, session),
            Event::Authenticate {
                peer,
                session,
                request,
            } => {
                self.book.note_method(peer, request.method().name());
                if let Some(call) = self.sessions.get(&session).map(|s| s.call) {
                    self.aaa.authenticate(now, call, &request);
                    self.drain_aaa(now);
                }
            }
            Event::LcpUp {
                session, peer_mru, ..
            } => {
                self.begin_anew(now, session);
                if let Some(entry) = self.sessions.get_mut(&session) {
                    entry.mru = peer_mru;
                }
            }
            Event::Ipv4Up {
                session, remote, ..
            } => self.open(now, session, remote),
            Event::SessionDown {
                session, reason, ..
            } => self.close(now, session, reason),
            Event::Key(key) => self.step(GatewayEvent::Key(key)),
            Event::Plain(message) => self.step(GatewayEvent::Plain(message)),
            _ => {}
        }
    }

    /// Whether calls are taken from where this one comes.
    fn is_taken(&self, session: SessionId) -> bool {
        let remote = self.stack.peer_of(session).map(|(_, path, _)| path.remote);
        remote.is_some_and(|remote| self.config.l2tp.takes(remote.ip()))
    }

    fn begin(&mut self, peer: PeerId, session: SessionId) {
        let Some((_, path, _)) = self.stack.peer_of(session) else {
            return;
        };
        let call = self.aaa.begin(Caller {
            peer: path.remote,
            local: path.local,
        });
        self.by_call.insert(call, session);
        let entry = Session {
            peer,
            call,
            user: String::new(),
            leased: None,
            interface: None,
            mru: u16::MAX,
            bytes_in: 0,
            bytes_out: 0,
            packets_in: 0,
            packets_out: 0,
        };
        self.sessions.insert(session, entry);
    }

    /// A client that was in has negotiated LCP again: that login is over, and another one follows.
    fn begin_anew(&mut self, now: Instant, session: SessionId) {
        let was_in = self.sessions.get(&session);
        if was_in.is_some_and(|entry| entry.leased.is_some())
            && let Some(peer) = self.release(now, session, "peer_terminated")
        {
            self.begin(peer, session);
        }
    }

    /// Does what has been decided about logins and calls.
    pub(super) fn drain_aaa(&mut self, now: Instant) {
        while let Some(event) = self.aaa.poll_event() {
            match event {
                aaa::Event::Verdict { call, verdict } => {
                    let Some(&session) = self.by_call.get(&call) else {
                        continue;
                    };
                    if let Some((user, address)) = self.aaa.user(call)
                        && let Some(entry) = self.sessions.get_mut(&session)
                    {
                        user.clone_into(&mut entry.user);
                        entry.leased = Some(address);
                    }
                    self.stack.authenticate(now, session, verdict);
                }
                aaa::Event::Denied { call, user, reason } => {
                    if let Some(peer) = self.peer_of(call) {
                        self.book.note_denial(now, peer, &user, reason);
                    }
                }
                aaa::Event::HangUp {
                    call,
                    reason,
                    replaced,
                } => {
                    if let Some(&session) = self.by_call.get(&call) {
                        self.close(now, session, reason);
                        if replaced {
                            self.stack.drop_call(now, session, reason);
                        } else {
                            self.stack.hang_up(now, session, reason);
                        }
                    }
                }
                aaa::Event::Note { call, good, text } => {
                    let peer = call.and_then(|call| self.peer_of(call));
                    let from = peer.and_then(|peer| self.book.address(peer));
                    let step = GatewayEvent::Step {
                        layer: "aaa",
                        peer,
                        severity: Severity::of(good),
                        text,
                    };
                    self.say(now, from, step);
                }
            }
        }
    }

    fn peer_of(&self, call: CallId) -> Option<PeerId> {
        let session = self.by_call.get(&call)?;
        Some(self.sessions.get(session)?.peer)
    }

    /// Traffic may flow: the call becomes an interface of the firewall.
    fn open(&mut self, now: Instant, session: SessionId, address: Ipv4Addr) {
        let Some(entry) = self.sessions.get_mut(&session) else {
            return;
        };
        if let Some(old) = entry.interface.take() {
            self.firewall.remove_interface(now, old);
            self.by_interface.remove(&old);
        }
        let room = self.stack.room_of(session).unwrap_or(u16::MAX);
        let mtu = self.config.tun.mtu.min(entry.mru).min(room);
        let interface = convert::client_interface(address, self.config.ppp.local, mtu);
        let interface = self.firewall.add_interface(interface);
        entry.interface = Some(interface);
        let call = entry.call;
        self.by_address.insert(address, session);
        self.by_interface.insert(interface, session);
        self.aaa.opened(now, call);
        self.drain_aaa(now);
    }

    pub(super) fn close(&mut self, now: Instant, session: SessionId, reason: &str) {
        if let Some(peer) = self.release(now, session, reason) {
            self.book.note_closing(peer);
        }
    }

    /// Takes back all that a call has; gives whose it is.
    fn release(&mut self, now: Instant, session: SessionId, reason: &str) -> Option<PeerId> {
        let entry = self.sessions.get(&session)?;
        let (call, traffic) = (entry.call, entry.traffic());
        self.aaa.end(now, call, reason, traffic);
        // While its peer is known: what accounting says belongs to it.
        self.drain_aaa(now);
        self.by_call.remove(&call);
        let entry = self.sessions.remove(&session)?;
        if let Some(address) = entry.leased
            && self.by_address.get(&address) == Some(&session)
        {
            self.by_address.remove(&address);
        }
        if let Some(interface) = entry.interface {
            self.firewall.remove_interface(now, interface);
            self.by_interface.remove(&interface);
        }
        Some(entry.peer)
    }
}
