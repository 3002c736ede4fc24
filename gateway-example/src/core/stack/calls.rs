//! Calls: what L2TP and PPP say.

use super::{Call, Deadline, Stack};
use crate::core::convert;
use crate::core::event::Event;
use crate::core::peer::PeerId;
use l2tp::SessionId;
use std::sync::Arc;
use std::time::Instant;

impl Stack {
    pub(super) fn on_l2tp(&mut self, now: Instant, event: l2tp::Event) {
        match event {
            l2tp::Event::TunnelUp {
                tunnel,
                path,
                peer: info,
                ..
            } => {
                if let Some(&peer) = self.peer_of_path.get(&path) {
                    let host = String::from_utf8_lossy(&info.host_name).into_owned();
                    self.event(Event::TunnelUp { peer, tunnel, host });
                }
            }
            l2tp::Event::TunnelDown {
                tunnel,
                path,
                reason,
                ..
            } => {
                let peer = self.peer_of_path.get(&path).copied();
                self.event(Event::TunnelDown {
                    peer,
                    tunnel,
                    reason: reason.reason(),
                    detail: reason.to_string(),
                });
                if let Some(peer) = peer {
                    self.settle(now, peer);
                }
            }
            l2tp::Event::SessionUp { session, path, .. } => {
                if let Some(&peer) = self.peer_of_path.get(&path) {
                    self.start_ppp(now, session, peer);
                }
            }
            l2tp::Event::SessionDown {
                session, reason, ..
            } => {
                if let Some(peer) = self.dialled.remove(&session) {
                    // What ended the tunnel says so itself.
                    if reason != l2tp::CloseReason::TunnelDown {
                        self.event(Event::SessionDown {
                            peer,
                            session,
                            reason: reason.reason(),
                            detail: reason.to_string(),
                        });
                    }
                } else if let Some(mut call) = self.remove_call(session) {
                    call.link.lower_down(now);
                    let (mut word, mut detail) = (reason.reason(), reason.to_string());
                    while let Some(event) = call.link.poll_event() {
                        if let ppp::Event::Closed { reason } = event
                            && reason != ppp::CloseReason::LowerLayerDown
                        {
                            (word, detail) = (reason.reason(), reason.to_string());
                        }
                    }
                    self.event(Event::SessionDown {
                        peer: call.peer,
                        session,
                        reason: word,
                        detail,
                    });
                }
            }
            _ => {}
        }
    }

    fn start_ppp(&mut self, now: Instant, session: SessionId, peer: PeerId) {
        self.dialled.remove(&session);
        let rng = (self.entropy)();
        let Ok(mut link) = ppp::Link::new(Arc::clone(&self.ppp), self.role, rng) else {
            // Checked in `new`.
            return;
        };
        link.open(now);
        self.calls.insert(
            session,
            Call {
                link,
                peer,
                deadline: None,
            },
        );
        self.event(Event::SessionUp { peer, session });
        self.drain_link(now, session);
    }

    pub(super) fn remove_call(&mut self, session: SessionId) -> Option<Call> {
        let call = self.calls.remove(&session)?;
        if let Some(at) = call.deadline {
            self.deadlines.remove(&(at, Deadline::Link(session)));
        }
        Some(call)
    }

    /// Lets a link say what it has to say, and notes when it wants to be woken.
    pub(super) fn drain_link(&mut self, now: Instant, session: SessionId) {
        loop {
            let Some(call) = self.calls.get_mut(&session) else {
                return;
            };
            if let Some(frame) = call.link.poll_transmit() {
                self.transmit_inside(
                    |stack, buf, range| stack.send_frame(now, session, buf, range),
                    &frame,
                );
                continue;
            }
            let Some(event) = call.link.poll_event() else {
                break;
            };
            self.on_ppp(now, session, event);
        }
        if let Some(call) = self.calls.get_mut(&session) {
            let deadline = call.link.poll_timeout();
            if deadline != call.deadline {
                if let Some(at) = call.deadline.take() {
                    self.deadlines.remove(&(at, Deadline::Link(session)));
                }
                if let Some(at) = deadline {
                    self.deadlines.insert((at, Deadline::Link(session)));
                }
                call.deadline = deadline;
            }
        }
    }

    fn on_ppp(&mut self, now: Instant, session: SessionId, event: ppp::Event) {
        let Some(peer) = self.calls.get(&session).map(|call| call.peer) else {
            return;
        };
        match event {
            ppp::Event::LcpUp { peer_mru, auth } => {
                let auth = auth.map_or("none", ppp::AuthMethod::name);
                let detail = format!("peer_mru={peer_mru} auth={auth}");
                self.event(Event::LcpUp {
                    peer,
                    session,
                    peer_mru,
                    detail,
                });
            }
            ppp::Event::Authenticate(request) => {
                self.event(Event::Authenticate {
                    peer,
                    session,
                    request: Box::new(request),
                });
            }
            ppp::Event::Authenticated { user, .. } => {
                self.event(Event::Authenticated {
                    peer,
                    session,
                    user: convert::user_name(&user),
                });
            }
            ppp::Event::Ipv4Up {
                local,
                peer: remote,
                dns,
                ..
            } => {
                let dns = dns.into_iter().flatten().collect();
                self.event(Event::Ipv4Up {
                    peer,
                    session,
                    local,
                    remote,
                    dns,
                });
            }
            ppp::Event::Closed { reason } => {
                self.remove_call(session);
                self.l2tp
                    .close_session(now, session, convert::call_result(&reason));
                self.event(Event::SessionDown {
                    peer,
                    session,
                    reason: reason.reason(),
                    detail: reason.to_string(),
                });
            }
            _ => {}
        }
    }
}
