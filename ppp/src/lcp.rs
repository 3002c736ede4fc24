//! The options of LCP (RFC 1661 section 6).

use crate::answer::{Answer, Objections};
use crate::negotiate::Policy;
use crate::wire::ConfigOption;
use crate::{AuthMethod, Config, Role};
use rand_core::CryptoRng;

const MRU: u8 = 1;
const ASYNC_MAP: u8 = 2;
const AUTHENTICATION: u8 = 3;
const MAGIC: u8 = 5;
const PROTOCOL_COMPRESSION: u8 = 7;
const ADDRESS_COMPRESSION: u8 = 8;

/// What a peer takes that does not say (RFC 1661 section 6.1).
pub(crate) const DEFAULT_MRU: u16 = 1500;
/// The least MRU worth agreeing to: an IPv4 host must take 576 bytes, but some say less.
pub(crate) const MIN_MRU: u16 = 128;

#[derive(Debug)]
pub(crate) struct Lcp {
    role: Role,
    mru: Option<u16>,
    async_map: Option<u32>,
    address_compression: bool,
    protocol_compression: bool,
    pub(crate) magic: Option<u32>,
    methods: Vec<AuthMethod>,
    /// Server: what we ask for now.
    pub(crate) asked: Option<AuthMethod>,
    /// What the peer has no use for.
    declined: Vec<AuthMethod>,
    /// Set when the peer declines every method.
    pub(crate) no_common_auth: bool,
    pub(crate) peer: PeerOptions,
    /// How often the peer's magic number was our own.
    pub(crate) loopbacks: u32,
}

/// What the peer's last acceptable Configure-Request asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerOptions {
    pub(crate) mru: u16,
    /// Control characters it wants escaped (RFC 1662 section 7.1).
    pub(crate) async_map: u32,
    pub(crate) address_compression: bool,
    pub(crate) protocol_compression: bool,
    /// How we are to authenticate ourselves.
    pub(crate) auth: Option<AuthMethod>,
}

impl Default for PeerOptions {
    fn default() -> Self {
        Self {
            mru: DEFAULT_MRU,
            async_map: u32::MAX,
            address_compression: false,
            protocol_compression: false,
            auth: None,
        }
    }
}

impl Lcp {
    pub(crate) fn new(config: &Config, role: Role, rng: &mut dyn CryptoRng) -> Self {
        let asked = match role {
            Role::Server => config.auth.first().copied(),
            Role::Client => None,
        };
        Self {
            role,
            mru: Some(config.mru).filter(|mru| *mru != DEFAULT_MRU),
            async_map: config.async_map,
            address_compression: config.address_compression,
            protocol_compression: config.protocol_compression,
            magic: Some(magic(rng)),
            methods: config.auth.clone(),
            asked,
            declined: Vec::new(),
            no_common_auth: false,
            peer: PeerOptions::default(),
            loopbacks: 0,
        }
    }

    /// Judges one option of the peer: acceptable, or what we would rather have, or unknown.
    fn judge(
        &self,
        option: &ConfigOption<'_>,
        peer: &mut PeerOptions,
        rng: &mut dyn CryptoRng,
    ) -> Judgement {
        match (option.kind, option.data) {
            (MRU, [high, low]) => {
                peer.mru = u16::from_be_bytes([*high, *low]);
                if peer.mru < MIN_MRU {
                    return Judgement::Prefer(DEFAULT_MRU.to_be_bytes().to_vec());
                }
                Judgement::Good
            }
            (ASYNC_MAP, [a, b, c, d]) => {
                peer.async_map = u32::from_be_bytes([*a, *b, *c, *d]);
                Judgement::Good
            }
            (AUTHENTICATION, data) if self.role == Role::Client => {
                match AuthMethod::from_option(data).filter(|m| self.methods.contains(m)) {
                    Some(method) => {
                        peer.auth = Some(method);
                        Judgement::Good
                    }
                    None => match self.methods.first() {
                        Some(method) => Judgement::Prefer(method.option()),
                        None => Judgement::Unknown,
                    },
                }
            }
            (MAGIC, [a, b, c, d]) => {
                let theirs = u32::from_be_bytes([*a, *b, *c, *d]);
                let mut fresh = || magic(rng).to_be_bytes().to_vec();
                // Our own number is a loop, or bad luck (RFC 1661 section 6.4); 0 is none at all.
                if self.magic == Some(theirs) {
                    Judgement::Looped(fresh())
                } else if theirs == 0 {
                    Judgement::Prefer(fresh())
                } else {
                    Judgement::Good
                }
            }
            (PROTOCOL_COMPRESSION, []) => {
                peer.protocol_compression = true;
                Judgement::Good
            }
            (ADDRESS_COMPRESSION, []) => {
                peer.address_compression = true;
                Judgement::Good
            }
            _ => Judgement::Unknown,
        }
    }
}

enum Judgement {
    Good,
    Prefer(Vec<u8>),
    /// It is our own: we would rather have this.
    Looped(Vec<u8>),
    Unknown,
}

impl Policy for Lcp {
    fn request(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut add = |kind, data: &[u8]| ConfigOption { kind, data }.emit(&mut out);
        if let Some(mru) = self.mru {
            add(MRU, &mru.to_be_bytes());
        }
        if let Some(map) = self.async_map {
            add(ASYNC_MAP, &map.to_be_bytes());
        }
        if let Some(method) = self.asked {
            add(AUTHENTICATION, &method.option());
        }
        if let Some(magic) = self.magic {
            add(MAGIC, &magic.to_be_bytes());
        }
        if self.protocol_compression {
            add(PROTOCOL_COMPRESSION, &[]);
        }
        if self.address_compression {
            add(ADDRESS_COMPRESSION, &[]);
        }
        out
    }

    fn consider(&mut self, options: &[ConfigOption<'_>], rng: &mut dyn CryptoRng) -> Answer {
        let mut peer = PeerOptions::default();
        let mut objections = Objections::default();
        for option in options {
            match self.judge(option, &mut peer, rng) {
                Judgement::Good => {}
                Judgement::Prefer(data) => objections.prefer(option.kind, &data),
                Judgement::Looped(data) => {
                    // The request may well be our own: nothing else in it counts.
                    self.loopbacks += 1;
                    let mut objections = Objections::default();
                    objections.prefer(option.kind, &data);
                    return objections.answer();
                }
                Judgement::Unknown => objections.reject(option),
            }
        }
        let answer = objections.answer();
        if answer == Answer::Ack {
            self.peer = peer;
        }
        answer
    }

    fn insists(&self, kind: u8) -> bool {
        kind == AUTHENTICATION
    }

    fn naked(&mut self, option: &ConfigOption<'_>, rng: &mut dyn CryptoRng) {
        match (option.kind, option.data) {
            (MRU, [high, low]) if self.mru.is_some() => {
                let wanted = u16::from_be_bytes([*high, *low]);
                // Never more than the owner allows.
                self.mru = self.mru.map(|mru| mru.min(wanted.max(MIN_MRU)));
            }
            (ASYNC_MAP, [a, b, c, d]) => {
                // What either side needs is escaped (RFC 1662 section 7.1).
                let wanted = u32::from_be_bytes([*a, *b, *c, *d]);
                self.async_map = self.async_map.map(|map| map | wanted);
            }
            (MAGIC, _) if self.magic.is_some() => {
                self.magic = Some(magic(rng));
                self.loopbacks += 1;
            }
            (AUTHENTICATION, data) => {
                // Who has not asked the peer to authenticate does not begin to.
                let Some(method) = self.asked else { return };
                self.declined.push(method);
                let free = |m: &AuthMethod| self.methods.contains(m) && !self.declined.contains(m);
                let wanted = AuthMethod::from_option(data).filter(free);
                let next = wanted.or_else(|| self.methods.iter().copied().find(free));
                if next.is_none() {
                    self.no_common_auth = true;
                } else {
                    self.asked = next;
                }
            }
            _ => {}
        }
    }

    fn rejected(&mut self, option: &ConfigOption<'_>) {
        match option.kind {
            MRU => self.mru = None,
            MAGIC => self.magic = None,
            ASYNC_MAP => self.async_map = None,
            PROTOCOL_COMPRESSION => self.protocol_compression = false,
            ADDRESS_COMPRESSION => self.address_compression = false,
            AUTHENTICATION if self.asked.is_some() => self.no_common_auth = true,
            _ => {}
        }
    }
}

/// A magic number (RFC 1661 section 6.4): never 0.
fn magic(rng: &mut dyn CryptoRng) -> u32 {
    rng.next_u32().max(1)
}
