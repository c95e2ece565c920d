//! Noise that no coder could make smaller, cheap to take.

const POOL: usize = 1 << 16;
/// The most that one block takes.
const LARGEST: usize = 256;

/// A pool of random luma samples, 16 to 235, and a place in it that jumps.
#[derive(Debug, Clone)]
pub(super) struct Noise {
    pool: Vec<u8>,
    state: u64,
}

impl Noise {
    pub(super) fn new(seed: u32) -> Self {
        let mut noise = Self { pool: Vec::new(), state: u64::from(seed) << 1 | 1 };
        let mut pool = Vec::with_capacity(POOL + LARGEST);
        while pool.len() < POOL + LARGEST {
            pool.extend(noise.step().to_be_bytes().map(|byte| 16 + byte % 220));
        }
        noise.pool = pool;
        noise
    }

    /// Some `count` samples, at most 256.
    pub(super) fn take(&mut self, count: usize) -> &[u8] {
        let at = usize::try_from(self.step() >> 48).unwrap_or(0);
        self.pool.get(at..at + count.min(LARGEST)).unwrap_or_default()
    }

    /// xorshift64* (Vigna): good enough for a picture.
    fn step(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}
