//! The clients people have: IKE as the tests of `isakmp` have it, and their habits in L2TP and PPP.

#[path = "../../../isakmp/tests/clients/profiles.rs"]
mod ike;

use gateway_example::core::{ClientConfig, Protocols};
use isakmp::PeerSoftware;
use ppp::AuthMethod;
use std::sync::Arc;
use std::time::Duration;

/// One kind of client.
#[derive(Clone)]
pub(super) struct Profile {
    pub(super) name: &'static str,
    /// Has no other way to log in.
    pub(super) pap_only: bool,
    ike: Arc<ike::Profile>,
}

pub(super) fn profiles() -> Vec<Profile> {
    let profiles = ike::profiles().into_iter();
    profiles
        .map(|ike| Profile {
            name: ike.name,
            pap_only: false,
            ike: Arc::new(ike),
        })
        .collect()
}

impl Profile {
    /// Those of pppd and RouterOS can be told so; Windows has PAP off, Android does not ask.
    pub(super) fn may_have_pap_only(&self) -> bool {
        let others = [PeerSoftware::Windows, PeerSoftware::Android];
        !others.contains(&self.ike.software)
    }

    pub(super) fn apply(&self, config: &ClientConfig, protocols: &mut Protocols) {
        let (isakmp, peer) = self.ike.client();
        protocols.isakmp = isakmp;
        protocols.peer = peer;
        let (l2tp, ppp) = (&mut protocols.l2tp, &mut protocols.ppp);
        l2tp.data_length = false;
        ppp.auth = vec![AuthMethod::MsChapV2, AuthMethod::ChapMd5];
        match self.ike.software {
            PeerSoftware::Windows => {
                l2tp.receive_window = 8;
                l2tp.host_name = b"DESKTOP-1234567".to_vec();
                l2tp.vendor_name = b"Microsoft".to_vec();
                l2tp.bearer_capabilities = Some(0);
                let xp = self.name.contains("XP");
                l2tp.firmware = Some(if xp { 0x0501 } else { 0x0a00 });
                ppp.address_compression = true;
                ppp.protocol_compression = true;
                ppp.request_wins = true;
                ppp.ipv6 = !xp;
                let user = format!("OFFICE\\{}", config.user);
                ppp.credentials = Some(ppp::Credentials::new(&user, config.password.expose()));
            }
            PeerSoftware::Apple => {
                l2tp.receive_window = 4;
                l2tp.host_name = b"anns-mac".to_vec();
                l2tp.hello_interval = None;
                l2tp.retransmit_cap = Duration::from_secs(4);
                ppp.mru = 1500;
                ppp.async_map = Some(0);
                ppp.address_compression = true;
                ppp.protocol_compression = true;
                ppp.ipv6 = true;
            }
            PeerSoftware::Android => {
                l2tp.receive_window = 1;
                l2tp.host_name = b"anonymous".to_vec();
                l2tp.retransmit_timeout = Duration::from_secs(2);
                l2tp.retransmit_cap = Duration::from_secs(2);
                ppp.mru = 1270;
                ppp.async_map = Some(0);
                ppp.address_compression = true;
                ppp.protocol_compression = true;
                ppp.auth = vec![AuthMethod::ChapMd5];
            }
            PeerSoftware::Cisco => {
                // RouterOS.
                l2tp.receive_window = 4;
                l2tp.host_name = b"MikroTik".to_vec();
                l2tp.vendor_name = b"MikroTik".to_vec();
                ppp.mru = 1450;
            }
            _ => {
                // xl2tpd and pppd.
                l2tp.receive_window = if self.name == "ChromeOS" { 4 } else { 8 };
                l2tp.host_name = b"localhost".to_vec();
                l2tp.vendor_name = b"xelerance.com".to_vec();
                l2tp.firmware = Some(0x0690);
                l2tp.bearer_capabilities = Some(0);
                ppp.mru = 1410;
                ppp.async_map = Some(0);
                ppp.address_compression = true;
                ppp.protocol_compression = true;
            }
        }
        if self.pap_only {
            ppp.auth = vec![AuthMethod::Pap];
        }
    }
}
