//! The state of every series in the current window.

use super::buckets::Counts;
use super::{Buckets, Scheme, SeriesWindow, Stats};
use crate::ledger::Cause;
use crate::record::{Kind, SeriesId, SeriesInfo};
use crate::sync::Arc;

/// Which series a closed window lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    /// All of them, so that a reader finds every total in the latest snapshot.
    Every,
    /// Those that received something in this window.
    Touched,
}

/// Takes values, keeps windows.
#[derive(Debug, Default)]
pub(crate) struct Aggregator {
    series: Vec<Series>,
    /// Series that received something in the open window, unordered.
    touched: Vec<u32>,
    aggregated: u64,
    gathered: u64,
    clamped: u64,
}

#[derive(Debug)]
struct Series {
    info: Arc<SeriesInfo>,
    scheme: Scheme,
    touched: bool,
    /// Time of `delta.last`, so that the latest value wins whichever ring is drained first.
    last_ns: i64,
    delta: Stats,
    total: Stats,
    delta_counts: Counts,
    total_counts: Counts,
    total_buckets: Option<Arc<Buckets>>,
}

impl Aggregator {
    /// Makes room for newly registered series. Their numbers must follow those already known.
    pub(crate) fn add_series(&mut self, infos: impl IntoIterator<Item = Arc<SeriesInfo>>) {
        for info in infos {
            debug_assert_eq!(info.id.index(), self.series.len(), "series come in the order of their numbers");
            let histogram = info.kind == Kind::Histogram;
            let scheme = Scheme::of(info.unit);
            self.series.push(Series {
                scheme,
                touched: false,
                last_ns: i64::MIN,
                delta: Stats::default(),
                total: Stats::default(),
                delta_counts: Counts::default(),
                total_counts: Counts::default(),
                total_buckets: histogram.then(|| Arc::new(Buckets::empty(scheme))),
                info,
            });
        }
    }

    /// The number of series known.
    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    /// What is known of a series.
    pub(crate) fn info(&self, id: SeriesId) -> Option<&Arc<SeriesInfo>> {
        self.series.get(id.index()).map(|series| &series.info)
    }

    /// Samples that entered a window so far.
    pub(crate) fn aggregated(&self) -> u64 {
        self.aggregated
    }

    /// Counter increments that entered a window so far.
    pub(crate) fn gathered(&self) -> u64 {
        self.gathered
    }

    /// Values that had to be clamped into their histogram's range so far.
    pub(crate) fn clamped(&self) -> u64 {
        self.clamped
    }

    /// Takes in one sample of a gauge or histogram, or says why not.
    pub(crate) fn sample(&mut self, id: SeriesId, time_ns: i64, value: f64) -> Result<(), Cause> {
        let Some(mut entry) = self.entry(id) else { return Err(Cause::UnknownSeries) };
        if !value.is_finite() {
            return Err(Cause::NotFinite);
        }
        entry.add(time_ns, value);
        Ok(())
    }

    /// A gauge or histogram, to add any number of samples to; `None` where there is no such series.
    #[inline]
    pub(crate) fn entry(&mut self, id: SeriesId) -> Option<Entry<'_>> {
        let series = self.series.get_mut(id.index())?;
        Some(Entry { series, touched: &mut self.touched, aggregated: &mut self.aggregated, clamped: &mut self.clamped })
    }

    /// Takes in what a thread's cell gained since it was last read.
    pub(crate) fn increment(&mut self, id: SeriesId, by: u64) {
        if by == 0 {
            return;
        }
        let Some(series) = self.series.get_mut(id.index()) else { return };
        // Wrapping, as the threads' cells do: a program may add anything.
        series.delta.count = series.delta.count.wrapping_add(by);
        series.delta.sum += by as f64;
        if !series.touched {
            series.touched = true;
            self.touched.push(id.0);
        }
        self.gathered = self.gathered.wrapping_add(by);
    }

    /// Closes the window: its rows, by ascending series number. The next window starts empty.
    pub(crate) fn close(&mut self, rows: Rows) -> Vec<SeriesWindow> {
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        let out = match rows {
            Rows::Every => self.series.iter_mut().map(Series::close).collect(),
            Rows::Touched => touched.iter().map(|&id| self.series[id as usize].close()).collect(),
        };
        touched.clear();
        self.touched = touched;
        out
    }
}

/// A series that samples are being added to.
pub(crate) struct Entry<'a> {
    series: &'a mut Series,
    touched: &'a mut Vec<u32>,
    aggregated: &'a mut u64,
    clamped: &'a mut u64,
}

impl Entry<'_> {
    pub(crate) fn info(&self) -> &Arc<SeriesInfo> {
        &self.series.info
    }

    /// Takes in one sample, which must be finite.
    #[inline]
    pub(crate) fn add(&mut self, time_ns: i64, value: f64) {
        debug_assert!(value.is_finite());
        let series = &mut *self.series;
        if series.info.kind == Kind::Histogram {
            let (index, clamped) = series.scheme.index(value);
            series.delta_counts.add(index, 1);
            *self.clamped += u64::from(clamped);
        }
        series.delta.add(value);
        // The first value of a window is its latest so far, whatever earlier windows held.
        if series.delta.count == 1 || time_ns >= series.last_ns {
            series.last_ns = time_ns;
            series.delta.last = value;
        }
        if !series.touched {
            series.touched = true;
            self.touched.push(series.info.id.0);
        }
        *self.aggregated += 1;
    }

    /// Takes in samples of which only a value near each and how many were near it are known, the sum of all, and the
    /// latest with its time.
    pub(crate) fn add_folded(&mut self, values: &[(f64, u64)], sum: f64, (last_ns, last): (i64, f64)) {
        let series = &mut *self.series;
        if series.delta.count == 0 || last_ns >= series.last_ns {
            series.last_ns = last_ns;
            series.delta.last = last;
        }
        for &(value, count) in values {
            if series.info.kind == Kind::Histogram {
                let (index, clamped) = series.scheme.index(value);
                series.delta_counts.add(index, count);
                *self.clamped += if clamped { count } else { 0 };
            }
            series.delta.count += count;
            series.delta.min = series.delta.min.min(value);
            series.delta.max = series.delta.max.max(value);
            *self.aggregated += count;
        }
        series.delta.sum += sum;
        if !series.touched {
            series.touched = true;
            self.touched.push(series.info.id.0);
        }
    }
}

impl Series {
    fn close(&mut self) -> SeriesWindow {
        let mut delta_buckets = None;
        if self.touched {
            if self.info.kind == Kind::Counter {
                // A counter has no single values: its extremes are those of its windows.
                self.delta.min = self.delta.sum;
                self.delta.max = self.delta.sum;
                self.delta.last = self.total.sum + self.delta.sum;
            }
            self.total.merge(&self.delta);
            if self.total_buckets.is_some() {
                let buckets = self.delta_counts.take_stock(self.scheme);
                self.delta_counts.clear();
                for (&index, &count) in buckets.indices.iter().zip(&buckets.counts) {
                    self.total_counts.add(index, count);
                }
                self.total_buckets = Some(Arc::new(self.total_counts.take_stock(self.scheme)));
                delta_buckets = Some(Arc::new(buckets));
            }
        }
        self.touched = false;
        SeriesWindow {
            info: Arc::clone(&self.info),
            delta: std::mem::take(&mut self.delta),
            total: self.total,
            delta_buckets,
            total_buckets: self.total_buckets.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Catalogue, SeriesSpec};

    fn aggregator(kinds: &[Kind]) -> Aggregator {
        let catalogue = Catalogue::default();
        for (at, &kind) in kinds.iter().enumerate() {
            catalogue.intern(SeriesSpec::new(&format!("m{at}"), kind)).unwrap();
        }
        let mut aggregator = Aggregator::default();
        aggregator.add_series(catalogue.since(0));
        aggregator
    }

    #[test]
    fn a_window_holds_what_it_was_given_and_no_more() {
        let mut aggregator = aggregator(&[Kind::Histogram]);
        let id = SeriesId(0);
        for value in [3.0, 1.0, 2.0] {
            aggregator.sample(id, 0, value).unwrap();
        }
        let first = &aggregator.close(Rows::Every)[0];
        assert_eq!((first.delta.count, first.delta.sum), (3, 6.0));
        assert_eq!((first.delta.min, first.delta.max, first.delta.last), (1.0, 3.0, 2.0));
        aggregator.sample(id, 1, 10.0).unwrap();
        let second = &aggregator.close(Rows::Every)[0];
        assert_eq!((second.delta.count, second.total.count), (1, 4));
        assert_eq!(second.total_buckets.as_ref().unwrap().count(), 4);
        assert_eq!(second.delta_buckets.as_ref().unwrap().count(), 1);
        let third = &aggregator.close(Rows::Every)[0];
        assert_eq!(third.delta.count, 0);
        assert!(third.delta.min.is_nan() && third.delta_buckets.is_none());
        assert!(aggregator.close(Rows::Touched).is_empty());
    }

    #[test]
    fn the_latest_value_wins_whatever_the_order() {
        let mut aggregator = aggregator(&[Kind::Gauge]);
        aggregator.sample(SeriesId(0), 20, 2.0).unwrap();
        aggregator.sample(SeriesId(0), 10, 1.0).unwrap();
        assert_eq!(aggregator.close(Rows::Every)[0].delta.last, 2.0);
    }

    #[test]
    fn the_first_value_of_a_window_counts_even_if_it_is_late() {
        let mut aggregator = aggregator(&[Kind::Gauge]);
        aggregator.sample(SeriesId(0), 20, 2.0).unwrap();
        aggregator.close(Rows::Every);
        aggregator.sample(SeriesId(0), 10, 1.0).unwrap();
        assert_eq!(aggregator.close(Rows::Every)[0].delta.last, 1.0);
    }

    #[test]
    fn a_counter_may_be_given_anything() {
        let mut aggregator = aggregator(&[Kind::Counter]);
        aggregator.increment(SeriesId(0), u64::MAX);
        aggregator.increment(SeriesId(0), 2);
        assert_eq!(aggregator.gathered(), 1);
        assert_eq!(aggregator.close(Rows::Every)[0].delta.count, 1);
    }

    #[test]
    fn what_cannot_be_held_is_refused_by_cause() {
        let mut aggregator = aggregator(&[Kind::Histogram]);
        assert_eq!(aggregator.sample(SeriesId(0), 0, f64::NAN), Err(Cause::NotFinite));
        assert_eq!(aggregator.sample(SeriesId(0), 0, f64::INFINITY), Err(Cause::NotFinite));
        assert_eq!(aggregator.sample(SeriesId(9), 0, 1.0), Err(Cause::UnknownSeries));
        aggregator.sample(SeriesId(0), 0, -1.0).unwrap();
        assert_eq!((aggregator.aggregated(), aggregator.clamped()), (1, 1));
    }

    #[test]
    fn counters_add_up() {
        let mut aggregator = aggregator(&[Kind::Counter]);
        aggregator.increment(SeriesId(0), 2);
        aggregator.increment(SeriesId(0), 3);
        aggregator.close(Rows::Every);
        aggregator.increment(SeriesId(0), 4);
        let row = &aggregator.close(Rows::Every)[0];
        assert_eq!((row.delta.sum, row.total.sum, row.delta.last), (4.0, 9.0, 9.0));
        assert_eq!(aggregator.gathered(), 9);
    }
}
