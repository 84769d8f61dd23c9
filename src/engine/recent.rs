//! The last values of every series, for whoever asks by name.

use std::collections::VecDeque;

use crate::record::SeriesId;

/// A bounded history per series: the newest values push the oldest out.
#[derive(Debug)]
pub(super) struct Recent {
    keep: usize,
    series: Vec<VecDeque<(i64, f64)>>,
}

impl Recent {
    pub(super) fn new(keep: usize) -> Recent {
        Recent { keep, series: Vec::new() }
    }

    pub(super) fn keep(&self) -> usize {
        self.keep
    }

    pub(super) fn push(&mut self, series: SeriesId, time_ns: i64, value: f64) {
        if self.keep == 0 {
            return;
        }
        if self.series.len() <= series.index() {
            self.series.resize_with(series.index() + 1, VecDeque::new);
        }
        let values = &mut self.series[series.index()];
        if values.len() == self.keep {
            values.pop_front();
        }
        values.push_back((time_ns, value));
    }

    /// Time and value, oldest first.
    pub(super) fn of(&self, series: SeriesId) -> impl Iterator<Item = (i64, f64)> + '_ {
        self.series.get(series.index()).into_iter().flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first() {
        let mut recent = Recent::new(3);
        for i in 0..10 {
            recent.push(SeriesId(4), i, i as f64);
        }
        assert_eq!(recent.of(SeriesId(4)).collect::<Vec<_>>(), [(7, 7.0), (8, 8.0), (9, 9.0)]);
        assert_eq!(recent.of(SeriesId(3)).count(), 0);
        assert_eq!(recent.of(SeriesId(9)).count(), 0);
    }
}
