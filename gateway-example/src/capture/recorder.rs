use super::{PcapNg, esp_packet, udp_packet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Packets that wait to be written at most; more are counted as missed.
const WAITING: usize = 4096;

/// A capture that is taken while the gateway runs, in a thread of its own: a slow disk loses
/// packets of the capture, never of the clients.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    sender: SyncSender<Taken>,
    counts: Arc<Counts>,
    thread: JoinHandle<io::Result<()>>,
}

#[derive(Debug, Default)]
struct Counts {
    packets: AtomicU64,
    bytes: AtomicU64,
    missed: AtomicU64,
    full: AtomicBool,
}

#[derive(Debug)]
struct Taken {
    interface: Interface,
    at: Duration,
    packet: Vec<u8>,
}

/// Where a packet was seen; each is an interface of the capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interface {
    /// Towards the clients: IKE and ESP.
    Outer,
    /// Towards the office: what was inside.
    Inner,
    /// IKE messages before encryption.
    Ike,
}

/// The port that makes Wireshark read a datagram as ISAKMP, without a marker before it.
const IKE_PORT: u16 = 500;

impl Interface {
    const NAMES: [&str; 3] = ["outer", "inner", "ike decrypted"];

    fn number(self) -> u32 {
        match self {
            Self::Outer => 0,
            Self::Inner => 1,
            Self::Ike => 2,
        }
    }
}

/// What has been captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// In which file.
    pub path: PathBuf,
    /// Packets written.
    pub packets: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Packets that came faster than they could be written.
    pub missed: u64,
    /// Whether the limit was reached.
    pub full: bool,
}

impl Recorder {
    /// Begins a capture of at most `limit` bytes in a new file at `path`, readable by its owner
    /// alone.
    ///
    /// # Errors
    /// What the file system gave; a file that exists already is left alone.
    pub fn start(path: &Path, limit: u64) -> io::Result<Self> {
        let explain = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(explain)?;
        let mut capture = PcapNg::new(BufWriter::new(file))?;
        for name in Interface::NAMES {
            capture.interface(name)?;
        }
        let (sender, taken) = sync_channel(WAITING);
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        let thread = std::thread::Builder::new()
            .name("capture".into())
            .spawn(move || write(capture, &taken, &shared, limit))?;
        Ok(Self {
            path: path.to_owned(),
            sender,
            counts,
            thread,
        })
    }

    /// A datagram between a client and us: its UDP payload, or ESP if `native`.
    pub fn outer(
        &self,
        at: Duration,
        from: SocketAddr,
        to: SocketAddr,
        payload: &[u8],
        native: bool,
    ) {
        self.take(Interface::Outer, at, || {
            if native {
                esp_packet(from.ip(), to.ip(), payload)
            } else {
                udp_packet(from, to, payload)
            }
        });
    }

    /// An IP packet between us and the office.
    pub fn inner(&self, at: Duration, packet: &[u8]) {
        self.take(Interface::Inner, at, || packet.to_vec());
    }

    /// An IKE message in the clear, whatever its ports were.
    pub fn ike(&self, at: Duration, message: &isakmp::PlainMessage) {
        self.take(Interface::Ike, at, || {
            let path = message.path();
            let [local, remote] =
                [path.local, path.remote].map(|a| SocketAddr::new(a.ip(), IKE_PORT));
            let (from, to) = if message.is_outgoing() {
                (local, remote)
            } else {
                (remote, local)
            };
            udp_packet(from, to, message.as_bytes())
        });
    }

    fn take(&self, interface: Interface, at: Duration, packet: impl FnOnce() -> Vec<u8>) {
        if self.counts.full.load(Ordering::Relaxed) {
            return;
        }
        let taken = Taken {
            interface,
            at,
            packet: packet(),
        };
        if self.sender.try_send(taken).is_err() {
            self.counts.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What has been captured so far.
    #[must_use]
    pub fn so_far(&self) -> Recorded {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Recorded {
            path: self.path.clone(),
            packets: read(&self.counts.packets),
            bytes: read(&self.counts.bytes),
            missed: read(&self.counts.missed),
            full: self.counts.full.load(Ordering::Relaxed),
        }
    }

    /// Ends the capture, once all that waits is written.
    ///
    /// # Errors
    /// What writing to the file gave.
    pub fn stop(self) -> io::Result<Recorded> {
        let Self {
            path,
            sender,
            counts,
            thread,
        } = self;
        drop(sender);
        let written = thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("capture thread")));
        written?;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Ok(Recorded {
            path,
            packets: read(&counts.packets),
            bytes: read(&counts.bytes),
            missed: read(&counts.missed),
            full: counts.full.load(Ordering::Relaxed),
        })
    }
}

fn write(
    mut capture: PcapNg<BufWriter<File>>,
    taken: &Receiver<Taken>,
    counts: &Counts,
    limit: u64,
) -> io::Result<()> {
    while let Ok(first) = taken.recv() {
        for taken in std::iter::once(first).chain(taken.try_iter()) {
            let length = PcapNg::<File>::packet_size(taken.packet.len());
            if capture.written() + length > limit {
                counts.full.store(true, Ordering::Relaxed);
                continue;
            }
            let written = capture.packet(taken.interface.number(), taken.at, &taken.packet, None);
            if let Err(e) = written {
                counts.full.store(true, Ordering::Relaxed);
                return Err(e);
            }
            counts.packets.fetch_add(1, Ordering::Relaxed);
            counts.bytes.store(capture.written(), Ordering::Relaxed);
        }
        capture.flush()?;
    }
    capture.flush()
}

#[cfg(test)]
mod tests {
    use super::Recorder;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    #[test]
    fn a_capture_is_private_bounded_and_never_overwrites() {
        let name = format!("gateway-capture-{}.pcapng", std::process::id());
        let path = std::env::temp_dir().join(name);
        let recorder = Recorder::start(&path, 2000).unwrap();
        let again = Recorder::start(&path, 2000);
        assert_eq!(again.unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
        let (client, us) = ("203.0.113.9:4500", "198.51.100.1:4500");
        let [client, us] = [client, us].map(|a| a.parse().unwrap());
        for n in 0..100 {
            let at = Duration::from_millis(n);
            recorder.outer(at, client, us, &[7; 64], false);
            recorder.inner(at, &[0x45; 40]);
        }
        let done = recorder.stop().unwrap();
        let metadata = std::fs::metadata(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        assert!(metadata.len() <= 2000 && metadata.len() > 1500);
        assert_eq!(done.bytes, metadata.len());
        assert!(done.full && done.packets > 10 && done.missed == 0);
        // Whole blocks to the end, as many as were counted.
        let mut at = 0;
        let mut packets = 0;
        while at < bytes.len() {
            let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            let length = usize::try_from(word(at + 4)).unwrap();
            packets += u64::from(word(at) == 6);
            assert_eq!(word(at + length - 4), word(at + 4));
            at += length;
        }
        assert_eq!(packets, done.packets);
    }
}
