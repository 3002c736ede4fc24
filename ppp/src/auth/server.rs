use super::{AuthMethod, AuthRequest, Claim, packet};
use crate::event::Verdict;
use crate::wire::{ChapValue, Code, MsChapV2Response, Packet, PapRequest};
use crate::{Config, Error};
use rand_core::CryptoRng;
use std::fmt::Write as _;
use std::time::Instant;
use zeroize::Zeroizing;

/// The authenticator's side: asks, judges by the owner's verdict, answers.
#[derive(Debug)]
pub(crate) struct ServerAuth {
    pub(crate) method: AuthMethod,
    name: Vec<u8>,
    id: u8,
    challenge: Vec<u8>,
    user: Vec<u8>,
    state: State,
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
    /// The peer is in; a repeated request gets the same answer.
    Accepted {
        id: u8,
        answer: Vec<u8>,
    },
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
        self.challenge = vec![0; 16];
        rng.fill_bytes(&mut self.challenge);
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
        match &self.state {
            State::Accepted { id, answer } if *id == packet.id => {
                out.push(answer.clone());
                return Ok(Step::Nothing);
            }
            State::Judging { id } if *id == packet.id => return Ok(Step::Nothing),
            State::Asking => {}
            State::Accepted { .. } | State::Judging { .. } | State::Refused => {
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
                out.push(answer.clone());
                self.state = State::Accepted { id, answer };
                Ok(Step::Accepted(self.user.clone()))
            }
            Verdict::Reject {
                code,
                retry,
                message,
            } => {
                let message: String = message.chars().filter(|c| !c.is_control()).collect();
                match self.method {
                    AuthMethod::Pap => {
                        let text = message.as_bytes().get(..255).unwrap_or(message.as_bytes());
                        let mut data = vec![u8::try_from(text.len()).unwrap_or(255)];
                        data.extend(text);
                        out.push(packet(Code::PAP_NAK, id, &data));
                    }
                    AuthMethod::ChapMd5 => {
                        out.push(packet(Code::CHAP_FAILURE, id, message.as_bytes()));
                    }
                    AuthMethod::MsChapV2 => {
                        self.challenge = vec![0; 16];
                        rng.fill_bytes(&mut self.challenge);
                        let text = failure(*code, *retry, &self.challenge, &message);
                        out.push(packet(Code::CHAP_FAILURE, id, text.as_bytes()));
                        if *retry {
                            // The next response answers the new challenge (RFC 2759 section 6).
                            self.id = id.wrapping_add(1);
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

    /// Repeats a challenge that got no response; false when it is time to give up.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Instant,
        config: &Config,
        out: &mut Vec<Vec<u8>>,
    ) -> bool {
        if matches!(self.state, State::Accepted { .. }) {
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
            State::Accepted { .. } | State::Refused => None,
            State::Asking | State::Judging { .. } => Some(
                self.resend_at
                    .map_or(self.give_up_at, |at| at.min(self.give_up_at)),
            ),
        }
    }
}

/// The message of an MS-CHAPv2 Failure (RFC 2759 section 6).
fn failure(code: u16, retry: bool, challenge: &[u8], message: &str) -> String {
    let mut text = format!("E={code} R={} C=", u8::from(retry));
    for byte in challenge {
        let _ = write!(text, "{byte:02X}");
    }
    let _ = write!(text, " V=3 M={message}");
    text
}
