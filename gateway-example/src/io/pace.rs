//! How much of which work is done when.

use std::time::{Duration, Instant};

/// How long the two kinds of work took lately.
///
/// Anybody can send first messages of IKE to port 500, in any name and number. While there are
/// packets of clients, they get an eighth of the time that those take; what is too much waits in
/// the socket's buffer, and is lost there before it costs anything. Clients behind a NAT have
/// their rekeying and liveness on port 4500.
#[derive(Debug, Default)]
pub(super) struct Share {
    packets: Duration,
    greetings: Duration,
}

impl Share {
    const PACKETS_TO_GREETINGS: u32 = 8;
    /// What was longer ago counts half.
    const LATELY: Duration = Duration::from_millis(100);

    pub(super) fn may_greet(&self, busy: bool) -> bool {
        !busy || self.greetings * Self::PACKETS_TO_GREETINGS <= self.packets
    }

    pub(super) fn note(&mut self, packets: Duration, greetings: Duration) {
        self.packets += packets;
        self.greetings += greetings;
        if self.packets + self.greetings > Self::LATELY {
            self.packets /= 2;
            self.greetings /= 2;
        }
    }
}

/// Whether to let packets gather before they are read, as network cards do with their interrupts.
///
/// A sender that hands one packet at a time to the network wakes the reader for each, and waking,
/// reading one and writing one cost several times what is done with it. So while packets come
/// so fast that a few more will be there in a moment, the reader sleeps for that moment, and nobody
/// has to wake it. When they come slowly, or many at once already, nothing waits.
#[derive(Debug)]
pub(super) struct Gather {
    /// How long at most; zero for never.
    most: Duration,
    /// When the count began.
    since: Option<Instant>,
    /// Packets since then.
    count: usize,
    /// How many there were in each [`Self::LATELY`] before that.
    rate: usize,
    /// The next read comes after a sleep.
    slept: bool,
    /// There were some, the last time.
    goes_on: bool,
    /// So many that they need not wait for more.
    enough: bool,
}

impl Gather {
    /// What is counted over.
    const LATELY: Duration = Duration::from_millis(2);
    /// Fewer than these are not worth a sleep.
    const FEW: f32 = 3.0;
    /// More than these need not wait for more.
    const ENOUGH: f32 = 64.0;
    /// More than these at once, without a sleep, are enough already.
    const MANY: usize = 24;
    /// More than these after a sleep would have been enough without it.
    const PLENTY: usize = 64;

    pub(super) fn new(microseconds: u16) -> Self {
        Self {
            most: Duration::from_micros(microseconds.into()),
            since: None,
            count: 0,
            rate: 0,
            slept: false,
            goes_on: false,
            enough: false,
        }
    }

    /// Whether there were packets the last time.
    pub(super) fn goes_on(&self) -> bool {
        self.goes_on
    }

    /// How long to sleep before the next read.
    pub(super) fn pause(&mut self, now: Instant) -> Option<Duration> {
        let since = *self.since.get_or_insert(now);
        let elapsed = now.saturating_duration_since(since);
        if elapsed >= Self::LATELY {
            let periods = elapsed.as_micros() / Self::LATELY.as_micros();
            self.rate = self.count / usize::try_from(periods).unwrap_or(usize::MAX).max(1);
            self.count = 0;
            self.since = Some(now);
        }
        #[allow(clippy::cast_precision_loss, reason = "an estimate")]
        let rate = self.rate as f32 / Self::LATELY.as_secs_f32();
        self.slept = rate * self.most.as_secs_f32() >= Self::FEW && !self.enough;
        self.slept
            .then(|| self.most.min(Duration::from_secs_f32(Self::ENOUGH / rate)))
    }

    /// Notes how many were there.
    pub(super) fn note(&mut self, count: usize) {
        self.count = self.count.saturating_add(count);
        self.goes_on = count > 0;
        let most = if self.slept { Self::PLENTY } else { Self::MANY };
        self.enough = count > most;
    }
}

/// Whether work of a kind is done sooner by several cores, found out by doing it both ways.
///
/// It depends on the machine, the suites and the sizes of batches: waking another core takes as long
/// as opening some hundred packets of AES, and as sealing very few of 3DES.
#[derive(Debug, Default)]
pub(super) struct Habit {
    /// Nanoseconds a KiB, lately: by one core, and by several.
    cost: [Option<f32>; 2],
    turns: u32,
}

impl Habit {
    /// One turn of so many is done the other way, since things change.
    const TRY: u32 = 64;
    /// How much less several have to take, since they also take more of what others could use.
    const WORTH: f32 = 0.9;
    /// How much of the last turn there is in the average.
    const LAST: f32 = 0.125;

    /// Whether to have several do it now.
    pub(super) fn together(&mut self) -> bool {
        self.turns = self.turns.wrapping_add(1);
        let [Some(alone), Some(together)] = self.cost else {
            return self.cost[0].is_some();
        };
        (together < alone * Self::WORTH) != self.turns.is_multiple_of(Self::TRY)
    }

    /// Notes how long it took.
    pub(super) fn note(&mut self, together: bool, bytes: usize, took: Duration) {
        #[allow(clippy::cast_precision_loss, reason = "an estimate")]
        let cost = took.as_nanos().max(1) as f32 / (bytes.max(1) as f32 / 1024.0);
        let known = &mut self.cost[usize::from(together)];
        *known = Some(known.map_or(cost, |known| {
            // Once in a while something else has had the core.
            known + (cost.min(2.0 * known) - known) * Self::LAST
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is slept at each turn, when one packet comes every so often; and how many come in a turn.
    fn turns(
        gather: &mut Gather,
        now: &mut Instant,
        every: Duration,
        turns: usize,
    ) -> Vec<Duration> {
        let each = (0..turns).map(|_| {
            *now += every;
            let pause = gather.pause(*now).unwrap_or_default();
            *now += pause;
            let more = pause.as_nanos() / every.as_nanos();
            gather.note(1 + usize::try_from(more).unwrap_or(0));
            pause
        });
        each.collect()
    }

    #[allow(clippy::disallowed_methods, reason = "any start will do")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn slow_packets_never_wait() {
        let (mut gather, mut now) = (Gather::new(500), start());
        for every in [200, 1000, 50_000] {
            let slept = turns(&mut gather, &mut now, Duration::from_micros(every), 1000);
            assert_eq!(slept.iter().max(), Some(&Duration::ZERO), "{every}");
        }
    }

    #[test]
    fn fast_packets_come_in_batches_and_none_waits_longer_than_said() {
        for every in [100, 25, 10] {
            let (mut gather, mut now) = (Gather::new(500), start());
            let slept = turns(&mut gather, &mut now, Duration::from_micros(every), 1000);
            // Until it is known that they are fast.
            let slept = slept.get(200..).unwrap_or_default();
            assert!(slept.iter().all(|pause| !pause.is_zero()), "{every}");
            assert!(slept.iter().max() <= Some(&Duration::from_micros(500)));
        }
    }

    #[test]
    fn the_first_packets_after_a_silence_do_not_wait() {
        let (mut gather, mut now) = (Gather::new(500), start());
        turns(&mut gather, &mut now, Duration::from_micros(25), 1000);
        now += Duration::from_millis(100);
        let slept = turns(&mut gather, &mut now, Duration::from_micros(25), 10);
        assert_eq!(slept.iter().max(), Some(&Duration::ZERO));
    }

    #[test]
    fn full_batches_do_not_wait() {
        let (mut gather, mut now) = (Gather::new(500), start());
        for _ in 0..1000 {
            now += Duration::from_micros(300);
            assert_eq!(gather.pause(now), None);
            gather.note(100);
        }
    }

    #[test]
    fn nothing_waits_once_a_sleep_would_not_have_been_needed() {
        let (mut gather, mut now) = (Gather::new(500), start());
        turns(&mut gather, &mut now, Duration::from_micros(10), 1000);
        assert!(gather.pause(now).is_some());
        gather.note(Gather::PLENTY);
        assert!(gather.pause(now).is_some());
        gather.note(Gather::PLENTY + 1);
        assert_eq!(gather.pause(now), None);
    }

    #[test]
    fn zero_is_never() {
        let (mut gather, mut now) = (Gather::new(0), start());
        let slept = turns(&mut gather, &mut now, Duration::from_micros(5), 10_000);
        assert_eq!(slept.iter().max(), Some(&Duration::ZERO));
    }

    /// How many of a thousand turns several cores do, when a turn takes so many microseconds by one
    /// and by several.
    fn together(habit: &mut Habit, times: [u64; 2]) -> usize {
        let turns = (0..1000).filter(|turn| {
            let together = habit.together();
            // And sometimes much longer.
            let longer = if turn % 50 == 7 { 100 } else { 1 };
            let took = times[usize::from(together)] * longer;
            habit.note(together, 100_000, Duration::from_micros(took));
            together
        });
        turns.count()
    }

    /// Where the clock is coarse.
    #[test]
    fn work_that_took_no_time_once_is_timed_anew() {
        let mut habit = Habit::default();
        habit.note(false, 100_000, Duration::ZERO);
        assert!(together(&mut habit, [1000, 600]) > 500);
    }

    #[test]
    fn work_is_done_together_where_that_is_faster() {
        let mut habit = Habit::default();
        assert!(together(&mut habit, [100, 160]) < 30);
        assert!(
            together(&mut habit, [100, 95]) < 30,
            "too little to be worth it"
        );
        let changed = together(&mut habit, [1000, 600]);
        assert!(changed > 500, "{changed}");
        assert!(together(&mut habit, [1000, 600]) > 950);
    }
}
