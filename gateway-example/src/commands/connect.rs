use super::{Outcome, asked_to_stop, fail, log_key, say, system_entropy};
use clap::{ArgGroup, Args as ClapArgs};
use gateway_example::capture::KeyLog;
use gateway_example::config::{Network, Secret};
use gateway_example::core::{ClientConfig, ClientEvent, Dialer, Path, Severity};
use gateway_example::io::{Driver, Inner, NativeEsp, TunSetup, UdpPort, now};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(ClapArgs)]
#[command(group = ArgGroup::new("key").args(["psk", "psk_file"]).required(true))]
pub(crate) struct Args {
    /// The server's name or address.
    #[arg(long)]
    server: String,
    /// The pre-shared key. Others on this machine can see it: better use --psk-file.
    #[arg(long)]
    psk: Option<String>,
    /// A file with the pre-shared key on its first line.
    #[arg(long)]
    psk_file: Option<PathBuf>,
    /// The user's name.
    #[arg(long)]
    user: String,
    /// A file with the user's password on its first line.
    #[arg(long)]
    password_file: PathBuf,
    /// Name of the TUN device.
    #[arg(long, default_value = "rwc0")]
    tun: String,
    /// MTU of the TUN device and MRU of PPP.
    #[arg(long, default_value_t = 1400)]
    mtu: u16,
    /// A network to reach through the tunnel, such as 192.168.8.0/24; may be repeated.
    #[arg(long = "route", value_parser = network)]
    routes: Vec<Network>,
    /// Phase 1 proposals, such as aes256-sha1-modp2048; may be repeated.
    #[arg(long)]
    ike: Vec<String>,
    /// Phase 2 proposals, such as aes256-sha1; may be repeated.
    #[arg(long)]
    esp: Vec<String>,
    /// Our port for IKE; 0 for any.
    #[arg(long, default_value_t = 500)]
    local_port: u16,
    /// Our port for NAT traversal; 0 for any.
    #[arg(long, default_value_t = 4500)]
    local_natt_port: u16,
    /// End when the connection ends, instead of calling again.
    #[arg(long)]
    once: bool,
    /// The folder for Wireshark's key files. Whoever has them can read the traffic.
    #[arg(long)]
    key_log_dir: Option<PathBuf>,
}

fn network(text: &str) -> Result<Network, String> {
    text.parse()
        .map_err(|()| "write an address and a prefix length, such as 192.168.8.0/24".into())
}

fn first_line(option: &str, path: &std::path::Path) -> Result<Secret, String> {
    let wrong = |what: &dyn std::fmt::Display| format!("{option} {}: {what}", path.display());
    let text = std::fs::read_to_string(path).map_err(|e| wrong(&e))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Secret::new(line.to_owned())),
        _ => Err(wrong(&"its first line is empty")),
    }
}

pub(crate) async fn connect(args: Args) -> Outcome {
    let server = (args.server.as_str(), 500)
        .to_socket_addrs()
        .map_err(|e| format!("--server {}: {e}", args.server))?
        .find(SocketAddr::is_ipv4)
        .ok_or_else(|| format!("--server {}: has no IPv4 address", args.server))?;
    let psk = match (&args.psk, &args.psk_file) {
        (Some(psk), _) => Secret::new(psk.clone()),
        (None, Some(file)) => first_line("--psk-file", file)?,
        (None, None) => return Err("name --psk or --psk-file".into()),
    };
    let password = first_line("--password-file", &args.password_file)?;
    let mut local = source_towards(server)?;
    let ports = Ports::open(&args, local)?;
    let path = ports.path(server);
    let mut config = ClientConfig::new(path, psk, args.user.clone(), password);
    config.local_natt_port = ports.natt.local().port();
    config.ike.clone_from(&args.ike);
    config.esp.clone_from(&args.esp);
    config.key_log = args.key_log_dir.is_some();
    config.mru = args.mtu;
    let mut key_log = args.key_log_dir.as_deref().map(KeyLog::open).transpose()?;
    let mut core = Dialer::new(config, Box::new(system_entropy))?;
    if args.once {
        core.once();
    }
    let inner = Inner::tun(&tun_setup(&args, None, &[])).await?;
    core.connect(now())?;
    let mut driver = Driver::new(core, ports.ike, ports.natt, ports.esp, inner)?;
    let mut given = None;
    let stop = asked_to_stop();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            turn = driver.turn() => turn?,
        }
        while let Some(event) = driver.core.poll_event() {
            match event {
                ClientEvent::Step {
                    layer,
                    severity: Severity::Info,
                    text,
                } => tracing::info!(layer, "{text}"),
                ClientEvent::Step { layer, text, .. } => tracing::warn!(layer, "{text}"),
                ClientEvent::Connected {
                    address,
                    gateway,
                    dns,
                } => {
                    if let Some(old) = given.replace(address).filter(|old| *old != address) {
                        driver.devices.inner.remove_address(old).await?;
                    }
                    let mut routes: Vec<_> =
                        args.routes.iter().map(|n| (n.address, n.prefix)).collect();
                    routes.push((gateway, 32));
                    let setup = tun_setup(&args, Some(address), &routes);
                    driver.devices.inner.add_address_and_routes(&setup).await?;
                    let dns: Vec<_> = dns.iter().map(Ipv4Addr::to_string).collect();
                    say(&format!(
                        "connected address={address} gateway={gateway} dns={} tun={}",
                        dns.join(","),
                        args.tun
                    ));
                }
                ClientEvent::Disconnected { reason } if driver.core.is_over() => {
                    driver.shutdown().await;
                    return Ok(fail(&format!("disconnected reason={reason}")));
                }
                ClientEvent::Disconnected { reason } => {
                    say(&format!("connection lost reason={reason}"));
                }
                ClientEvent::Redial { after } => {
                    tracing::info!(seconds = after.as_secs_f32(), "calling again");
                    let new = source_towards(server).unwrap_or(local);
                    if new != local {
                        let ports = Ports::open(&args, new)?;
                        local = new;
                        let natt_port = ports.natt.local().port();
                        let (mut core, inner) = (driver.core, driver.devices.inner);
                        core.set_path(ports.path(server), natt_port);
                        driver = Driver::new(core, ports.ike, ports.natt, ports.esp, inner)?;
                    }
                }
                ClientEvent::Key(key) => log_key(&mut key_log, &key),
                _ => {}
            }
        }
    }
    driver.shutdown().await;
    say("disconnected");
    Ok(ExitCode::SUCCESS)
}

/// What is bound to our address.
struct Ports {
    ike: UdpPort,
    natt: UdpPort,
    esp: Option<NativeEsp>,
}

impl Ports {
    fn open(args: &Args, local: IpAddr) -> std::io::Result<Self> {
        Ok(Self {
            ike: UdpPort::bind(SocketAddr::new(local, args.local_port))?,
            natt: UdpPort::bind(SocketAddr::new(local, args.local_natt_port))?,
            esp: NativeEsp::open(local)
                .inspect_err(|e| tracing::warn!("{e}; works only through a NAT"))
                .ok(),
        })
    }

    fn path(&self, remote: SocketAddr) -> Path {
        Path {
            local: self.ike.local(),
            remote,
        }
    }
}

fn tun_setup<'a>(
    args: &'a Args,
    address: Option<Ipv4Addr>,
    routes: &'a [(Ipv4Addr, u8)],
) -> TunSetup<'a> {
    TunSetup {
        name: &args.tun,
        mtu: args.mtu,
        address,
        routes,
        proxied: &[],
        proxy_arp: None,
    }
}

/// Our address on the way to `server`, which NAT detection needs to know.
fn source_towards(server: SocketAddr) -> std::io::Result<IpAddr> {
    #[allow(
        clippy::disallowed_methods,
        reason = "asks the routing table; sends nothing"
    )]
    let probe = std::net::UdpSocket::bind(("0.0.0.0", 0))?;
    probe.connect(server)?;
    Ok(probe.local_addr()?.ip())
}
