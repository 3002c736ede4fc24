//! Users, and servers that know more of them.

use super::{Radius, Script, User};
use crate::alliedware::grammar::Command;

/// The router's defaults, which are older than the numbers that RFC 2865 and RFC 2866 were given.
const AUTH_PORT: u16 = 1645;
const ACCT_PORT: u16 = 1646;

impl Script<'_> {
    pub(super) fn user(&mut self, command: &Command) -> Option<()> {
        if command.value.is_none() && command.has("securedelay") {
            return self.unused(
                command,
                "there is no command line with privileges to time out",
            );
        }
        let name = self.named(command)?;
        if command.verb == "set" {
            if self.management.contains(&name.text) {
                return self.unused(command, "an account of the router's management");
            }
            let description = self.needed(command, "description")?;
            let users = &mut self.office.users;
            if let Some(user) = users.iter_mut().find(|user| user.name == name.text) {
                user.description = Some(description.text.clone());
                return self.applied(command, "a comment beside the user");
            }
            self.problems.add(
                name.span.clone(),
                format!("there is no user `{}`", name.text),
                "add the user before",
            );
            return None;
        }
        let password = self.needed(command, "password")?;
        let address = self.optional_address(command, "ipaddress")?;
        let levels = ["user", "manager", "securityofficer"];
        let privilege = self.optional_choice(command, "privilege", &levels)?;
        let login = self.optional_choice(
            command,
            "login",
            &["yes", "no", "true", "false", "on", "off"],
        )?;
        if self.management.contains(&name.text) {
            return self.unused(command, "an account of the router's management");
        }
        let manages = matches!(login, Some("yes" | "true" | "on"))
            || matches!(privilege, Some("manager" | "securityofficer"));
        if self.office.users.iter().any(|user| user.name == name.text) {
            self.problems.add(
                name.span.clone(),
                format!("user `{}` stands here twice", name.text),
                "keep one of the two",
            );
            return None;
        }
        if manages {
            self.management.push(name.text.clone());
            return self.unused(
                command,
                "an account of the router's management: the system's own accounts are used",
            );
        }
        if let Some(address) = address
            && self
                .office
                .users
                .iter()
                .any(|user| user.address == Some(address))
        {
            self.problems.add(
                command.span.clone(),
                format!("{address} is another user's address already"),
                "give each user an address of its own, or leave it out",
            );
            return None;
        }
        let description = self.optional(command, "description")?;
        self.office.users.push(User {
            name: name.text.clone(),
            password: password.text.clone(),
            address,
            description: description.map(|word| word.text.clone()),
        });
        self.applied(command, "[[user]]")
    }

    /// Users of the script come first and servers after them, as on the router.
    pub(super) fn radius(&mut self, command: &Command) -> Option<()> {
        if command.verb == "set" {
            return self.radius_times(command);
        }
        let word = self.needed(command, "server")?;
        let server = self.address(word)?;
        let secret = self.needed(command, "secret")?;
        if self
            .office
            .radius
            .iter()
            .any(|known| known.server == server)
        {
            self.problems.add(
                word.span.clone(),
                format!("RADIUS server {server} is there already"),
                "keep one of the two",
            );
            return None;
        }
        let radius = Radius {
            server,
            secret: secret.text.clone(),
            port: self.optional_number(command, "port")?.unwrap_or(AUTH_PORT),
            accounting_port: self
                .optional_number(command, "accport")?
                .unwrap_or(ACCT_PORT),
        };
        self.office.radius.push(radius);
        let local = if self.optional(command, "local")?.is_some() {
            "; the system chooses the address from which it is asked"
        } else {
            ""
        };
        self.applied(
            command,
            format!("[[radius.server]]; its replies need a Message-Authenticator{local}"),
        )
    }

    fn radius_times(&mut self, command: &Command) -> Option<()> {
        let timeout = self.optional_number(command, "timeout")?;
        let tries = self.optional_number(command, "retransmitcount")?;
        let dead_minutes = self.optional_number(command, "deadtime")?;
        let times = &mut self.office.radius_times;
        times.timeout = timeout.or(times.timeout);
        times.tries = tries.or(times.tries);
        times.dead_minutes = dead_minutes.or(times.dead_minutes);
        if [timeout, tries, dead_minutes] == [None; 3] {
            return self.incomplete(command, "name timeout=, retransmitcount= or deadtime=");
        }
        self.applied(command, "[radius], within its limits")
    }
}
