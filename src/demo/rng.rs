//! Chance, from a seed: the same seed gives the same worlds, the same agents and the same faults.

/// Splitmix64: a counter through a mixing function. Small, fast and good enough for worlds; not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    /// A generator of its own for each `stream` of a seed.
    pub(crate) fn new(seed: u64, stream: u64) -> Rng {
        let mut rng = Rng(seed ^ stream.wrapping_mul(0xD605_BBB5_8C8A_BC03));
        rng.next();
        rng
    }

    /// 64 random bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in `[low, high)`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in `0..end`; 0 where `end` is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        // The bias of the product is end / 2^64.
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }

    /// True with probability `p`.
    pub(crate) fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// An index drawn from the distribution `p`, whose sum is 1.
    pub(crate) fn draw(&mut self, p: impl IntoIterator<Item = f64>) -> usize {
        let mut left = self.unit();
        let mut last = 0;
        for (index, p) in p.into_iter().enumerate() {
            if p > 0.0 {
                last = index;
                if left < p {
                    break;
                }
                left -= p;
            }
        }
        last
    }

    /// Puts the items into a random order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides_and_streams_differ() {
        let take = |seed, stream| {
            let mut rng = Rng::new(seed, stream);
            [rng.next(), rng.next(), rng.next()]
        };
        assert_eq!(take(1, 2), take(1, 2));
        assert_ne!(take(1, 2), take(1, 3));
        assert_ne!(take(1, 2), take(2, 2));
    }

    #[test]
    fn draws_follow_the_distribution_and_never_pick_the_impossible() {
        let mut rng = Rng::new(7, 0);
        let p = [0.5, 0.0, 0.3, 0.2, 0.0];
        let mut seen = [0.0; 5];
        for _ in 0..100_000 {
            seen[rng.draw(p)] += 1.0 / 100_000.0;
        }
        assert_eq!((seen[1], seen[4]), (0.0, 0.0));
        // Five standard deviations of a share of one half among 100,000.
        assert!(p.iter().zip(seen).all(|(p, seen): (_, f64)| (p - seen).abs() < 0.008), "{seen:?}");
    }

    #[test]
    fn below_and_shuffle_reach_everything() {
        let mut rng = Rng::new(3, 0);
        let mut seen = [0; 6];
        for _ in 0..6_000 {
            seen[rng.below(6)] += 1;
        }
        assert!(seen.iter().all(|&n| n > 800), "{seen:?}");
        let mut items = [0, 1, 2, 3];
        rng.shuffle(&mut items);
        items.sort_unstable();
        assert_eq!(items, [0, 1, 2, 3]);
    }
}
