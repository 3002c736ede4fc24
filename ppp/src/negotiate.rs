//! The automaton at work: requests, answers, retransmission and the limits of patience.

use crate::answer::Answer;
use crate::fsm::{Action, Event, State, transition};
use crate::wire::{Code, ConfigOption, Options, Packet};
use crate::{Config, Error};
use rand_core::CryptoRng;
use std::time::Instant;

/// What a protocol's options mean.
pub(crate) trait Policy {
    /// Our Configure-Request's options.
    fn request(&self) -> Vec<u8>;

    /// What to answer to the peer's options.
    fn consider(&mut self, options: &[ConfigOption<'_>], rng: &mut dyn CryptoRng) -> Answer;

    /// Whether an option is declined for ever rather than rejected: without it there is no link,
    /// and Naks that the network lost look like stubbornness.
    fn insists(&self, _kind: u8) -> bool {
        false
    }

    /// The peer would rather have this of us.
    fn naked(&mut self, option: &ConfigOption<'_>, rng: &mut dyn CryptoRng);

    /// The peer does not know this option of ours.
    fn rejected(&mut self, option: &ConfigOption<'_>);
}

/// What the owner of a negotiation must act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Up,
    Down,
    /// It has ended: both sides said goodbye, or the peer is silent.
    Finished,
    /// The two ends would go on for ever.
    Hopeless,
}

#[derive(Debug)]
pub(crate) struct Negotiation<P> {
    pub(crate) policy: P,
    state: State,
    id: u8,
    request: Vec<u8>,
    restart_count: u32,
    /// Naks sent since the last agreement.
    naks: u32,
    /// Naks and rejects, both ways, since the last agreement.
    rounds: u32,
    deadline: Option<Instant>,
    pub(crate) out: Vec<Vec<u8>>,
    pub(crate) signals: Vec<Signal>,
    text: Vec<u8>,
}

/// Bytes of a rejected packet that go back at most: they fit the smallest MRU (RFC 1661 sections
/// 5.6 and 5.7).
pub(crate) const REJECTED_BYTES: usize = 112;
/// Rounds of disagreement, in multiples of `max_failure`, until the peer is beyond hope.
const HOPELESS: u32 = 4;

impl<P: Policy> Negotiation<P> {
    pub(crate) fn new(policy: P) -> Self {
        Self {
            policy,
            state: State::Initial,
            id: 0,
            request: Vec::new(),
            restart_count: 0,
            naks: 0,
            rounds: 0,
            deadline: None,
            out: Vec::new(),
            signals: Vec::new(),
            text: Vec::new(),
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Opened
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// The lower layer is up and we want to talk.
    pub(crate) fn start(&mut self, now: Instant, config: &Config) {
        self.apply(now, Event::Up, config, None);
        self.apply(now, Event::Open, config, None);
    }

    pub(crate) fn lower_down(&mut self, now: Instant, config: &Config) {
        self.apply(now, Event::Down, config, None);
    }

    pub(crate) fn close(&mut self, now: Instant, text: &str, config: &Config) {
        self.text = text.as_bytes().to_vec();
        self.apply(now, Event::Close, config, None);
    }

    /// The peer rejects the protocol as a whole.
    pub(crate) fn protocol_rejected(&mut self, now: Instant, config: &Config) {
        self.apply(now, Event::RejectFatal, config, None);
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, config: &Config) {
        if self.deadline.is_some_and(|at| at <= now) {
            let event = if self.restart_count > 0 {
                Event::Timeout
            } else {
                Event::TimeoutExpired
            };
            self.apply(now, event, config, None);
        }
    }

    pub(crate) fn handle(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        config: &Config,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), Error> {
        match packet.code {
            Code::CONFIGURE_REQUEST => self.configure_request(now, packet, config, rng),
            Code::CONFIGURE_ACK => {
                if packet.id != self.id || packet.data != self.request {
                    return Err(Error::UnknownIdentifier);
                }
                self.apply(now, Event::ConfigureAck, config, None);
                Ok(())
            }
            Code::CONFIGURE_NAK | Code::CONFIGURE_REJECT => {
                self.configure_nak(now, packet, config, rng)
            }
            Code::TERMINATE_REQUEST => {
                self.apply(now, Event::TerminateRequest, config, Some(packet));
                Ok(())
            }
            Code::TERMINATE_ACK => {
                self.apply(now, Event::TerminateAck, config, None);
                Ok(())
            }
            Code::CODE_REJECT => {
                let rejected = packet.data.first().ok_or(Error::Short("rejected code"))?;
                // Without these there is no protocol (RFC 1661 section 5.6).
                let fatal = (1..=7).contains(rejected);
                let event = if fatal {
                    Event::RejectFatal
                } else {
                    Event::RejectHarmless
                };
                self.apply(now, event, config, None);
                Ok(())
            }
            _ => {
                self.apply(now, Event::UnknownCode, config, Some(packet));
                Ok(())
            }
        }
    }

    fn configure_request(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        config: &Config,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), Error> {
        let options = Options::new(packet.data).collect::<Result<Vec<_>, _>>()?;
        let mut answer = self.policy.consider(&options, rng);
        if let Answer::Nak(nak) = &answer
            && self.naks >= config.max_failure
        {
            // It keeps asking for what we keep declining (RFC 1661 section 4.6, Max-Failure).
            let declined: Vec<u8> = Options::new(nak).flatten().map(|o| o.kind).collect();
            let mut reject = Vec::new();
            let mut insists = false;
            for option in options.iter().filter(|o| declined.contains(&o.kind)) {
                if self.policy.insists(option.kind) {
                    insists = true;
                } else {
                    option.emit(&mut reject);
                }
            }
            if !reject.is_empty() {
                answer = Answer::Reject(reject);
            } else if !insists {
                answer = Answer::Ack;
            }
        }
        let (event, code, data) = match &answer {
            Answer::Ack => (
                Event::ConfigureRequestGood,
                Code::CONFIGURE_ACK,
                packet.data,
            ),
            Answer::Nak(options) => (
                Event::ConfigureRequestBad,
                Code::CONFIGURE_NAK,
                options.as_slice(),
            ),
            Answer::Reject(options) => (
                Event::ConfigureRequestBad,
                Code::CONFIGURE_REJECT,
                options.as_slice(),
            ),
        };
        if code == Code::CONFIGURE_NAK {
            self.naks += 1;
        }
        if event == Event::ConfigureRequestBad {
            self.disagree(config);
        }
        let reply = Packet {
            code,
            id: packet.id,
            data,
        };
        self.apply(now, event, config, Some(&reply));
        Ok(())
    }

    fn configure_nak(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        config: &Config,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), Error> {
        if packet.id != self.id {
            return Err(Error::UnknownIdentifier);
        }
        let options = Options::new(packet.data).collect::<Result<Vec<_>, _>>()?;
        for option in &options {
            if packet.code == Code::CONFIGURE_NAK {
                self.policy.naked(option, rng);
            } else {
                self.policy.rejected(option);
            }
        }
        self.disagree(config);
        self.apply(now, Event::ConfigureNak, config, None);
        Ok(())
    }

    fn disagree(&mut self, config: &Config) {
        self.rounds += 1;
        if self.rounds == config.max_failure.saturating_mul(HOPELESS).max(1) {
            self.signals.push(Signal::Hopeless);
        }
    }

    /// Does what the automaton says. `packet` is the reply to a Configure-Request, and else the
    /// packet that is being answered.
    fn apply(&mut self, now: Instant, event: Event, config: &Config, packet: Option<&Packet<'_>>) {
        let Some((next, actions)) = transition(self.state, event) else {
            return;
        };
        self.state = next;
        for action in actions {
            self.act(now, *action, config, packet);
        }
        if !next.has_timer() {
            self.deadline = None;
        }
    }

    fn act(&mut self, now: Instant, action: Action, config: &Config, packet: Option<&Packet<'_>>) {
        let id = packet.map_or(0, |p| p.id);
        match action {
            Action::LayerUp => {
                self.naks = 0;
                self.rounds = 0;
                self.signals.push(Signal::Up);
            }
            Action::LayerDown => self.signals.push(Signal::Down),
            Action::LayerStarted | Action::SendEchoReply => {}
            Action::LayerFinished => self.signals.push(Signal::Finished),
            Action::InitRestartCount => {
                self.restart_count = if matches!(self.state, State::Closing | State::Stopping) {
                    config.max_terminate
                } else {
                    config.max_configure
                };
            }
            Action::ZeroRestartCount => {
                self.restart_count = 0;
                self.deadline = Some(now + config.restart_timer);
            }
            Action::SendConfigureRequest => {
                self.id = self.id.wrapping_add(1);
                self.request = self.policy.request();
                let request = self.request.clone();
                self.send_with_timer(now, Code::CONFIGURE_REQUEST, &request, config);
            }
            Action::SendTerminateRequest => {
                self.id = self.id.wrapping_add(1);
                let text = self.text.clone();
                self.send_with_timer(now, Code::TERMINATE_REQUEST, &text, config);
            }
            Action::SendConfigureAck | Action::SendConfigureNak => {
                if let Some(reply) = packet {
                    self.out.push(reply.emit());
                }
            }
            Action::SendTerminateAck => self.send(Code::TERMINATE_ACK, id, &[]),
            Action::SendCodeReject => {
                if let Some(packet) = packet {
                    self.id = self.id.wrapping_add(1);
                    let mut rejected = packet.emit();
                    rejected.truncate(REJECTED_BYTES);
                    self.send(Code::CODE_REJECT, self.id, &rejected);
                }
            }
        }
    }

    fn send_with_timer(&mut self, now: Instant, code: Code, data: &[u8], config: &Config) {
        self.send(code, self.id, data);
        self.restart_count = self.restart_count.saturating_sub(1);
        self.deadline = Some(now + config.restart_timer);
    }

    fn send(&mut self, code: Code, id: u8, data: &[u8]) {
        self.out.push(Packet { code, id, data }.emit());
    }
}
