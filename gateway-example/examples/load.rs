//! Thousands of road warriors in one process, or a flood in the name of as many, for the harness.
//!
//! They speak through a TUN device, each from an address of its own in 10.64.0.0/10, and all believe
//! that theirs is 192.168.1.2, as behind NATs. Route 10.64.0.0/10 to where this runs.
#![allow(clippy::print_stdout, reason = "its report")]

use clap::Parser;
use gateway_example::capture::{parse_udp, udp_packet};
use gateway_example::config::Secret;
use gateway_example::core::{Client, ClientConfig, ClientEvent, Core, Forward, HEADROOM, Path};
use gateway_example::core::{TAILROOM, Transmit};
use gateway_example::io::{Inner, TunSetup, now};
use std::collections::BTreeSet;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

#[derive(Parser)]
struct Args {
    /// The gateway.
    #[arg(long)]
    server: Ipv4Addr,
    /// How many clients; with --flood, how many addresses.
    #[arg(long, default_value_t = 10_000)]
    clients: u32,
    /// Connections begun in a second; with --flood, packets sent.
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// When to end.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Seconds between the pings of one client.
    #[arg(long, default_value_t = 10)]
    every: u32,
    /// Whom to ping.
    #[arg(long, default_value = "192.168.8.10")]
    ping: Ipv4Addr,
    /// The pre-shared key.
    #[arg(long)]
    psk: String,
    /// Users are this with a number.
    #[arg(long, default_value = "user")]
    user: String,
    /// Everybody's password.
    #[arg(long, default_value = "secret")]
    password: String,
    /// The first proposal of phase 1.
    #[arg(long, default_value = "aes128-sha256-ecp256")]
    ike: String,
    /// The proposal of phase 2.
    #[arg(long, default_value = "aes128-sha1")]
    esp: String,
    /// Send only first messages of main mode, each in the name of another.
    #[arg(long)]
    flood: bool,
    /// Where to, with --flood: to a port where nobody listens, it shows what the flood alone costs.
    #[arg(long, default_value_t = 500)]
    port: u16,
}

const TUN: &str = "load0";
/// A flood of no more than this; what is asked for beyond is refused.
const MOST_IN_A_SECOND: u32 = 100_000;
const LONGEST: Duration = Duration::from_secs(600);

struct Warrior {
    client: Client,
    address: Option<Ipv4Addr>,
    deadline: Option<Instant>,
    sequence: u16,
}

#[derive(Default)]
struct Tally {
    connected: usize,
    lost: usize,
    pings: u64,
    answers: u64,
}

struct Load {
    args: Args,
    inner: Inner,
    warriors: Vec<Warrior>,
    deadlines: BTreeSet<(Instant, usize)>,
    tally: Tally,
    last_reason: Option<String>,
}

/// The address that a client has on the outside.
fn outside(index: usize) -> Ipv4Addr {
    let number = u32::try_from(index).unwrap_or(0) & 0x3f_ffff;
    Ipv4Addr::from(0x0a40_0000 | number)
}

fn warrior_at(address: Ipv4Addr) -> usize {
    usize::try_from(u32::from(address) & 0x3f_ffff).unwrap_or(usize::MAX)
}

fn entropy() -> gateway_example::core::Entropy {
    Box::new(|| Box::new(rand_core::UnwrapErr(getrandom::SysRng)))
}

fn client(args: &Args, index: usize) -> Result<Client, Box<dyn Error>> {
    let path = Path {
        local: SocketAddr::from(([192, 168, 1, 2], 500)),
        remote: SocketAddr::from((args.server, 500)),
    };
    let secret = |text: &str| Secret::new(text.to_owned());
    let user = format!("{}{index}", args.user);
    let mut config = ClientConfig::new(path, secret(&args.psk), user, secret(&args.password));
    config.ike = vec![args.ike.clone()];
    config.esp = vec![args.esp.clone()];
    Ok(Client::new(config, entropy())?)
}

impl Load {
    fn begin(&mut self) -> Result<(), Box<dyn Error>> {
        let index = self.warriors.len();
        let mut client = client(&self.args, index)?;
        client.connect(now())?;
        self.warriors.push(Warrior {
            client,
            address: None,
            deadline: None,
            sequence: 0,
        });
        self.drain(index);
        Ok(())
    }

    fn send(&self, index: usize, path: Path, payload: &[u8]) {
        let source = SocketAddr::from((outside(index), path.local.port()));
        let packet = udp_packet(source, path.remote, payload);
        // What the device does not take is lost, as on any way.
        let _ = self.inner.send(&[&packet]);
    }

    /// Sends what the client has to say, and notes what has become of it.
    fn drain(&mut self, index: usize) {
        loop {
            let Some(warrior) = self.warriors.get_mut(index) else {
                return;
            };
            let Some(Transmit::Udp { path, payload }) = warrior.client.poll_transmit() else {
                break;
            };
            self.send(index, path, &payload);
        }
        let Some(warrior) = self.warriors.get_mut(index) else {
            return;
        };
        while let Some(event) = warrior.client.poll_event() {
            match event {
                ClientEvent::Connected { address, .. } => {
                    self.tally.connected += usize::from(warrior.address.is_none());
                    warrior.address = Some(address);
                }
                ClientEvent::Disconnected { reason } => {
                    self.tally.lost += 1;
                    self.tally.connected -= usize::from(warrior.address.take().is_some());
                    self.last_reason = Some(reason);
                }
                _ => {}
            }
        }
        let deadline = warrior.client.poll_timeout();
        if deadline != warrior.deadline {
            if let Some(at) = std::mem::replace(&mut warrior.deadline, deadline) {
                self.deadlines.remove(&(at, index));
            }
            if let Some(at) = deadline {
                self.deadlines.insert((at, index));
            }
        }
    }

    fn ping(&mut self, index: usize) {
        let Some(warrior) = self.warriors.get_mut(index) else {
            return;
        };
        let Some(address) = warrior.address else {
            return;
        };
        warrior.sequence = warrior.sequence.wrapping_add(1);
        let echo = ping(address, self.args.ping, warrior.sequence);
        let mut buf = vec![0; HEADROOM];
        buf.extend(&echo);
        let range = HEADROOM..buf.len();
        buf.resize(buf.len() + TAILROOM, 0);
        if let Forward::Udp { path, payload } = warrior.client.handle_inner(now(), &mut buf, range)
        {
            self.tally.pings += 1;
            self.send(index, path, buf.get(payload).unwrap_or_default());
        }
    }

    fn receive(&mut self, buf: &mut [u8]) -> std::io::Result<bool> {
        let Some((packet, _)) = self.inner.receive(buf)? else {
            return Ok(false);
        };
        let start = packet.start;
        let parsed = buf.get(packet).and_then(parse_udp);
        let Some((from, to, payload)) = parsed else {
            return Ok(true);
        };
        let SocketAddr::V4(to) = to else {
            return Ok(true);
        };
        let index = warrior_at(*to.ip());
        let path = Path {
            local: SocketAddr::from(([192, 168, 1, 2], to.port())),
            remote: from,
        };
        let Some(warrior) = self.warriors.get_mut(index) else {
            return Ok(true);
        };
        let range = start + payload.start..start + payload.end;
        let forward = warrior.client.handle_udp(now(), path, buf, range);
        self.tally.answers += u64::from(matches!(forward, Forward::Inner(_)));
        self.drain(index);
        Ok(true)
    }

    fn timeouts(&mut self) {
        let now = now();
        while let Some((at, index)) = self.deadlines.first().copied() {
            if at > now {
                break;
            }
            self.deadlines.remove(&(at, index));
            if let Some(warrior) = self.warriors.get_mut(index) {
                warrior.deadline = None;
                warrior.client.handle_timeout(now);
            }
            self.drain(index);
        }
    }

    fn report(&self, start: Instant) {
        let t = &self.tally;
        println!(
            "seconds={:.1} begun={} connected={} lost={} pings={} answers={} last={}",
            start.elapsed().as_secs_f64(),
            self.warriors.len(),
            t.connected,
            t.lost,
            t.pings,
            t.answers,
            self.last_reason.as_deref().unwrap_or("-"),
        );
    }

    async fn run(&mut self) -> Result<(), Box<dyn Error>> {
        let start = now();
        let end = start + Duration::from_secs(self.args.seconds).min(LONGEST);
        let mut buf = vec![0; 1 << 17];
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut next_report, mut to_ping, mut at) = (start, 0.0, 0);
        let mut last = start;
        while now() < end {
            tokio::select! {
                _ = tick.tick() => {}
                readable = self.inner.readable() => readable?,
            }
            for _ in 0..512 {
                if !self.receive(&mut buf)? {
                    break;
                }
            }
            self.timeouts();
            let elapsed = now() - start;
            let due = elapsed.as_secs_f64() * f64::from(self.args.rate);
            let due = due.min(f64::from(self.args.clients));
            for _ in 0..16 {
                #[allow(clippy::cast_precision_loss, reason = "small numbers")]
                if self.warriors.len() as f64 >= due {
                    break;
                }
                self.begin()?;
            }
            #[allow(clippy::cast_precision_loss, reason = "small numbers")]
            let each = self.warriors.len() as f64 / f64::from(self.args.every.max(1));
            to_ping += (now() - last).as_secs_f64() * each;
            last = now();
            while to_ping >= 1.0 {
                to_ping -= 1.0;
                self.ping(at);
                at = (at + 1) % self.warriors.len().max(1);
            }
            if now() >= next_report {
                self.report(start);
                next_report += Duration::from_secs(1);
            }
        }
        self.report(start);
        Ok(())
    }

    /// First messages of main mode, each with another cookie and address.
    async fn flood(&mut self) -> Result<(), Box<dyn Error>> {
        let mut sample = client(&self.args, 0)?;
        sample.connect(now())?;
        let Some(Transmit::Udp { mut path, payload }) = sample.poll_transmit() else {
            return Err("no first message".into());
        };
        path.remote.set_port(self.args.port);
        let start = now();
        let length = Duration::from_secs(self.args.seconds).min(LONGEST);
        let rate = self.args.rate.min(MOST_IN_A_SECOND);
        let mut sent: u64 = 0;
        let mut tick = tokio::time::interval(Duration::from_millis(2));
        let mut buf = vec![0; 1 << 17];
        while start.elapsed() < length {
            tick.tick().await;
            let due = start.elapsed().as_secs_f64() * f64::from(rate);
            #[allow(clippy::cast_precision_loss, reason = "small numbers")]
            while (sent as f64) < due {
                let address = 1_000_000 + sent % u64::from(self.args.clients.max(1));
                let mut message = payload.clone();
                if let Some(cookie) = message.first_chunk_mut::<8>() {
                    *cookie = (sent + 1).to_be_bytes();
                }
                self.send(usize::try_from(address)?, path, &message);
                sent += 1;
            }
            while self.inner.receive(&mut buf)?.is_some() {
                self.tally.answers += 1;
            }
        }
        println!(
            "flood: sent={sent} in {:.1} s, answered={}",
            start.elapsed().as_secs_f64(),
            self.tally.answers
        );
        Ok(())
    }
}

/// An ICMP echo request (RFC 792).
fn ping(from: Ipv4Addr, to: Ipv4Addr, sequence: u16) -> Vec<u8> {
    let [high, low] = sequence.to_be_bytes();
    let sum = |bytes: &[u8]| {
        let words = bytes.chunks(2);
        let sum: u32 = words
            .map(|w| u32::from(w[0]) << 8 | w.get(1).map_or(0, |b| u32::from(*b)))
            .sum();
        let sum = (sum >> 16) + (sum & 0xffff);
        !u16::try_from((sum >> 16) + (sum & 0xffff)).unwrap_or(0)
    };
    let mut icmp = vec![8, 0, 0, 0, 0, 1, high, low, 0, 0, 0, 0];
    let check = sum(&icmp).to_be_bytes();
    icmp.splice(2..4, check);
    let mut packet = vec![0x45, 0, 0, 32, 0, 0, 0x40, 0, 64, 1, 0, 0];
    packet.extend(from.octets());
    packet.extend(to.octets());
    let check = sum(&packet).to_be_bytes();
    packet.splice(10..12, check);
    packet.extend(icmp);
    packet
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let setup = TunSetup {
            name: if args.flood { "flood0" } else { TUN },
            mtu: 1500,
            address: None,
            routes: &[if args.flood {
                (Ipv4Addr::new(10, 79, 0, 0), 16)
            } else {
                (Ipv4Addr::new(10, 64, 0, 0), 14)
            }],
            proxied: &[],
            proxy_arp: None,
        };
        let mut load = Load {
            inner: Inner::tun(&setup).await?,
            args,
            warriors: Vec::new(),
            deadlines: BTreeSet::new(),
            tally: Tally::default(),
            last_reason: None,
        };
        if load.args.flood {
            load.flood().await
        } else {
            load.run().await
        }
    })
}
