//! How translated packets get from the TUN device to the internet and back: by the system's
//! routing alone, with policy rules and a table of our own.
//!
//! An address of the gateway's own is routed into the device, and the outer interface answers ARP
//! for it. An address that is the system's too is shared by ports: what comes for the ports that
//! translated packets bear is routed into the device before the system can take it as its own,
//! and ICMP is, too. For that the rule for local addresses has to come after ours (as the kernel's
//! documentation of VRF has it). All of it ends with the device: a table without routes is passed
//! over.

use crate::config::{Config, FirewallAction, Internet, Side};
use futures_util::TryStreamExt as _;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::neighbour::NeighbourFlags;
use rtnetlink::packet_route::rule::{
    RuleAction, RuleAttribute, RuleHeader, RuleMessage, RulePortRange,
};
use rtnetlink::packet_route::{AddressFamily, IpProtocol};
use rtnetlink::{Handle, RouteMessageBuilder};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

/// Our routing table.
const TABLE: u32 = 1701;

/// Where our rules stand. The system's own are at 0 (local addresses), 32766 and 32767.
const SHARED: u32 = 900;
const LOCAL: u32 = 1000;
const LAN_WITHIN: u32 = 1100;
const LAN_DEFAULT: u32 = 1101;

const RT_TABLE_LOCAL: u8 = 255;
const RT_TABLE_MAIN: u8 = 254;

/// `EEXIST`, as netlink gives it.
const EXISTS: i32 = -17;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// The system's routing as long as there is a gateway to the internet.
#[derive(Debug)]
pub struct InternetRoutes {
    handle: Handle,
    rules: Vec<RuleMessage>,
    moved_local: bool,
}

/// Finds out the address that translated packets bear, and whether it is the system's as well.
///
/// # Errors
/// There is no such interface, or it has no address.
pub async fn resolve_internet(config: &mut Config) -> io::Result<()> {
    let Some(internet) = &mut config.internet else {
        return Ok(());
    };
    let (connection, handle, _) = rtnetlink::new_connection()?;
    let task = tokio::spawn(connection);
    let addresses = addresses(&handle, &internet.interface).await;
    task.abort();
    let addresses = addresses?;
    if internet.address.is_none() {
        internet.address = addresses.first().copied();
    }
    let Some(address) = internet.address else {
        return Err(io::Error::other(format!(
            "{} has no IPv4 address: give it one, or name another as internet.address",
            internet.interface
        )));
    };
    internet.shared = addresses.contains(&address);
    Ok(())
}

impl InternetRoutes {
    /// Leads packets between the device and the internet, and the LAN's through the device if it
    /// is to be translated; none if the configuration has no internet.
    ///
    /// # Errors
    /// What the system gave, with the step.
    pub async fn open(config: &Config) -> io::Result<Option<Self>> {
        let Some(internet) = &config.internet else {
            return Ok(None);
        };
        let Some(address) = internet.address else {
            return Ok(None);
        };
        let tun = &config.tun.name;
        // Answers come from addresses whose route is another; the stricter of two settings counts.
        set_for(tun, "rp_filter", "2");
        let (connection, handle, _) = rtnetlink::new_connection()?;
        tokio::spawn(connection);
        let device = link(&handle, tun).await?;
        let default = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(Ipv4Addr::UNSPECIFIED, 0)
            .output_interface(device)
            .table_id(TABLE)
            .build();
        let add = handle.route().add(default).replace().execute().await;
        add.map_err(|e| explain("route", &e))?;
        let mut routes = Self {
            handle,
            rules: Vec::new(),
            moved_local: false,
        };
        if internet.shared {
            set_for(tun, "accept_local", "1");
            routes.move_local().await?;
        } else {
            routes.route_own(internet, address, device).await?;
        }
        routes.update(config).await?;
        Ok(Some(routes))
    }

    /// Follows a change of the configuration.
    ///
    /// # Errors
    /// What the system gave, with the step.
    pub async fn update(&mut self, config: &Config) -> io::Result<()> {
        let wanted = rules(config);
        for rule in &wanted {
            if !self.rules.contains(rule) {
                add(&self.handle, rule).await?;
            }
        }
        for rule in std::mem::replace(&mut self.rules, wanted) {
            if !self.rules.contains(&rule) {
                delete(&self.handle, rule).await;
            }
        }
        Ok(())
    }

    /// Leaves the system's routing as it was.
    pub async fn close(mut self) {
        if self.moved_local {
            // First the one, then the other: without any the system would be deaf.
            if add(&self.handle, &local(0)).await.is_ok() {
                delete(&self.handle, local(LOCAL)).await;
            }
        }
        for rule in std::mem::take(&mut self.rules) {
            delete(&self.handle, rule).await;
        }
    }

    async fn move_local(&mut self) -> io::Result<()> {
        add(&self.handle, &local(LOCAL)).await?;
        self.moved_local = true;
        delete(&self.handle, local(0)).await;
        Ok(())
    }

    async fn route_own(
        &self,
        internet: &Internet,
        address: Ipv4Addr,
        device: u32,
    ) -> io::Result<()> {
        let route = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(address, 32)
            .output_interface(device)
            .build();
        let add = self.handle.route().add(route).replace().execute().await;
        add.map_err(|e| explain("route of internet.address", &e))?;
        let outer = link(&self.handle, &internet.interface).await?;
        let neighbours = self.handle.neighbours();
        let proxy = neighbours.add(outer, IpAddr::V4(address));
        let proxy = proxy.flags(NeighbourFlags::Proxy).replace();
        let add = proxy.execute().await;
        add.map_err(|e| explain("proxy ARP for internet.address", &e))
    }
}

/// What goes into the device that would not by its destination alone.
fn rules(config: &Config) -> Vec<RuleMessage> {
    let mut rules = Vec::new();
    let Some(internet) = &config.internet else {
        return rules;
    };
    if let (true, Some(address)) = (internet.shared, internet.address) {
        let shared = |more: &[RuleAttribute]| {
            let from = RuleAttribute::Iifname(internet.interface.clone());
            let to = RuleAttribute::Destination(IpAddr::V4(address));
            let mut rule = rule(SHARED, TABLE, [&[from, to], more].concat());
            rule.header.dst_len = 32;
            rule
        };
        rules.push(shared(&[RuleAttribute::IpProtocol(IpProtocol::Icmp)]));
        let pinholes = config.firewall.rules.iter().filter_map(|rule| {
            let forwards = matches!(rule.action, FirewallAction::ForwardTo(..));
            let outside = matches!(rule.from, Side::Internet | Side::Any);
            let here = rule.destination.is_none_or(|d| d.contains(address));
            let protocol = rule.protocol.filter(|_| forwards && outside && here)?;
            Some((protocol, rule.ports.clone()?))
        });
        let translated = [TCP, UDP].map(|protocol| (protocol, internet.ports.clone()));
        for (protocol, ports) in translated.into_iter().chain(pinholes) {
            rules.push(shared(&ports_of(protocol, &ports)));
        }
    }
    if let (true, Some(lan)) = (internet.lan, &config.lan.interface) {
        let from = RuleAttribute::Iifname(lan.clone());
        // Between the office's networks the system goes its own ways.
        for network in &config.lan.networks {
            let to = RuleAttribute::Destination(IpAddr::V4(network.address));
            let mut within = rule(LAN_WITHIN, u32::from(RT_TABLE_MAIN), vec![from.clone(), to]);
            within.header.dst_len = network.prefix;
            rules.push(within);
        }
        rules.push(rule(LAN_DEFAULT, TABLE, vec![from]));
    }
    rules
}

fn ports_of(protocol: u8, ports: &RangeInclusive<u16>) -> [RuleAttribute; 2] {
    let range = RulePortRange {
        start: *ports.start(),
        end: *ports.end(),
    };
    [
        RuleAttribute::IpProtocol(protocol.into()),
        RuleAttribute::DestinationPortRange(range),
    ]
}

/// The system's rule for its own addresses, at another place.
fn local(priority: u32) -> RuleMessage {
    rule(priority, u32::from(RT_TABLE_LOCAL), Vec::new())
}

fn rule(priority: u32, table: u32, mut attributes: Vec<RuleAttribute>) -> RuleMessage {
    let mut rule = RuleMessage::default();
    rule.header = RuleHeader::default();
    rule.header.family = AddressFamily::Inet;
    rule.header.action = RuleAction::ToTable;
    rule.header.table = u8::try_from(table).unwrap_or(0);
    attributes.push(RuleAttribute::Priority(priority));
    attributes.push(RuleAttribute::Table(table));
    rule.attributes = attributes;
    rule
}

async fn add(handle: &Handle, rule: &RuleMessage) -> io::Result<()> {
    let mut request = handle.rule().add();
    *request.message_mut() = rule.clone();
    match request.execute().await {
        // A killed gateway left it.
        Err(rtnetlink::Error::NetlinkError(e)) if e.raw_code() == EXISTS => Ok(()),
        Err(e) => Err(explain("routing rule", &e)),
        Ok(()) => Ok(()),
    }
}

async fn delete(handle: &Handle, rule: RuleMessage) {
    if let Err(e) = handle.rule().del(rule).execute().await {
        tracing::debug!(error = %e, "routing rule not removed");
    }
}

async fn link(handle: &Handle, name: &str) -> io::Result<u32> {
    let mut links = handle.link().get().match_name(name.to_owned()).execute();
    match links.try_next().await {
        Ok(Some(link)) => Ok(link.header.index),
        Ok(None) => Err(io::Error::other(format!("there is no interface {name}"))),
        Err(e) => Err(explain(&format!("interface {name}"), &e)),
    }
}

async fn addresses(handle: &Handle, name: &str) -> io::Result<Vec<Ipv4Addr>> {
    let index = link(handle, name).await?;
    let request = handle.address().get().set_link_index_filter(index);
    let messages: Vec<_> = request
        .execute()
        .try_collect()
        .await
        .map_err(|e| explain(&format!("addresses of {name}"), &e))?;
    let attributes = messages.into_iter().flat_map(|m| m.attributes);
    let addresses = attributes.filter_map(|attribute| match attribute {
        AddressAttribute::Local(IpAddr::V4(address)) => Some(address),
        _ => None,
    });
    Ok(addresses.collect())
}

fn explain(step: &str, error: &rtnetlink::Error) -> io::Error {
    io::Error::other(format!("internet access: {step}: {error}"))
}

fn set_for(device: &str, setting: &str, value: &str) {
    let path = format!("/proc/sys/net/ipv4/conf/{device}/{setting}");
    if let Err(e) = std::fs::write(&path, value) {
        tracing::warn!(error = %e, "{path} cannot be set to {value}: packets from the internet may be dropped");
    }
}
