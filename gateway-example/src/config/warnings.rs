//! What is allowed and yet doubtful.

use super::Config;

impl Config {
    /// What is doubtful about it, in words without secrets.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for psk in &self.psks {
            let (peer, secret) = (psk.peer, psk.secret.expose());
            if !secret.chars().all(|c| c.is_ascii_alphanumeric()) {
                warnings.push(format!(
                    "pre-shared key of \"{peer}\" has other than letters and digits: Windows may refuse it"
                ));
            }
            match isakmp::PresharedKey::new(secret).grade() {
                isakmp::KeyGrade::Strong => {}
                grade => warnings.push(format!(
                    "pre-shared key of \"{peer}\" can be guessed offline ({}): use 20 random letters and digits or more",
                    grade.reason()
                )),
            }
        }
        let weak: Vec<_> = self
            .esp
            .proposals
            .iter()
            .filter(|suite| is_weak(suite))
            .map(ToString::to_string)
            .collect();
        if !weak.is_empty() {
            warnings.push(format!(
                "esp.proposals has weak suites: {}",
                weak.join(", ")
            ));
        }
        let aes = |suite: &isakmp::ChildSuite| {
            !matches!(
                suite.cipher,
                isakmp::EspCipher::Des | isakmp::EspCipher::TripleDes
            )
        };
        if !self.esp.proposals.is_empty() && !self.esp.proposals.iter().any(aes) {
            warnings.push(
                "esp.proposals has no AES: iOS, macOS and ChromeOS will not connect, others slowly"
                    .into(),
            );
        }
        if self.lan.interface.is_none()
            && let Some(address) = self.client_addresses().find(|a| self.lan.has(*a))
        {
            warnings.push(format!(
                "clients get addresses in the LAN, such as {address}: hosts there will not find them unless lan.interface names the LAN's interface"
            ));
        }
        let servers = self.ppp.dns.iter().chain(&self.ppp.wins);
        for server in servers.filter(|s| self.pool.iter().any(|pool| pool.contains(**s))) {
            warnings.push(format!(
                "a pool has {server}, which is the address of a server in [ppp]: a client may get it"
            ));
        }
        for server in self.radius.iter().flat_map(|r| &r.servers) {
            if !server.require_message_authenticator && server.auth_port.is_some() {
                warnings.push(format!(
                    "RADIUS server {} may leave the Message-Authenticator out: who is on the way to it can let anybody in (CVE-2024-3596)",
                    server.address
                ));
            }
        }
        warnings
    }
}

fn is_weak(suite: &isakmp::ChildSuite) -> bool {
    suite.cipher == isakmp::EspCipher::Des
        || suite.integrity == Some(isakmp::EspIntegrity::HmacMd5_96)
}
