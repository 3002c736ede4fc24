#![no_main]
//! Two ends with calls of both kinds: what they say is lost, repeated, mutated and late, their
//! owners do anything at any time, and all they have is gone once their path is.
use arbitrary::Arbitrary;
use chacha20::{ChaCha20Rng, rand_core::SeedableRng};
use l2tp::{
    Accm, CallErrors, CallRequest, CallResult, Config, Endpoint, Event, PathId, Reorder, Secret,
    SessionId, StopResult, TunnelId,
};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Arbitrary, Debug)]
struct Case {
    hidden: bool,
    ask: bool,
    queue: bool,
    tie_breaker: bool,
    window: u8,
    steps: Vec<(bool, Step)>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Connect,
    Open,
    OpenOutgoing,
    Accept,
    Answered,
    Report,
    LinkInfo,
    Data(u8),
    CloseSession,
    CloseTunnel,
    ClosePath,
    Deliver,
    DeliverAll,
    Lose,
    Repeat,
    Mutate(u16, u8),
    Inject(Vec<u8>),
    Wait(u16),
}

struct End {
    endpoint: Endpoint,
    tunnel: Option<TunnelId>,
    session: Option<SessionId>,
    last: Vec<u8>,
}

const PATH: PathId = PathId(1);

impl End {
    fn new(case: &Case, seed: u64) -> Self {
        let mut config = Config::default();
        config.receive_window = u16::from(case.window).max(1);
        config.bearer_capabilities = Some(1);
        config.ask = case.ask;
        config.tie_breaker = case.tie_breaker;
        config.data_sequencing = case.queue;
        if case.queue {
            config.reorder = Reorder::Queue {
                timeout: Duration::from_millis(50),
                depth: 4,
            };
        }
        if case.hidden {
            config.secret = Some(Secret::new(b"secret"));
            config.hide_avps = true;
        }
        let rng = Box::new(ChaCha20Rng::seed_from_u64(seed));
        Self {
            endpoint: Endpoint::new(Arc::new(config), rng).unwrap(),
            tunnel: None,
            session: None,
            last: Vec::new(),
        }
    }

    fn take(&mut self, now: Instant, mut message: Vec<u8>) {
        let length = message.len();
        let _ = self
            .endpoint
            .handle_datagram(now, PATH, &mut message, 0..length);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::TunnelUp { tunnel, .. } => {
                    self.tunnel = Some(tunnel);
                }
                Event::SessionUp { session, .. } | Event::CallRequested { session, .. } => {
                    self.session = Some(session);
                }
                _ => {}
            }
        }
        while self.endpoint.poll_frame().is_some() {}
        assert!(self.endpoint.tunnels().count() <= 4);
        assert!(self.endpoint.lingering_count() <= 8);
        assert!(self.endpoint.session_count() <= 32);
    }
}

fuzz_target!(|case: Case| {
    let mut now = Instant::now();
    let mut ends = [End::new(&case, 1), End::new(&case, 2)];
    for (second, step) in case.steps {
        let [a, b] = &mut ends;
        let (end, other) = if second { (b, a) } else { (a, b) };
        match step {
            Step::Connect => {
                if let Ok(tunnel) = end.endpoint.connect(now, PATH) {
                    end.tunnel = Some(tunnel);
                }
            }
            Step::Open => {
                if let Some(tunnel) = end.tunnel {
                    let _ = end.endpoint.open(now, tunnel);
                }
            }
            Step::OpenOutgoing => {
                if let Some(tunnel) = end.tunnel {
                    let request = CallRequest::default();
                    let _ = end.endpoint.open_outgoing(now, tunnel, request);
                }
            }
            Step::CloseTunnel => {
                if let Some(tunnel) = end.tunnel {
                    end.endpoint.close_tunnel(now, tunnel, StopResult::GENERAL);
                }
            }
            Step::ClosePath => end.endpoint.close_path(now, PATH),
            Step::Deliver => {
                if let Some(t) = end.endpoint.poll_transmit() {
                    end.last.clone_from(&t.payload);
                    other.take(now, t.payload);
                }
            }
            Step::DeliverAll => {
                while let Some(t) = end.endpoint.poll_transmit() {
                    other.take(now, t.payload);
                }
            }
            Step::Lose => drop(end.endpoint.poll_transmit()),
            Step::Repeat => other.take(now, end.last.clone()),
            Step::Mutate(at, xor) => {
                let mut message = end.last.clone();
                if let Some(byte) = message.get_mut(usize::from(at)) {
                    *byte ^= xor;
                }
                other.take(now, message);
            }
            Step::Inject(bytes) => other.take(now, bytes),
            Step::Wait(tenths) => {
                now += Duration::from_millis(u64::from(tenths) * 100);
                end.endpoint.handle_timeout(now);
                other.endpoint.handle_timeout(now);
                // What is due has been done.
                assert!(end.endpoint.poll_timeout().is_none_or(|at| at > now));
            }
            of_session => {
                if let Some(session) = end.session {
                    of_call(end, other, now, session, of_session);
                }
            }
        }
        end.drain();
        other.drain();
    }
    for end in &mut ends {
        end.endpoint.close_path(now, PATH);
        end.drain();
        assert_eq!(end.endpoint.tunnels().count(), 0);
        assert_eq!(end.endpoint.lingering_count(), 0);
        assert_eq!(end.endpoint.session_count(), 0);
        assert!(end.endpoint.poll_timeout().is_none());
        assert!(end.endpoint.poll_transmit().is_none());
    }
});

fn of_call(end: &mut End, other: &mut End, now: Instant, session: SessionId, step: Step) {
    match step {
        Step::Accept => drop(end.endpoint.accept(now, session)),
        Step::Answered => {
            let request = l2tp::CallConnected::default();
            let _ = end.endpoint.answered(now, session, request);
        }
        Step::Report => {
            let errors = CallErrors::default();
            let _ = end.endpoint.report_errors(now, session, errors);
        }
        Step::LinkInfo => {
            let accm = Accm {
                send: 0,
                receive: 0,
            };
            let _ = end.endpoint.set_link_info(now, session, accm);
        }
        Step::CloseSession => end.endpoint.close_session(now, session, CallResult::BUSY),
        Step::Data(skip) => {
            let mut buf = [0; 64];
            for _ in 0..skip % 8 {
                let _ = end.endpoint.encapsulate(session, &mut buf, 40..64);
            }
            if let Ok(message) = end.endpoint.encapsulate(session, &mut buf, 40..64) {
                end.last = buf[message].to_vec();
                other.take(now, end.last.clone());
            }
        }
        _ => {}
    }
}
