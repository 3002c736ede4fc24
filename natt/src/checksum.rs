use crate::Error;
use core::net::IpAddr;

const TCP: u8 = 6;
const UDP: u8 = 17;
const TCP_CHECKSUM: usize = 16;
const UDP_CHECKSUM: usize = 6;

/// Addresses of a packet: source, destination.
type Addresses = (IpAddr, IpAddr);

/// Makes a TCP or UDP checksum fit new addresses (RFC 3948 section 3.1.2, RFC 1624).
///
/// A transport mode packet was summed with the addresses its sender knew, `sent` (from NAT-OA),
/// but has arrived with `seen`. Other protocols, and UDP without a checksum, are left alone.
///
/// # Errors
/// [`Error::Truncated`] if the checksum is cut off, [`Error::AddressFamily`] if `sent` and `seen`
/// are of different families.
pub fn repair_checksum(
    segment: &mut [u8],
    protocol: u8,
    sent: Addresses,
    seen: Addresses,
) -> Result<(), Error> {
    if sent.0.is_ipv4() != seen.0.is_ipv4() || sent.1.is_ipv4() != seen.1.is_ipv4() {
        return Err(Error::AddressFamily);
    }
    let offset = match protocol {
        TCP => TCP_CHECKSUM,
        UDP => UDP_CHECKSUM,
        _ => return Ok(()),
    };
    let field = segment
        .get_mut(offset..)
        .and_then(<[u8]>::first_chunk_mut::<2>)
        .ok_or(Error::Truncated)?;
    let old = u16::from_be_bytes(*field);
    if protocol == UDP && old == 0 {
        return Ok(());
    }
    // HC' = ~(~HC + ~m + m'), over all words of both addresses.
    let mut sum = u32::from(!old);
    for address in [sent.0, sent.1] {
        sum = sum.wrapping_add(words(address, |w| !w));
    }
    for address in [seen.0, seen.1] {
        sum = sum.wrapping_add(words(address, |w| w));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let new = !u16::try_from(sum).unwrap_or(0xffff);
    // Zero in UDP means that there is no checksum.
    let new = if protocol == UDP && new == 0 {
        0xffff
    } else {
        new
    };
    *field = new.to_be_bytes();
    Ok(())
}

/// Removes the checksum of a UDP datagram, which IPv4 allows: for when no NAT-OA is known and the
/// ESP integrity check has covered the bytes (RFC 3948 section 3.1.2).
///
/// # Errors
/// [`Error::Truncated`] if there is no whole UDP header.
pub fn clear_udp_checksum(segment: &mut [u8]) -> Result<(), Error> {
    *segment
        .get_mut(UDP_CHECKSUM..)
        .and_then(<[u8]>::first_chunk_mut::<2>)
        .ok_or(Error::Truncated)? = [0; 2];
    Ok(())
}

fn words(address: IpAddr, map: impl Fn(u16) -> u16) -> u32 {
    match address {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            u32::from(map(u16::from_be_bytes([a, b]))) + u32::from(map(u16::from_be_bytes([c, d])))
        }
        IpAddr::V6(ip) => ip.segments().into_iter().map(|w| u32::from(map(w))).sum(),
    }
}
