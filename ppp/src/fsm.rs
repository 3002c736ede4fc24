//! The option negotiation automaton (RFC 1661 section 4), as one pure function.

/// A state (RFC 1661 section 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the RFC's own names")]
pub enum State {
    Initial,
    Starting,
    Closed,
    Stopped,
    Closing,
    Stopping,
    ReqSent,
    AckRcvd,
    AckSent,
    Opened,
}

impl State {
    /// Every state, in the order of the RFC's table.
    pub const ALL: [Self; 10] = [
        Self::Initial,
        Self::Starting,
        Self::Closed,
        Self::Stopped,
        Self::Closing,
        Self::Stopping,
        Self::ReqSent,
        Self::AckRcvd,
        Self::AckSent,
        Self::Opened,
    ];

    /// Whether the restart timer runs in this state.
    pub(crate) fn has_timer(self) -> bool {
        matches!(
            self,
            Self::Closing | Self::Stopping | Self::ReqSent | Self::AckRcvd | Self::AckSent
        )
    }
}

/// An event (RFC 1661 section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// The lower layer is up.
    Up,
    /// The lower layer is down.
    Down,
    /// Administrative open.
    Open,
    /// Administrative close.
    Close,
    /// Timeout with the restart counter above zero (TO+).
    Timeout,
    /// Timeout with the restart counter expired (TO-).
    TimeoutExpired,
    /// Configure-Request, acceptable (RCR+).
    ConfigureRequestGood,
    /// Configure-Request, not acceptable (RCR-).
    ConfigureRequestBad,
    /// Configure-Ack (RCA).
    ConfigureAck,
    /// Configure-Nak or -Reject (RCN).
    ConfigureNak,
    /// Terminate-Request (RTR).
    TerminateRequest,
    /// Terminate-Ack (RTA).
    TerminateAck,
    /// Unknown code (RUC).
    UnknownCode,
    /// Code-Reject or Protocol-Reject that can be lived with (RXJ+).
    RejectHarmless,
    /// Code-Reject or Protocol-Reject that can not (RXJ-).
    RejectFatal,
    /// Echo-Request, Echo-Reply or Discard-Request (RXR).
    Echo,
}

impl Event {
    /// Every event, in the order of the RFC's table.
    pub const ALL: [Self; 16] = [
        Self::Up,
        Self::Down,
        Self::Open,
        Self::Close,
        Self::Timeout,
        Self::TimeoutExpired,
        Self::ConfigureRequestGood,
        Self::ConfigureRequestBad,
        Self::ConfigureAck,
        Self::ConfigureNak,
        Self::TerminateRequest,
        Self::TerminateAck,
        Self::UnknownCode,
        Self::RejectHarmless,
        Self::RejectFatal,
        Self::Echo,
    ];
}

/// An action (RFC 1661 section 4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// This-Layer-Up (tlu).
    LayerUp,
    /// This-Layer-Down (tld).
    LayerDown,
    /// This-Layer-Started (tls).
    LayerStarted,
    /// This-Layer-Finished (tlf).
    LayerFinished,
    /// Initialize-Restart-Count (irc).
    InitRestartCount,
    /// Zero-Restart-Count (zrc).
    ZeroRestartCount,
    /// Send-Configure-Request (scr).
    SendConfigureRequest,
    /// Send-Configure-Ack (sca).
    SendConfigureAck,
    /// Send-Configure-Nak or -Reject (scn).
    SendConfigureNak,
    /// Send-Terminate-Request (str).
    SendTerminateRequest,
    /// Send-Terminate-Ack (sta).
    SendTerminateAck,
    /// Send-Code-Reject (scj).
    SendCodeReject,
    /// Send-Echo-Reply (ser).
    SendEchoReply,
}

/// The next state and what to do, or nothing where the RFC's table has no entry.
///
/// The restart option of section 4.3 (a second Open restarts the link) is not implemented.
#[must_use]
pub fn transition(state: State, event: Event) -> Option<(State, &'static [Action])> {
    use Action::{
        InitRestartCount as Irc, LayerDown as Tld, LayerFinished as Tlf, LayerStarted as Tls,
        LayerUp as Tlu, SendCodeReject as Scj, SendConfigureAck as Sca, SendConfigureNak as Scn,
        SendConfigureRequest as Scr, SendEchoReply as Ser, SendTerminateAck as Sta,
        SendTerminateRequest as Str, ZeroRestartCount as Zrc,
    };
    use State::{
        AckRcvd, AckSent, Closed, Closing, Initial, Opened, ReqSent, Starting, Stopped, Stopping,
    };
    // Columns in the RFC's order; `None` is its dash.
    type Cell = Option<(State, &'static [Action])>;
    let row: [Cell; 10] = match event {
        Event::Up => {
            let none: Cell = None;
            let mut row = [none; 10];
            row[0] = Some((Closed, &[]));
            row[1] = Some((ReqSent, &[Irc, Scr]));
            row
        }
        Event::Down => [
            None,
            None,
            Some((Initial, &[])),
            Some((Starting, &[Tls])),
            Some((Initial, &[])),
            Some((Starting, &[])),
            Some((Starting, &[])),
            Some((Starting, &[])),
            Some((Starting, &[])),
            Some((Starting, &[Tld])),
        ],
        Event::Open => [
            Some((Starting, &[Tls])),
            Some((Starting, &[])),
            Some((ReqSent, &[Irc, Scr])),
            Some((Stopped, &[])),
            Some((Stopping, &[])),
            Some((Stopping, &[])),
            Some((ReqSent, &[])),
            Some((AckRcvd, &[])),
            Some((AckSent, &[])),
            Some((Opened, &[])),
        ],
        Event::Close => [
            Some((Initial, &[])),
            Some((Initial, &[Tlf])),
            Some((Closed, &[])),
            Some((Closed, &[])),
            Some((Closing, &[])),
            Some((Closing, &[])),
            Some((Closing, &[Irc, Str])),
            Some((Closing, &[Irc, Str])),
            Some((Closing, &[Irc, Str])),
            Some((Closing, &[Tld, Irc, Str])),
        ],
        Event::Timeout => [
            None,
            None,
            None,
            None,
            Some((Closing, &[Str])),
            Some((Stopping, &[Str])),
            Some((ReqSent, &[Scr])),
            Some((ReqSent, &[Scr])),
            Some((AckSent, &[Scr])),
            None,
        ],
        Event::TimeoutExpired => [
            None,
            None,
            None,
            None,
            Some((Closed, &[Tlf])),
            Some((Stopped, &[Tlf])),
            Some((Stopped, &[Tlf])),
            Some((Stopped, &[Tlf])),
            Some((Stopped, &[Tlf])),
            None,
        ],
        Event::ConfigureRequestGood => [
            None,
            None,
            Some((Closed, &[Sta])),
            Some((AckSent, &[Irc, Scr, Sca])),
            Some((Closing, &[])),
            Some((Stopping, &[])),
            Some((AckSent, &[Sca])),
            Some((Opened, &[Sca, Tlu])),
            Some((AckSent, &[Sca])),
            Some((AckSent, &[Tld, Scr, Sca])),
        ],
        Event::ConfigureRequestBad => [
            None,
            None,
            Some((Closed, &[Sta])),
            Some((ReqSent, &[Irc, Scr, Scn])),
            Some((Closing, &[])),
            Some((Stopping, &[])),
            Some((ReqSent, &[Scn])),
            Some((AckRcvd, &[Scn])),
            Some((ReqSent, &[Scn])),
            Some((ReqSent, &[Tld, Scr, Scn])),
        ],
        Event::ConfigureAck => [
            None,
            None,
            Some((Closed, &[Sta])),
            Some((Stopped, &[Sta])),
            Some((Closing, &[])),
            Some((Stopping, &[])),
            Some((AckRcvd, &[Irc])),
            Some((ReqSent, &[Scr])),
            Some((Opened, &[Irc, Tlu])),
            Some((ReqSent, &[Tld, Scr])),
        ],
        Event::ConfigureNak => [
            None,
            None,
            Some((Closed, &[Sta])),
            Some((Stopped, &[Sta])),
            Some((Closing, &[])),
            Some((Stopping, &[])),
            Some((ReqSent, &[Irc, Scr])),
            Some((ReqSent, &[Scr])),
            Some((AckSent, &[Irc, Scr])),
            Some((ReqSent, &[Tld, Scr])),
        ],
        Event::TerminateRequest => [
            None,
            None,
            Some((Closed, &[Sta])),
            Some((Stopped, &[Sta])),
            Some((Closing, &[Sta])),
            Some((Stopping, &[Sta])),
            Some((ReqSent, &[Sta])),
            Some((ReqSent, &[Sta])),
            Some((ReqSent, &[Sta])),
            Some((Stopping, &[Tld, Zrc, Sta])),
        ],
        Event::TerminateAck => [
            None,
            None,
            Some((Closed, &[])),
            Some((Stopped, &[])),
            Some((Closed, &[Tlf])),
            Some((Stopped, &[Tlf])),
            Some((ReqSent, &[])),
            Some((ReqSent, &[])),
            Some((AckSent, &[])),
            Some((ReqSent, &[Tld, Scr])),
        ],
        Event::UnknownCode => [
            None,
            None,
            Some((Closed, &[Scj])),
            Some((Stopped, &[Scj])),
            Some((Closing, &[Scj])),
            Some((Stopping, &[Scj])),
            Some((ReqSent, &[Scj])),
            Some((AckRcvd, &[Scj])),
            Some((AckSent, &[Scj])),
            Some((Opened, &[Scj])),
        ],
        Event::RejectHarmless => [
            None,
            None,
            Some((Closed, &[])),
            Some((Stopped, &[])),
            Some((Closing, &[])),
            Some((Stopping, &[])),
            Some((ReqSent, &[])),
            Some((ReqSent, &[])),
            Some((AckSent, &[])),
            Some((Opened, &[])),
        ],
        Event::RejectFatal => [
            None,
            None,
            Some((Closed, &[Tlf])),
            Some((Stopped, &[Tlf])),
            Some((Closed, &[Tlf])),
            Some((Stopped, &[Tlf])),
            Some((Stopped, &[Tlf])),
            Some((Stopped, &[Tlf])),
            Some((Stopped, &[Tlf])),
            Some((Stopping, &[Tld, Irc, Str])),
        ],
        Event::Echo => [
            None,
            None,
            Some((Closed, &[])),
            Some((Stopped, &[])),
            Some((Closing, &[])),
            Some((Stopping, &[])),
            Some((ReqSent, &[])),
            Some((AckRcvd, &[])),
            Some((AckSent, &[])),
            Some((Opened, &[Ser])),
        ],
    };
    row.get(state as usize).copied().flatten()
}
