//! Histogram counts: [`Counts`] to add to, [`Buckets`] to publish.

use super::Scheme;

/// Counters per page.
const PAGE: usize = 128;

/// Counts by bucket index, in pages that are allocated when a value first falls into them.
///
/// A dense histogram of 3 digits takes 216 KiB and more; a series whose values span one decade touches some 30 pages
/// of 1 KiB.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pages: Vec<Option<Box<[u64; PAGE]>>>,
    /// Numbers of the pages that hold a count, unordered.
    touched: Vec<u32>,
}

impl Counts {
    pub(crate) fn add(&mut self, index: u32, count: u64) {
        let (number, slot) = (index as usize / PAGE, index as usize % PAGE);
        if let Some(Some(page)) = self.pages.get_mut(number) {
            page[slot] += count;
            return;
        }
        self.add_to_new_page(number, slot, count);
    }

    #[cold]
    fn add_to_new_page(&mut self, number: usize, slot: usize, count: u64) {
        if self.pages.len() <= number {
            self.pages.resize_with(number + 1, || None);
        }
        let mut page = Box::new([0; PAGE]);
        page[slot] = count;
        self.pages[number] = Some(page);
        self.touched.push(number as u32);
    }

    /// The non-empty buckets in order.
    pub(crate) fn take_stock(&mut self, scheme: Scheme) -> Buckets {
        self.touched.sort_unstable();
        let room = self.touched.len() * 16;
        let mut out = Buckets { scheme, indices: Vec::with_capacity(room), counts: Vec::with_capacity(room) };
        for &number in &self.touched {
            if let Some(page) = &self.pages[number as usize] {
                for (slot, &count) in page.iter().enumerate() {
                    if count != 0 {
                        out.indices.push(number * PAGE as u32 + slot as u32);
                        out.counts.push(count);
                    }
                }
            }
        }
        out
    }

    /// Empties all buckets and keeps the pages.
    pub(crate) fn clear(&mut self) {
        for &number in &self.touched {
            if let Some(page) = &mut self.pages[number as usize] {
                page.fill(0);
            }
        }
    }
}

/// The non-empty buckets of a histogram, by ascending index: immutable, mergeable, as stored in segments.
#[derive(Clone, Debug, PartialEq)]
pub struct Buckets {
    /// The layout the indices belong to.
    pub scheme: Scheme,
    /// Bucket indices, strictly ascending.
    pub indices: Vec<u32>,
    /// The count of each index; none is 0.
    pub counts: Vec<u64>,
}

impl Buckets {
    /// A histogram without values.
    #[must_use]
    pub const fn empty(scheme: Scheme) -> Buckets {
        Buckets { scheme, indices: Vec::new(), counts: Vec::new() }
    }

    /// The number of values. Saturates where a damaged file claims more than `u64` holds.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// The value at or below which a share `q` of the values lies (rank `ceil(q * count)`, at least 1: the definition
    /// of numpy's `inverted_cdf`), as the upper bound of its bucket. `None` where there are no values or `q` is not
    /// within 0 to 1.
    ///
    /// The result is at most [`Scheme::RELATIVE_ERROR`] plus one step away from the exact quantile.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let total = self.count();
        if total == 0 || !(0.0..=1.0).contains(&q) {
            return None;
        }
        let rank = ((q * total as f64).ceil() as u64).clamp(1, total);
        let mut seen = 0_u64;
        for (&index, &count) in self.indices.iter().zip(&self.counts) {
            seen = seen.saturating_add(count);
            if seen >= rank {
                return Some(self.scheme.upper(index));
            }
        }
        None
    }

    /// The number of values in buckets that lie wholly at or below `bound` (in the series' unit).
    #[must_use]
    pub fn count_at_most(&self, bound: f64) -> u64 {
        let upto = self.indices.partition_point(|&index| self.scheme.upper(index) <= bound);
        self.counts[..upto].iter().fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// Adds the counts of `other`, which must be of the same scheme.
    pub fn merge(&mut self, other: &Buckets) {
        debug_assert_eq!(self.scheme, other.scheme, "histograms of different schemes cannot be merged");
        if other.indices.is_empty() {
            return;
        }
        let mut merged = Buckets {
            scheme: self.scheme,
            indices: Vec::with_capacity(self.indices.len() + other.indices.len()),
            counts: Vec::with_capacity(self.indices.len() + other.indices.len()),
        };
        let (mut a, mut b) = (0, 0);
        while a < self.indices.len() || b < other.indices.len() {
            let left = self.indices.get(a).copied().unwrap_or(u32::MAX);
            let right = other.indices.get(b).copied().unwrap_or(u32::MAX);
            let index = left.min(right);
            let mut count = 0_u64;
            if a < self.indices.len() && left == index {
                count = count.saturating_add(self.counts[a]);
                a += 1;
            }
            if b < other.indices.len() && right == index {
                count = count.saturating_add(other.counts[b]);
                b += 1;
            }
            merged.indices.push(index);
            merged.counts.push(count);
        }
        *self = merged;
    }

    /// The same counts as an `hdrhistogram` histogram, the exchange form (V2 and V2+DEFLATE come from there).
    ///
    /// # Errors
    /// If a bucket lies outside the scheme's range, as a damaged file can claim.
    pub fn to_hdr(&self) -> Result<hdrhistogram::Histogram<u64>, hdrhistogram::RecordError> {
        // The bounds of every scheme are valid for 3 digits, so creation cannot fail; an error type for it would
        // only be noise at each caller.
        let mut hdr = hdrhistogram::Histogram::new_with_bounds(1, self.scheme.highest, 3)
            .map_err(|_| hdrhistogram::RecordError::ResizeFailedUsizeTypeTooSmall)?;
        for (&index, &count) in self.indices.iter().zip(&self.counts) {
            hdr.record_n(Scheme::steps(index).0, count)?;
        }
        Ok(hdr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Unit;
    use proptest::prelude::*;

    fn buckets(values: &[f64]) -> Buckets {
        let scheme = Scheme::of(Unit::Seconds);
        let mut counts = Counts::default();
        for &value in values {
            counts.add(scheme.index(value).0, 1);
        }
        counts.take_stock(scheme)
    }

    #[test]
    fn clearing_keeps_nothing() {
        let scheme = Scheme::of(Unit::Seconds);
        let mut counts = Counts::default();
        counts.add(5, 2);
        counts.add(900_000, 1);
        assert_eq!(counts.take_stock(scheme).count(), 3);
        counts.clear();
        assert_eq!(counts.take_stock(scheme), Buckets::empty(scheme));
        counts.add(5, 1);
        assert_eq!(counts.take_stock(scheme).indices, [5]);
    }

    #[test]
    fn no_values_no_quantile() {
        assert_eq!(buckets(&[]).quantile(0.5), None);
        assert_eq!(buckets(&[1.0]).quantile(1.1), None);
        assert_eq!(buckets(&[1.0]).quantile(f64::NAN), None);
        assert!(buckets(&[1.0]).quantile(0.0).is_some());
    }

    proptest! {
        #[test]
        fn quantiles_are_hdrhistograms(values in prop::collection::vec(1e-7_f64..100.0, 1..300), q in 0.0_f64..=1.0) {
            let ours = buckets(&values);
            let hdr = ours.to_hdr().unwrap();
            let scheme = ours.scheme;
            prop_assert_eq!(hdr.len(), ours.count());
            // hdrhistogram guards against rounding up at exact ranks by stepping q down one ulp; skip exact ranks.
            let rank = q * values.len() as f64;
            prop_assume!((rank - rank.round()).abs() > 1e-6);
            prop_assert_eq!(hdr.value_at_quantile(q) as f64 / scheme.scale, ours.quantile(q).unwrap());
        }

        #[test]
        fn merging_is_the_same_as_recording_together(
            a in prop::collection::vec(0.0_f64..10.0, 0..100), b in prop::collection::vec(0.0_f64..10.0, 0..100),
        ) {
            let mut merged = buckets(&a);
            merged.merge(&buckets(&b));
            let together: Vec<f64> = a.iter().chain(&b).copied().collect();
            prop_assert_eq!(merged, buckets(&together));
        }
    }
}
