//! This crate's NAT and the kernel's side by side.

use crate::common::*;
use firewall::{Config, Interface, Nat, Protocol, Rule, RuleAction, Verdict};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Lan,
    Wan,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Lan => "lan",
            Self::Wan => "wan",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum World {
    Crate,
    Kernel,
}

impl World {
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Crate => 0,
            Self::Kernel => 1,
        }
    }
}

pub(crate) type Packets = Vec<(Side, Vec<u8>)>;

/// The same router twice.
pub(crate) struct Pair {
    net: Net,
    kernel: Kernel,
    /// How many packets had the same fate.
    pub(crate) passed: usize,
    pub(crate) dropped: usize,
}

impl Pair {
    /// None where there is no kernel to ask.
    pub(crate) fn new() -> Option<Self> {
        let mut config = Config::default();
        config.nat = vec![Nat::masquerade()];
        let mut web = Rule::pinhole(RuleAction::ForwardTo(BOB, 8080), Protocol::TCP, 80);
        web.destination = Some(std::net::IpAddr::V4(PUBLIC).into());
        config.rules = vec![web];
        let (mut lan, mut wan) = (Interface::private(), Interface::public());
        lan.own = vec![Ipv4Addr::new(192, 168, 0, 1)];
        wan.own = vec![PUBLIC];
        (lan.mtu, wan.mtu) = (Some(1500), Some(1500));
        Some(Self {
            net: net_of(config, lan, wan),
            kernel: Kernel::new()?,
            passed: 0,
            dropped: 0,
        })
    }

    /// Sends a world's packets into it.
    pub(crate) fn run(&mut self, world: World, side: Side, packets: &[Vec<u8>]) -> Packets {
        let sent = packets.iter().flat_map(|packet| match world {
            World::Crate => through(&mut self.net, side, packet),
            World::Kernel => self.kernel.through(side, packet),
        });
        whole(sent.collect())
    }

    /// Sends packets into both, the same up to ports that the worlds chose: the same must come
    /// out. None where a world has no port yet.
    pub(crate) fn same(
        &mut self,
        side: Side,
        make: impl Fn(World) -> Option<Vec<Vec<u8>>>,
        talk: Option<&mut crate::Talk>,
    ) -> [Packets; 2] {
        let (Some(ours), Some(theirs)) = (make(World::Crate), make(World::Kernel)) else {
            return Default::default();
        };
        let out = [
            self.run(World::Crate, side, &ours),
            self.run(World::Kernel, side, &theirs),
        ];
        let [a, b] = out
            .each_ref()
            .map(|packets| packets.iter().map(canonical).collect::<Vec<_>>());
        assert_eq!(
            a,
            b,
            "\nfrom {side:?}: {}\nhere {:?}\n",
            hex(&ours[0]),
            self.net.firewall.drops()
        );
        if let Some(talk) = talk {
            talk.learn(World::Crate, &out[0]);
            talk.learn(World::Kernel, &out[1]);
        }
        if a.is_empty() {
            self.dropped += 1;
        } else {
            self.passed += 1;
        }
        out
    }
}

/// Through the crate.
fn through(net: &mut Net, side: Side, packet: &[u8]) -> Packets {
    let (lan, wan) = (net.lan, net.wan);
    let side_of = |id| if id == lan { Side::Lan } else { Side::Wan };
    let from = if side == Side::Lan { lan } else { wan };
    net.now += Duration::from_millis(1);
    let mut bytes = packet.to_vec();
    let verdict = net.process(from, &mut bytes);
    let mut out = Packets::new();
    if let Verdict::Forward { egress, .. } = verdict {
        out.push((side_of(egress), bytes));
    } else if let Verdict::TooBig { mtu } = verdict {
        let error = firewall::IcmpError::TooBig(mtu);
        assert!(net.firewall.send_error(net.now, from, packet, error));
    }
    let queued = std::iter::from_fn(|| net.firewall.poll_transmit());
    out.extend(queued.filter_map(|sent| Some((side_of(sent.egress?), sent.packet))));
    out
}

/// Puts fragments together.
fn whole(packets: Packets) -> Packets {
    let mut out = Packets::new();
    let mut pieces: BTreeMap<(Side, Vec<u8>), Vec<Vec<u8>>> = BTreeMap::new();
    for (side, packet) in packets {
        if packet[0] >> 4 == 6 || packet[6] & 0x3f == 0 && packet[7] == 0 {
            out.push((side, packet));
        } else {
            let id = (side, [&packet[4..6], &packet[12..20]].concat());
            pieces.entry(id).or_default().push(packet);
        }
    }
    out.extend(
        pieces
            .into_iter()
            .map(|((side, _), pieces)| (side, reassemble(&pieces))),
    );
    out
}

/// Without what routers change and NATs choose, after a look at every checksum.
fn canonical((side, packet): &(Side, Vec<u8>)) -> (Side, String) {
    let mut packet = packet.clone();
    let error = packet[9] == 1 && matches!(packet[20], 3 | 11 | 12);
    if error {
        assert_eq!(icmp_sum(&packet[20..]), 0);
        packet[22..24].fill(0);
        let (outer, quoted) = packet.split_at_mut(28);
        neutral(outer, false);
        neutral(quoted, true);
    } else {
        let _ = ends(&packet);
        neutral(&mut packet, false);
        let at = 20
            + match packet[9] {
                17 => 6,
                6 => 16,
                _ => 2,
            };
        packet[at..at + 2].fill(0);
    }
    (*side, hex(&packet))
}

/// An IP header and the port that a NAT chose.
fn neutral(packet: &mut [u8], quoted: bool) {
    packet[4..6].fill(0);
    packet[8] = 0;
    packet[10..12].fill(0);
    for (address, port) in [(12, 20), (16, 22)] {
        if packet[address..address + 4] != PUBLIC.octets() {
            continue;
        }
        let at = if packet[9] == 1 { 24 } else { port };
        if let Some(port) = packet.get_mut(at..at + 2) {
            port.fill(0);
        }
        let sum = match packet[9] {
            1 => 22,
            6 => 36,
            _ => 26,
        };
        if quoted && let Some(sum) = packet.get_mut(sum..sum + 2) {
            sum.fill(0);
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A network namespace with two TUN devices and `nat.nft` between them.
struct Kernel {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Kernel {
    fn new() -> Option<Self> {
        let here = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kernel");
        let mut child = Command::new("unshare")
            .args(["-n", "python3", "shuttle.py"])
            .current_dir(here)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn();
        let started = child.as_mut().ok().and_then(|child| {
            let input = child.stdin.take()?;
            let output = BufReader::new(child.stdout.take()?);
            Some((input, output))
        });
        if let (Ok(child), Some((input, output))) = (child, started) {
            let mut kernel = Self {
                child,
                input,
                output,
            };
            if kernel.line() == "ready" {
                return Some(kernel);
            }
        }
        assert!(
            std::env::var_os("KERNEL_NAT").is_none(),
            "no NAT of the kernel's"
        );
        eprintln!("skipped: no NAT of the kernel's (root, a namespace, TUN, nft, python3)");
        None
    }

    fn through(&mut self, side: Side, packet: &[u8]) -> Packets {
        writeln!(self.input, "{} {}", side.name(), hex(packet)).unwrap();
        let lines = std::iter::from_fn(|| Some(self.line()).filter(|line| line != "."));
        let parsed = lines.map(|line| {
            let (side, digits) = line.split_once(' ').unwrap();
            let side = if side == "lan" { Side::Lan } else { Side::Wan };
            let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
            (side, (0..digits.len()).step_by(2).map(byte).collect())
        });
        parsed.collect()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert!(!line.is_empty() || self.child.try_wait().is_ok());
        line.trim().to_owned()
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
