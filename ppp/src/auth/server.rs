use super::{AuthMethod, AuthRequest, Claim, packet};
use crate::event::{Verdict, printable};
use crate::wire::{ChapValue, Code, MsChapFailure, MsChapV2Response, Packet, PapRequest};
use crate::{Config, Error};
use rand_core::CryptoRng;
use std::time::Instant;
use zeroize::Zeroizing;

/// Longest user name taken: PAP's limit (RFC 1334 section 2.2.1), and RADIUS takes no more either.
const MAX_NAME: usize = 255;
/// Bytes of text for people that an answer carries at most.
const MAX_MESSAGE: usize = 255;
/// How often a peer may try again on one link.
const RETRIES: u32 = 3;

/// The authenticator's side: asks, judges by the owner's verdict, answers.
#[derive(Debug)]
pub(crate) struct ServerAuth {
    pub(crate) method: AuthMethod,
    name: Vec<u8>,
    id: u8,
    challenge: Vec<u8>,
    user: Vec<u8>,
    state: State,
    /// The last answer: a repeated request gets the same (RFC 1994 section 4.2).
    answered: Option<(u8, Vec<u8>)>,
    retries: u32,
    resend_at: Option<Instant>,
    give_up_at: Instant,
}

#[derive(Debug)]
enum State {
    /// The challenge is out, or we wait for a PAP request.
    Asking,
    /// The owner decides.
    Judging {
        id: u8,
    },
    /// The peer is in.
    Accepted,
    Refused,
}

/// What an authentication packet or verdict leads to.
#[derive(Debug)]
pub(crate) enum Step {
    Nothing,
    Ask(AuthRequest),
    Accepted(Vec<u8>),
    Refused,
}

impl ServerAuth {
    pub(crate) fn new(
        now: Instant,
        method: AuthMethod,
        id: u8,
        config: &Config,
        rng: &mut dyn CryptoRng,
        out: &mut Vec<Vec<u8>>,
    ) -> Self {
        let mut this = Self {
            method,
            name: config.name.clone(),
            id,
            challenge: Vec::new(),
            user: Vec::new(),
            state: State::Asking,
            answered: None,
            retries: 0,
            resend_at: None,
            give_up_at: now + config.auth_timeout,
        };
        this.challenge(now, config, rng, out);
        this
    }

    /// Sends a fresh challenge; PAP's peer speaks first.
    fn challenge(
        &mut self,
        now: Instant,
        config: &Config,
        rng: &mut dyn CryptoRng,
        out: &mut Vec<Vec<u8>>,
    ) {
        if self.method == AuthMethod::Pap {
            return;
        }
        self.challenge = fresh_challenge(rng).to_vec();
        self.send_challenge(out);
        self.resend_at = Some(now + config.restart_timer);
    }

    fn send_challenge(&self, out: &mut Vec<Vec<u8>>) {
        let data = ChapValue {
            value: &self.challenge,
            name: &self.name,
        };
        out.push(packet(Code::CHAP_CHALLENGE, self.id, &data.emit()));
    }

    pub(crate) fn handle(
        &mut self,
        packet: &Packet<'_>,
        out: &mut Vec<Vec<u8>>,
    ) -> Result<Step, Error> {
        let expected = match self.method {
            AuthMethod::Pap => Code::PAP_REQUEST,
            AuthMethod::ChapMd5 | AuthMethod::MsChapV2 => Code::CHAP_RESPONSE,
        };
        if packet.code != expected {
            return Err(Error::UnexpectedPhase);
        }
        // Each time that PAP repeats its request, the identifier is another (RFC 1334 section 2.2.1).
        let same = |id: u8| self.method == AuthMethod::Pap || id == packet.id;
        if let Some((_, answer)) = self.answered.as_ref().filter(|(id, _)| same(*id)) {
            let mut answer = answer.clone();
            if let Some(id) = answer.get_mut(1) {
                *id = packet.id;
            }
            out.push(answer);
            return Ok(Step::Nothing);
        }
        match self.state {
            State::Judging { id } if same(id) => {
                self.state = State::Judging { id: packet.id };
                return Ok(Step::Nothing);
            }
            State::Asking => {}
            State::Accepted | State::Judging { .. } | State::Refused => {
                return Err(Error::UnexpectedPhase);
            }
        }
        let (user, claim) = self.claim(packet)?;
        self.user = user.to_vec();
        self.state = State::Judging { id: packet.id };
        self.resend_at = None;
        Ok(Step::Ask(AuthRequest::new(user, claim)))
    }

    fn claim<'a>(&self, packet: &Packet<'a>) -> Result<(&'a [u8], Claim), Error> {
        if self.method == AuthMethod::Pap {
            let request = PapRequest::parse(packet.data)?;
            let password = Zeroizing::new(request.password.to_vec());
            return Ok((request.user, Claim::Pap { password }));
        }
        if packet.id != self.id {
            return Err(Error::UnknownIdentifier);
        }
        let response = ChapValue::parse(packet.data)?;
        let claim = if self.method == AuthMethod::MsChapV2 {
            let value = MsChapV2Response::parse(response.value)?;
            Claim::MsChapV2 {
                id: self.id,
                challenge: self.challenge.as_slice().try_into().unwrap_or_default(),
                peer_challenge: value.peer_challenge,
                nt_response: value.nt_response,
            }
        } else {
            Claim::ChapMd5 {
                id: self.id,
                challenge: self.challenge.clone(),
                response: response.value.to_vec(),
            }
        };
        if response.name.len() > MAX_NAME {
            return Err(Error::BadLength("CHAP name"));
        }
        Ok((response.name, claim))
    }

    pub(crate) fn judge(
        &mut self,
        now: Instant,
        verdict: &Verdict,
        config: &Config,
        rng: &mut dyn CryptoRng,
        out: &mut Vec<Vec<u8>>,
    ) -> Result<Step, Error> {
        let State::Judging { id } = self.state else {
            return Err(Error::NotNow);
        };
        match verdict {
            Verdict::Accept { proof, .. } => {
                let answer = match self.method {
                    AuthMethod::Pap => packet(Code::PAP_ACK, id, &[0]),
                    AuthMethod::ChapMd5 => packet(Code::CHAP_SUCCESS, id, b"Welcome"),
                    AuthMethod::MsChapV2 => {
                        let mut text = proof.success().to_vec();
                        text.extend(b" M=Welcome");
                        packet(Code::CHAP_SUCCESS, id, &text)
                    }
                };
                self.answer(id, answer, out);
                self.state = State::Accepted;
                self.challenge = Vec::new();
                Ok(Step::Accepted(self.user.clone()))
            }
            Verdict::Reject {
                code,
                retry,
                message,
            } => {
                let retry = *retry && self.retries < RETRIES;
                let mut message = printable(message.as_bytes());
                while message.len() > MAX_MESSAGE {
                    message.pop();
                }
                match self.method {
                    AuthMethod::Pap => {
                        let mut data = vec![u8::try_from(message.len()).unwrap_or(u8::MAX)];
                        data.extend(message.as_bytes());
                        self.answer(id, packet(Code::PAP_NAK, id, &data), out);
                    }
                    AuthMethod::ChapMd5 => {
                        let answer = packet(Code::CHAP_FAILURE, id, message.as_bytes());
                        self.answer(id, answer, out);
                    }
                    AuthMethod::MsChapV2 => {
                        let challenge = fresh_challenge(rng);
                        let failure = MsChapFailure {
                            code: *code,
                            retry,
                            challenge: Some(challenge),
                            version: Some(3),
                            message: message.as_bytes(),
                        };
                        let answer = packet(Code::CHAP_FAILURE, id, &failure.emit());
                        self.answer(id, answer, out);
                        if retry {
                            // The next response answers the new challenge (RFC 2759 section 6).
                            self.challenge = challenge.to_vec();
                            self.id = id.wrapping_add(1);
                            self.retries += 1;
                            self.state = State::Asking;
                            self.give_up_at = now + config.auth_timeout;
                            return Ok(Step::Nothing);
                        }
                    }
                }
                self.state = State::Refused;
                Ok(Step::Refused)
            }
        }
    }

    fn answer(&mut self, id: u8, answer: Vec<u8>, out: &mut Vec<Vec<u8>>) {
        out.push(answer.clone());
        self.answered = Some((id, answer));
    }

    /// Repeats a challenge that got no response; false when it is time to give up.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Instant,
        config: &Config,
        out: &mut Vec<Vec<u8>>,
    ) -> bool {
        if matches!(self.state, State::Accepted) {
            return true;
        }
        if now >= self.give_up_at {
            return false;
        }
        if self.resend_at.is_some_and(|at| at <= now) {
            self.send_challenge(out);
            self.resend_at = Some(now + config.restart_timer);
        }
        true
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Accepted | State::Refused => None,
            State::Asking | State::Judging { .. } => Some(
                self.resend_at
                    .map_or(self.give_up_at, |at| at.min(self.give_up_at)),
            ),
        }
    }
}

fn fresh_challenge(rng: &mut dyn CryptoRng) -> [u8; 16] {
    let mut challenge = [0; 16];
    rng.fill_bytes(&mut challenge);
    challenge
}
