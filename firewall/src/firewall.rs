use crate::clock::{self, Moment};
use crate::config::{Config, ConfigError};
use crate::event::{CloseReason, DropReason, Event, FlowInfo, FlowStatus, Transmit};
use crate::flow::NONE;
use crate::fragments::Fragments;
use crate::hash::Key;
use crate::interface::{InterfaceId, Interfaces};
use crate::nat::{ActiveNat, Mappings};
use crate::policy::Interface;
use crate::table::Table;
use crate::wire::{Extent, IcmpError, Packet, build_error};
use rand_core::CryptoRng;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Zones, rules, flows and translation.
pub struct Firewall {
    pub(crate) config: Arc<Config>,
    /// The configuration's translations, with the addresses that the interfaces have.
    pub(crate) nats: Arc<[ActiveNat]>,
    pub(crate) interfaces: Interfaces,
    pub(crate) table: Table,
    pub(crate) mappings: Mappings,
    pub(crate) fragments: Fragments,
    pub(crate) rng: Box<dyn CryptoRng + Send>,
    /// Of translated fragments.
    pub(crate) identification: u16,
    pub(crate) rule_hits: Vec<u64>,
    drops: [u64; DropReason::ALL.len()],
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    events_lost: u64,
    /// The first `now`, from which milliseconds are counted.
    start: Option<Instant>,
    /// The last `now` of a packet.
    pub(crate) moment: Moment,
    /// No timer is due before, in milliseconds.
    next_timeout: u64,
    /// ICMP errors that may be sent, in thousandths, and when that was.
    error_tokens: (u64, u64),
}

impl std::fmt::Debug for Firewall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Firewall")
            .field("interfaces", &self.interfaces.len())
            .field("flows", &self.table.len())
            .finish_non_exhaustive()
    }
}

impl Firewall {
    /// A firewall without interfaces; `rng` chooses public ports and keys the hash tables.
    ///
    /// # Errors
    /// What of `config` cannot work.
    pub fn new(
        config: Arc<Config>,
        mut rng: Box<dyn CryptoRng + Send>,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let key = Key::new(&mut *rng);
        let [a, b, ..] = rng.next_u32().to_le_bytes();
        let mut firewall = Self {
            rule_hits: vec![0; config.rules.len()],
            nats: Arc::new([]),
            error_tokens: (u64::from(config.limits.icmp_errors) * 1000, 0),
            config,
            interfaces: Interfaces::new(key),
            table: Table::new(key),
            mappings: Mappings::new(key),
            fragments: Fragments::new(key),
            rng,
            identification: u16::from_le_bytes([a, b]),
            drops: [0; DropReason::ALL.len()],
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            events_lost: 0,
            start: None,
            moment: Moment::default(),
            next_timeout: u64::MAX,
        };
        firewall.resolve();
        Ok(firewall)
    }

    /// Replaces rules, limits and timeouts at once; flows that are up stay. The rules' counters
    /// begin anew.
    ///
    /// # Errors
    /// What of `config` cannot work; then nothing has changed.
    pub fn set_config(&mut self, config: Arc<Config>) -> Result<(), ConfigError> {
        config.check()?;
        self.rule_hits = vec![0; config.rules.len()];
        self.config = config;
        self.moment = Moment::default();
        self.resolve();
        Ok(())
    }

    fn resolve(&mut self) {
        let nats = self.config.nat.iter();
        let active = nats.flat_map(|nat| ActiveNat::resolve(nat, &self.interfaces));
        self.nats = active.collect();
    }

    /// Adds an interface.
    pub fn add_interface(&mut self, interface: Interface) -> InterfaceId {
        let id = self.interfaces.add(interface);
        self.resolve();
        id
    }

    /// Changes an interface: its addresses, say. Flows of users that are not behind it any more
    /// end, and those that were translated to an address it has lost; false if there is no such
    /// interface.
    pub fn set_interface(&mut self, now: Instant, id: InterfaceId, interface: Interface) -> bool {
        let old = self.interfaces.replace(id, interface.clone());
        if let Some(old) = &old {
            self.close_lost(now, old, Some(&interface));
        }
        old.is_some()
    }

    /// Removes an interface, and the flows of the users that were behind it or that were
    /// translated to its addresses. Other flows that led to it do so no more.
    pub fn remove_interface(&mut self, now: Instant, id: InterfaceId) {
        if let Some(removed) = self.interfaces.remove(id) {
            self.close_lost(now, &removed, None);
        }
        self.handle_timeout(now);
    }

    /// Ends the flows of users and addresses that an interface had and has no more.
    fn close_lost(&mut self, now: Instant, old: &Interface, new: Option<&Interface>) {
        let ms = self.milliseconds(now);
        self.resolve();
        let stays = |prefix| new.is_some_and(|new| new.behind().any(|other| other == prefix));
        let gone = old.behind().filter(|prefix| !stays(*prefix));
        for user in gone.filter_map(|prefix| prefix.user()) {
            while let Some(index) = self.table.first_of_host(user) {
                self.close(ms, index, CloseReason::InterfaceRemoved);
            }
        }
        let own = old.own.iter().map(|address| IpAddr::V4(*address));
        let lost: Vec<IpAddr> = own.filter(|a| self.nat_of(*a).is_none()).collect();
        if !lost.is_empty() {
            let orphans = self.table.places_of(|flow| lost.contains(&flow.global()));
            for index in orphans {
                self.close(ms, index, CloseReason::InterfaceRemoved);
            }
        }
    }

    /// How many flows are live.
    #[must_use]
    pub fn flow_count(&self) -> usize {
        self.table.len()
    }

    /// All live flows, in no order.
    pub fn flows(&self) -> impl Iterator<Item = FlowStatus> {
        let at = |at| {
            let since = Duration::from_millis(clock::milliseconds(at));
            self.start?.checked_add(since)
        };
        self.table.iter().filter_map(move |flow| {
            Some(FlowStatus {
                info: FlowInfo::of(&flow),
                phase: flow.phase(),
                opened: at(flow.opened)?,
                expires: at(flow.expires)?,
            })
        })
    }

    /// Dropped packets by reason, without those reasons that there were no packets for.
    #[must_use]
    pub fn drops(&self) -> BTreeMap<DropReason, u64> {
        let counted = DropReason::ALL.into_iter().zip(self.drops);
        counted.filter(|(_, count)| *count > 0).collect()
    }

    /// How many flows each of [`Config::rules`] has decided about, in their order.
    #[must_use]
    pub fn rule_hits(&self) -> &[u64] {
        &self.rule_hits
    }

    /// Events and packets that were dropped because nobody polled.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.events_lost
    }

    /// Tells the sender of a packet that was not passed on why, by an ICMP error that
    /// [`poll_transmit`](Self::poll_transmit) gives (RFC 5508 REQ-8 and REQ-10).
    ///
    /// `packet` is as it came in by `interface`; false if it must not be answered (RFC 1812
    /// section 4.3.2.7), the router has no address to answer from, or there were too many lately.
    pub fn send_error(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        packet: &[u8],
        error: IcmpError,
    ) -> bool {
        let Ok(view) = Packet::parse(packet, Extent::Whole) else {
            return false;
        };
        let v4 = view.is_v4();
        let known = self.interfaces.get(interface);
        let own = known.and_then(|known| known.own().find(|address| address.is_ipv4() == v4));
        let named = known.and_then(|known| known.error_source);
        let own = own.or(named.map(IpAddr::V4).filter(|_| v4));
        let global = self.nats.first().and_then(|nat| nat.addresses.first());
        let global = global.map(|v4| IpAddr::V4(*v4)).filter(|_| v4);
        let answerable = crate::process::is_answerable(&view)
            && !self.interfaces.is_everybody(view.destination)
            && self.interfaces.get(interface).is_some();
        let (Some(router), true) = (own.or(global), answerable) else {
            return false;
        };
        let Some(packet) = build_error(router, packet, &view, error) else {
            return false;
        };
        self.may_send_error(now) && self.transmit(Some(interface), packet)
    }

    fn may_send_error(&mut self, now: Instant) -> bool {
        let ms = self.milliseconds(now);
        let rate = u64::from(self.config.limits.icmp_errors);
        let (tokens, then) = self.error_tokens;
        let tokens = (tokens + (ms - then) * rate).min(rate * 1000);
        let may = tokens >= 1000;
        self.error_tokens = (if may { tokens - 1000 } else { tokens }, ms);
        may
    }

    /// Queues a packet; false if too many wait.
    pub(crate) fn transmit(&mut self, egress: Option<InterfaceId>, packet: Vec<u8>) -> bool {
        let room = self.transmits.len() < self.config.limits.queue;
        if room {
            self.transmits.push_back(Transmit { egress, packet });
        } else {
            self.events_lost += 1;
        }
        room
    }

    /// The next packet to send that is not one just handed in.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// What happened next.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Forgets flows that are over.
    pub fn handle_timeout(&mut self, now: Instant) {
        let ms = self.milliseconds(now);
        self.expire(ms);
    }

    pub(crate) fn expire(&mut self, ms: u64) {
        while let Some(index) = self.table.expired(ms) {
            self.close(ms, index, CloseReason::Expired);
        }
        self.mappings.expire(ms);
        self.fragments.expire(ms);
        self.next_timeout = self.next_expiry().unwrap_or(u64::MAX);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let at = self.next_expiry()?;
        self.start?.checked_add(Duration::from_millis(at))
    }

    fn next_expiry(&self) -> Option<u64> {
        let ends = [
            self.table.next_expiry(),
            self.mappings.next_expiry(),
            self.fragments.next_expiry(),
        ];
        ends.into_iter().flatten().min()
    }

    /// A timer may now be due at `at`.
    pub(crate) fn wake_by(&mut self, at: u64) {
        self.next_timeout = self.next_timeout.min(at);
    }

    /// The firewall's time.
    pub(crate) fn milliseconds(&mut self, now: Instant) -> u64 {
        let start = *self.start.get_or_insert(now);
        let since = now.saturating_duration_since(start);
        since.as_secs() * 1000 + u64::from(since.subsec_millis())
    }

    /// Begins with a packet: what is over by `now` ends.
    #[inline(always)]
    pub(crate) fn advance(&mut self, now: Instant) {
        if !self.moment.is(now) {
            let ms = self.milliseconds(now);
            self.moment = Moment::new(now, ms, &self.config.timeouts);
        }
        if self.moment.ms >= self.next_timeout {
            self.expire(self.moment.ms);
        }
    }

    /// Ends a flow.
    pub(crate) fn close(&mut self, ms: u64, index: u32, reason: CloseReason) {
        let Some(flow) = self.table.remove(index) else {
            return;
        };
        if flow.mapping != NONE {
            let hold = self.nat_of(flow.global());
            let hold = hold.map_or(Duration::ZERO, |nat| nat.port_hold);
            let until = clock::end(ms, hold);
            self.mappings.release(flow.mapping, flow.remote(), until);
            self.wake_by(clock::milliseconds(until));
        }
        self.tell(|| Event::FlowClosed(FlowInfo::of(&flow), reason));
    }

    /// The translation that has this global address.
    pub(crate) fn nat_of(&self, address: IpAddr) -> Option<&ActiveNat> {
        ActiveNat::of(&self.nats, address)
    }

    pub(crate) fn tell(&mut self, event: impl FnOnce() -> Event) {
        if self.events.len() < self.config.limits.queue {
            self.events.push_back(event());
        } else {
            self.events_lost += 1;
        }
    }

    pub(crate) fn count(&mut self, reason: DropReason) {
        let all = DropReason::ALL.iter().zip(&mut self.drops);
        for (_, count) in all.filter(|(other, _)| **other == reason) {
            *count += 1;
        }
    }
}

/// Who uses an address: IPv6 hosts have a whole /64 to choose from.
pub(crate) fn user_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & u128::MAX << 64)),
    }
}
