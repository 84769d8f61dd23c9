//! Bucket counts of many rows.

use crate::aggregate::{Buckets, Scheme};

/// Adds up sparse histograms. Adding costs a push; sorting happens once per doubling, so merging n buckets takes
/// O(n log n) however they are spread over rows.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pairs: Vec<(u32, u64)>,
    compact_at: usize,
}

impl Tally {
    pub(super) fn add(&mut self, indices: &[u32], counts: &[u64]) {
        self.pairs.extend(indices.iter().copied().zip(counts.iter().copied()));
        if self.pairs.len() >= self.compact_at.max(4_096) {
            self.compact();
            self.compact_at = 2 * self.pairs.len();
        }
    }

    fn compact(&mut self) {
        self.pairs.sort_unstable_by_key(|&(index, _)| index);
        self.pairs.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 = kept.1.saturating_add(next.1);
            }
            same
        });
    }

    pub(super) fn into_buckets(mut self, scheme: Scheme) -> Buckets {
        self.compact();
        let (indices, counts) = self.pairs.into_iter().filter(|&(_, count)| count > 0).unzip();
        Buckets { scheme, indices, counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Unit;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_tally_is_a_merge(rows in prop::collection::vec(prop::collection::btree_map(0_u32..40, 1_u64..9, 0..30), 0..400)) {
            let scheme = Scheme::of(Unit::Seconds);
            let (mut tally, mut merged) = (Tally::default(), Buckets::empty(scheme));
            for row in rows {
                let (indices, counts): (Vec<u32>, Vec<u64>) = row.into_iter().unzip();
                tally.add(&indices, &counts);
                merged.merge(&Buckets { scheme, indices, counts });
            }
            prop_assert_eq!(tally.into_buckets(scheme), merged);
        }
    }
}
