//! Pseudorandom numbers.

/// A pseudorandom generator with a reproducible sequence for each seed: `SplitMix64`.
pub(super) struct Random(u64);

impl Random {
    /// A generator seeded with a text and two numbers.
    pub(super) fn of(text: &str, index: usize, time_ms: i64) -> Self {
        let seed = text.bytes().fold(0xcbf2_9ce4_8422_2325, |seed, byte| {
            (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut random = Self(seed ^ (index as u64).rotate_left(32) ^ time_ms.cast_unsigned());
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to, but not including, 1.
    #[allow(clippy::cast_precision_loss, reason = "53 bits are exact")]
    pub(super) fn number(&mut self) -> f64 {
        const STEPS: f64 = (1_u64 << 53) as f64;
        (self.next() >> 11) as f64 / STEPS
    }

    /// One of several.
    pub(super) fn pick<'a, T>(&mut self, of: &'a [T; 4]) -> &'a T {
        // Two bits are an index below four.
        &of[(self.next() >> 62) as usize]
    }
}
