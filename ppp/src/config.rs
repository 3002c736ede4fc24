use crate::lcp::MIN_MRU;
use crate::{Assignment, AuthMethod, ConfigError};
use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;
use zeroize::Zeroizing;

/// Which side of the link we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Asks the peer to authenticate, and assigns it an address.
    Server,
    /// Authenticates itself, and is assigned an address.
    Client,
}

/// How a [`Link`](crate::Link) behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Largest packet we take, in bytes (RFC 1661 section 6.1). Default 1400, which fits
    /// L2TP/IPsec into a path of 1500.
    pub mru: u16,
    /// Control characters the peer is asked to escape (RFC 1662 section 7.1), for serial lines; bit
    /// 0 is character 0. Default none: not asked for.
    pub async_map: Option<u32>,
    /// Whether our frames begin with address and control fields (RFC 1662 section 3.1); PPPoE wants
    /// them left out (RFC 2516 section 7). The peer's are taken either way. Default true.
    pub address_field: bool,
    /// Whether the peer is asked to leave address and control fields out (RFC 1661 section 6.6).
    /// What the peer asks of us is granted in any case. Default false.
    pub address_compression: bool,
    /// Whether the peer is asked to shorten protocol fields (RFC 1661 section 6.5). Default false.
    pub protocol_compression: bool,
    /// Authentication methods in order of preference: what a server asks for, what a client does.
    /// Default MS-CHAPv2, CHAP-MD5. Empty on a server: none is asked for.
    pub auth: Vec<AuthMethod>,
    /// Who a client is.
    pub credentials: Option<Credentials>,
    /// Whether a client that was refused but may try again (MS-CHAPv2, `R=1`) waits for
    /// [`Link::retry`](crate::Link::retry) instead of closing. Default false.
    pub ask_again: bool,
    /// What a server gives to a peer that it does not ask to authenticate; if none, such a link
    /// has no IPv4. Others get what [`Verdict::Accept`](crate::Verdict::Accept) says.
    pub assignment: Option<Assignment>,
    /// The name a server gives itself in a CHAP challenge.
    pub name: Vec<u8>,
    /// Time without packets after which the peer is asked for an echo; none for never. Default
    /// 30 s.
    pub echo_interval: Option<Duration>,
    /// Echo requests without answer until the peer counts as dead. Default 4.
    pub echo_failures: u32,
    /// Whether to negotiate IPV6CP; if not, it is rejected. Default false.
    pub ipv6: bool,
    /// Whether a client asks for DNS servers (RFC 1877). Default true.
    pub request_dns: bool,
    /// Whether a client asks for WINS servers (RFC 1877). Default false.
    pub request_wins: bool,
    /// The address a client would like to have; a server may give another. Default none.
    pub request_address: Option<Ipv4Addr>,
    /// Restart timer (RFC 1661 section 4.6). Default 3 s.
    pub restart_timer: Duration,
    /// Configure-Requests without answer until the link counts as dead. Default 10.
    pub max_configure: u32,
    /// Terminate-Requests without answer until the link is closed anyway. Default 2.
    pub max_terminate: u32,
    /// Configure-Naks until options are rejected instead, and loops of ours until we give up.
    /// Default 5.
    pub max_failure: u32,
    /// How long authentication may take, the owner's verdict included. Default 60 s.
    pub auth_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mru: 1400,
            async_map: None,
            address_field: true,
            address_compression: false,
            protocol_compression: false,
            auth: vec![AuthMethod::MsChapV2, AuthMethod::ChapMd5],
            credentials: None,
            ask_again: false,
            assignment: None,
            name: b"gateway".to_vec(),
            echo_interval: Some(Duration::from_secs(30)),
            echo_failures: 4,
            ipv6: false,
            request_dns: true,
            request_wins: false,
            request_address: None,
            restart_timer: Duration::from_secs(3),
            max_configure: 10,
            max_terminate: 2,
            max_failure: 5,
            auth_timeout: Duration::from_secs(60),
        }
    }
}

impl Config {
    pub(crate) fn check(&self, role: Role) -> Result<(), ConfigError> {
        if self.mru < MIN_MRU {
            return Err(ConfigError::MruTooSmall(self.mru));
        }
        if self.name.len() > 255 {
            return Err(ConfigError::NameTooLong);
        }
        if role == Role::Client {
            let Some(credentials) = &self.credentials else {
                return Err(ConfigError::NoCredentials);
            };
            if credentials.too_long() {
                return Err(ConfigError::NameTooLong);
            }
        }
        if self.restart_timer.is_zero() || self.max_configure == 0 {
            return Err(ConfigError::NoRetransmission);
        }
        Ok(())
    }
}

/// A client's user name and password.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The name as sent; may have a `DOMAIN\` in front.
    pub user: Vec<u8>,
    /// What proves it.
    pub password: Password,
}

impl Credentials {
    /// Of `user`, with `password`.
    #[must_use]
    pub fn new(user: &str, password: &str) -> Self {
        Self {
            user: user.as_bytes().to_vec(),
            password: Password::new(password),
        }
    }

    /// Whether a field of PAP cannot hold them (RFC 1334 section 2.2.1).
    pub(crate) fn too_long(&self) -> bool {
        self.user.len() > 255 || self.password.expose().len() > 255
    }
}

/// A password: wiped on drop, never shown.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Keeps `text`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Password({} bytes)", self.0.len())
    }
}
