use super::config::load;
use super::{Outcome, asked_to_stop, log_key, system_entropy};
use clap::Args as ClapArgs;
use gateway_example::capture::KeyLog;
use gateway_example::config::Config;
use gateway_example::core::{Gateway, GatewayEvent};
use gateway_example::io::{Control, Driver, Inner, NativeEsp, TunSetup, UdpPort, now};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// The configuration file.
    #[arg(long, short)]
    config: PathBuf,
}

pub(crate) async fn run(args: Args) -> Outcome {
    let config = Arc::new(load(&args.config)?);
    let core = Gateway::with_jobs(Arc::clone(&config), system_entropy())?;
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
    let inner = open_tun(&config).await?;
    let control = Control::bind(&config.gateway.control_socket)?;
    let mut key_log = match &config.gateway.key_log_dir {
        Some(folder) => {
            tracing::warn!(folder = %folder.display(), "session keys are being written");
            Some(KeyLog::open(folder)?)
        }
        None => None,
    };
    tracing::info!(
        ike = %ike.local(),
        natt = %natt.local(),
        native_esp = esp.is_some(),
        tun = config.tun.name,
        users = config.users.len(),
        "gateway is ready"
    );
    let mut driver = Driver::new(core, ike, natt, esp, inner)?;
    let stop = asked_to_stop();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            turn = driver.turn() => turn?,
            asker = control.accept() => {
                let mut status = driver.core.status(now());
                status.drops.insert("not_sent".into(), driver.lost());
                let status = serde_json::to_string(&status)?;
                tokio::spawn(Control::serve(asker?, status));
            }
        }
        log_events(&mut driver.core, &mut key_log);
    }
    tracing::info!("saying goodbye to clients");
    driver.shutdown().await;
    log_events(&mut driver.core, &mut key_log);
    Ok(ExitCode::SUCCESS)
}

fn log_events(core: &mut Gateway, key_log: &mut Option<KeyLog>) {
    while let Some(event) = core.poll_event() {
        match event {
            GatewayEvent::Step {
                layer,
                peer,
                good,
                text,
            } => {
                let conn = peer.map(tracing::field::display);
                if good {
                    tracing::info!(layer, conn, "{text}");
                } else {
                    tracing::warn!(layer, conn, "{text}");
                }
            }
            GatewayEvent::Key(key) => log_key(key_log, &key),
            _ => {}
        }
    }
}

async fn open_tun(config: &Config) -> std::io::Result<Inner> {
    let own: Vec<Ipv4Addr> = config.users.values().filter_map(|u| u.address).collect();
    let mut routes = config.pool.blocks();
    routes.extend(own.iter().map(|address| (*address, 32)));
    let inner = Inner::tun(&TunSetup {
        name: &config.tun.name,
        mtu: config.tun.mtu,
        // The LAN's interface may have this address already; the kernel allows both.
        address: Some(config.ppp.local),
        routes: &routes,
        proxied: &own,
        proxy_arp: config.lan.interface.as_deref(),
    })
    .await?;
    enable_forwarding();
    Ok(inner)
}

/// Without it the kernel drops what comes out of the TUN device.
fn enable_forwarding() {
    let path = "/proc/sys/net/ipv4/ip_forward";
    let on = std::fs::read_to_string(path).is_ok_and(|s| s.trim() == "1");
    if on {
        return;
    }
    match std::fs::write(path, "1") {
        Ok(()) => tracing::info!("IPv4 forwarding was off and is now on"),
        Err(e) => tracing::warn!(
            error = %e,
            "IPv4 forwarding is off: clients reach this machine only; run `sysctl net.ipv4.ip_forward=1`"
        ),
    }
}
