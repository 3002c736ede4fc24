//! A road warrior: the client core on a virtual cable, and the applications behind it.

use super::host::{Host, Ping, WebClient};
use super::timeline::Timeline;
use super::{OFFICE_HOST, PINGS};
use crate::capture::{parse_udp, udp_packet};
use crate::core::{Client, ClientEvent, Core, Forward, HEADROOM, Path, Severity, Transmit};
use crate::io::now;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;

const BUFFER: usize = 2048;
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Warrior {
    name: &'static str,
    client: Client,
    cable: UdpSocket,
    timeline: Timeline,
    buffer: Vec<u8>,
    host: Option<Host>,
    task: Task,
}

enum Task {
    Connect,
    Ping(Ping),
    Fetch(WebClient),
    HangUp,
    Done(bool),
}

impl Warrior {
    pub(super) async fn new(
        name: &'static str,
        client: Client,
        nat: SocketAddr,
        timeline: Timeline,
    ) -> io::Result<Self> {
        let cable = UdpSocket::bind(("127.0.0.1", 0)).await?;
        cable.connect(nat).await?;
        Ok(Self {
            name,
            client,
            cable,
            timeline,
            buffer: vec![0; HEADROOM + BUFFER],
            host: None,
            task: Task::Connect,
        })
    }

    /// Connects, pings, fetches a page, hangs up; true if all went well.
    pub(super) async fn run(mut self) -> io::Result<bool> {
        let limit = now() + PATIENCE;
        if let Err(e) = self.client.connect(now()) {
            self.say(false, "ike", &e.to_string());
            return Ok(false);
        }
        loop {
            self.work().await?;
            if let Task::Done(good) = self.task {
                return Ok(good);
            }
            if now() > limit {
                self.say(false, "demo", "gave up after 20 s");
                return Ok(false);
            }
            let wake = self.next_wake(limit);
            let space = self.buffer.get_mut(HEADROOM..).unwrap_or_default();
            tokio::select! {
                read = self.cable.recv(space) => {
                    let length = read?;
                    self.receive(length).await?;
                }
                () = tokio::time::sleep_until(wake.into()) => {
                    let due = self.client.poll_timeout().is_some_and(|at| at <= now());
                    if due {
                        self.client.handle_timeout(now());
                    }
                }
            }
        }
    }

    fn next_wake(&mut self, limit: Instant) -> Instant {
        let stack = self
            .host
            .as_mut()
            .and_then(|h| h.delay(now()))
            .map(|d| now() + d);
        [self.client.poll_timeout(), stack]
            .into_iter()
            .flatten()
            .fold(limit, Instant::min)
    }

    /// All that can be done without waiting for packets or time.
    async fn work(&mut self) -> io::Result<()> {
        while let Some(event) = self.client.poll_event() {
            self.on_event(event);
        }
        self.progress();
        if let Some(host) = &mut self.host {
            host.poll(now());
        }
        self.progress();
        while let Some(packet) = self.host.as_mut().and_then(Host::transmit) {
            let range = HEADROOM..HEADROOM + packet.len();
            if let Some(space) = self.buffer.get_mut(range.clone()) {
                space.copy_from_slice(&packet);
                let forward = self.client.handle_inner(now(), &mut self.buffer, range);
                self.forward(forward).await?;
            }
        }
        while let Some(transmit) = self.client.poll_transmit() {
            if let Transmit::Udp { path, payload } = transmit {
                self.send(path, &payload).await?;
            }
        }
        Ok(())
    }

    async fn receive(&mut self, length: usize) -> io::Result<()> {
        let packet = self.buffer.get(HEADROOM..HEADROOM + length);
        let Some((remote, local, payload)) = packet.and_then(parse_udp) else {
            return Ok(());
        };
        let payload = HEADROOM + payload.start..HEADROOM + payload.end;
        let path = Path { local, remote };
        let forward = self
            .client
            .handle_udp(now(), path, &mut self.buffer, payload);
        self.forward(forward).await
    }

    async fn forward(&mut self, forward: Forward) -> io::Result<()> {
        match forward {
            Forward::Inner(packet) => {
                if let (Some(host), Some(packet)) = (&mut self.host, self.buffer.get(packet)) {
                    host.receive(packet.to_vec());
                }
            }
            Forward::Udp { path, payload } => {
                let payload = self.buffer.get(payload).unwrap_or_default().to_vec();
                self.send(path, &payload).await?;
            }
            Forward::Nothing | Forward::Esp { .. } => {}
        }
        Ok(())
    }

    async fn send(&self, path: Path, payload: &[u8]) -> io::Result<()> {
        let packet = udp_packet(path.local, path.remote, payload);
        self.cable.send(&packet).await.map(drop)
    }

    fn on_event(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::Step {
                layer,
                severity,
                text,
            } => self.timeline.step(now(), self.name, layer, severity, &text),
            ClientEvent::Connected { address, .. } => {
                let mut host = Host::new(address, 32, now());
                self.task = Task::Ping(Ping::start(&mut host, OFFICE_HOST));
                self.host = Some(host);
            }
            ClientEvent::Disconnected { reason } => {
                let meant = matches!(self.task, Task::HangUp);
                if !meant {
                    self.say(false, "demo", &format!("disconnected reason={reason}"));
                }
                self.task = Task::Done(meant);
            }
            ClientEvent::Key(_) | ClientEvent::Redial { .. } => {}
        }
    }

    /// Moves the applications on.
    fn progress(&mut self) {
        let Some(host) = &mut self.host else { return };
        match &mut self.task {
            Task::Ping(ping) => {
                if ping.poll(host, now(), PINGS) {
                    let times: Vec<_> = ping
                        .answers
                        .iter()
                        .map(|t| format!("{:.1} ms", t.as_secs_f64() * 1e3))
                        .collect();
                    let text = format!("{OFFICE_HOST} answers in {}", times.join(", "));
                    self.task = Task::Fetch(WebClient::start(host, OFFICE_HOST, 49_152));
                    self.say(true, "ping", &text);
                }
            }
            Task::Fetch(client) => {
                if client.poll(host) {
                    let body = std::mem::take(&mut client.body);
                    let good = body.ends_with(super::PAGE.as_bytes());
                    let text = format!("http://{OFFICE_HOST}/ gave {} bytes", body.len());
                    self.say(good, "http", &text);
                    self.task = Task::HangUp;
                    self.client.shutdown(now());
                }
            }
            Task::HangUp if self.client.is_idle() => self.task = Task::Done(true),
            Task::Connect | Task::HangUp | Task::Done(_) => {}
        }
    }

    fn say(&self, good: bool, layer: &str, text: &str) {
        self.timeline
            .step(now(), self.name, layer, Severity::of(good), text);
    }
}
