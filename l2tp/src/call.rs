//! What control messages say of a call.

use crate::wire::{AvpType, Builder, MAX_VALUE, Message};
use crate::{Error, Secret};

/// Synchronous framing (RFC 2661 section 4.4.4).
const FRAMING_SYNC: u32 = 1;
/// Digital access (RFC 2661 section 4.4.4).
const BEARER_DIGITAL: u32 = 1;
/// What a call that runs over IP says of its speed, in bits a second.
const SPEED: u32 = 100_000_000;

/// Who asked for a call, in the words of RFC 2661 section 5.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The LAC has a caller for the LNS (ICRQ).
    Incoming,
    /// The LNS wants the LAC to call someone (OCRQ).
    Outgoing,
}

/// Which end of a call we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// L2TP Access Concentrator: where the call comes in or goes out.
    Lac,
    /// L2TP Network Server: where PPP ends.
    Lns,
}

/// What ICRQ or OCRQ say of a call (RFC 2661 sections 6.6 and 6.9).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallRequest {
    /// Call Serial Number AVP. Left at 0 for a call of ours, the tunnel's calls are counted.
    pub serial: u32,
    /// Bearer Type AVP.
    pub bearer_type: Option<u32>,
    /// Framing Type AVP, of OCRQ.
    pub framing_type: Option<u32>,
    /// Minimum BPS AVP, of OCRQ: bits a second.
    pub minimum_bps: Option<u32>,
    /// Maximum BPS AVP, of OCRQ: bits a second.
    pub maximum_bps: Option<u32>,
    /// Called Number AVP.
    pub called_number: Option<Vec<u8>>,
    /// Calling Number AVP, of ICRQ.
    pub calling_number: Option<Vec<u8>>,
    /// Sub-Address AVP.
    pub sub_address: Option<Vec<u8>>,
    /// Physical Channel ID AVP, of ICRQ.
    pub physical_channel: Option<u32>,
}

impl CallRequest {
    pub(crate) fn check(&self) -> Result<(), Error> {
        check_sizes([
            self.called_number.as_deref(),
            self.calling_number.as_deref(),
            self.sub_address.as_deref(),
        ])
    }

    pub(crate) fn read(message: &Message) -> Self {
        let bytes = |kind| message.bytes(kind).map(<[u8]>::to_vec);
        Self {
            serial: message.long(AvpType::CALL_SERIAL_NUMBER).unwrap_or(0),
            bearer_type: message.long(AvpType::BEARER_TYPE),
            framing_type: message.long(AvpType::FRAMING_TYPE),
            minimum_bps: message.long(AvpType::MINIMUM_BPS),
            maximum_bps: message.long(AvpType::MAXIMUM_BPS),
            called_number: bytes(AvpType::CALLED_NUMBER),
            calling_number: bytes(AvpType::CALLING_NUMBER),
            sub_address: bytes(AvpType::SUB_ADDRESS),
            physical_channel: message.long(AvpType::PHYSICAL_CHANNEL_ID),
        }
    }

    pub(crate) fn write(&self, direction: Direction, message: &mut Builder<'_>) {
        message.long(AvpType::CALL_SERIAL_NUMBER, self.serial);
        match direction {
            Direction::Incoming => message
                .maybe_long(AvpType::BEARER_TYPE, self.bearer_type)
                .maybe_long(AvpType::PHYSICAL_CHANNEL_ID, self.physical_channel)
                .maybe_bytes(AvpType::CALLING_NUMBER, self.calling_number.as_deref())
                .maybe_bytes(AvpType::CALLED_NUMBER, self.called_number.as_deref()),
            // All of these must be there.
            Direction::Outgoing => message
                .long(AvpType::MINIMUM_BPS, self.minimum_bps.unwrap_or(1))
                .long(AvpType::MAXIMUM_BPS, self.maximum_bps.unwrap_or(SPEED))
                .long(
                    AvpType::BEARER_TYPE,
                    self.bearer_type.unwrap_or(BEARER_DIGITAL),
                )
                .long(
                    AvpType::FRAMING_TYPE,
                    self.framing_type.unwrap_or(FRAMING_SYNC),
                )
                .bytes(
                    AvpType::CALLED_NUMBER,
                    self.called_number.as_deref().unwrap_or_default(),
                ),
        };
        message.maybe_bytes(AvpType::SUB_ADDRESS, self.sub_address.as_deref());
    }
}

/// What ICCN or OCCN say of a call (RFC 2661 sections 6.8 and 6.11).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallConnected {
    /// (Tx) Connect Speed AVP: bits a second.
    pub tx_speed: u32,
    /// Rx Connect Speed AVP, if it is another one: bits a second.
    pub rx_speed: Option<u32>,
    /// Framing Type AVP.
    pub framing_type: u32,
    /// Sequencing Required AVP: data messages must be numbered (RFC 2661 section 5.4).
    pub sequencing_required: bool,
    /// Private Group ID AVP.
    pub private_group: Option<Vec<u8>>,
    /// Initial Received LCP CONFREQ AVP: the options.
    pub initial_received_lcp: Option<Vec<u8>>,
    /// Last Sent LCP CONFREQ AVP: the options.
    pub last_sent_lcp: Option<Vec<u8>>,
    /// Last Received LCP CONFREQ AVP: the options.
    pub last_received_lcp: Option<Vec<u8>>,
    /// What the LAC has learnt of the user.
    pub proxy_authen: Option<ProxyAuthen>,
}

impl Default for CallConnected {
    fn default() -> Self {
        Self {
            tx_speed: SPEED,
            rx_speed: None,
            framing_type: FRAMING_SYNC,
            sequencing_required: false,
            private_group: None,
            initial_received_lcp: None,
            last_sent_lcp: None,
            last_received_lcp: None,
            proxy_authen: None,
        }
    }
}

/// The Proxy Authen AVPs (RFC 2661 section 4.4.5).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyAuthen {
    /// Proxy Authen Type: 1 text, 2 CHAP, 3 PAP, 4 none, 5 MS-CHAPv1.
    pub authen_type: u16,
    /// Proxy Authen Name.
    pub name: Option<Vec<u8>>,
    /// Proxy Authen Challenge.
    pub challenge: Option<Vec<u8>>,
    /// Proxy Authen ID.
    pub id: Option<u8>,
    /// Proxy Authen Response: the password, if the type is PAP.
    pub response: Option<Secret>,
}

impl CallConnected {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let proxy = self.proxy_authen.as_ref();
        check_sizes([
            self.private_group.as_deref(),
            self.initial_received_lcp.as_deref(),
            self.last_sent_lcp.as_deref(),
            self.last_received_lcp.as_deref(),
            proxy.and_then(|p| p.name.as_deref()),
            proxy.and_then(|p| p.challenge.as_deref()),
            proxy.and_then(|p| p.response.as_ref().map(Secret::expose)),
        ])
    }

    pub(crate) fn read(message: &Message) -> Self {
        let bytes = |kind| message.bytes(kind).map(<[u8]>::to_vec);
        let proxy_authen = message.word(AvpType::PROXY_AUTHEN_TYPE);
        Self {
            tx_speed: message.long(AvpType::TX_CONNECT_SPEED).unwrap_or(0),
            rx_speed: message.long(AvpType::RX_CONNECT_SPEED),
            framing_type: message.long(AvpType::FRAMING_TYPE).unwrap_or(0),
            sequencing_required: message.bytes(AvpType::SEQUENCING_REQUIRED).is_some(),
            private_group: bytes(AvpType::PRIVATE_GROUP_ID),
            initial_received_lcp: bytes(AvpType::INITIAL_RECEIVED_LCP),
            last_sent_lcp: bytes(AvpType::LAST_SENT_LCP),
            last_received_lcp: bytes(AvpType::LAST_RECEIVED_LCP),
            proxy_authen: proxy_authen.map(|authen_type| ProxyAuthen {
                authen_type,
                name: bytes(AvpType::PROXY_AUTHEN_NAME),
                challenge: bytes(AvpType::PROXY_AUTHEN_CHALLENGE),
                // The first of its two bytes is reserved.
                id: message
                    .word(AvpType::PROXY_AUTHEN_ID)
                    .map(|id| id.to_be_bytes()[1]),
                response: message
                    .bytes(AvpType::PROXY_AUTHEN_RESPONSE)
                    .map(Secret::new),
            }),
        }
    }

    pub(crate) fn write(&self, message: &mut Builder<'_>) {
        message
            .long(AvpType::TX_CONNECT_SPEED, self.tx_speed)
            .long(AvpType::FRAMING_TYPE, self.framing_type)
            .maybe_bytes(
                AvpType::INITIAL_RECEIVED_LCP,
                self.initial_received_lcp.as_deref(),
            )
            .maybe_bytes(AvpType::LAST_SENT_LCP, self.last_sent_lcp.as_deref())
            .maybe_bytes(
                AvpType::LAST_RECEIVED_LCP,
                self.last_received_lcp.as_deref(),
            );
        if let Some(proxy) = &self.proxy_authen {
            let id = proxy.id.map(|id| [0, id]);
            let response = proxy.response.as_ref().map(Secret::expose);
            message
                .word(AvpType::PROXY_AUTHEN_TYPE, proxy.authen_type)
                .maybe_bytes(AvpType::PROXY_AUTHEN_NAME, proxy.name.as_deref())
                .maybe_bytes(AvpType::PROXY_AUTHEN_CHALLENGE, proxy.challenge.as_deref())
                .maybe_bytes(
                    AvpType::PROXY_AUTHEN_ID,
                    id.as_ref().map(<[u8; 2]>::as_slice),
                )
                .maybe_bytes(AvpType::PROXY_AUTHEN_RESPONSE, response);
        }
        message
            .maybe_bytes(AvpType::PRIVATE_GROUP_ID, self.private_group.as_deref())
            .maybe_long(AvpType::RX_CONNECT_SPEED, self.rx_speed);
        if self.sequencing_required {
            message.bytes(AvpType::SEQUENCING_REQUIRED, &[]);
        }
    }
}

/// All that is said of a call while it comes up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call {
    /// What ICRQ or OCRQ say.
    pub request: CallRequest,
    /// What ICCN or OCCN say.
    pub connected: CallConnected,
}

impl Call {
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.request.check()?;
        self.connected.check()
    }
}

/// Counters of a WEN since the call began (RFC 2661 section 4.4.6, Call Errors AVP).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallErrors {
    /// PPP frames with a bad check sum.
    pub crc: u32,
    /// Improperly framed PPP packets.
    pub framing: u32,
    /// Receive buffer over-runs of the hardware.
    pub hardware_overruns: u32,
    /// Buffer over-runs of the software.
    pub buffer_overruns: u32,
    /// Time-outs.
    pub timeouts: u32,
    /// Alignment errors.
    pub alignment: u32,
}

impl CallErrors {
    pub(crate) fn read(message: &Message) -> Option<Self> {
        let [
            crc,
            framing,
            hardware_overruns,
            buffer_overruns,
            timeouts,
            alignment,
        ] = longs(message.bytes(AvpType::CALL_ERRORS)?)?;
        Some(Self {
            crc,
            framing,
            hardware_overruns,
            buffer_overruns,
            timeouts,
            alignment,
        })
    }

    pub(crate) fn write(&self, message: &mut Builder<'_>) {
        let counters = [
            self.crc,
            self.framing,
            self.hardware_overruns,
            self.buffer_overruns,
            self.timeouts,
            self.alignment,
        ];
        message.bytes(AvpType::CALL_ERRORS, &reserved_then(&counters));
    }
}

/// Control character maps of an SLI (RFC 2661 section 4.4.6, ACCM AVP).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accm {
    /// For packets that the LAC sends.
    pub send: u32,
    /// For packets that the LAC receives.
    pub receive: u32,
}

impl Accm {
    pub(crate) fn read(message: &Message) -> Option<Self> {
        let [send, receive] = longs(message.bytes(AvpType::ACCM)?)?;
        Some(Self { send, receive })
    }

    pub(crate) fn write(&self, message: &mut Builder<'_>) {
        message.bytes(AvpType::ACCM, &reserved_then(&[self.send, self.receive]));
    }
}

/// Two reserved bytes, then 32-bit values.
fn longs<const N: usize>(value: &[u8]) -> Option<[u32; N]> {
    let (chunks, _) = value.get(2..)?.as_chunks::<4>();
    let chunks: &[[u8; 4]; N] = chunks.try_into().ok()?;
    Some(chunks.map(u32::from_be_bytes))
}

fn reserved_then(values: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0; 2];
    bytes.extend(values.iter().flat_map(|v| v.to_be_bytes()));
    bytes
}

fn check_sizes<const N: usize>(values: [Option<&[u8]>; N]) -> Result<(), Error> {
    let long = values.into_iter().flatten().any(|v| v.len() > MAX_VALUE);
    if long { Err(Error::TooLong) } else { Ok(()) }
}
