//! From one crate's words to the next crate's.

use super::client::ClientConfig;
use super::event::Weakness;
use super::stack::StackConfig;
use crate::config::{Config, Policy};
use isakmp::{AesKeySize, ChildSa, EspCipher, EspIntegrity};
use std::net::Ipv4Addr;
use std::time::Duration;

/// TCP's share of an MTU: IPv4 and TCP headers take the rest.
const TCP_OVERHEAD: u16 = 40;

/// All of the gateway's protocols.
pub(super) fn stack_server(config: &Config) -> StackConfig {
    StackConfig {
        isakmp: isakmp_server(config),
        l2tp: l2tp_server(config),
        ppp: ppp_server(config),
        role: ppp::Role::Server,
    }
}

// --- ISAKMP ---

fn isakmp_server(config: &Config) -> isakmp::Config {
    let mut policy = match config.gateway.policy {
        Policy::Modern => isakmp::Policy::modern(),
        Policy::Compat => isakmp::Policy::compat(),
        Policy::LegacyXp => isakmp::Policy::legacy_xp(),
    };
    if !config.ike.proposals.is_empty() {
        policy.phase1.clone_from(&config.ike.proposals);
    }
    if !config.esp.proposals.is_empty() {
        policy.child.clone_from(&config.esp.proposals);
    }
    let psks = config.psks.iter();
    let psks = psks.map(|psk| (psk.peer, isakmp::PresharedKey::new(psk.secret.expose())));
    let mut isakmp = isakmp::Config::new(psks.collect());
    isakmp.policy = policy;
    isakmp.sha256_96.clone_from(&config.esp.sha256_96);
    isakmp.ike_port = config.gateway.ike_port;
    isakmp.natt_port = config.gateway.natt_port;
    isakmp.key_log = config.gateway.key_log_dir.is_some();
    isakmp.send_deletes = config.ike.send_deletes;
    isakmp.nat_d_mirror = true;
    if !config.ike.nat_traversal {
        isakmp.dialects.clear();
    }
    isakmp
}

pub(super) fn isakmp_client(config: &ClientConfig) -> isakmp::Config {
    let mut isakmp = isakmp::Config::default();
    isakmp.ike_port = config.path.local.port();
    isakmp.natt_port = config.local_natt_port;
    isakmp.key_log = config.key_log;
    isakmp
}

/// Whom a client calls.
///
/// # Errors
/// Which proposal is none.
pub(super) fn isakmp_peer(
    config: &ClientConfig,
) -> Result<isakmp::Peer, isakmp::ParseProposalError> {
    let mut peer = isakmp::Peer::new(isakmp::PresharedKey::new(config.psk.expose()));
    peer.remote_natt_port = config.remote_natt_port;
    for text in &config.ike {
        peer.proposals.push(text.parse()?);
    }
    for text in &config.esp {
        peer.child_proposals.push(text.parse()?);
    }
    Ok(peer)
}

// --- ESP ---

/// The two ESP SAs that a quick mode has agreed on: inbound, outbound.
pub(super) fn sa_configs(sa: &ChildSa) -> Result<(esp::SaConfig, esp::SaConfig), esp::SaError> {
    let cipher = match sa.suite.cipher {
        EspCipher::Des => esp::Cipher::DesCbc,
        EspCipher::TripleDes => esp::Cipher::TripleDesCbc,
        EspCipher::AesCbc(AesKeySize::Aes128) => esp::Cipher::AesCbc128,
        EspCipher::AesCbc(AesKeySize::Aes192) => esp::Cipher::AesCbc192,
        EspCipher::AesCbc(AesKeySize::Aes256) => esp::Cipher::AesCbc256,
        EspCipher::AesGcm16(AesKeySize::Aes128) => esp::Cipher::AesGcm128,
        EspCipher::AesGcm16(AesKeySize::Aes192) => esp::Cipher::AesGcm192,
        EspCipher::AesGcm16(AesKeySize::Aes256) => esp::Cipher::AesGcm256,
        _ => return Err(esp::SaError::BadSuite),
    };
    let integrity = match sa.suite.integrity {
        None => None,
        Some(EspIntegrity::HmacMd5_96) => Some(esp::Integrity::HmacMd5_96),
        Some(EspIntegrity::HmacSha1_96) => Some(esp::Integrity::HmacSha1_96),
        Some(EspIntegrity::HmacSha256_128) => Some(esp::Integrity::HmacSha256_128),
        Some(EspIntegrity::HmacSha256_96) => Some(esp::Integrity::HmacSha256_96),
        Some(EspIntegrity::HmacSha384_192) => Some(esp::Integrity::HmacSha384_192),
        Some(EspIntegrity::HmacSha512_256) => Some(esp::Integrity::HmacSha512_256),
        Some(_) => return Err(esp::SaError::BadSuite),
    };
    let suite = esp::Suite::new(cipher, integrity)?;
    let config = |spi, keys: &isakmp::ChildKeys| {
        esp::SaConfig::new(spi, suite, keys.encryption(), keys.integrity())
    };
    Ok((
        config(sa.inbound_spi, &sa.inbound_keys),
        config(sa.outbound_spi, &sa.outbound_keys),
    ))
}

// --- L2TP ---

fn l2tp_server(config: &Config) -> l2tp::Config {
    let mut l2tp = l2tp::Config::default();
    let secret = config.l2tp.tunnel_secret.as_ref();
    l2tp.secret = secret.map(|s| l2tp::Secret::new(s.expose().as_bytes()));
    l2tp.hide_avps = config.l2tp.hide_avps;
    l2tp
}

pub(super) fn l2tp_client() -> l2tp::Config {
    let mut l2tp = l2tp::Config::default();
    l2tp.accept = false;
    // Some servers' kernels want it.
    l2tp.data_length = true;
    l2tp
}

/// What is to be said of phase 1 algorithms.
pub(super) fn ike_weakness(suite: isakmp::Phase1Suite) -> Weakness {
    use isakmp::{Cipher, Group, Hash};
    let mut weakness = Weakness::default();
    match suite.cipher {
        Cipher::Des => weakness.weak.push("DES"),
        Cipher::TripleDes => weakness.dated.push("3DES"),
        _ => {}
    }
    if suite.hash == Hash::Md5 {
        weakness.weak.push("MD5");
    }
    match suite.group {
        Group::Modp768 => weakness.weak.push("MODP-768"),
        Group::Modp1024 => weakness.weak.push("MODP-1024"),
        Group::Modp1536 => weakness.dated.push("MODP-1536"),
        _ => {}
    }
    weakness
}

/// What is to be said of ESP's algorithms.
pub(super) fn esp_weakness(suite: isakmp::ChildSuite) -> Weakness {
    use isakmp::{EspCipher, EspIntegrity};
    let mut weakness = Weakness::default();
    match suite.cipher {
        EspCipher::Des => weakness.weak.push("DES"),
        EspCipher::TripleDes => weakness.dated.push("3DES"),
        _ => {}
    }
    if suite.integrity == Some(EspIntegrity::HmacMd5_96) {
        weakness.weak.push("MD5");
    }
    weakness
}

/// The result code of the CDN that follows a link's end.
pub(super) fn call_result(reason: &ppp::CloseReason) -> l2tp::CallResult {
    match reason {
        ppp::CloseReason::Administrative => l2tp::CallResult::ADMINISTRATIVE,
        ppp::CloseReason::PeerTerminated(_) | ppp::CloseReason::EchoTimeout => {
            l2tp::CallResult::LOST_CARRIER
        }
        _ => l2tp::CallResult::GENERAL_ERROR,
    }
}

// --- PPP ---

fn ppp_server(config: &Config) -> ppp::Config {
    let mut ppp = ppp::Config::default();
    ppp.mru = config.ppp.mru;
    ppp.auth.clone_from(&config.ppp.auth);
    ppp.ipv6 = config.ppp.ipv6;
    let echo = config.ppp.echo_seconds;
    ppp.echo_interval = (echo > 0).then(|| Duration::from_secs(echo));
    ppp
}

pub(super) fn ppp_client(config: &ClientConfig) -> ppp::Config {
    let mut ppp = ppp::Config::default();
    ppp.mru = config.mru;
    ppp.auth.push(ppp::AuthMethod::Pap);
    ppp.credentials = Some(ppp::Credentials::new(
        &config.user,
        config.password.expose(),
    ));
    ppp
}

/// A user name as a key and for people: without a `DOMAIN\`, and whatever bytes it came as.
pub(super) fn user_name(name: &[u8]) -> String {
    String::from_utf8_lossy(ppp::mschapv2::without_domain(name)).into_owned()
}

// --- firewall ---

/// A call's interface: only the address it was given, and TCP segments that fit its packets.
pub(super) fn client_interface(
    address: Ipv4Addr,
    gateway: Ipv4Addr,
    mtu: u16,
) -> firewall::Interface {
    let mut interface = firewall::Interface::private();
    interface.only_source = Some(address);
    interface.group = super::sides::CALLS;
    interface.mss_clamp = Some(segment_size(mtu));
    interface.mtu = Some(mtu);
    interface.error_source = Some(gateway);
    interface
}

/// The largest TCP segment that fits.
pub(super) fn segment_size(mtu: u16) -> u16 {
    mtu.saturating_sub(TCP_OVERHEAD)
}
