//! Other servers while the client is at work.

use super::*;

fn servers(secrets: &[(u8, &str)]) -> Config {
    let mut config = Config::default();
    for (n, secret) in secrets {
        let secret = Secret::new((*secret).into());
        config.servers.push(ServerConfig::new(address(*n), secret));
    }
    config
}

impl Lab {
    fn take(&mut self, secrets: &[(u8, &str)]) {
        self.client.reconfigure(self.now, servers(secrets));
    }

    fn answer(&mut self, asked: &Asked, secret: &str) -> Result<(), Error> {
        let code = match asked.code {
            Code::ACCESS_REQUEST => Code::ACCESS_ACCEPT,
            _ => Code::ACCOUNTING_RESPONSE,
        };
        let secret = secret.as_bytes();
        let payload = Encoder::new().reply(code, asked.id, &asked.authenticator, secret);
        self.deliver(asked, asked.transmit.to, &payload)
    }
}

#[test]
fn what_waits_for_a_server_that_goes_is_asked_of_the_new_one() {
    let mut lab = Lab::new(1, |_| {});
    lab.login(1);
    lab.record(2, Urgency::Record).unwrap();
    let old = lab.sent();
    assert_eq!(old.len(), 2);
    lab.take(&[(7, "other")]);
    let new = lab.sent();
    assert_eq!(new.len(), 2);
    for asked in &old {
        assert_eq!(lab.answer(asked, SECRET), Err(Error::UnknownServer));
    }
    for asked in &new {
        assert_eq!(asked.transmit.to.ip(), address(7));
        lab.answer(asked, "other").unwrap();
    }
    assert!(matches!(lab.outcomes()[..], [(1, Outcome::Accept(_))]));
    assert!(lab.client.is_idle());
    assert_eq!(lab.client.status().records_lost, 0);
}

#[test]
fn what_waits_for_a_server_that_stays_is_awaited_whatever_its_place() {
    let mut lab = Lab::new(2, |_| {});
    lab.login(1);
    let asked = lab.one();
    lab.take(&[(7, "other"), (2, SECRET), (1, SECRET)]);
    assert!(lab.sent().is_empty(), "not asked twice");
    lab.answer(&asked, SECRET).unwrap();
    assert!(matches!(lab.outcomes()[..], [(1, Outcome::Accept(_))]));
    lab.login(2);
    assert_eq!(lab.one().transmit.to.ip(), address(7), "the first now");
}

#[test]
fn another_secret_is_used_at_once() {
    let mut lab = Lab::new(1, |_| {});
    lab.login(1);
    let old = lab.one();
    lab.take(&[(1, "other")]);
    let new = lab.one();
    assert_ne!(old.id, new.id);
    // It came too late to be known by the old secret.
    assert!(lab.answer(&old, SECRET).is_err());
    lab.answer(&new, "other").unwrap();
    assert!(matches!(lab.outcomes()[..], [(1, Outcome::Accept(_))]));
}

#[test]
fn a_server_that_was_silent_is_replaced_at_once() {
    let mut lab = Lab::new(1, |_| {});
    lab.record(1, Urgency::Record).unwrap();
    lab.wait(60);
    assert!(!lab.client.status().servers[1].1, "passed over");
    lab.sent();
    lab.take(&[(7, "other")]);
    let asked = lab.one();
    lab.answer(&asked, "other").unwrap();
    assert!(lab.client.is_idle());
}

#[test]
fn without_servers_logins_fail_at_once_and_records_are_counted_as_lost() {
    let mut lab = Lab::new(1, |_| {});
    lab.login(1);
    lab.record(2, Urgency::Record).unwrap();
    lab.sent();
    lab.take(&[]);
    assert!(lab.sent().is_empty());
    assert_eq!(lab.outcomes(), [(1, Outcome::NoReply)]);
    assert!(lab.client.is_idle() && !lab.client.authenticates());
    assert_eq!(lab.client.status().records_lost, 1);
    assert_eq!(lab.client.poll_timeout(), None);
}

#[test]
fn records_of_one_call_keep_their_order() {
    let mut lab = Lab::new(1, |_| {});
    for urgency in [Urgency::Record, Urgency::Interim, Urgency::Record] {
        let mut attributes = Encoder::new();
        attributes.integer(kind::ACCT_STATUS_TYPE, urgency as u32);
        let record = Request::new(5, urgency, attributes);
        lab.client.account(lab.now, record).unwrap();
    }
    let first = lab.one();
    lab.take(&[(7, SECRET)]);
    let again = lab.one();
    let said = |asked: &Asked| {
        let packet = Packet::parse(&asked.transmit.payload).unwrap();
        packet.attributes.integer(kind::ACCT_STATUS_TYPE).unwrap()
    };
    assert_eq!(said(&first), said(&again), "the first, and it alone");
}
