//! Messages of any lengths in lanes: what ends makes room for the next.

use super::{Data, Job, State, Tag, Wide, bytes, mac_each, outer_block, tail};
use fearless_simd::Level;

/// What a lane is at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Idle,
    /// Whole blocks of the message.
    Body,
    /// The message's end.
    Tail,
    /// The hash of the hash.
    Outer,
}

#[derive(Clone, Copy)]
struct Lane {
    part: Part,
    job: usize,
    /// Blocks of this part that are done, and that are to do.
    done: usize,
    to_do: usize,
    /// The blocks of the tail or of the outer hash.
    scratch: [[u8; 64]; 2],
}

pub(super) struct Lanes<'a, H, const N: usize> {
    jobs: &'a [Job<'a>],
    lanes: [Lane; N],
    states: [State; N],
    next: usize,
    hash: core::marker::PhantomData<H>,
}

impl<'a, H: Wide<N>, const N: usize> Lanes<'a, H, N> {
    pub(super) fn run(level: Level, jobs: &'a [Job<'a>], tags: &mut [Tag]) {
        let mut this = Self {
            jobs,
            lanes: [Lane {
                part: Part::Idle,
                job: 0,
                done: 0,
                to_do: 0,
                scratch: [[0; 64]; 2],
            }; N],
            states: [[0; 8]; N],
            next: 0,
            hash: core::marker::PhantomData,
        };
        while let Some(jobs) = this.even() {
            H::macs(level, jobs, tags);
            this.next += jobs.len();
        }
        if jobs.len() - this.next >= H::WORTHWHILE {
            for lane in 0..N {
                this.refill(lane);
            }
            while this.busy() >= H::WORTHWHILE {
                this.step(level, tags);
            }
        }
        this.finish(tags);
    }

    /// The next jobs, if they are all as long and as many as there are lanes, or all that are left.
    fn even(&self) -> Option<&'a [Job<'a>]> {
        let left = &self.jobs[self.next..];
        let count = match left.len() {
            0 => return None,
            // Rather two times some than one message alone.
            n if H::FEWER && N > 2 && n == N + 1 => N - 1,
            n if H::FEWER && (2..N).contains(&n) => n,
            _ => N,
        };
        let jobs = left.get(..count)?;
        let even = jobs.iter().all(|job| job.is_as_long_as(&jobs[0]));
        even.then_some(jobs)
    }

    fn busy(&self) -> usize {
        self.lanes.iter().filter(|l| l.part != Part::Idle).count()
    }

    /// As many blocks as every busy lane has to do.
    fn step(&mut self, level: Level, tags: &mut [Tag]) {
        let busy = |lane: &&Lane| lane.part != Part::Idle;
        let Some(shortest) = self.lanes.iter().filter(busy).min_by_key(|l| l.to_do) else {
            return;
        };
        let blocks = shortest.to_do;
        // An idle lane does what another does, for nothing.
        let spare = source(self.jobs, shortest);
        let data: Data<'_, N> = core::array::from_fn(|i| match self.lanes[i].part {
            Part::Idle => spare,
            _ => source(self.jobs, &self.lanes[i]),
        });
        H::compress(level, &mut self.states, &data, blocks);
        for lane in 0..N {
            if self.lanes[lane].part == Part::Idle {
                continue;
            }
            self.lanes[lane].done += blocks;
            self.lanes[lane].to_do -= blocks;
            if self.lanes[lane].to_do == 0 {
                self.advance(lane, tags);
            }
        }
    }

    /// The next part of a lane's job, or the next job.
    fn advance(&mut self, lane: usize, tags: &mut [Tag]) {
        let Lane { part, job, .. } = self.lanes[lane];
        match part {
            Part::Idle => {}
            Part::Body => self.start_tail(lane),
            Part::Tail => {
                let state = &mut self.states[lane];
                let lane = &mut self.lanes[lane];
                lane.scratch[0] = outer_block::<H>(state);
                *state = self.jobs[job].key.outer;
                (lane.part, lane.done, lane.to_do) = (Part::Outer, 0, 1);
            }
            Part::Outer => {
                tags[self.jobs[job].place] = bytes::<H>(&self.states[lane]);
                self.lanes[lane].part = Part::Idle;
                self.refill(lane);
            }
        }
    }

    fn refill(&mut self, lane: usize) {
        let Some(job) = self.jobs.get(self.next) else {
            return;
        };
        self.states[lane] = job.key.inner;
        self.lanes[lane].job = self.next;
        self.next += 1;
        let blocks = job.message.len() / 64;
        if blocks == 0 {
            self.start_tail(lane);
        } else {
            let lane = &mut self.lanes[lane];
            (lane.part, lane.done, lane.to_do) = (Part::Body, 0, blocks);
        }
    }

    fn start_tail(&mut self, lane: usize) {
        let lane = &mut self.lanes[lane];
        let job = &self.jobs[lane.job];
        let (_, rest) = job.message.as_chunks::<64>();
        lane.scratch = [[0; 64]; 2];
        let blocks = tail::<H>(&mut lane.scratch, rest, job.suffix, job.message.len());
        (lane.part, lane.done, lane.to_do) = (Part::Tail, 0, blocks);
    }

    /// What is left, one message after the other.
    fn finish(mut self, tags: &mut [Tag]) {
        for lane in 0..N {
            while self.lanes[lane].part != Part::Idle {
                let now = &self.lanes[lane];
                let blocks = source(self.jobs, now).split_at(now.to_do).0;
                H::compress_one(&mut self.states[lane], blocks);
                self.lanes[lane].to_do = 0;
                self.advance(lane, tags);
            }
        }
        mac_each::<H>(&self.jobs[self.next..], tags);
    }
}

/// The blocks that a busy lane has to do.
fn source<'s>(jobs: &'s [Job<'_>], lane: &'s Lane) -> &'s [[u8; 64]] {
    let all = match lane.part {
        Part::Body => jobs[lane.job].message.as_chunks().0,
        _ => lane.scratch.as_slice(),
    };
    all.get(lane.done..).unwrap_or_default()
}
