use super::alarm::Alarm;
use super::cores::in_parts;
use super::pace::{Gather, Share};
use super::workers::Workers;
use super::{Inner, NativeEsp, UdpPort, inner, now, udp};
use crate::config::GATHER_MICROSECONDS;
use crate::core::{BATCH, Core, Datagram, Destination, Outbox, Path, Run, Spread, Transmit, Work};
use arrayvec::ArrayVec;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Reads in a row, each of many packets, before timers and the other devices get their turn.
const BURST: usize = 4;

/// Packets of IP protocol 50 that are dealt with together.
const ESP_READ: usize = 16;

/// How long an orderly goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// Moves packets and time between a [`Core`] and the system.
#[derive(Debug)]
pub struct Driver<C> {
    /// The protocol.
    pub core: C,
    /// What it speaks through.
    pub devices: Devices,
    /// Every packet is read into it.
    buffer: Vec<u8>,
    /// Every packet to the outside leaves from it.
    outbox: Outbox,
    workers: Workers,
    share: Share,
    gather: Gather,
    alarm: Alarm,
    /// The last turn had nothing to wait for.
    hot: bool,
}

/// Where packets come from and go to.
#[derive(Debug)]
pub struct Devices {
    ike: UdpPort,
    natt: UdpPort,
    esp: Option<NativeEsp>,
    /// The unencrypted side.
    pub inner: Inner,
    /// How many threads packets are sent by, and what has them do it; none for this one only.
    pub spread: Option<(NonZeroUsize, Arc<dyn Spread>)>,
    /// Called with each packet on the outside.
    pub tap: Option<Tap>,
    /// Called with each packet on the unencrypted side.
    pub inner_tap: Option<InnerTap>,
    lost: u64,
}

/// Sees every packet on the outside.
pub struct Tap(pub Box<Observer>);

/// Sees every packet on the unencrypted side.
pub struct InnerTap(pub Box<InnerObserver>);

type InnerObserver = dyn FnMut(&[u8]) + Send;

impl std::fmt::Debug for InnerTap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InnerTap")
    }
}

/// From, to, payload, and whether it is native ESP.
type Observer = dyn FnMut(SocketAddr, SocketAddr, &[u8], bool) + Send;

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tap")
    }
}

enum Ready {
    Packet,
    Computed(Box<isakmp::JobResult>),
    Timeout,
}

impl<C: Core> Driver<C> {
    /// Joins `core` to its devices.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn new(
        core: C,
        ike: UdpPort,
        natt: UdpPort,
        esp: Option<NativeEsp>,
        inner: Inner,
    ) -> io::Result<Self> {
        Ok(Self {
            core,
            devices: Devices {
                ike,
                natt,
                esp,
                inner,
                spread: None,
                tap: None,
                inner_tap: None,
                lost: 0,
            },
            buffer: vec![0; udp::READ.max(inner::READ)],
            outbox: Outbox::default(),
            workers: Workers::start()?,
            share: Share::default(),
            gather: Gather::new(GATHER_MICROSECONDS),
            alarm: Alarm::default(),
            hot: true,
        })
    }

    /// Waits for packets or for time and deals with them. May be dropped at any wait.
    ///
    /// # Errors
    /// What a device gave that will not mend itself.
    pub async fn turn(&mut self) -> io::Result<()> {
        self.flush();
        // Being woken by the next packet only to sleep costs twice what the sleep alone does.
        let slept = self.gather.goes_on() && self.let_gather();
        // While one of them is always ready, the runtime would not look at the others.
        if std::mem::replace(&mut self.hot, true) || slept {
            tokio::task::yield_now().await;
        }
        match self.ready().await? {
            Ready::Computed(result) => {
                self.core.finish(now(), *result);
                while let Some(result) = self.workers.try_done() {
                    self.core.finish(now(), result);
                }
            }
            Ready::Packet => {
                if !slept {
                    self.let_gather();
                }
                // The others may be ready as well, and waiting costs a system call each.
                let start = now();
                let mut count = self.receive_udp(true, BURST)?;
                count += self.receive_esp()?;
                count += self.receive_inner()?;
                self.gather.note(count);
                let (busy, then) = (count > 0, now());
                if self.share.may_greet(busy) {
                    self.receive_udp(false, if busy { 1 } else { BURST })?;
                    self.flush();
                }
                self.share.note(then - start, now() - then);
            }
            Ready::Timeout => self.core.handle_timeout(now()),
        }
        self.flush();
        Ok(())
    }

    /// Waits until there is something to do, and notes whether that was at once.
    async fn ready(&mut self) -> io::Result<Ready> {
        let (hot, workers, devices) = (&mut self.hot, &mut self.workers, &mut self.devices);
        let ready = devices.ready(&mut self.alarm, self.core.poll_timeout());
        let ready = async {
            tokio::select! {
                ready = ready => ready,
                result = workers.done() => Ok(Ready::Computed(Box::new(result))),
            }
        };
        let mut ready = pin!(ready);
        let ready = poll_fn(|context| {
            let ready = ready.as_mut().poll(context);
            *hot &= ready.is_ready();
            ready
        });
        ready.await
    }

    /// Says goodbye to every peer and waits a little for their answers.
    pub async fn shutdown(&mut self) {
        self.core.shutdown(now());
        let goodbye = async { while !self.core.is_idle() && self.turn().await.is_ok() {} };
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
        self.flush();
    }

    /// Packets that the system did not take, for want of room.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.devices.lost
    }

    /// Lets packets gather for up to so long before they are read, while they come fast; 0 for never.
    pub fn gather(&mut self, microseconds: u16) {
        self.gather = Gather::new(microseconds);
    }

    /// Sleeps while packets gather, if that is worth it.
    fn let_gather(&mut self) -> bool {
        let pause = self.gather.pause(now());
        if let Some(pause) = pause {
            sleep(pause);
        }
        pause.is_some()
    }

    /// Reads up to `most` times; gives how many datagrams there were.
    fn receive_udp(&mut self, natt: bool, most: usize) -> io::Result<usize> {
        let mut count = 0;
        for _ in 0..most {
            let devices = &mut self.devices;
            let port = if natt { &devices.natt } else { &devices.ike };
            let datagrams = port.receive(&mut self.buffer)?;
            let passed = pass(&mut self.core, devices, &mut self.outbox, datagrams);
            if passed == 0 {
                break;
            }
            count += passed;
        }
        Ok(count)
    }

    fn receive_esp(&mut self) -> io::Result<usize> {
        let mut count = 0;
        for _ in 0..BURST {
            let devices = &mut self.devices;
            let Some(esp) = &devices.esp else { break };
            let mut failed = None;
            let mut space = self.buffer.chunks_mut(udp::STRIDE);
            // One system call each, but the packets are decrypted together.
            let packets = std::iter::from_fn(|| {
                let buffer = space.next()?;
                match esp.receive(buffer) {
                    Ok(packet) => {
                        packet.map(|p| Datagram::esp([p.destination, p.source], buffer, p.payload))
                    }
                    Err(e) => {
                        failed = Some(e);
                        None
                    }
                }
            });
            let read: ArrayVec<_, ESP_READ> = packets.take(ESP_READ).collect();
            if let Some(e) = failed {
                return Err(e);
            }
            let passed = pass(&mut self.core, devices, &mut self.outbox, read);
            if passed == 0 {
                break;
            }
            count += passed;
        }
        Ok(count)
    }

    fn receive_inner(&mut self) -> io::Result<usize> {
        let mut count = 0;
        let Self {
            core,
            devices,
            buffer,
            outbox,
            ..
        } = self;
        for _ in 0..BURST {
            let mut more = true;
            while !outbox.is_full() {
                let Some((packet, offload)) = devices.inner.receive(buffer)? else {
                    more = false;
                    break;
                };
                count += 1;
                devices.observe_inner(bytes(buffer, &packet));
                core.push_inner(now(), bytes(buffer, &packet), offload, outbox);
            }
            core.seal(now(), outbox);
            devices.send(outbox);
            if !more {
                break;
            }
        }
        Ok(count)
    }

    fn flush(&mut self) {
        self.workers.give(|| self.core.poll_job());
        while let Some(transmit) = self.core.poll_transmit() {
            match transmit {
                Transmit::Udp { path, payload } => {
                    self.devices.send_udp(path, &payload);
                }
                Transmit::Esp {
                    local,
                    remote,
                    payload,
                } => self.devices.send_esp(local, remote, &payload),
                Transmit::Inner(packet) => {
                    self.devices.observe_inner(&packet);
                    self.devices.lost += self.devices.inner.send(&[&packet]);
                }
            }
        }
    }
}

impl Devices {
    async fn ready(&mut self, alarm: &mut Alarm, deadline: Option<Instant>) -> io::Result<Ready> {
        let timeout = alarm.at(deadline);
        let esp = async {
            match &self.esp {
                Some(esp) => esp.readable().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            r = self.natt.readable() => r.map(|()| Ready::Packet),
            r = self.inner.readable() => r.map(|()| Ready::Packet),
            r = self.ike.readable() => r.map(|()| Ready::Packet),
            r = esp => r.map(|()| Ready::Packet),
            () = timeout => Ok(Ready::Timeout),
        }
    }

    /// Sends all that is in the outbox; what goes to one destination, in order.
    fn send(&mut self, outbox: &mut Outbox) {
        if self.tap.is_some() || self.inner_tap.is_some() {
            for run in outbox.runs() {
                self.observe_run(&run);
            }
        }
        let (ike, natt, esp, inner) = (&self.ike, &self.natt, &self.esp, &self.inner);
        let send = |run: &Run<'_>| match run.destination {
            Destination::Inner => inner.send(&[run.bytes]),
            Destination::Udp(path) => {
                let port = if path.local.port() == ike.local().port() {
                    ike
                } else {
                    natt
                };
                lost(&port.send(path, run.bytes, run.length))
            }
            Destination::Esp { remote, .. } => lost(&send_native(esp.as_ref(), remote, run.bytes)),
        };
        let key = |run: &Run<'_>| match run.destination {
            Destination::Inner => 0,
            Destination::Udp(path) => key_of(path.remote.ip()) ^ u32::from(path.remote.port()),
            Destination::Esp { remote, .. } => key_of(remote),
        };
        self.lost += match &self.spread {
            Some((parts, spread)) => {
                let size = |run: &Run<'_>| run.bytes.len();
                let send = |runs: &[Run<'_>]| runs.iter().map(send).sum();
                let runs = outbox.runs();
                in_parts((*parts, &**spread), Work::Send, runs, key, size, send)
            }
            None => outbox.runs().map(|run| send(&run)).sum(),
        };
        outbox.clear();
    }

    /// Hands packets to the unencrypted side; those of one client, in order.
    fn send_inner(&mut self, packets: &[&[u8]]) {
        if self.inner_tap.is_some() {
            for packet in packets {
                self.observe_inner(packet);
            }
        }
        let inner = &self.inner;
        self.lost += match &self.spread {
            Some((parts, spread)) if packets.len() > 1 => {
                let packets = packets.iter().copied();
                let send = |packets: &[&[u8]]| inner.send(packets);
                let size = |packet: &&[u8]| packet.len();
                in_parts(
                    (*parts, &**spread),
                    Work::Write,
                    packets,
                    source,
                    size,
                    send,
                )
            }
            _ => inner.send(packets),
        };
    }

    fn send_udp(&mut self, path: Path, payload: &[u8]) {
        self.observe(path.local, path.remote, payload, false);
        let of_ike = self.ike.local().port() == path.local.port();
        let port = if of_ike { &self.ike } else { &self.natt };
        self.lost += lost(&port.send(path, payload, payload.len()));
    }

    fn send_esp(&mut self, local: IpAddr, remote: IpAddr, packet: &[u8]) {
        self.observe_native(local, remote, packet);
        self.lost += lost(&send_native(self.esp.as_ref(), remote, packet));
    }

    fn observe_run(&mut self, run: &Run<'_>) {
        match run.destination {
            Destination::Inner => self.observe_inner(run.bytes),
            Destination::Udp(path) => {
                for datagram in run.bytes.chunks(run.length.max(1)) {
                    self.observe(path.local, path.remote, datagram, false);
                }
            }
            Destination::Esp { local, remote } => self.observe_native(local, remote, run.bytes),
        }
    }

    fn observe(&mut self, from: SocketAddr, to: SocketAddr, payload: &[u8], native: bool) {
        if let Some(Tap(tap)) = &mut self.tap {
            tap(from, to, payload, native);
        }
    }

    fn observe_datagram(&mut self, datagram: &Datagram<'_>) {
        if self.tap.is_some()
            && let Some((path, native)) = datagram.path()
        {
            self.observe(path.remote, path.local, datagram.outer(), native);
        }
    }

    fn observe_inner(&mut self, packet: &[u8]) {
        if let Some(InnerTap(tap)) = &mut self.inner_tap {
            tap(packet);
        }
    }

    fn observe_native(&mut self, from: IpAddr, to: IpAddr, packet: &[u8]) {
        let [from, to] = [from, to].map(|ip| SocketAddr::new(ip, 0));
        self.observe(from, to, packet, true);
    }
}

/// Takes datagrams through the core, as many at once as it takes; gives how many there were.
fn pass<'b, C: Core>(
    core: &mut C,
    devices: &mut Devices,
    outbox: &mut Outbox,
    datagrams: impl IntoIterator<Item = Datagram<'b>>,
) -> usize {
    let mut datagrams = datagrams.into_iter();
    let mut count = 0;
    loop {
        // Not collected: that would move all the room for them.
        let mut batch = ArrayVec::<_, BATCH>::new();
        batch.extend(datagrams.by_ref().take(BATCH));
        if batch.is_empty() {
            return count;
        }
        count += batch.len();
        if devices.tap.is_some() {
            for datagram in &batch {
                devices.observe_datagram(datagram);
            }
        }
        core.push_datagrams(now(), &mut batch, outbox);
        let mut inner = ArrayVec::<_, BATCH>::new();
        inner.extend(batch.iter().filter_map(Datagram::inner));
        devices.send_inner(&inner);
        devices.send(outbox);
    }
}

/// One packet, or none, was not sent.
fn lost(sent: &io::Result<()>) -> u64 {
    if let Err(e) = sent {
        tracing::trace!(error = %e, "packet not sent");
    }
    sent.is_err().into()
}

fn send_native(esp: Option<&NativeEsp>, remote: IpAddr, packet: &[u8]) -> io::Result<()> {
    match esp {
        Some(esp) => esp.send(remote, packet),
        None => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Of this thread, and so of everything that it does; only for less than it would notice.
#[allow(clippy::disallowed_methods, reason = "this is the I/O layer")]
fn sleep(time: Duration) {
    std::thread::sleep(time);
}

fn key_of(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => ip.segments().map(u32::from).into_iter().sum(),
    }
}

/// The last bytes of the source address of an IPv4 packet, which tell clients apart.
fn source(packet: &&[u8]) -> u32 {
    let source = packet.get(12..).and_then(|rest| rest.first_chunk::<4>());
    source.copied().map_or(0, u32::from_be_bytes)
}

fn bytes<'a>(buffer: &'a [u8], range: &Range<usize>) -> &'a [u8] {
    buffer.get(range.clone()).unwrap_or_default()
}
