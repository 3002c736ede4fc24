//! Addresses, routes and proxy neighbours of the TUN device.

use super::inner::TunSetup;
use futures_util::TryStreamExt as _;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::neighbour::{NeighbourAttribute, NeighbourFlags, NeighbourMessage};
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::{Handle, LinkUnspec, RouteMessageBuilder};
use std::io;
use std::net::{IpAddr, Ipv4Addr};

type Failed = (&'static str, rtnetlink::Error);

/// Sets the device up as `setup` says. What is there already stays.
pub(super) async fn bring_up(index: u32, setup: &TunSetup<'_>) -> io::Result<()> {
    ask(setup.name, async |handle| apply(handle, index, setup).await).await
}

/// Removes the routes and the proxied addresses of `setup`.
pub(super) async fn remove(index: Option<u32>, setup: &TunSetup<'_>) -> io::Result<()> {
    ask(setup.name, async |handle| {
        take_back(handle, index, setup).await
    })
    .await
}

/// Takes an address from a device, if it has it.
pub(super) async fn remove_address(index: u32, name: &str, address: Ipv4Addr) -> io::Result<()> {
    ask(name, async |handle| {
        let of_device = handle.address().get().set_link_index_filter(index);
        let mut found = of_device.set_address_filter(IpAddr::V4(address)).execute();
        while let Some(message) = found.try_next().await.map_err(|e| ("address", e))? {
            let del = handle.address().del(message);
            del.execute().await.map_err(|e| ("address", e))?;
        }
        Ok(())
    })
    .await
}

async fn ask(name: &str, step: impl AsyncFnOnce(&Handle) -> Result<(), Failed>) -> io::Result<()> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    let task = tokio::spawn(connection);
    let result = step(&handle).await;
    task.abort();
    result.map_err(|(step, e)| io::Error::other(format!("{step} of {name}: {e}")))
}

async fn apply(handle: &Handle, index: u32, setup: &TunSetup<'_>) -> Result<(), Failed> {
    let link = LinkUnspec::new_with_index(index)
        .mtu(u32::from(setup.mtu))
        .up()
        .build();
    let set = handle.link().set(link).execute().await;
    set.map_err(|e| ("MTU and state", e))?;
    if let Some(address) = setup.address {
        let add = handle.address().add(index, IpAddr::V4(address), 32);
        add.replace().execute().await.map_err(|e| ("address", e))?;
    }
    for (network, prefix) in setup.routes {
        let add = handle.route().add(route(index, *network, *prefix));
        let add = add.replace().execute().await;
        add.map_err(|e| ("route", e))?;
    }
    let Some(lan) = answering(handle, setup).await? else {
        return Ok(());
    };
    for address in setup.proxied {
        let add = handle.neighbours().add(lan, IpAddr::V4(*address));
        let add = add.flags(NeighbourFlags::Proxy).replace();
        add.execute().await.map_err(|e| ("proxy ARP", e))?;
    }
    Ok(())
}

async fn take_back(
    handle: &Handle,
    index: Option<u32>,
    setup: &TunSetup<'_>,
) -> Result<(), Failed> {
    if let Some(index) = index {
        for (network, prefix) in setup.routes {
            let del = handle.route().del(route(index, *network, *prefix));
            del.execute().await.map_err(|e| ("route", e))?;
        }
    }
    let Some(lan) = answering(handle, setup).await? else {
        return Ok(());
    };
    for address in setup.proxied {
        let mut proxy = NeighbourMessage::default();
        proxy.header.family = AddressFamily::Inet;
        proxy.header.ifindex = lan;
        proxy.header.flags = NeighbourFlags::Proxy;
        let address = NeighbourAttribute::Destination((*address).into());
        proxy.attributes.push(address);
        let del = handle.neighbours().del(proxy);
        del.execute().await.map_err(|e| ("proxy ARP", e))?;
    }
    Ok(())
}

fn route(index: u32, network: Ipv4Addr, prefix: u8) -> RouteMessage {
    RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(network, prefix)
        .output_interface(index)
        .build()
}

/// The index of the interface that answers ARP, if there is one.
async fn answering(handle: &Handle, setup: &TunSetup<'_>) -> Result<Option<u32>, Failed> {
    let Some(name) = setup.proxy_arp else {
        return Ok(None);
    };
    let mut links = handle.link().get().match_name(name.to_owned()).execute();
    let lan = links.try_next().await;
    let lan = lan.map_err(|e| ("interface for ARP", e))?;
    Ok(lan.map(|lan| lan.header.index))
}
