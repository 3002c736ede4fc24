//! What a failure means, what to change, and what Windows tells its user.

use super::status::Stage;

/// In words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Advice {
    /// What happened.
    pub(super) explanation: &'static str,
    /// What to change.
    pub(super) advice: &'static str,
    /// The error number on Windows.
    pub(super) windows: Option<u16>,
}

const fn new(explanation: &'static str, advice: &'static str, windows: u16) -> Advice {
    Advice {
        explanation,
        advice,
        windows: if windows == 0 { None } else { Some(windows) },
    }
}

const OPEN_PORTS: &str = "Let UDP 500 and UDP 4500 (and IP protocol 50 where there is no NAT) through every firewall on the way";

/// `reason` as it stands in log and counters; `stage` is where it happened.
pub(super) fn advise(stage: Stage, reason: &str) -> Advice {
    match stage {
        Stage::MainMode => main_mode(reason),
        Stage::QuickMode => quick_mode(reason),
        Stage::L2tp => l2tp(reason),
        Stage::Lcp => lcp(reason),
        Stage::Authentication => authentication(reason),
        Stage::Ipcp => ipcp(reason),
        Stage::Connected | Stage::Closing => ended(reason),
    }
}

fn main_mode(reason: &str) -> Advice {
    match reason {
        "no_proposal_chosen" => new(
            "The client offered no IKE algorithms that the policy allows",
            "Set gateway.policy to \"compat\", or \"legacy_xp\" for Windows XP, or allow stronger algorithms on the client",
            789,
        ),
        "authentication_failed" => new(
            "The client has another pre-shared key",
            "Enter the gateway's pre-shared key on the client, in Windows under Advanced settings of L2TP/IPsec",
            789,
        ),
        "no_preshared_key" => new(
            "No pre-shared key is configured for the client's address",
            "Add [[psk]] with peer = \"any\" or with this address",
            789,
        ),
        "invalid_identity" => new(
            "The client says it is somebody else than expected",
            "Let the client send its IP address as its identity",
            789,
        ),
        "aggressive_mode" => new(
            "The client wants aggressive mode, which would let anybody guess the pre-shared key",
            "Remove the group name or IPsec identifier from the client",
            0,
        ),
        "timeout" => new(
            "The client began main mode and then fell silent",
            OPEN_PORTS,
            809,
        ),
        "peer_refused" => new(
            "The client broke off main mode with an error",
            "Look into the client's log: its own policy forbids what was agreed on",
            789,
        ),
        _ => new(
            "Main mode failed",
            "Look into the log for this address",
            789,
        ),
    }
}

fn quick_mode(reason: &str) -> Advice {
    match reason {
        "no_proposal_chosen" => new(
            "The client offered no ESP algorithms that the policy allows",
            "Set gateway.policy to \"compat\", or \"legacy_xp\" for Windows XP, or allow stronger algorithms on the client",
            789,
        ),
        "no_quick_mode" => new(
            "Main mode succeeded, but the client never asked for ESP",
            "Restart IPsec on the client and see that it is set to L2TP/IPsec with a pre-shared key",
            789,
        ),
        "timeout" => new(
            "The client began quick mode and then fell silent",
            OPEN_PORTS,
            809,
        ),
        _ => new(
            "Quick mode failed",
            "Look into the log for this connection",
            789,
        ),
    }
}

fn l2tp(reason: &str) -> Advice {
    match reason {
        "no_l2tp" => new(
            "IKE succeeded, but no L2TP came through ESP",
            OPEN_PORTS,
            809,
        ),
        "timeout" => new(
            "The client no longer answers on its L2TP tunnel",
            OPEN_PORTS,
            809,
        ),
        "tunnel_authentication_failed" => new(
            "The client has another L2TP tunnel secret",
            "Set the client's tunnel secret to l2tp.tunnel_secret, or remove both: IPsec protects the tunnel already",
            0,
        ),
        "peer_closed" => new(
            "The client closed its L2TP tunnel before a call was up",
            "Try again; if it comes again, look into the client's log",
            0,
        ),
        _ => new(
            "The L2TP tunnel failed",
            "Look into the log for this connection",
            809,
        ),
    }
}

fn lcp(reason: &str) -> Advice {
    match reason {
        "no_common_authentication" => new(
            "Client and gateway have no authentication method in common",
            "Allow MS-CHAP v2 on the client, or add its method to ppp.auth",
            734,
        ),
        "negotiation_timeout" => new(
            "The client does not answer on the PPP link",
            "Try again; if it comes again, restart the client",
            718,
        ),
        "peer_terminated" | "peer_closed" => new(
            "The client ended the PPP link while it was being set up",
            "Allow MS-CHAP v2 on the client, and set data encryption there to optional: IPsec encrypts already",
            734,
        ),
        _ => new(
            "The PPP link could not be set up",
            "Look into the log for this connection",
            734,
        ),
    }
}

fn authentication(reason: &str) -> Advice {
    match reason {
        "bad_password" => new(
            "Wrong password",
            "Enter the password again on the client, or set a new one for the user on the gateway",
            691,
        ),
        "unknown_user" => new(
            "The gateway knows no user of this name",
            "Correct the name on the client, or add [[user]] on the gateway",
            691,
        ),
        "no_address_free" => new(
            "Name and password are right, but no address is free",
            "Make pool.range larger, or end connections that are no longer used with `gateway kick`",
            691,
        ),
        "radius_reject" => new(
            "The RADIUS server refuses the user",
            "Look into its log: name, password, or what the user may do",
            691,
        ),
        "radius_no_reply" => new(
            "No RADIUS server has replied",
            "See that a server of [radius] runs, knows this gateway's address and has the same secret",
            691,
        ),
        "already_connected" | "too_many_sessions" => new(
            "The user has as many connections as it may have",
            "End one with `gateway kick`, or change `sessions` in [aaa] or in the user's table",
            649,
        ),
        "authentication_timeout" => new(
            "The client did not say who it is",
            "Try again; if it comes again, see that a name and a password are set on the client",
            718,
        ),
        "peer_terminated" | "peer_closed" => new(
            "The client hung up while it logged in",
            "Allow MS-CHAP v2 on the client, and set data encryption there to optional: IPsec encrypts already",
            734,
        ),
        _ => new(
            "The user was not let in",
            "Look into the log for this connection",
            691,
        ),
    }
}

fn ipcp(reason: &str) -> Advice {
    match reason {
        "peer_terminated" | "peer_closed" | "negotiation_failed" | "negotiation_timeout" => new(
            "Client and gateway could not agree on an IP address",
            "Let the client obtain its address automatically, and see that IPv4 is ticked for the connection",
            720,
        ),
        _ => new(
            "The connection ended before it had an IP address",
            "Look into the log for this connection",
            720,
        ),
    }
}

fn ended(reason: &str) -> Advice {
    match reason {
        "peer_terminated" | "peer_closed" => new("The user hung up", "", 0),
        "administrative" | "local" => new("The gateway ended the connection", "", 0),
        "echo_timeout" | "dpd_timeout" | "timeout" | "tunnel_down" => new(
            "The client no longer answered: asleep, switched off or without network",
            "Nothing, if the client was put to sleep; otherwise look at its network",
            0,
        ),
        "path_closed" | "lower_layer_down" => new(
            "The client's IPsec SAs ended and it made no new ones",
            "Nothing, if the client was put to sleep; otherwise see that UDP 500 and 4500 stay open for it",
            0,
        ),
        _ => new("The connection ended", "", 0),
    }
}

#[cfg(test)]
mod tests {
    use super::{Stage, advise};

    #[test]
    fn the_numbers_that_windows_users_quote_are_named() {
        let cases = [
            (Stage::MainMode, "authentication_failed", 789),
            (Stage::MainMode, "no_proposal_chosen", 789),
            (Stage::MainMode, "timeout", 809),
            (Stage::L2tp, "no_l2tp", 809),
            (Stage::Authentication, "bad_password", 691),
            (Stage::Authentication, "unknown_user", 691),
            (Stage::Ipcp, "negotiation_failed", 720),
            (Stage::Lcp, "no_common_authentication", 734),
        ];
        for (stage, reason, number) in cases {
            let advice = advise(stage, reason);
            assert_eq!(advice.windows, Some(number), "{stage:?} {reason}");
            assert!(!advice.advice.is_empty(), "{stage:?} {reason}");
        }
    }
}
