//! ICMP errors: they pass if they quote a packet of a live flow, which is translated as well
//! (RFC 5508 REQ-3 to REQ-7).

use crate::clock;
use crate::event::DropReason;
use crate::firewall::Firewall;
use crate::flow::Tuple;
use crate::process::{Exit, Refusal, Route};
use crate::wire::{self, Body, Extent, Packet};
use std::net::IpAddr;

/// No link of the internet of today has less; RFC 8200 section 5 for IPv6. What tells of less only
/// slows a connection down (RFC 5927 section 7).
const LEAST_MTU: [u32; 2] = [576, 1280];

impl Firewall {
    pub(crate) fn judge_error(
        &mut self,
        ms: u64,
        kind: crate::Kind,
        bytes: &mut [u8],
        view: &mut Packet,
        route: Route<'_>,
    ) -> Result<Exit, Refusal> {
        let Body::Error { quoted: at, mtu } = view.body else {
            return Err(DropReason::Malformed.into());
        };
        let [v4, v6] = LEAST_MTU;
        let least = if view.is_v4() { v4 } else { v6 };
        // 0 is from before RFC 1191: the sender guesses.
        let slows = mtu.is_some_and(|mtu| mtu != 0 && mtu < least);
        if slows || !wire::checksum_is_right(bytes, view, at) {
            return Err(DropReason::BadError.into());
        }
        let inner = bytes.get(at..view.end).ok_or(DropReason::Malformed)?;
        let mut quoted = Packet::parse(inner, Extent::Quoted).map_err(|_| DropReason::Malformed)?;
        if quoted.is_v4() != view.is_v4() {
            return Err(DropReason::Malformed.into());
        }
        // What is quoted went the other way.
        let answer = Tuple::of(&quoted).reversed();
        let (index, way) = self
            .table
            .find(&answer, self.table.hash(&answer))
            .ok_or(DropReason::Unrelated)?;
        let flow = self
            .table
            .get(index)
            .filter(|flow| flow.expires > clock::floor(ms))
            .ok_or(DropReason::Unrelated)?;
        if let Body::Tcp(segment) = quoted.body
            && !flow.tcp.has_sent(way.other(), segment.seq)
        {
            return Err(DropReason::OutOfWindow.into());
        }
        let (came, _) = way.of(flow.interfaces);
        if self.interfaces.kind(came) != Some(kind) {
            return Err(DropReason::Spoofed.into());
        }
        let target = flow.target(way);
        let exit = self.egress(target.destination.0, view, route)?;
        if let Some(inner) = bytes.get_mut(at..) {
            translate(inner, &mut quoted, &target.reversed());
        }
        // The source of an error from inside is the router's global address (REQ-5c), unless the
        // packet is not translated on this side at all.
        let source = match target.source.0 {
            IpAddr::V4(address) if target.source != answer.source => Some((address, 0)),
            _ => None,
        };
        let destination = match target.destination.0 {
            IpAddr::V4(address) => Some((address, 0)),
            IpAddr::V6(_) => None,
        };
        wire::rewrite(bytes, view, source, destination);
        if target != answer {
            wire::mend_icmp(bytes, view);
        }
        Ok(exit)
    }
}

/// Rewrites what differs from `target`.
pub(crate) fn translate(bytes: &mut [u8], view: &mut Packet, target: &Tuple) {
    let new = |seen: (IpAddr, u16), wanted: (IpAddr, u16)| match wanted {
        (IpAddr::V4(address), port) if seen != wanted => Some((address, port)),
        _ => None,
    };
    let source = new((view.source, view.source_port), target.source);
    let destination = new(
        (view.destination, view.destination_port),
        target.destination,
    );
    wire::rewrite(bytes, view, source, destination);
}
