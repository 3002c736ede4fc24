//! One call (RFC 2661 sections 7.4 and 7.5), and the calls of a tunnel.

use crate::data::Held;
use crate::event::SessionId;
use crate::{Call, Role};
use std::time::Instant;

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: u16,
    /// The Session ID that the peer has assigned; 0 until known.
    pub(crate) peer_id: u16,
    pub(crate) state: CallState,
    pub(crate) role: Role,
    pub(crate) numbering: Numbering,
    /// Numbers of data messages: next to send, next expected.
    pub(crate) data_ns: u16,
    pub(crate) data_nr: u16,
    /// By when it must be up.
    pub(crate) deadline: Option<Instant>,
    /// What is said of it, until it is up.
    pub(crate) call: Option<Box<Call>>,
    /// Frames that came too early.
    pub(crate) held: Option<Box<Held>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallState {
    /// Of ours, until the tunnel is up.
    WaitTunnel,
    /// ICRQ or OCRQ is out.
    WaitReply,
    /// Of the peer's; our owner is asked.
    WaitOwner,
    /// Of the peer's; OCRP is out and our owner makes the call.
    WaitAnswer,
    /// ICRP is out, or OCRP has come.
    WaitConnect,
    Established,
}

/// Whether data messages have numbers (RFC 2661 section 5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbering {
    /// Not now; as LAC, until the LNS begins.
    Off,
    /// Ours do; as LAC, until the LNS stops.
    On,
    /// Sequencing Required: all do, always.
    Required,
}

impl Session {
    pub(crate) fn new(id: u16, peer_id: u16, state: CallState, role: Role) -> Self {
        Self {
            id,
            peer_id,
            state,
            role,
            numbering: Numbering::Off,
            data_ns: 0,
            data_nr: 0,
            deadline: None,
            call: None,
            held: None,
        }
    }

    /// Whether our data messages have numbers.
    pub(crate) fn is_numbered(&self) -> bool {
        self.numbering != Numbering::Off
    }

    /// When it has something to do.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let held = self.held.as_ref().and_then(|held| held.deadline());
        self.deadline.into_iter().chain(held).min()
    }
}

/// The calls of a tunnel, in the order of their ids; most have one.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Vec<Session>);

impl Sessions {
    fn place(&self, id: u16) -> Result<usize, usize> {
        self.0.binary_search_by_key(&id, |s| s.id)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn contains(&self, id: u16) -> bool {
        self.place(id).is_ok()
    }

    pub(crate) fn get_mut(&mut self, id: u16) -> Option<&mut Session> {
        // Nearly every tunnel has just the one.
        let at = self.place(id).ok()?;
        self.0.get_mut(at)
    }

    pub(crate) fn established(&mut self, id: u16) -> Option<&mut Session> {
        self.get_mut(id)
            .filter(|s| s.state == CallState::Established)
    }

    pub(crate) fn insert(&mut self, session: Session) {
        if let Err(at) = self.place(session.id) {
            if self.0.len() < 4 {
                self.0.reserve_exact(1);
            }
            self.0.insert(at, session);
        }
    }

    pub(crate) fn remove(&mut self, id: u16) -> Option<Session> {
        let at = self.place(id).ok()?;
        Some(self.0.remove(at))
    }

    pub(crate) fn take(&mut self) -> Vec<Session> {
        std::mem::take(&mut self.0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.0.iter()
    }

    /// Ids of those that `wanted` picks.
    pub(crate) fn ids(&self, wanted: impl Fn(&Session) -> bool) -> Vec<u16> {
        self.iter().filter(|s| wanted(s)).map(|s| s.id).collect()
    }
}

impl SessionId {
    pub(crate) fn new(tunnel: u16, session: u16) -> Self {
        Self { tunnel, session }
    }
}
