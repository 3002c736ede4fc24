//! What the firewall says and sends of its own.

use super::{Gateway, GatewayEvent};
use crate::core::Severity;
use crate::core::answer::protocol_name;
use firewall::{DropReason, Event, FlowInfo, IcmpError, InterfaceId};
use std::time::Instant;

/// Packets of the firewall's own that wait at most.
const WAITING: usize = 1024;

impl Gateway {
    /// Tells a client or the LAN that its packet was not passed on; the internet learns nothing.
    pub(super) fn refuse(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        packet: &[u8],
        reason: DropReason,
    ) {
        let error = match reason {
            DropReason::NoRoute => IcmpError::NoRoute,
            DropReason::Policy | DropReason::Rule => IcmpError::Prohibited,
            _ => return,
        };
        if interface == self.sides.lan || self.by_interface.contains_key(&interface) {
            self.firewall.send_error(now, interface, packet, error);
        }
    }

    /// Passes on what the firewall has made: pieces of packets, errors, and news of flows.
    pub(super) fn drain_firewall(&mut self, now: Instant) {
        while let Some(transmit) = self.firewall.poll_transmit() {
            let call = transmit.egress.and_then(|at| self.by_interface.get(&at));
            let packet = transmit.packet;
            match call.copied() {
                Some(session) => {
                    if let Some(entry) = self.sessions.get_mut(&session) {
                        entry.bytes_out += u64::try_from(packet.len()).unwrap_or(0);
                        entry.packets_out += 1;
                    }
                    self.stack.send_packet(now, session, &packet);
                }
                None if self.inner.len() < WAITING => self.inner.push_back(packet),
                None => {}
            }
        }
        while let Some(event) = self.firewall.poll_event() {
            if self.config.firewall.log_flows {
                self.log_flow(now, &event);
            }
        }
    }

    fn log_flow(&mut self, now: Instant, event: &Event) {
        let (flow, what, why) = match event {
            Event::FlowOpened(flow) => (flow, "opened", String::new()),
            Event::FlowClosed(flow, reason) => {
                (flow, "closed", format!(" reason={}", reason.reason()))
            }
            _ => return,
        };
        let session = |at: InterfaceId| self.sessions.get(self.by_interface.get(&at)?);
        let session = session(flow.ingress).or_else(|| session(flow.egress?));
        let text = format!("flow {what} {}{why}", in_words(flow));
        let step = GatewayEvent::Step {
            layer: "firewall",
            peer: session.map(|session| session.peer),
            severity: Severity::Info,
            text,
        };
        self.say(now, Some(flow.source.ip()), step);
    }
}

fn in_words(flow: &FlowInfo) -> String {
    let mut text = format!(
        "protocol={} source={} destination={}",
        protocol_name(flow.protocol),
        flow.source,
        flow.destination
    );
    if flow.translated_source != flow.source {
        text += &format!(" translated_source={}", flow.translated_source);
    }
    if flow.translated_destination != flow.destination {
        text += &format!(" translated_destination={}", flow.translated_destination);
    }
    if let Some(rule) = flow.rule {
        text += &format!(" rule={}", rule + 1);
    }
    text
}
