use super::*;
use crate::context::Output;
use simnet::seeded;

struct Bench {
    now: Instant,
    config: Config,
    channel: Channel,
    out: Output,
}

/// Ns, Nr and the size of the body.
type Sent = Vec<(u16, u16, usize)>;

impl Bench {
    #[allow(
        clippy::disallowed_methods,
        reason = "any start will do for virtual time"
    )]
    fn new(peer_window: u16) -> Self {
        let config = Config::default();
        let mut channel = Channel::new(PathId(1), &config);
        channel.peer_window = peer_window;
        Self {
            now: Instant::now(),
            config,
            channel,
            out: Output::default(),
        }
    }

    fn step(&mut self, step: impl FnOnce(&mut Channel, &mut Context<'_>)) -> Sent {
        let mut ctx = Context {
            now: self.now,
            config: &self.config,
            rng: &mut seeded(1),
            out: &mut self.out,
        };
        step(&mut self.channel, &mut ctx);
        let sent = self.out.transmits.drain(..).map(|t| {
            let header = Header::parse(&t.payload, 0..t.payload.len()).unwrap();
            let (ns, nr) = header.sequence.unwrap();
            (ns, nr, header.payload.len())
        });
        sent.collect()
    }

    fn send(&mut self, count: u8) -> Sent {
        self.step(|channel, ctx| {
            for n in 0..count {
                channel.send(ctx.config, 0, vec![n]);
            }
            channel.pump(ctx);
        })
    }

    fn acknowledge(&mut self, nr: u16) -> Sent {
        self.step(|channel, ctx| {
            channel.acknowledge(ctx.now, nr, ctx.config);
            channel.pump(ctx);
        })
    }

    fn receive(&mut self, ns: u16) -> (Order, Sent) {
        let order = self.channel.order(ns, false);
        let sent = self.step(|channel, ctx| {
            match order {
                Order::Next => channel.accept(),
                Order::Duplicate => channel.owe_acknowledgement(),
                Order::Early => {}
            }
            channel.pump(ctx);
        });
        (order, sent)
    }

    /// Waits for the next retransmission: after how long, what, and whether the peer still counts.
    fn overdue(&mut self) -> (Duration, Sent, bool) {
        let at = self.channel.deadline.unwrap();
        let waited = at - self.now;
        self.now = at;
        let mut alive = false;
        let sent = self.step(|channel, ctx| alive = channel.handle_timeout(ctx));
        (waited, sent, alive)
    }
}

#[test]
fn slow_start_opens_the_window() {
    let mut bench = Bench::new(8);
    assert_eq!(bench.send(12), [(0, 0, 1)]);
    assert_eq!(bench.acknowledge(1), [(1, 0, 1), (2, 0, 1)]);
    assert_eq!(bench.acknowledge(3).len(), 4);
    // An acknowledgement of what was never sent does nothing, nor does an old one.
    assert!(bench.acknowledge(9).is_empty());
    assert!(bench.acknowledge(1).is_empty());
    assert!(!bench.channel.is_idle());
    // One acknowledges all before it.
    assert_eq!(bench.acknowledge(7).len(), 5);
    bench.acknowledge(12);
    assert!(bench.channel.is_idle() && bench.channel.deadline.is_none());
}

#[test]
fn a_window_of_one_is_never_exceeded() {
    let mut bench = Bench::new(1);
    assert_eq!(bench.send(5), [(0, 0, 1)]);
    for n in 1..5 {
        assert_eq!(bench.acknowledge(n), [(n, 0, 1)]);
    }
}

#[test]
fn with_the_window_full_an_acknowledgement_goes_alone() {
    let mut bench = Bench::new(1);
    bench.send(2);
    assert_eq!(bench.receive(0), (Order::Next, vec![(1, 1, 0)]));
}

#[test]
fn a_timeout_halves_the_threshold_and_repeats_from_the_oldest() {
    let mut bench = Bench::new(16);
    bench.send(30);
    bench.acknowledge(1);
    bench.acknowledge(3);
    bench.acknowledge(7);
    assert_eq!(bench.channel.window, 8);
    let (_, sent, _) = bench.overdue();
    assert_eq!(sent, [(7, 0, 1)]);
    assert_eq!((bench.channel.window, bench.channel.threshold), (1, 4));
    // The peer had kept the ones behind it: only what is missing goes out again.
    assert_eq!(bench.acknowledge(9), [(9, 0, 1), (10, 0, 1), (11, 0, 1)]);
    // Above the threshold a full window of acknowledgements makes one more.
    bench.acknowledge(10);
    assert_eq!(bench.channel.window, 4);
    for nr in 11..14 {
        bench.acknowledge(nr);
        assert_eq!(bench.channel.window, 4);
    }
    bench.acknowledge(14);
    assert_eq!(bench.channel.window, 5);
}

#[test]
fn a_message_is_acknowledged_even_with_nothing_to_say() {
    let mut bench = Bench::new(4);
    assert_eq!(bench.receive(0), (Order::Next, vec![(0, 1, 0)]));
    assert_eq!(bench.receive(0), (Order::Duplicate, vec![(0, 1, 0)]));
    assert_eq!(bench.receive(2), (Order::Early, vec![]));
    assert_eq!(bench.receive(0x8002), (Order::Duplicate, vec![(0, 1, 0)]));
    assert_eq!(bench.channel.order(0x8000, false), Order::Early);
}

#[test]
fn numbers_wrap() {
    let mut bench = Bench::new(4);
    bench.channel.first = 0xffff;
    bench.channel.next_receive = 0xffff;
    assert_eq!(bench.send(3), [(0xffff, 0xffff, 1)]);
    assert_eq!(bench.acknowledge(0), [(0, 0xffff, 1), (1, 0xffff, 1)]);
    assert_eq!(bench.receive(0xffff), (Order::Next, vec![(2, 0, 0)]));
    assert_eq!(bench.channel.order(0xffff, false), Order::Duplicate);
    bench.acknowledge(2);
    assert!(bench.channel.is_idle());
}

#[test]
fn a_silent_peer_is_given_up_after_31_seconds() {
    let mut bench = Bench::new(4);
    bench.send(1);
    let mut waits = Vec::new();
    loop {
        let (waited, sent, alive) = bench.overdue();
        waits.push(waited.as_secs());
        assert_eq!(sent.len(), usize::from(alive));
        if !alive {
            break;
        }
    }
    assert_eq!(waits, [1, 2, 4, 8, 8, 8]);
    assert_eq!(bench.config.retransmission_cycle().as_secs(), 31);
}

#[test]
fn the_queue_is_bounded() {
    let mut bench = Bench::new(4);
    bench.config.max_queue = 8;
    bench.send(8);
    assert!(!bench.channel.overflow && !bench.channel.has_room(&bench.config, 1));
    bench.send(1);
    assert!(bench.channel.overflow);
    assert_eq!(bench.channel.queue.len(), 8);
    // What has been sent stays; the rest makes room.
    bench.channel.clear_waiting();
    assert_eq!(bench.channel.queue.len(), 1);
}
