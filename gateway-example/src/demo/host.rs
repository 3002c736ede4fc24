//! A host with a TCP/IP stack (smoltcp): the office's server, and a road warrior's applications.

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{icmp, tcp};
use smoltcp::time::{Duration as SmolDuration, Instant as SmolInstant};
use smoltcp::wire::{HardwareAddress, Icmpv4Packet, Icmpv4Repr, IpAddress, IpCidr};
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

const MTU: usize = 1400;
const BUFFER: usize = 65_535;
const HTTP_PORT: u16 = 80;
const PING_IDENT: u16 = 0x5257;

/// A host that speaks IPv4 through packets handed in and out.
pub(super) struct Host {
    interface: Interface,
    sockets: SocketSet<'static>,
    queue: Queue,
    start: Instant,
}

impl Host {
    pub(super) fn new(address: Ipv4Addr, prefix: u8, start: Instant) -> Self {
        let mut queue = Queue::default();
        let config = Config::new(HardwareAddress::Ip);
        let mut interface = Interface::new(config, &mut queue, SmolInstant::ZERO);
        interface.update_ip_addrs(|addresses| {
            let _ = addresses.push(IpCidr::new(IpAddress::Ipv4(address), prefix));
        });
        // Point-to-point: any next hop will do.
        let _ = interface.routes_mut().add_default_ipv4_route(address);
        Self {
            interface,
            sockets: SocketSet::new(Vec::new()),
            queue,
            start,
        }
    }

    /// A packet from the network.
    pub(super) fn receive(&mut self, packet: Vec<u8>) {
        self.queue.inbound.push_back(packet);
    }

    /// A packet for the network.
    pub(super) fn transmit(&mut self) -> Option<Vec<u8>> {
        self.queue.outbound.pop_front()
    }

    pub(super) fn poll(&mut self, now: Instant) {
        let at = self.time(now);
        self.interface.poll(at, &mut self.queue, &mut self.sockets);
    }

    /// How long nothing needs to be done.
    pub(super) fn delay(&mut self, now: Instant) -> Option<Duration> {
        let at = self.time(now);
        self.interface
            .poll_delay(at, &self.sockets)
            .map(|d| Duration::from_micros(d.total_micros()))
    }

    fn time(&self, now: Instant) -> SmolInstant {
        let micros = now.saturating_duration_since(self.start).as_micros();
        SmolInstant::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    fn add_tcp(&mut self) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_timeout(Some(SmolDuration::from_secs(10)));
        self.sockets.add(socket)
    }
}

/// A web server with one page.
pub(super) struct WebServer {
    listeners: Vec<SocketHandle>,
    page: Vec<u8>,
    sent: Vec<usize>,
}

impl WebServer {
    /// Serves `page` to `clients` at a time.
    pub(super) fn new(host: &mut Host, clients: usize, page: Vec<u8>) -> Self {
        let listeners: Vec<_> = (0..clients).map(|_| host.add_tcp()).collect();
        let sent = vec![usize::MAX; clients];
        Self {
            listeners,
            page,
            sent,
        }
    }

    pub(super) fn poll(&mut self, host: &mut Host) {
        for (handle, sent) in self.listeners.iter().zip(&mut self.sent) {
            let socket = host.sockets.get_mut::<tcp::Socket<'_>>(*handle);
            if !socket.is_open() {
                let _ = socket.listen(HTTP_PORT);
                *sent = usize::MAX;
            }
            if socket.can_recv() {
                let asked = socket.recv(|data| (data.len(), data.ends_with(b"\r\n\r\n")));
                if asked == Ok(true) {
                    *sent = 0;
                }
            }
            while let Some(rest) = self.page.get(*sent..).filter(|rest| !rest.is_empty()) {
                match socket.send_slice(rest) {
                    Ok(0) | Err(_) => break,
                    Ok(n) => *sent += n,
                }
            }
            if *sent == self.page.len() {
                socket.close();
            }
        }
    }
}

/// Fetches one page.
pub(super) struct WebClient {
    handle: SocketHandle,
    asked: bool,
    pub(super) body: Vec<u8>,
}

impl WebClient {
    pub(super) fn start(host: &mut Host, server: Ipv4Addr, from_port: u16) -> Self {
        let handle = host.add_tcp();
        let socket = host.sockets.get_mut::<tcp::Socket<'_>>(handle);
        let remote = (IpAddress::Ipv4(server), HTTP_PORT);
        let _ = socket.connect(host.interface.context(), remote, from_port);
        Self {
            handle,
            asked: false,
            body: Vec::new(),
        }
    }

    /// True once the server has closed.
    pub(super) fn poll(&mut self, host: &mut Host) -> bool {
        let socket = host.sockets.get_mut::<tcp::Socket<'_>>(self.handle);
        if socket.can_send() && !self.asked {
            let request = b"GET / HTTP/1.0\r\nHost: intranet\r\n\r\n";
            self.asked = socket.send_slice(request) == Ok(request.len());
        }
        while socket.can_recv() {
            let body = &mut self.body;
            let _ = socket.recv(|data| {
                body.extend_from_slice(data);
                (data.len(), ())
            });
        }
        let done = !socket.is_open() || (self.asked && !socket.may_recv());
        if done {
            socket.close();
        }
        done
    }
}

/// Sends echo requests one by one.
pub(super) struct Ping {
    handle: SocketHandle,
    server: Ipv4Addr,
    next: u16,
    sent_at: Option<Instant>,
    /// Round-trip times so far.
    pub(super) answers: Vec<Duration>,
}

impl Ping {
    pub(super) fn start(host: &mut Host, server: Ipv4Addr) -> Self {
        let buffer =
            || icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; 4], vec![0; 1024]);
        let mut socket = icmp::Socket::new(buffer(), buffer());
        let _ = socket.bind(icmp::Endpoint::Ident(PING_IDENT));
        let handle = host.sockets.add(socket);
        Self {
            handle,
            server,
            next: 0,
            sent_at: None,
            answers: Vec::new(),
        }
    }

    /// Sends the next request, reads answers; true once `count` have come.
    pub(super) fn poll(&mut self, host: &mut Host, now: Instant, count: usize) -> bool {
        let socket = host.sockets.get_mut::<icmp::Socket<'_>>(self.handle);
        let checksums = ChecksumCapabilities::default();
        while let Ok((payload, _)) = socket.recv() {
            let reply = Icmpv4Packet::new_checked(payload)
                .and_then(|packet| Icmpv4Repr::parse(&packet, &checksums));
            if let (Ok(Icmpv4Repr::EchoReply { seq_no, .. }), Some(sent)) = (reply, self.sent_at)
                && seq_no + 1 == self.next
            {
                self.answers.push(now.saturating_duration_since(sent));
                self.sent_at = None;
            }
        }
        if self.answers.len() >= count {
            return true;
        }
        if self.sent_at.is_none() && socket.can_send() {
            let request = Icmpv4Repr::EchoRequest {
                ident: PING_IDENT,
                seq_no: self.next,
                data: b"are you there, office?",
            };
            let to = IpAddress::Ipv4(self.server);
            if let Ok(space) = socket.send(request.buffer_len(), to) {
                request.emit(&mut Icmpv4Packet::new_unchecked(space), &checksums);
                self.sent_at = Some(now);
                self.next += 1;
            }
        }
        false
    }
}

#[derive(Default)]
struct Queue {
    inbound: VecDeque<Vec<u8>>,
    outbound: VecDeque<Vec<u8>>,
}

struct Arrived(Vec<u8>);
struct Leaving<'a>(&'a mut VecDeque<Vec<u8>>);

impl Device for Queue {
    type RxToken<'a> = Arrived;
    type TxToken<'a> = Leaving<'a>;

    fn receive(&mut self, _: SmolInstant) -> Option<(Arrived, Leaving<'_>)> {
        let packet = self.inbound.pop_front()?;
        Some((Arrived(packet), Leaving(&mut self.outbound)))
    }

    fn transmit(&mut self, _: SmolInstant) -> Option<Leaving<'_>> {
        Some(Leaving(&mut self.outbound))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}

impl RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Leaving<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = vec![0; len];
        let result = f(&mut packet);
        self.0.push_back(packet);
        result
    }
}
