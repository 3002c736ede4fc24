use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// Who is behind a NAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Detection {
    /// The peer sees us at another address or port than we do.
    pub local_behind_nat: bool,
    /// We see the peer at another address or port than it does.
    pub remote_behind_nat: bool,
}

impl Detection {
    /// True if there is a NAT on either side: ESP goes into UDP.
    #[must_use]
    pub const fn any(self) -> bool {
        self.local_behind_nat || self.remote_behind_nat
    }

    /// Compares what the peer sent with what we see (RFC 3947 section 3.2).
    ///
    /// `received` holds the bodies of its NAT-D payloads in order: the first is about our
    /// address, the others about its own, of which one has to match. `local` and `remote` are our
    /// hashes of the addresses that the packet came to and from. `None` if there are fewer than
    /// two payloads: the peer does not do NAT traversal.
    #[must_use]
    pub fn compare(received: &[&[u8]], local: &[u8], remote: &[u8]) -> Option<Self> {
        let (about_us, about_peer) = received.split_first()?;
        if about_peer.is_empty() {
            return None;
        }
        Some(Self {
            local_behind_nat: *about_us != local,
            remote_behind_nat: !about_peer.contains(&remote),
        })
    }
}

/// The two NAT-D payloads of one side, in the order in which they are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatD<T> {
    /// About the receiver's address, as the sender sees it.
    pub destination: T,
    /// About the sender's own address.
    pub source: T,
}

impl<T: Clone> NatD<T> {
    /// For a peer that refuses to talk to a server behind a NAT (Windows without
    /// `AssumeUDPEncapsulationContextOnSendRule`): says of our address what the peer itself said,
    /// so that it finds us where it looked for us. Unless it is behind a NAT of its own it has to
    /// believe so, because it would not encapsulate otherwise: `spoiled` matches nothing.
    #[must_use]
    pub fn mirrored(self, about_us: T, detection: Detection, spoiled: T) -> Self {
        if !detection.local_behind_nat {
            return self;
        }
        let destination = if detection.remote_behind_nat {
            self.destination
        } else {
            spoiled
        };
        Self {
            destination,
            source: about_us,
        }
    }
}

/// The body of a NAT-D payload: `hash` over both cookies, the address and the port
/// (RFC 3947 section 3.2). The caller brings the negotiated hash function.
pub fn nat_d_hash<T>(
    hash: impl FnOnce(&[u8]) -> T,
    initiator_cookie: [u8; 8],
    responder_cookie: [u8; 8],
    address: SocketAddr,
) -> T {
    let mut input = Vec::with_capacity(34);
    input.extend_from_slice(&initiator_cookie);
    input.extend_from_slice(&responder_cookie);
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => input.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => input.extend_from_slice(&ip.octets()),
    }
    input.extend_from_slice(&address.port().to_be_bytes());
    hash(&input)
}
