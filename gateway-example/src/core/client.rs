use super::event::{Event, KeyEvent, Severity};
use super::offload::Offload;
use super::stack::{L2TP_PORT, StackConfig, StackError};
use super::{
    Core, Datagram, Entropy, Forward, Outbox, Packet, Path, PeerId, Stack, Transmit, convert,
};
use crate::config::Secret;
use l2tp::SessionId;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::time::{Duration, Instant};

/// The road warrior's side: one connection to one gateway.
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    /// Whom to connect to with which proposals; made of the configuration where none.
    to: Option<isakmp::Peer>,
    stack: Stack,
    session: Option<SessionId>,
    peer: Option<PeerId>,
    ended: bool,
    events: VecDeque<ClientEvent>,
}

/// Whom to connect to, and as whom.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Our address and port for IKE, and the gateway's.
    pub path: Path,
    /// Our port for NAT traversal.
    pub local_natt_port: u16,
    /// The gateway's port for NAT traversal.
    pub remote_natt_port: u16,
    /// The pre-shared key.
    pub psk: Secret,
    /// PPP user name.
    pub user: String,
    /// PPP password.
    pub password: Secret,
    /// Phase 1 proposals in order of preference; our own list when empty.
    pub ike: Vec<String>,
    /// Phase 2 proposals in order of preference; our own list when empty.
    pub esp: Vec<String>,
    /// Reports session keys.
    pub key_log: bool,
    /// Maximum receive unit in bytes.
    pub mru: u16,
}

impl ClientConfig {
    /// With the standard ports.
    #[must_use]
    pub fn new(path: Path, psk: Secret, user: String, password: Secret) -> Self {
        Self {
            path,
            local_natt_port: 4500,
            remote_natt_port: 4500,
            psk,
            user,
            password,
            ike: Vec::new(),
            esp: Vec::new(),
            key_log: false,
            mru: 1400,
        }
    }
}

/// What becomes of a [`ClientConfig`] in each protocol, for those who want other habits than ours.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Protocols {
    /// IKEv1.
    pub isakmp: isakmp::Config,
    /// The gateway: key, proposals, and the ESP SAs wanted of it. The first one's local port is
    /// that of L2TP, 1701 if it is 0.
    pub peer: isakmp::Peer,
    /// L2TP.
    pub l2tp: l2tp::Config,
    /// PPP.
    pub ppp: ppp::Config,
}

impl Protocols {
    /// As [`Client::new`] has it.
    ///
    /// # Errors
    /// A proposal that is none.
    pub fn new(config: &ClientConfig) -> Result<Self, isakmp::ParseProposalError> {
        Ok(Self {
            isakmp: convert::isakmp_client(config),
            peer: convert::isakmp_peer(config)?,
            l2tp: convert::l2tp_client(),
            ppp: convert::ppp_client(config),
        })
    }
}

/// What a [`Client`] tells its owner.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientEvent {
    /// A line for the log or a timeline.
    Step {
        /// The protocol: `ike`, `esp`, `l2tp`, `ppp`.
        layer: &'static str,
        /// How grave it is.
        severity: Severity,
        /// What happened.
        text: String,
    },
    /// Packets flow.
    Connected {
        /// The address given to us.
        address: Ipv4Addr,
        /// The gateway's own.
        gateway: Ipv4Addr,
        /// DNS servers given to us.
        dns: Vec<Ipv4Addr>,
    },
    /// It is over.
    Disconnected {
        /// Why, as a stable word.
        reason: String,
    },
    /// There will be another call; only of a [`Dialer`](super::Dialer).
    Redial {
        /// In this time.
        after: Duration,
    },
    /// A key for Wireshark; only if key logging is on.
    Key(KeyEvent),
}

/// A connection that could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Words that name no algorithms.
    #[error("{0}; write such as aes256-sha1-modp2048 for --ike, aes256-sha1 for --esp")]
    Proposal(#[from] isakmp::ParseProposalError),
    /// IKE refused.
    #[error("IKE: {0}")]
    Isakmp(#[from] isakmp::Error),
}

impl Client {
    /// A client that is not connected yet.
    ///
    /// # Errors
    /// Which part refused its configuration, and why.
    pub fn new(config: ClientConfig, entropy: Entropy) -> Result<Self, StackError> {
        let stack = StackConfig {
            isakmp: convert::isakmp_client(&config),
            l2tp: convert::l2tp_client(),
            ppp: convert::ppp_client(&config),
            role: ppp::Role::Client,
        };
        Self::with_stack(config, stack, None, entropy)
    }

    /// One with habits of its own; of `config` it needs the addresses and ports.
    ///
    /// # Errors
    /// Which part refused its configuration, and why.
    pub fn with_protocols(
        config: ClientConfig,
        protocols: Protocols,
        entropy: Entropy,
    ) -> Result<Self, StackError> {
        let stack = StackConfig {
            isakmp: protocols.isakmp,
            l2tp: protocols.l2tp,
            ppp: protocols.ppp,
            role: ppp::Role::Client,
        };
        Self::with_stack(config, stack, Some(protocols.peer), entropy)
    }

    fn with_stack(
        config: ClientConfig,
        stack: StackConfig,
        to: Option<isakmp::Peer>,
        entropy: Entropy,
    ) -> Result<Self, StackError> {
        Ok(Self {
            config,
            to,
            stack: Stack::new(stack, entropy)?,
            session: None,
            peer: None,
            ended: false,
            events: VecDeque::new(),
        })
    }

    fn to(&self) -> Result<isakmp::Peer, isakmp::ParseProposalError> {
        match &self.to {
            Some(peer) => Ok(peer.clone()),
            None => convert::isakmp_peer(&self.config),
        }
    }

    /// Our port of L2TP inside ESP.
    fn l2tp_port(&self) -> u16 {
        let of = self.to.as_ref().and_then(|peer| peer.children.first());
        match of.map_or(0, |child| child.local_port) {
            0 => L2TP_PORT,
            port => port,
        }
    }

    /// Starts connecting.
    ///
    /// # Errors
    /// A proposal that is none, or what IKE refused.
    pub fn connect(&mut self, now: Instant) -> Result<(), ConnectError> {
        let peer = self.to()?;
        self.stack.connect(now, self.config.path, peer)?;
        self.drain(now);
        Ok(())
    }

    /// Renews the keys of both phases, before it is their time.
    pub fn rekey(&mut self, now: Instant) {
        if let Some(peer) = self.peer {
            self.stack.rekey(now, peer);
            self.drain(now);
        }
    }

    /// Ends the ESP SAs and makes others, as Windows does after a silence; the call stays.
    pub fn renew_esp(&mut self, now: Instant) {
        if let (Some(peer), Ok(of)) = (self.peer, self.to())
            && let Some(request) = of.children.first()
        {
            self.stack.renew_esp(now, peer, request);
            self.drain(now);
        }
    }

    /// What happened next.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    fn drain(&mut self, now: Instant) {
        while let Some(event) = self.stack.poll_event() {
            if let Some(super::GatewayEvent::Step {
                layer,
                severity,
                text,
                ..
            }) = super::event::describe(&event)
            {
                self.events.push_back(ClientEvent::Step {
                    layer,
                    severity,
                    text,
                });
            }
            self.on_event(now, event);
        }
    }

    fn on_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::EspUp { peer, .. } if self.peer.is_none() => {
                self.peer = Some(peer);
                match self.stack.dial(now, peer, self.l2tp_port()) {
                    Ok(session) => self.session = Some(session),
                    Err(e) => self.disconnected(e.reason()),
                }
            }
            Event::Ipv4Up {
                session,
                local,
                remote,
                dns,
                ..
            } => {
                self.session = Some(session);
                self.events.push_back(ClientEvent::Connected {
                    address: local,
                    gateway: remote,
                    dns,
                });
            }
            // What did not show that it is the gateway may be anybody's.
            Event::Refused {
                reason,
                proven: true,
                ..
            } if self.peer.is_none() => self.disconnected(reason),
            Event::EspDown { peer, reason, .. }
                if !self.ended && matches!(reason, "peer_deleted" | "expired") =>
            {
                self.reopen_esp(now, peer);
            }
            Event::SessionDown { reason, .. } => {
                self.session = None;
                self.disconnected(reason);
                if let Some(peer) = self.peer {
                    self.stack.disconnect(now, peer);
                }
            }
            Event::TunnelDown { reason, .. } if self.session.is_some() => {
                self.session = None;
                self.disconnected(reason);
            }
            Event::IsakmpDown { reason, .. } if self.peer.is_none() => self.disconnected(reason),
            // Its ESP SAs have gone with it, and nobody is there to tell.
            Event::IsakmpDown {
                peer,
                reason: reason @ "dpd_timeout",
                ..
            } if self.stack.is_cut_off(peer) => self.disconnected(reason),
            Event::PeerKnown { peer, known, .. } if self.peer == Some(peer) => {
                self.peer = Some(known);
            }
            Event::PeerDown { .. } => {
                self.session = None;
                self.disconnected("peer_down");
            }
            Event::Key(key) => self.events.push_back(ClientEvent::Key(key)),
            _ => {}
        }
    }

    /// The gateway has ended ESP SAs: the call goes on over others.
    fn reopen_esp(&mut self, now: Instant, peer: PeerId) {
        let Ok(of) = self.to() else {
            return;
        };
        if let Some(request) = of.children.first()
            && !self.stack.reopen_esp(now, peer, request)
        {
            // It ends by itself if this fails.
            let _ = self.stack.connect(now, self.config.path, of);
        }
    }

    fn disconnected(&mut self, reason: &str) {
        // The first reason is the cause; the rest follows from it.
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.events.push_back(ClientEvent::Disconnected {
            reason: reason.to_owned(),
        });
    }

    fn receive(&mut self, now: Instant, packet: Option<Packet>) -> Forward {
        match packet {
            Some(packet) => Forward::Inner(packet.range),
            None => {
                self.drain(now);
                Forward::Nothing
            }
        }
    }
}

impl Core for Client {
    fn handle_udp(
        &mut self,
        now: Instant,
        path: Path,
        buf: &mut [u8],
        datagram: Range<usize>,
    ) -> Forward {
        let natt = path.local.port() == self.config.local_natt_port;
        let packet = self.stack.handle_udp(now, path, natt, buf, datagram);
        self.receive(now, packet)
    }

    fn handle_esp(
        &mut self,
        now: Instant,
        local: IpAddr,
        remote: IpAddr,
        buf: &mut [u8],
        packet: Range<usize>,
    ) -> Forward {
        let packet = self
            .stack
            .handle_native_esp(now, local, remote, buf, packet);
        self.receive(now, packet)
    }

    fn handle_inner(&mut self, now: Instant, buf: &mut [u8], packet: Range<usize>) -> Forward {
        match self.session {
            Some(session) => self.stack.send(now, session, buf, packet),
            None => Forward::Nothing,
        }
    }

    fn push_datagrams(
        &mut self,
        now: Instant,
        datagrams: &mut [Datagram<'_>],
        outbox: &mut Outbox,
    ) {
        let port = self.config.local_natt_port;
        let mut rest = datagrams;
        while !rest.is_empty() {
            let opened = self.stack.open_front(now, port, rest);
            let (front, behind) = rest.split_at_mut(opened.max(1));
            for datagram in front {
                match self.stack.handle_opened(now, port, datagram) {
                    Some(packet) => datagram.inner = Some(packet.range),
                    None => self.drain(now),
                }
            }
            rest = behind;
        }
        self.stack.seal(now, outbox);
    }

    fn push_inner(&mut self, _: Instant, packet: &[u8], offload: Offload, outbox: &mut Outbox) {
        let Some(session) = self.session else { return };
        let Some(segments) = self.stack.segments(packet, offload) else {
            return;
        };
        for index in 0..segments.count() {
            let Some(range) = self.stack.place(&segments, index, outbox) else {
                return;
            };
            self.stack.push(session, outbox, range);
        }
    }

    fn seal(&mut self, now: Instant, outbox: &mut Outbox) {
        self.stack.seal(now, outbox);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.stack.handle_timeout(now);
        self.drain(now);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.stack.poll_transmit()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.stack.poll_timeout()
    }

    fn shutdown(&mut self, now: Instant) {
        self.stack.shutdown(now);
        self.drain(now);
    }

    fn is_idle(&self) -> bool {
        self.stack.peers() == 0
    }
}
