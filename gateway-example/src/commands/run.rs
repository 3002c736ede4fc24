use super::desk::Desk;
use super::reload::Reloader;
use super::system::{ServiceManager, state_folder};
use super::{Outcome, asked_to_stop, system_entropy};
use clap::Args as ClapArgs;
use gateway_example::config::Config;
use gateway_example::control::Request;
use gateway_example::core::Gateway;
use gateway_example::io::{
    Control, Cores, Driver, Inner, InternetRoutes, LeaseFile, MetricsServer, NativeEsp,
    RadiusPorts, TunSetup, UdpPort, now, wall_clock,
};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// The configuration file.
    #[arg(long, short)]
    config: PathBuf,
    /// The control socket, whatever the configuration says.
    #[arg(long)]
    socket: Option<PathBuf>,
}

pub(crate) async fn run(args: Args) -> Outcome {
    let mut reloader = Reloader {
        file: args.config,
        socket: args.socket,
        internet: None,
        answered: BTreeSet::new(),
    };
    let config = Arc::new(reloader.read(&reloader.file).await?);
    let mut core = Gateway::with_jobs(Arc::clone(&config), system_entropy())?;
    let cores = Cores::start(config.gateway.workers)?;
    if let Some((shards, spread)) = &cores {
        core.spread(*shards, Arc::clone(spread));
    }
    let state = config.gateway.state_dir.clone().or_else(state_folder);
    let mut leases = state.map(|folder| LeaseFile::open(&folder, &mut core));
    // Before anybody is told that it is ready: until then the signal would end the process.
    let mut hangup = signal(SignalKind::hangup())?;
    let ike = UdpPort::bind(SocketAddr::new(
        config.gateway.listen,
        config.gateway.ike_port,
    ))?;
    let natt = UdpPort::bind(SocketAddr::new(
        config.gateway.listen,
        config.gateway.natt_port,
    ))?;
    let esp = config
        .gateway
        .native_esp
        .then(|| NativeEsp::open(config.gateway.listen))
        .transpose()?;
    let mut control = Control::bind(&config.gateway.control_socket)?;
    let mut desk = Desk::open(&config)?;
    let metrics = match config.gateway.metrics_listen {
        Some(address) => Some(MetricsServer::bind(address, control.asker()).await?),
        None => None,
    };
    let mut radius = RadiusPorts::open(config.radius.as_ref(), config.gateway.listen)?;
    // Last: what other interfaces do for us has to be taken back from here on.
    let inner = open_tun(&config).await?;
    reloader.answered.extend(proxied(&config));
    reloader.internet = InternetRoutes::open(&config).await?;
    tracing::info!(
        ike = %ike.local(),
        natt = %natt.local(),
        native_esp = esp.is_some(),
        metrics = metrics.as_ref().map(|m| tracing::field::display(m.local())),
        tun = config.tun.name,
        users = config.users.len(),
        "gateway is ready"
    );
    let mut driver = Driver::new(core, ike, natt, esp, inner)?;
    driver.devices.spread = cores;
    driver.gather(config.gateway.gather_microseconds);
    driver.core.set_clock(now(), wall_clock());
    radius.flush(&mut driver.core);
    let mut system = ServiceManager::ready();
    let stop = asked_to_stop();
    tokio::pin!(stop);
    let ended = loop {
        tokio::select! {
            () = &mut stop => break Ok(()),
            turn = driver.turn() => if let Err(e) = turn {
                break Err(e);
            },
            received = radius.receive() => match received {
                Ok(received) => radius.handle(&received, &mut driver.core),
                Err(e) => break Err(e),
            },
            asked = control.next() => match &asked.request {
                Request::Reload => {
                    let done = reloader.reload(&mut driver, &mut radius, &mut desk.reloads).await;
                    asked.answer(done.into());
                }
                Request::Diff { path } => {
                    let changes = reloader.diff(driver.core.config(), path).await;
                    asked.answer(changes.into());
                }
                _ => desk.answer(asked, &mut driver),
            },
            _ = hangup.recv() => {
                // What is wrong is in the log.
                let _ = reloader.reload(&mut driver, &mut radius, &mut desk.reloads).await;
            }
            () = system.due() => system.alive(),
            () = due(&mut leases) => {
                if let Some(leases) = &mut leases {
                    leases.save(&driver.core);
                }
            }
        }
        if let Some(leases) = &mut leases {
            leases.note(now(), &driver.core);
        }
        radius.flush(&mut driver.core);
        desk.note(&mut driver.core);
    };
    system.stopping();
    tracing::info!("saying goodbye to clients");
    driver.shutdown().await;
    radius.finish(&mut driver.core).await;
    // The device takes its routes along, but not what the LAN's interface answers.
    let answered: Vec<_> = reloader.answered.into_iter().collect();
    let answers = tun_setup(driver.core.config(), &answered, &[]);
    if let Err(e) = driver.devices.inner.remove_routes(&answers).await {
        tracing::warn!(error = %e, "the LAN's interface still answers ARP for clients");
    }
    if let Some(internet) = reloader.internet {
        internet.close().await;
    }
    if let Some(leases) = leases {
        leases.close(&driver.core).await;
    }
    desk.note(&mut driver.core);
    ended?;
    Ok(ExitCode::SUCCESS)
}

async fn due(leases: &mut Option<LeaseFile>) {
    match leases {
        Some(leases) => leases.due().await,
        None => std::future::pending().await,
    }
}

/// Users' own addresses, and all that leads into the device.
pub(super) fn routes(config: &Config) -> (Vec<Ipv4Addr>, Vec<(Ipv4Addr, u8)>) {
    let own: Vec<Ipv4Addr> = config.users.values().filter_map(|u| u.address).collect();
    let mut routes = config.pool.blocks();
    routes.extend(own.iter().map(|address| (*address, 32)));
    let given = config.radius.iter().flat_map(|radius| &radius.addresses);
    routes.extend(given.map(|network| (network.address, network.prefix)));
    (own, routes)
}

/// Addresses for which the LAN's interface answers ARP: those of clients, as far as hosts of the LAN
/// may look for them there.
pub(super) fn proxied(config: &Config) -> Vec<Ipv4Addr> {
    let (lan, own) = (&config.lan, routes(config).0);
    let near = |a: &Ipv4Addr| lan.networks.is_empty() || lan.has(*a) || own.contains(a);
    let all = lan.interface.iter().flat_map(|_| config.client_addresses());
    all.filter(near).collect()
}

pub(super) fn tun_setup<'a>(
    config: &'a Config,
    proxied: &'a [Ipv4Addr],
    routes: &'a [(Ipv4Addr, u8)],
) -> TunSetup<'a> {
    TunSetup {
        name: &config.tun.name,
        mtu: config.tun.mtu,
        // The LAN's interface may have this address already; the kernel allows both.
        address: Some(config.ppp.local),
        routes,
        proxied,
        proxy_arp: config.lan.interface.as_deref(),
    }
}

async fn open_tun(config: &Config) -> std::io::Result<Inner> {
    if let Some(lan) = &config.lan.interface {
        let any = std::os::unix::net::UnixDatagram::unbound()?;
        rustix::net::netdevice::name_to_index(&any, lan).map_err(|e| {
            let text = format!("lan.interface: {lan}: {e}; `ip link` lists those there are");
            std::io::Error::new(e.kind(), text)
        })?;
    }
    let (_, routes) = routes(config);
    let inner = Inner::tun(&tun_setup(config, &proxied(config), &routes)).await?;
    enable_forwarding();
    Ok(inner)
}

/// Without it the kernel drops what comes out of the TUN device.
fn enable_forwarding() {
    let path = "/proc/sys/net/ipv4/ip_forward";
    match std::fs::read_to_string(path) {
        Ok(state) if state.trim() == "1" => return,
        Ok(_) => {}
        Err(e) => {
            // Its unit hides it; who hides it has to set it.
            tracing::debug!(error = %e, "IPv4 forwarding cannot be seen");
            return;
        }
    }
    match std::fs::write(path, "1") {
        Ok(()) => tracing::info!("IPv4 forwarding was off and is now on"),
        Err(e) => tracing::warn!(
            error = %e,
            "IPv4 forwarding is off: clients reach this machine only; run `sysctl net.ipv4.ip_forward=1`"
        ),
    }
}
