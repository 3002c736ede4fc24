//! Addresses, routes and proxy neighbours of the TUN device.

use super::inner::TunSetup;
use futures_util::TryStreamExt as _;
use rtnetlink::packet_route::neighbour::NeighbourFlags;
use rtnetlink::{Handle, LinkUnspec, RouteMessageBuilder};
use std::io;
use std::net::{IpAddr, Ipv4Addr};

/// Sets the device up as `setup` says. What is there already stays.
pub(super) async fn bring_up(index: u32, setup: &TunSetup<'_>) -> io::Result<()> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    let task = tokio::spawn(connection);
    let result = apply(&handle, index, setup).await;
    task.abort();
    result.map_err(|(step, e)| io::Error::other(format!("{} of {}: {e}", step, setup.name)))
}

/// Takes an address from a device, if it has it.
pub(super) async fn remove_address(index: u32, address: Ipv4Addr) -> io::Result<()> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    let task = tokio::spawn(connection);
    let remove = async {
        let of_device = handle.address().get().set_link_index_filter(index);
        let mut found = of_device.set_address_filter(IpAddr::V4(address)).execute();
        while let Some(message) = found.try_next().await? {
            handle.address().del(message).execute().await?;
        }
        Ok(())
    };
    let result: Result<(), rtnetlink::Error> = remove.await;
    task.abort();
    result.map_err(io::Error::other)
}

async fn apply(
    handle: &Handle,
    index: u32,
    setup: &TunSetup<'_>,
) -> Result<(), (&'static str, rtnetlink::Error)> {
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
        let route = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(*network, *prefix)
            .output_interface(index)
            .build();
        let add = handle.route().add(route).replace().execute().await;
        add.map_err(|e| ("route", e))?;
    }
    if let Some(name) = setup.proxy_arp {
        let mut links = handle.link().get().match_name(name.to_owned()).execute();
        let lan = links
            .try_next()
            .await
            .map_err(|e| ("interface for ARP", e))?;
        let Some(lan) = lan else { return Ok(()) };
        for address in setup.proxied {
            let add = handle
                .neighbours()
                .add(lan.header.index, IpAddr::V4(*address))
                .flags(NeighbourFlags::Proxy)
                .replace();
            add.execute().await.map_err(|e| ("proxy ARP", e))?;
        }
    }
    Ok(())
}
