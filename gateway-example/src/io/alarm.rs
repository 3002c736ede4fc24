use std::pin::Pin;
use std::time::Instant;
use tokio::time::{Sleep, sleep_until};

/// Rings at a time that every packet may change, mostly to a later one.
///
/// To set a timer costs a system call. So it stays as it is while it rings early enough, and is set
/// anew when it has.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Waits until `deadline`, or forever. May be dropped at any time.
    pub(super) async fn at(&mut self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else {
            return std::future::pending().await;
        };
        let deadline = deadline.into();
        let new = || Box::pin(sleep_until(deadline));
        let sleep = self.sleep.get_or_insert_with(new);
        if deadline < sleep.deadline() {
            sleep.as_mut().reset(deadline);
        }
        loop {
            sleep.as_mut().await;
            if sleep.deadline() >= deadline {
                return;
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::now;
    use super::*;
    use std::time::Duration;

    /// Whether it rings for `deadline` within `wait`.
    async fn rings(alarm: &mut Alarm, deadline: Instant, wait: Duration) -> bool {
        tokio::time::timeout(wait, alarm.at(Some(deadline)))
            .await
            .is_ok()
    }

    #[tokio::test]
    async fn a_later_time_is_waited_for_and_an_earlier_one_too() {
        let (mut alarm, start) = (Alarm::default(), now());
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let short = Duration::from_millis(1);
        assert!(!rings(&mut alarm, at(3_600_000), short).await);
        assert!(!rings(&mut alarm, at(20), short).await);
        assert!(rings(&mut alarm, at(60), Duration::MAX).await);
        assert!(now() >= at(60));
        // What has passed rings at once, as often as asked.
        assert!(rings(&mut alarm, at(60), Duration::MAX).await);
        assert!(rings(&mut alarm, at(5), Duration::MAX).await);
        assert!(rings(&mut alarm, at(80), Duration::MAX).await);
        assert!(now() >= at(80));
        let never = tokio::time::timeout(short, alarm.at(None));
        assert!(never.await.is_err());
    }
}
