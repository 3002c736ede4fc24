//! What each client offers, announces and does.

use crate::common::PSK;
use isakmp::{
    ChildRequest, Config, Habits, Identity, Lifetime, Peer, PeerSoftware, Policy, PresharedKey,
    Style,
};
use natt::Dialect;
use simnet::corpus::unhex;
use std::time::Duration;

/// How a client differs from ours.
pub(crate) struct Profile {
    pub(crate) name: &'static str,
    pub(crate) style: Style,
    pub(crate) phase1: &'static [&'static str],
    pub(crate) child: &'static [&'static str],
    pub(crate) dialects: &'static [Dialect],
    /// All of them, in order.
    pub(crate) vendor_ids: Vec<&'static str>,
    pub(crate) dpd: bool,
    pub(crate) initial_contact: bool,
    pub(crate) counted_message_ids: bool,
    pub(crate) unsupported_offers: bool,
    pub(crate) phase1_seconds: u64,
    pub(crate) child_lifetime: Lifetime,
    pub(crate) local_port: u16,
    pub(crate) pfs: Option<isakmp::Group>,
    pub(crate) identity: Option<&'static str>,
    pub(crate) policy: fn() -> Policy,
    /// What is chosen of its offers.
    pub(crate) chosen: (&'static str, &'static str),
    pub(crate) software: PeerSoftware,
}

pub(crate) mod vid {
    pub(crate) const RFC_3947: &str = "4a131c81070358455c5728f20e95452f";
    pub(crate) const DRAFT_00: &str = "4485152d18b6bbcd0be8a8469579ddcc";
    pub(crate) const DRAFT_02: &str = "cd60464335df21f87cfdb2fc68b6a448";
    pub(crate) const DRAFT_02_NEWLINE: &str = "90cb80913ebb696e086381b5ec427b1f";
    pub(crate) const DRAFT_03: &str = "7d9419a65310ca6f2c179d9215529d56";
    pub(crate) const DRAFT_04: &str = "9909b64eed937c6573de52ace952fa6b";
    pub(crate) const DRAFT_05: &str = "80d0bb3def54565ee84645d4c85ce3ee";
    pub(crate) const DRAFT_06: &str = "4d1e0e136deafa34c4f3ea9f02ec7285";
    pub(crate) const DRAFT_07: &str = "439b59f8ba676c4c7737ae22eab8f582";
    pub(crate) const DRAFT_08: &str = "8f8d83826d246b6fc7a8a6a428c11de8";
    pub(crate) const APPLE: &str = "4df37928e9fc4fd1b3262170d515c662";
    pub(crate) const FRAGMENTATION: &str = "4048b7d56ebce88525e7de7f00d6c2d3";
    pub(crate) const FRAGMENTATION_8: &str = "4048b7d56ebce88525e7de7f00d6c2d380000000";
    pub(crate) const DPD: &str = "afcad71368a1f1c96b8696fc77570100";
    pub(crate) const XAUTH: &str = "09002689dfd6b712";
    pub(crate) const UNITY: &str = "12f5f28c457168a9702d9fe274cc0100";
    pub(crate) const WINDOWS_8: &str = "01528bbbc00696121849ab9a1c5b2a5100000001";
    pub(crate) const NT5_3: &str = "1e2b516905991c7d7c96fcbfb587e46100000003";
    pub(crate) const NT5_4: &str = "1e2b516905991c7d7c96fcbfb587e46100000004";
    pub(crate) const NT5_8: &str = "1e2b516905991c7d7c96fcbfb587e46100000008";
    pub(crate) const NT5_9: &str = "1e2b516905991c7d7c96fcbfb587e46100000009";
    pub(crate) const INITIAL_CONTACT: &str = "26244d38eddb61b3172a36e3d0cfb819";
    pub(crate) const NEGOTIATION_DISCOVERY: &str = "fb1de3cdf341b7ea16b7e5be0855f120";
    pub(crate) const CGA: &str = "e3a5966a76379fe707228231e5ce8652";
}
use vid::*;

const STRONGSWAN: [&str; 5] = [XAUTH, DPD, FRAGMENTATION_8, RFC_3947, DRAFT_02_NEWLINE];

fn base() -> Profile {
    Profile {
        name: "",
        style: Style::Racoon,
        phase1: &[],
        child: &["aes256-sha1", "aes128-sha1", "3des-sha1"],
        dialects: &[Dialect::Rfc3947, Dialect::Draft02Newline],
        vendor_ids: Vec::new(),
        dpd: true,
        initial_contact: true,
        counted_message_ids: false,
        unsupported_offers: false,
        phase1_seconds: 28_800,
        child_lifetime: Lifetime {
            seconds: 3600,
            kilobytes: None,
        },
        local_port: 1701,
        pfs: None,
        identity: None,
        policy: Policy::compat,
        chosen: ("", "aes256-sha1"),
        software: PeerSoftware::Unknown,
    }
}

fn windows() -> Profile {
    Profile {
        style: Style::Windows,
        phase1: &[
            "aes256-sha1-ecp384",
            "aes128-sha1-ecp256",
            "aes256-sha1-modp2048",
            "3des-sha1-modp2048",
            "3des-sha1-modp1024",
        ],
        child: &["aes256-sha1", "aes128-sha1", "3des-sha1", "des-sha1"],
        dpd: false,
        initial_contact: false,
        counted_message_ids: true,
        unsupported_offers: true,
        child_lifetime: Lifetime {
            seconds: 3600,
            kilobytes: Some(250_000),
        },
        chosen: ("aes256-sha1-ecp384", "aes256-sha1"),
        software: PeerSoftware::Windows,
        ..base()
    }
}

/// The one with this name.
pub(crate) fn profile(name: &str) -> Profile {
    profiles().into_iter().find(|p| p.name == name).unwrap()
}

pub(crate) fn profiles() -> Vec<Profile> {
    [microsoft(), racoon(), linux_and_routers()]
        .into_iter()
        .flatten()
        .collect()
}

fn microsoft() -> Vec<Profile> {
    vec![
        Profile {
            name: "Windows XP SP3",
            style: Style::WindowsXp,
            phase1: &[
                "3des-sha1-modp2048",
                "3des-sha1-modp1024",
                "3des-md5-modp1024",
                "des-sha1-modp768",
                "des-md5-modp768",
            ],
            child: &["3des-md5", "3des-sha1", "des-md5", "des-sha1"],
            dialects: &[Dialect::Draft02Newline],
            vendor_ids: vec![NT5_4, FRAGMENTATION, DRAFT_02_NEWLINE, INITIAL_CONTACT],
            policy: Policy::legacy_xp,
            chosen: ("3des-sha1-modp2048", "3des-sha1"),
            ..windows()
        },
        Profile {
            name: "Windows XP, only what it had at first",
            style: Style::WindowsXp,
            phase1: &["des-md5-modp768"],
            child: &["des-md5"],
            dialects: &[Dialect::Draft02Newline],
            vendor_ids: vec![NT5_3, FRAGMENTATION, DRAFT_02_NEWLINE],
            identity: Some("xp-laptop"),
            policy: Policy::legacy_xp,
            chosen: ("des-md5-modp768", "des-md5"),
            ..windows()
        },
        Profile {
            name: "Windows 7",
            vendor_ids: vec![
                NT5_8,
                RFC_3947,
                DRAFT_02_NEWLINE,
                FRAGMENTATION,
                NEGOTIATION_DISCOVERY,
                INITIAL_CONTACT,
                CGA,
            ],
            ..windows()
        },
        Profile {
            name: "Windows 10 and 11",
            vendor_ids: vec![
                WINDOWS_8,
                NT5_9,
                RFC_3947,
                DRAFT_02_NEWLINE,
                FRAGMENTATION,
                NEGOTIATION_DISCOVERY,
                INITIAL_CONTACT,
                CGA,
            ],
            ..windows()
        },
    ]
}

fn racoon() -> Vec<Profile> {
    vec![
        Profile {
            name: "macOS and iOS",
            phase1: &[
                "aes256-sha256-modp2048",
                "aes256-sha1-modp2048",
                "aes256-md5-modp2048",
                "aes256-sha512-modp2048",
                "aes256-sha256-modp1536",
                "aes256-sha1-modp1536",
                "aes256-md5-modp1536",
                "aes256-sha256-modp1024",
                "aes256-sha1-modp1024",
                "aes256-md5-modp1024",
                "aes128-sha1-modp1024",
                "aes128-md5-modp1024",
                "3des-sha1-modp1024",
                "3des-md5-modp1024",
            ],
            child: &[
                "aes256-sha256",
                "aes256-sha1",
                "aes256-md5",
                "aes128-sha256",
                "aes128-sha1",
                "aes128-md5",
                "3des-sha256",
                "3des-sha1",
                "3des-md5",
            ],
            dialects: &[
                Dialect::Rfc3947,
                Dialect::Apple,
                Dialect::Draft08,
                Dialect::Draft07,
                Dialect::Draft06,
                Dialect::Draft05,
                Dialect::Draft04,
                Dialect::Draft03,
                Dialect::Draft02,
                Dialect::Draft02Newline,
            ],
            vendor_ids: vec![
                RFC_3947,
                APPLE,
                DRAFT_08,
                DRAFT_07,
                DRAFT_06,
                DRAFT_05,
                DRAFT_04,
                DRAFT_03,
                DRAFT_02,
                DRAFT_02_NEWLINE,
                FRAGMENTATION_8,
                DPD,
            ],
            phase1_seconds: 3600,
            local_port: 54_321,
            chosen: ("aes256-sha256-modp2048", "aes256-sha1"),
            software: PeerSoftware::Apple,
            ..base()
        },
        Profile {
            name: "old Apple, drafts 04 to 08 only",
            phase1: &["aes256-sha1-modp1024"],
            dialects: &[Dialect::Apple, Dialect::Draft08, Dialect::Draft04],
            vendor_ids: vec![APPLE, DRAFT_08, DRAFT_04, FRAGMENTATION_8, DPD],
            local_port: 50_000,
            chosen: ("aes256-sha1-modp1024", "aes256-sha1"),
            software: PeerSoftware::Apple,
            ..base()
        },
        Profile {
            name: "Android 11",
            phase1: &[
                "aes256-sha256-modp1024",
                "aes256-sha1-modp1024",
                "aes256-md5-modp1024",
                "aes128-sha256-modp1024",
                "aes128-sha1-modp1024",
                "aes128-md5-modp1024",
                "3des-sha256-modp1024",
                "3des-sha1-modp1024",
                "3des-md5-modp1024",
                "des-sha256-modp1024",
                "des-sha1-modp1024",
                "des-md5-modp1024",
            ],
            child: &[
                "aes256-sha256",
                "aes256-sha1",
                "aes256-md5",
                "aes128-sha256",
                "aes128-sha1",
                "aes128-md5",
                "3des-sha256",
                "3des-sha1",
                "3des-md5",
                "des-sha256",
                "des-sha1",
                "des-md5",
            ],
            dialects: &[Dialect::Rfc3947, Dialect::Draft02, Dialect::Draft02Newline],
            vendor_ids: vec![
                RFC_3947,
                DRAFT_02,
                DRAFT_02_NEWLINE,
                DRAFT_00,
                FRAGMENTATION_8,
                DPD,
            ],
            child_lifetime: Lifetime {
                seconds: 28_800,
                kilobytes: None,
            },
            local_port: 0,
            chosen: ("aes256-sha256-modp1024", "aes256-sha1"),
            software: PeerSoftware::Android,
            ..base()
        },
        Profile {
            name: "RouterOS",
            phase1: &[
                "aes128-sha1-modp2048",
                "aes128-sha1-modp1024",
                "3des-sha1-modp2048",
                "3des-sha1-modp1024",
            ],
            child: &["aes256-sha1", "aes192-sha1", "aes128-sha1"],
            dialects: &[
                Dialect::Rfc3947,
                Dialect::Draft08,
                Dialect::Draft07,
                Dialect::Draft06,
                Dialect::Draft05,
                Dialect::Draft04,
                Dialect::Draft03,
                Dialect::Draft02,
                Dialect::Draft02Newline,
            ],
            vendor_ids: vec![
                RFC_3947,
                DRAFT_08,
                DRAFT_07,
                DRAFT_06,
                DRAFT_05,
                DRAFT_04,
                DRAFT_03,
                DRAFT_02,
                DRAFT_02_NEWLINE,
                XAUTH,
                UNITY,
                DPD,
            ],
            phase1_seconds: 86_400,
            child_lifetime: Lifetime {
                seconds: 1800,
                kilobytes: None,
            },
            pfs: Some(isakmp::Group::Modp1024),
            chosen: ("aes128-sha1-modp2048", "aes256-sha1"),
            software: PeerSoftware::Cisco,
            ..base()
        },
    ]
}

fn linux_and_routers() -> Vec<Profile> {
    let merged = &[
        "aes256-sha256-modp2048",
        "aes256-sha256-modp1536",
        "aes256-sha256-modp1024",
        "aes256-sha1-modp2048",
        "aes256-sha1-modp1536",
        "aes256-sha1-modp1024",
        "aes256-sha1-ecp384",
        "aes128-sha1-modp1024",
        "aes128-sha1-ecp256",
        "3des-sha1-modp2048",
        "3des-sha1-modp1024",
    ];
    vec![
        Profile {
            name: "ChromeOS",
            style: Style::StrongSwan,
            phase1: &[
                "aes128-sha256-modp3072",
                "aes128-sha1-modp2048",
                "3des-sha1-modp1536",
                "3des-sha1-modp1024",
            ],
            child: &[
                "aes128gcm16",
                "aes128-sha256",
                "aes128-sha1",
                "3des-sha1",
                "3des-md5",
            ],
            vendor_ids: STRONGSWAN.to_vec(),
            phase1_seconds: 10_800,
            chosen: ("aes128-sha1-modp2048", "aes128gcm16"),
            software: PeerSoftware::StrongSwan,
            ..base()
        },
        Profile {
            name: "NetworkManager-l2tp with strongSwan",
            style: Style::StrongSwan,
            phase1: merged,
            vendor_ids: STRONGSWAN.to_vec(),
            phase1_seconds: 10_800,
            local_port: 0,
            chosen: ("aes256-sha1-ecp384", "aes256-sha1"),
            software: PeerSoftware::StrongSwan,
            ..base()
        },
        Profile {
            // Built without group 2.
            name: "NetworkManager-l2tp with Libreswan",
            style: Style::Pluto,
            phase1: &[
                "aes256-sha256-modp2048",
                "aes256-sha256-modp1536",
                "aes256-sha1-modp2048",
                "aes256-sha1-modp1536",
                "aes256-sha1-ecp384",
                "aes128-sha1-ecp256",
                "3des-sha1-modp2048",
            ],
            dialects: &[
                Dialect::Rfc3947,
                Dialect::Draft03,
                Dialect::Draft02Newline,
                Dialect::Draft02,
            ],
            vendor_ids: vec![
                DPD,
                FRAGMENTATION_8,
                RFC_3947,
                DRAFT_03,
                DRAFT_02_NEWLINE,
                DRAFT_02,
            ],
            chosen: ("aes256-sha1-ecp384", "aes256-sha1"),
            ..base()
        },
        Profile {
            name: "consumer router with AES-192 and draft-03",
            phase1: &["aes192-sha1-modp1536"],
            child: &["aes192-sha1"],
            dialects: &[Dialect::Draft03],
            vendor_ids: vec![DRAFT_03, DPD],
            chosen: ("aes192-sha1-modp1536", "aes192-sha1"),
            ..base()
        },
        Profile {
            name: "consumer router with 3DES alone",
            phase1: &["3des-md5-modp1024", "3des-sha1-modp1024"],
            child: &["3des-md5", "3des-sha1"],
            vendor_ids: vec![RFC_3947, DRAFT_02_NEWLINE],
            chosen: ("3des-sha1-modp1024", "3des-sha1"),
            ..base()
        },
    ]
}

impl Profile {
    pub(crate) fn client(&self) -> (Config, Peer) {
        let mut config = Config::default();
        config.policy = Policy::legacy_xp();
        config.policy.phase1_lifetime = Duration::from_secs(self.phase1_seconds);
        config.policy.child_lifetime = self.child_lifetime;
        config.dialects = self.dialects.to_vec();
        let mut habits = Habits::default();
        habits.style = self.style;
        habits.vendor_ids = Some(self.vendor_ids.iter().map(|v| unhex(v)).collect());
        habits.initial_contact = self.initial_contact;
        habits.counted_message_ids = self.counted_message_ids;
        habits.unsupported_offers = self.unsupported_offers;
        config.habits = habits;
        if !self.dpd {
            config.dpd = None;
        }
        let mut peer = Peer::new(PresharedKey::new(PSK));
        peer.proposals = self.phase1.iter().map(|p| p.parse().unwrap()).collect();
        peer.child_proposals = self.child.iter().map(|p| p.parse().unwrap()).collect();
        peer.identity = self.identity.map(|name| Identity::Fqdn(name.into()));
        let mut request = ChildRequest::l2tp();
        request.local_port = self.local_port;
        request.pfs = self.pfs;
        request.local = self.identity.map(|name| Identity::Fqdn(name.into()));
        peer.children = vec![request];
        (config, peer)
    }
}
