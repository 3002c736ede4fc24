use super::{AuthMethod, chap_md5, mschapv2, packet};
use crate::event::{AuthFailure, printable};
use crate::wire::{ChapValue, Code, MsChapFailure, MsChapV2Response, Packet, PapRequest};
use crate::{Config, Credentials, Error};
use rand_core::CryptoRng;
use std::time::Instant;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Challenges answered at a time.
const CHALLENGES: usize = 4;

/// The peer's side: proves who we are.
#[derive(Debug)]
pub(crate) struct ClientAuth {
    pub(crate) method: AuthMethod,
    /// What has no verdict yet. More than one when a challenge of an earlier try comes late.
    sent: Vec<Sent>,
    /// Identifier and challenge of another try, if the peer allows one.
    again: Option<(u8, [u8; 16])>,
    resend_at: Option<Instant>,
    give_up_at: Instant,
    done: bool,
}

struct Sent {
    id: u8,
    expected: Option<String>,
    challenge: Vec<u8>,
    /// Repeated until there is a verdict, which may have been lost (RFC 1994 section 4.2).
    packet: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sent")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Whether we are in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Pending,
    Accepted,
    Refused(AuthFailure),
}

impl ClientAuth {
    pub(crate) fn new(
        now: Instant,
        method: AuthMethod,
        config: &Config,
        credentials: &Credentials,
        out: &mut Vec<Vec<u8>>,
    ) -> Self {
        let mut this = Self {
            method,
            sent: Vec::new(),
            again: None,
            resend_at: None,
            give_up_at: now + config.auth_timeout,
            done: false,
        };
        if method == AuthMethod::Pap {
            let request = PapRequest {
                user: &credentials.user,
                password: credentials.password.expose().as_bytes(),
            };
            let request = packet(Code::PAP_REQUEST, 1, &request.emit());
            this.send(now, 1, None, request, config, out);
        }
        this
    }

    fn send(
        &mut self,
        now: Instant,
        id: u8,
        expected: Option<String>,
        packet: Vec<u8>,
        config: &Config,
        out: &mut Vec<Vec<u8>>,
    ) {
        out.push(packet.clone());
        let packet = Zeroizing::new(packet);
        self.sent.retain(|sent| sent.id != id);
        if self.sent.len() >= CHALLENGES {
            self.sent.remove(0);
        }
        self.sent.push(Sent {
            id,
            expected,
            challenge: Vec::new(),
            packet,
        });
        self.resend_at = Some(now + config.restart_timer);
    }

    pub(crate) fn handle(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        config: &Config,
        credentials: &Credentials,
        rng: &mut dyn CryptoRng,
        out: &mut Vec<Vec<u8>>,
    ) -> Result<Outcome, Error> {
        match (self.method, packet.code) {
            (AuthMethod::ChapMd5 | AuthMethod::MsChapV2, Code::CHAP_CHALLENGE) => {
                let value = ChapValue::parse(packet.data)?.value;
                self.respond(now, packet.id, value, config, credentials, rng, out)?;
                Ok(Outcome::Pending)
            }
            (AuthMethod::Pap, Code::PAP_ACK)
            | (AuthMethod::ChapMd5 | AuthMethod::MsChapV2, Code::CHAP_SUCCESS) => {
                self.accepted(packet)
            }
            (AuthMethod::Pap, Code::PAP_NAK)
            | (AuthMethod::ChapMd5 | AuthMethod::MsChapV2, Code::CHAP_FAILURE) => {
                self.refused(now, packet, config)
            }
            _ => Err(Error::UnexpectedPhase),
        }
    }

    #[allow(clippy::too_many_arguments, reason = "what a response is made of")]
    fn respond(
        &mut self,
        now: Instant,
        id: u8,
        value: &[u8],
        config: &Config,
        credentials: &Credentials,
        rng: &mut dyn CryptoRng,
        out: &mut Vec<Vec<u8>>,
    ) -> Result<(), Error> {
        let same = |sent: &&Sent| (sent.id, sent.challenge.as_slice()) == (id, value);
        if let Some(sent) = self.sent.iter().find(same) {
            // A repeated challenge gets the same response: the verdict may be on its way.
            out.push(sent.packet.to_vec());
            return Ok(());
        }
        let password = &credentials.password;
        let (response, expected) = if self.method == AuthMethod::MsChapV2 {
            let authenticator: [u8; 16] = value
                .try_into()
                .map_err(|_| Error::BadLength("MS-CHAPv2 challenge"))?;
            let mut peer_challenge = [0; 16];
            rng.fill_bytes(&mut peer_challenge);
            let user = mschapv2::without_domain(&credentials.user);
            let hash = mschapv2::nt_password_hash(password.expose());
            let nt_response = mschapv2::nt_response(&authenticator, &peer_challenge, user, &hash);
            let expected = mschapv2::authenticator_response(
                &hash,
                &nt_response,
                &peer_challenge,
                &authenticator,
                user,
            );
            let response = MsChapV2Response {
                peer_challenge,
                nt_response,
            };
            (response.emit(), Some(expected))
        } else {
            let digest = chap_md5(id, password.expose().as_bytes(), value);
            (digest.to_vec(), None)
        };
        let data = ChapValue {
            value: &response,
            name: &credentials.user,
        };
        let response = packet(Code::CHAP_RESPONSE, id, &data.emit());
        self.send(now, id, expected, response, config, out);
        if let Some(sent) = self.sent.last_mut() {
            sent.challenge = value.to_vec();
        }
        Ok(())
    }

    fn accepted(&mut self, packet: &Packet<'_>) -> Result<Outcome, Error> {
        let sent = self.answers_us(packet.id)?;
        if let Some(expected) = &sent.expected {
            let proof = packet.data.get(..expected.len()).unwrap_or_default();
            let equal: bool = proof.ct_eq(expected.as_bytes()).into();
            if !equal {
                // It does not know the password itself (RFC 2759 section 5).
                return Ok(Outcome::Refused(AuthFailure {
                    code: None,
                    retry: false,
                    message: "the peer does not know the password".into(),
                }));
            }
        }
        self.done = true;
        self.resend_at = None;
        Ok(Outcome::Accepted)
    }

    fn refused(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        config: &Config,
    ) -> Result<Outcome, Error> {
        self.answers_us(packet.id)?;
        let mut failure = AuthFailure {
            code: None,
            retry: false,
            message: String::new(),
        };
        match self.method {
            // A length comes first.
            AuthMethod::Pap => failure.message = printable(packet.data.get(1..).unwrap_or(&[])),
            AuthMethod::ChapMd5 => failure.message = printable(packet.data),
            AuthMethod::MsChapV2 => {
                if let Some(said) = MsChapFailure::parse(packet.data) {
                    failure.code = Some(said.code);
                    failure.message = printable(said.message);
                    self.again = said
                        .challenge
                        .filter(|_| said.retry && config.ask_again)
                        .map(|challenge| (packet.id.wrapping_add(1), challenge));
                    failure.retry = self.again.is_some();
                }
            }
        }
        if failure.retry {
            self.sent.clear();
            self.resend_at = None;
            self.give_up_at = now + config.auth_timeout;
        }
        Ok(Outcome::Refused(failure))
    }

    /// Another name or password, after a refusal that allows one.
    pub(crate) fn retry(
        &mut self,
        now: Instant,
        config: &Config,
        credentials: &Credentials,
        rng: &mut dyn CryptoRng,
        out: &mut Vec<Vec<u8>>,
    ) -> Result<(), Error> {
        let (id, challenge) = self.again.take().ok_or(Error::NotNow)?;
        self.respond(now, id, &challenge, config, credentials, rng, out)
    }

    /// A verdict counts only on what we have sent.
    fn answers_us(&self, id: u8) -> Result<&Sent, Error> {
        self.sent
            .iter()
            .find(|sent| sent.id == id)
            .ok_or(Error::UnknownIdentifier)
    }

    /// Repeats what has no verdict yet; false when it is time to give up.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Instant,
        config: &Config,
        out: &mut Vec<Vec<u8>>,
    ) -> bool {
        if self.done {
            return true;
        }
        if now >= self.give_up_at {
            return false;
        }
        if self.resend_at.is_some_and(|at| at <= now) {
            out.extend(self.sent.iter().map(|sent| sent.packet.to_vec()));
            self.resend_at = Some(now + config.restart_timer);
        }
        true
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        if self.done {
            return None;
        }
        Some(
            self.resend_at
                .map_or(self.give_up_at, |at| at.min(self.give_up_at)),
        )
    }
}
