//! The options of LCP (RFC 1661 section 6).

use crate::negotiate::{Answer, Policy};
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
const MIN_MRU: u16 = 128;

#[derive(Debug)]
pub(crate) struct Lcp {
    role: Role,
    mru: Option<u16>,
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
    pub(crate) address_compression: bool,
    pub(crate) protocol_compression: bool,
    /// How we are to authenticate ourselves.
    pub(crate) auth: Option<AuthMethod>,
}

impl Default for PeerOptions {
    fn default() -> Self {
        Self {
            mru: DEFAULT_MRU,
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
            (ASYNC_MAP, [_, _, _, _]) => Judgement::Good,
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
            (MAGIC, data @ [_, _, _, _]) => {
                let theirs = data.first_chunk().copied().map(u32::from_be_bytes);
                // Our own number is a loop, or bad luck (RFC 1661 section 6.4); 0 is none at all.
                if theirs == Some(0) || theirs == self.magic {
                    return Judgement::Prefer(magic(rng).to_be_bytes().to_vec());
                }
                Judgement::Good
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
    Unknown,
}

impl Policy for Lcp {
    fn request(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut add = |kind, data: &[u8]| ConfigOption { kind, data }.emit(&mut out);
        if let Some(mru) = self.mru {
            add(MRU, &mru.to_be_bytes());
        }
        if let Some(method) = self.asked {
            add(AUTHENTICATION, &method.option());
        }
        if let Some(magic) = self.magic {
            add(MAGIC, &magic.to_be_bytes());
        }
        out
    }

    fn consider(&mut self, options: &[ConfigOption<'_>], rng: &mut dyn CryptoRng) -> Answer {
        let mut peer = PeerOptions::default();
        let (mut nak, mut reject) = (Vec::new(), Vec::new());
        for option in options {
            match self.judge(option, &mut peer, rng) {
                Judgement::Good => {}
                Judgement::Prefer(data) => {
                    if option.kind == MAGIC {
                        self.loopbacks += 1;
                    }
                    let kind = option.kind;
                    ConfigOption { kind, data: &data }.emit(&mut nak);
                }
                Judgement::Unknown => option.emit(&mut reject),
            }
        }
        // All that is unknown goes back at once, before anything is haggled over.
        if !reject.is_empty() {
            return Answer::Reject(reject);
        }
        if !nak.is_empty() {
            return Answer::Nak(nak);
        }
        self.peer = peer;
        Answer::Ack
    }

    fn naked(&mut self, option: &ConfigOption<'_>, rng: &mut dyn CryptoRng) {
        match (option.kind, option.data) {
            (MRU, [high, low]) if self.mru.is_some() => {
                let wanted = u16::from_be_bytes([*high, *low]);
                // Never more than the owner allows.
                self.mru = self.mru.map(|mru| mru.min(wanted.max(MIN_MRU)));
            }
            (MAGIC, _) => {
                self.magic = Some(magic(rng));
                self.loopbacks += 1;
            }
            (AUTHENTICATION, data) => {
                if let Some(method) = self.asked {
                    self.declined.push(method);
                }
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
            AUTHENTICATION if self.asked.is_some() => self.no_common_auth = true,
            _ => {}
        }
    }
}

/// A magic number (RFC 1661 section 6.4): never 0.
fn magic(rng: &mut dyn CryptoRng) -> u32 {
    rng.next_u32().max(1)
}
