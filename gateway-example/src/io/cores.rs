use super::now;
use super::pace::Habit;
use crate::core::{Spread, Work};
use rayon_core::{ThreadPool, ThreadPoolBuilder};
use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

/// Threads over which packets are spread, the caller's own among them.
#[derive(Debug)]
pub struct Cores {
    pool: ThreadPool,
    habits: Mutex<Habits>,
}

/// Of each kind of work, since another core pays for some and not for others.
#[derive(Debug, Default)]
struct Habits {
    open: Habit,
    seal: Habit,
    send: Habit,
    write: Habit,
}

impl Habits {
    fn of(&mut self, work: Work) -> &mut Habit {
        match work {
            Work::Open => &mut self.open,
            Work::Seal => &mut self.seal,
            Work::Send => &mut self.send,
            Work::Write => &mut self.write,
        }
    }
}

impl Cores {
    /// As many threads as there are `workers`, or cores if none is given; nothing if that is one.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn start(
        workers: Option<NonZeroUsize>,
    ) -> io::Result<Option<(NonZeroUsize, Arc<dyn Spread>)>> {
        let here = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let workers = workers.unwrap_or_else(here);
        let others = workers.get() - 1;
        if others == 0 {
            return Ok(None);
        }
        let pool = ThreadPoolBuilder::new()
            .num_threads(others)
            .thread_name(|index| format!("packets-{}", index + 1))
            .build()
            .map_err(io::Error::other)?;
        let cores = Self {
            pool,
            habits: Mutex::default(),
        };
        Ok(Some((workers, Arc::new(cores))))
    }

    fn habit<T>(&self, work: Work, use_it: impl FnOnce(&mut Habit) -> T) -> T {
        let mut habits = self.habits.lock().unwrap_or_else(PoisonError::into_inner);
        use_it(habits.of(work))
    }
}

impl Spread for Cores {
    fn each(&self, work: Work, bytes: usize, pieces: &mut [&mut (dyn FnMut() + Send)]) {
        let Some((own, others)) = pieces.split_first_mut() else {
            return;
        };
        let together = self.habit(work, Habit::together);
        let start = now();
        if together {
            self.pool.in_place_scope(|scope| {
                for piece in others {
                    scope.spawn(|_| piece());
                }
                own();
            });
        } else {
            own();
            others.iter_mut().for_each(|piece| piece());
        }
        let took = now() - start;
        self.habit(work, |habit| habit.note(together, bytes, took));
    }
}

/// Bytes that are worth another thread's waking.
const WORTH: usize = 16 * 1024;

/// Has `items` dealt with in so many parts, at the same time if that is worth it, and adds up what
/// comes of them. Items with the same key are of one part, and stay in order.
pub(super) fn in_parts<T: Sync + Send>(
    (parts, spread): (NonZeroUsize, &dyn Spread),
    work: Work,
    items: impl Iterator<Item = T>,
    key: impl Fn(&T) -> u32,
    size: impl Fn(&T) -> usize,
    does: impl Fn(&[T]) -> u64 + Sync,
) -> u64 {
    let mut each: Vec<(usize, u64, Vec<T>)> = Vec::new();
    each.resize_with(parts.get(), Default::default);
    for item in items {
        // Neighbours come apart, and so do those a power of two away.
        let key = key(&item).wrapping_mul(0x9e37_79b1) >> 16;
        let part = usize::try_from(key).unwrap_or(0) % parts;
        if let Some((bytes, _, part)) = each.get_mut(part) {
            *bytes += size(&item);
            part.push(item);
        }
    }
    let all: usize = each.iter().map(|(bytes, ..)| bytes).sum();
    let most = each.iter().map(|(bytes, ..)| *bytes).max().unwrap_or(0);
    let pieces = each.iter_mut().filter(|(_, _, part)| !part.is_empty());
    let mut pieces: Vec<_> = pieces
        .map(|(_, result, part)| || *result = does(part))
        .collect();
    if all - most < WORTH {
        pieces.iter_mut().for_each(|piece| piece());
    } else {
        let mut pieces: Vec<_> = pieces.iter_mut().map(|piece| piece as _).collect();
        spread.each(work, all, &mut pieces);
    }
    each.iter().map(|(_, result, _)| result).sum()
}
