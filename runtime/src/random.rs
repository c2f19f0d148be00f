//! Chance: the random source of a node.
//!
//! In the simulated world it follows from the seed and the order in which nodes were started, in
//! the real one it starts from the kernel's. It is not for secrets that outlive the process.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use uuid::Uuid;

/// A random source. Clones are the same source.
#[derive(Clone)]
pub struct Random(Arc<Mutex<ChaCha8Rng>>);

impl Random {
    /// A source that follows from a seed.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Random {
        Random(Arc::new(Mutex::new(ChaCha8Rng::from_seed(seed))))
    }

    /// A source that follows from a small seed.
    #[must_use]
    pub fn from_number(seed: u64) -> Random {
        Random(Arc::new(Mutex::new(ChaCha8Rng::seed_from_u64(seed))))
    }

    fn with<T>(&self, draw: impl FnOnce(&mut ChaCha8Rng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Any number.
    #[must_use]
    pub fn u64(&self) -> u64 {
        self.with(Rng::next_u64)
    }

    /// A number from 0 to `n - 1`, each as likely; 0 for `n` of 0.
    #[must_use]
    pub fn below(&self, n: u64) -> u64 {
        if n == 0 {
            return 0;
        }
        // The part of the range that does not divide evenly is drawn again.
        let uneven = (u64::MAX % n + 1) % n;
        self.with(|rng| {
            loop {
                let drawn = rng.next_u64();
                if drawn <= u64::MAX - uneven {
                    return drawn % n;
                }
            }
        })
    }

    /// A version 4 UUID.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.with(|rng| rng.fill_bytes(&mut bytes));
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// A seed for another source.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.with(|rng| rng.fill_bytes(&mut bytes));
        bytes
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same() {
        let (a, b) = (Random::from_number(7), Random::from_number(7));
        let draw = |r: &Random| (r.u64(), r.below(10), r.uuid());
        assert_eq!(draw(&a), draw(&b));
        assert_ne!(Random::from_number(8).u64(), Random::from_number(7).u64());
    }

    #[test]
    fn below_reaches_every_number_and_none_beyond() {
        let random = Random::from_number(1);
        let mut seen = [0_u32; 5];
        for _ in 0..1000 {
            seen[usize::try_from(random.below(5)).unwrap()] += 1;
        }
        assert!(seen.iter().all(|&count| count > 100), "{seen:?}");
        assert_eq!(random.below(0), 0);
        assert_eq!(random.below(1), 0);
    }

    #[test]
    fn a_uuid_is_of_version_4() {
        assert_eq!(Random::from_number(1).uuid().get_version_num(), 4);
    }
}
