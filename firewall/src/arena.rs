//! Numbered places that never move: growth takes a chunk more and copies nothing.

/// Small enough for an office, and large enough that the list of a million places' chunks stays
/// near.
const CHUNK: usize = 256;

#[derive(Debug)]
pub(crate) struct Arena<T> {
    chunks: Vec<Box<[T; CHUNK]>>,
    free: Vec<u32>,
    /// Places that were ever used.
    used: u32,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            free: Vec::new(),
            used: 0,
        }
    }
}

impl<T: Copy + Default> Arena<T> {
    pub(crate) fn len(&self) -> usize {
        at(self.used) - self.free.len()
    }

    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        self.chunks.get(at(index) / CHUNK)?.get(at(index) % CHUNK)
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        let chunk = self.chunks.get_mut(at(index) / CHUNK)?;
        chunk.get_mut(at(index) % CHUNK)
    }

    pub(crate) fn insert(&mut self, value: T) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.used += 1;
            self.used - 1
        });
        if at(index) / CHUNK == self.chunks.len()
            && let Ok(chunk) = vec![T::default(); CHUNK].into_boxed_slice().try_into()
        {
            self.chunks.push(chunk);
        }
        if let Some(place) = self.get_mut(index) {
            *place = value;
        }
        index
    }

    /// Empties a place, which must be in use.
    pub(crate) fn remove(&mut self, index: u32) {
        if let Some(place) = self.get_mut(index) {
            *place = T::default();
            self.free.push(index);
        }
    }

    /// All places, the unused ones as [`Default`] has them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }
}

fn at(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}
