//! A whole system in one process, over real loopback sockets and without privilege:
//!
//! ```text
//! alice, bob, carol -- cables -- [hotel NAT 127.0.0.2] -- UDP -- [gateway 127.0.0.1] -- office host
//! ```
//!
//! A cable is a loopback socket that carries IP packets, so that the road warriors have private
//! addresses; the NAT is the `firewall` crate; the gateway is the code of `gateway run` with a
//! channel for a TUN device; the office host's TCP/IP is smoltcp.

mod host;
mod nat;
mod timeline;
mod warrior;

use crate::capture::{KeyLog, PcapNg, esp_packet, udp_packet};
use crate::config::{Config, Secret};
use crate::core::{Client, ClientConfig, Entropy, Gateway, GatewayEvent, Path, Severity};
use crate::io::{Driver, Inner, Tap, UdpPort, now, wall_clock};
use futures_util::future::join_all;
use host::{Host, WebServer};
use nat::Nat;
use std::fs::File;
use std::io::{self, BufWriter};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use timeline::Timeline;
use tokio::sync::mpsc;
use warrior::Warrior;

const OFFICE_HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 8, 10);
const PINGS: usize = 3;
const PAGE: &str = "<h1>Welcome to the office intranet</h1>\n";
const GATEWAY: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// The road warriors: name, password, private address, phase 1, phase 2.
const WARRIORS: [(&str, &str, [u8; 4], &str, &str); 3] = [
    (
        "alice",
        "wonderland",
        [192, 168, 1, 10],
        "aes256-sha1-modp2048",
        "aes256-sha1",
    ),
    (
        "bob",
        "builder",
        [192, 168, 1, 11],
        "3des-sha1-modp1024",
        "3des-sha1",
    ),
    (
        "carol",
        "christmas",
        [192, 168, 1, 12],
        "aes256-sha256-ecp384",
        "aes128-sha256",
    ),
];

/// How to run the demonstration.
#[derive(Debug)]
pub struct Options {
    /// Where to leave `demo.pcapng` and `demo-keys`; made if it is not there.
    pub out: PathBuf,
    /// Prints one line.
    pub print: fn(&str),
    /// Makes random sources.
    pub entropy: fn() -> Entropy,
}

type Capture = Arc<Mutex<PcapNg<BufWriter<File>>>>;

/// The demonstration.
#[derive(Debug)]
pub struct Demo;

impl Demo {
    /// Runs it; true if every step went well and the gateway was left with nothing.
    ///
    /// # Errors
    /// What the system gave: a file that cannot be written, a port that cannot be bound.
    pub async fn run(options: Options) -> io::Result<bool> {
        let timeline = Timeline::new(now(), options.print);
        let capture_path = options.out.join("demo.pcapng");
        std::fs::create_dir_all(&options.out)
            .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", options.out.display())))?;
        let file = File::create(&capture_path)
            .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", capture_path.display())))?;
        let mut pcap = PcapNg::new(BufWriter::new(file))?;
        let [outside, inside] = [pcap.interface("internet")?, pcap.interface("office")?];
        let capture: Capture = Arc::new(Mutex::new(pcap));
        let keys = options.out.join("demo-keys");
        // The keys of an earlier run are of no use.
        let _ = std::fs::remove_dir_all(&keys);
        let mut key_log = KeyLog::open(&keys)?;

        let ike = bind([500, 10_500])?;
        let natt = bind([4500, 14_500])?;
        let ports = [ike.local().port(), natt.local().port()];
        let text = include_str!("office.toml").replace(
            "listen =",
            &format!(
                "key_log_dir = {:?}\nike_port = {}\nnatt_port = {}\nlisten =",
                keys, ports[0], ports[1]
            ),
        );
        let config = Config::parse("office.toml".as_ref(), &text).map_err(io::Error::other)?;
        let core = Gateway::new(Arc::new(config), (options.entropy)()).map_err(io::Error::other)?;
        timeline.say(&format!(
            "gateway on {GATEWAY}, UDP {} and {}; office host {OFFICE_HOST} behind it; \
             three road warriors behind one NAT at {}\n",
            ports[0],
            ports[1],
            nat::PUBLIC
        ));

        let (inner, from_gateway, to_gateway) = Inner::channel();
        let mut driver = Driver::new(core, ike, natt, None, inner)?;
        driver.devices.tap = Some(tap(Arc::clone(&capture), outside));

        let hotel = Nat::new(timeline.clone(), (options.entropy)()()).await?;
        let cable = hotel.cable()?;
        let mut warriors = Vec::new();
        for (name, password, address, ike, esp) in WARRIORS {
            let path = Path {
                local: SocketAddr::from((address, 500)),
                remote: SocketAddr::from((GATEWAY, ports[0])),
            };
            let psk = Secret::new("demonstration7only2do8not3reuse".into());
            let mut config =
                ClientConfig::new(path, psk, name.into(), Secret::new(password.into()));
            config.remote_natt_port = ports[1];
            config.ike = vec![ike.into()];
            config.esp = vec![esp.into()];
            let client = Client::new(config, (options.entropy)()).map_err(io::Error::other)?;
            warriors.push(Warrior::new(name, client, cable, timeline.clone()).await?);
        }

        let office = office(from_gateway, to_gateway, Arc::clone(&capture), inside);
        let hotel = hotel.run();
        tokio::pin!(office, hotel);
        let mut all_good = true;
        let visit = async {
            let mut good = true;
            for result in join_all(warriors.into_iter().map(Warrior::run)).await {
                good &= result?;
            }
            // Let the last DELETE arrive.
            tokio::time::sleep(Duration::from_millis(200)).await;
            Ok::<bool, io::Error>(good)
        };
        tokio::pin!(visit);
        loop {
            tokio::select! {
                good = &mut visit => { all_good &= good?; break; }
                turn = driver.turn() => turn?,
                never = &mut office => never?,
                never = &mut hotel => never?,
            }
            log(&mut driver.core, &timeline, &mut key_log)?;
        }
        log(&mut driver.core, &timeline, &mut key_log)?;

        let status = driver.core.status(now());
        let clean = status.isakmp_sas == 0
            && status.esp_sas == 0
            && status.l2tp_tunnels == 0
            && status.l2tp_sessions == 0;
        let left = format!(
            "left: {} ISAKMP SAs, {} ESP SAs, {} tunnels, {} sessions",
            status.isakmp_sas, status.esp_sas, status.l2tp_tunnels, status.l2tp_sessions
        );
        timeline.step(now(), "gateway", "end", Severity::of(clean), &left);
        drop(driver);
        capture
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .flush()?;
        timeline.say(&format!(
            "\n{} To look inside with the keys in {}:\n\n  \
             WIRESHARK_CONFIG_DIR={} wireshark -o esp.enable_encryption_decode:TRUE {}{}",
            if all_good && timeline.failures() == 0 {
                "Everything worked."
            } else {
                "Something failed, see above."
            },
            keys.display(),
            keys.display(),
            if ports[0] == 500 {
                String::new()
            } else {
                format!(
                    "-d udp.port=={},isakmp -d udp.port=={},udpencap ",
                    ports[0], ports[1]
                )
            },
            capture_path.display()
        ));
        Ok(all_good && timeline.failures() == 0)
    }
}

/// The first of `ports` that can be had: 500 needs privilege or may be taken.
fn bind(ports: [u16; 2]) -> io::Result<UdpPort> {
    let [standard, other] = ports.map(|port| SocketAddr::from((GATEWAY, port)));
    UdpPort::bind(standard).or_else(|_| UdpPort::bind(other))
}

fn tap(capture: Capture, interface: u32) -> Tap {
    Tap(Box::new(move |from, to, payload, native| {
        let packet = if native {
            esp_packet(from.ip(), to.ip(), payload)
        } else {
            udp_packet(from, to, payload)
        };
        record(&capture, interface, &packet);
    }))
}

fn record(capture: &Capture, interface: u32, packet: &[u8]) {
    let mut pcap = capture.lock().unwrap_or_else(PoisonError::into_inner);
    // A capture that cannot be written shows at the end; the demonstration goes on.
    let _ = pcap.packet(interface, wall_clock(), packet, None);
}

fn log(core: &mut Gateway, timeline: &Timeline, key_log: &mut KeyLog) -> io::Result<()> {
    while let Some(event) = core.poll_event() {
        match event {
            // The road warriors tell the same story from their end.
            GatewayEvent::Step {
                severity: Severity::Info,
                ..
            } => {}
            GatewayEvent::Step {
                layer,
                severity,
                text,
                ..
            } => {
                timeline.step(now(), "gateway", layer, severity, &text);
            }
            GatewayEvent::Key(key) => key.write(key_log)?,
            GatewayEvent::Plain(_) => {}
        }
    }
    Ok(())
}

/// The host behind the gateway: answers pings and serves a page.
async fn office(
    mut from_gateway: mpsc::Receiver<Vec<u8>>,
    to_gateway: mpsc::Sender<Vec<u8>>,
    capture: Capture,
    interface: u32,
) -> io::Result<()> {
    let mut host = Host::new(OFFICE_HOST, 24, now());
    let page = format!("HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n{PAGE}");
    let mut server = WebServer::new(&mut host, WARRIORS.len(), page.into_bytes());
    loop {
        host.poll(now());
        server.poll(&mut host);
        host.poll(now());
        while let Some(packet) = host.transmit() {
            record(&capture, interface, &packet);
            // As on any network, what finds no room is lost.
            let _ = to_gateway.try_send(packet);
        }
        let delay = host.delay(now()).unwrap_or(Duration::from_secs(1));
        tokio::select! {
            Some(packet) = from_gateway.recv() => {
                record(&capture, interface, &packet);
                host.receive(packet);
            }
            () = tokio::time::sleep(delay) => {}
        }
    }
}
