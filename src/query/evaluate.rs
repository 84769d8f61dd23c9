//! One pass over the files, adding up what was asked for.

use std::collections::{BTreeMap, HashMap};

use super::result::{EventRecord, LedgerRecord, QueryResult, SeriesResult, Step};
use super::tally::Tally;
use super::{Selector, Stat};
use crate::aggregate::{Scheme, Stats};
use crate::detect::Severity;
use crate::record::{Kind, Unit};
use crate::segment::{Damages, Directory, HistRows, LedgerReport, Rows, ScalarRow, Segment, SeriesEntry, text};

/// What is asked.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Which series.
    pub selector: Selector,
    /// Windows that start at or after this time, nanoseconds since the Unix epoch.
    pub from_ns: Option<i64>,
    /// Windows that start before this time.
    pub to_ns: Option<i64>,
    /// Figures for each step of this many nanoseconds, counted from `from_ns`, or from the epoch where there is none;
    /// one figure for the whole range where this is `None` or not positive.
    pub step_ns: Option<i64>,
    /// Which figures; where there are none, series are left out of the answer.
    pub stats: Vec<Stat>,
    /// Whether to list the anomalies of the series.
    pub anomalies: bool,
    /// Whether to list the account at the end of each window.
    pub ledger: bool,
}

impl Query {
    fn covers(&self, ts_ns: i64) -> bool {
        self.from_ns.is_none_or(|from| ts_ns >= from) && self.to_ns.is_none_or(|to| ts_ns < to)
    }

    /// Whether rows with times in `min..=max` can matter.
    fn overlaps(&self, (min, max): (i64, i64)) -> bool {
        self.from_ns.is_none_or(|from| max >= from) && self.to_ns.is_none_or(|to| min < to)
    }

    fn step(&self) -> Option<i64> {
        self.step_ns.filter(|&step| step > 0)
    }

    fn step_of(&self, ts_ns: i64) -> i64 {
        let origin = i128::from(self.from_ns.unwrap_or(0));
        let step = self.step().map(i128::from);
        step.map_or(0, |step| clamp((i128::from(ts_ns) - origin).div_euclid(step)))
    }

    fn step_start(&self, number: i64) -> i64 {
        let step = i128::from(self.step().unwrap_or(0));
        clamp(i128::from(self.from_ns.unwrap_or(0)) + i128::from(number) * step)
    }
}

fn clamp(value: i128) -> i64 {
    value.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// Answers a query over the files of a directory. Reads each file once.
///
/// Damage is part of the answer, never an error. Memory: one block, and the distinct buckets of every series and step
/// that is asked for a quantile.
#[must_use]
pub fn evaluate(directory: &Directory, query: &Query) -> QueryResult {
    let mut pass = Pass {
        query,
        quantiles: query.stats.iter().any(|stat| matches!(stat, Stat::Quantile(_))),
        series: Vec::new(),
        by_identity: HashMap::new(),
        runs: HashMap::new(),
        damages: Damages::default(),
        rate: query.stats.contains(&Stat::Rate),
        covered: (i64::MAX, i64::MIN),
        out: QueryResult {
            anomalies: query.anomalies.then(Vec::new),
            ledger: query.ledger.then(Vec::new),
            ..QueryResult::default()
        },
    };
    for segment in directory.segments() {
        match segment {
            Ok(segment) => pass.file(&segment),
            Err(damage) => pass.damages.push(damage),
        }
    }
    pass.finish()
}

type Identity = (String, Vec<(String, String)>);

/// What must agree for rows to be added up, beside the identity: two runs may have used a name for different things,
/// and a histogram's buckets mean nothing in another scheme (scale as its bits).
type Measure = Option<(Option<Kind>, Unit, u64, u64)>;

/// A chosen series.
struct Series {
    identity: Identity,
    kind: Option<Kind>,
    unit: Unit,
    /// `None` where its description was lost.
    scheme: Option<Scheme>,
    steps: BTreeMap<i64, Sum>,
}

/// What rows add up to.
struct Sum {
    stats: Stats,
    last_ns: i64,
    windows: u64,
    start_ns: i64,
    end_ns: i64,
    tally: Tally,
    /// The smallest and the largest value in `tally`.
    lowest: f64,
    highest: f64,
}

impl Default for Sum {
    fn default() -> Self {
        Sum {
            stats: Stats::default(),
            last_ns: i64::MIN,
            windows: 0,
            start_ns: i64::MAX,
            end_ns: i64::MIN,
            tally: Tally::default(),
            lowest: f64::NAN,
            highest: f64::NAN,
        }
    }
}

/// The series numbers of one run: position in [`Pass::series`], or `None` for series that were not chosen.
type Numbers = HashMap<u32, Option<usize>>;

struct Pass<'a> {
    query: &'a Query,
    quantiles: bool,
    series: Vec<Series>,
    by_identity: HashMap<(Identity, Measure), usize>,
    /// Numbers are the same in all files of a run, so that a file whose dictionary is damaged can borrow.
    runs: HashMap<u128, Numbers>,
    damages: Damages,
    /// Whether rates are asked for, which need to know what time is covered.
    rate: bool,
    /// Start of the first and end of the last window in the range, whichever series they touched.
    covered: (i64, i64),
    out: QueryResult,
}

impl Pass<'_> {
    fn file(&mut self, segment: &Segment) {
        self.damages.extend(segment.damages().iter().cloned());
        let mut numbers = self.runs.remove(&segment.run_id()).unwrap_or_default();
        let mut searched = false;
        for block in segment.blocks() {
            let block = match block {
                Ok(block) => block,
                Err(damage) => {
                    self.damages.push(damage);
                    continue;
                }
            };
            let wanted = match block.kind() {
                "DICT" => true,
                "SCALAR" => !self.query.stats.is_empty() && self.query.overlaps(block.time_range()),
                "HIST" => self.quantiles && self.query.overlaps(block.time_range()),
                "EVENT" => self.query.anomalies && self.query.overlaps(block.time_range()),
                "LEDGER" => (self.query.ledger || self.rate) && self.query.overlaps(block.time_range()),
                _ => false,
            };
            if !wanted {
                continue;
            }
            let rows = match block.rows_in(segment) {
                Ok(rows) => rows,
                Err(damage) => {
                    self.damages.push(damage);
                    continue;
                }
            };
            // A row before its description means that the description is damaged; a later copy may be intact.
            if !searched && names_unknown(&rows, &numbers) {
                searched = true;
                for block in segment.blocks().flatten().filter(|block| block.kind() == "DICT") {
                    if let Ok(Rows::Dict(entries)) = block.rows() {
                        self.dict(entries, &mut numbers);
                    }
                }
            }
            match rows {
                Rows::Dict(entries) => self.dict(entries, &mut numbers),
                Rows::Scalar(rows) => self.scalar(&rows, &mut numbers, segment),
                Rows::Hist(rows) => self.hist(&rows, &numbers),
                Rows::Event(rows) => {
                    for row in rows.into_iter().filter(|row| self.query.covers(row.ts_ns)) {
                        let Some(at) = self.number(row.series, &mut numbers, segment) else { continue };
                        let Some(series) = self.series.get(at) else { continue };
                        let record = EventRecord {
                            time_ns: row.ts_ns,
                            id: row.id,
                            series: text::series(&series.identity.0, &series.identity.1),
                            unit: series.unit.suffix(),
                            value: row.value,
                            score: row.score,
                            severity: Severity::from_code(row.severity).map_or("unknown", Severity::name),
                            completeness: row.completeness,
                            verdicts: row.verdicts,
                        };
                        self.out.anomalies.get_or_insert_default().push(record);
                    }
                }
                Rows::Ledger(rows) => {
                    for row in rows.iter().filter(|row| self.query.covers(row.ts_ns)) {
                        self.cover(row.ts_ns, row.end_ns);
                    }
                    if !self.query.ledger {
                        continue;
                    }
                    let run_id = format!("{:032x}", segment.run_id());
                    let rows = rows.iter().filter(|row| self.query.covers(row.ts_ns));
                    self.out.ledger.get_or_insert_default().extend(rows.map(|row| LedgerRecord {
                        start_ns: row.ts_ns,
                        end_ns: row.end_ns,
                        window: row.window,
                        run_id: run_id.clone(),
                        ledger: LedgerReport::from(&row.ledger),
                    }));
                }
                Rows::Recovery(_) | Rows::Unknown => {}
            }
        }
        self.runs.insert(segment.run_id(), numbers);
    }

    fn cover(&mut self, start_ns: i64, end_ns: i64) {
        self.covered = (self.covered.0.min(start_ns), self.covered.1.max(end_ns));
    }

    fn dict(&mut self, entries: Vec<SeriesEntry>, numbers: &mut Numbers) {
        for entry in entries {
            let chosen = self.query.selector.matches(&entry.name, &entry.labels);
            let at = chosen.then(|| self.add(entry.name, entry.labels, entry.kind, entry.unit, Some(entry.scheme)));
            numbers.insert(entry.series, at);
        }
    }

    /// The place of a series in the answer.
    fn add(
        &mut self,
        name: String,
        labels: Vec<(String, String)>,
        kind: Option<Kind>,
        unit: Unit,
        scheme: Option<Scheme>,
    ) -> usize {
        let identity = (name, labels);
        let measure = scheme.map(|scheme| (kind, unit, scheme.scale.to_bits(), scheme.highest));
        let key = (identity.clone(), measure);
        if let Some(&at) = self.by_identity.get(&key) {
            return at;
        }
        let at = self.series.len();
        self.by_identity.insert(key, at);
        self.series.push(Series { identity, kind, unit, scheme, steps: BTreeMap::new() });
        at
    }

    /// The place of the series with this number; under a name of its own where its description was lost.
    fn number(&mut self, number: u32, numbers: &mut Numbers, segment: &Segment) -> Option<usize> {
        if let Some(&known) = numbers.get(&number) {
            return known;
        }
        let labels =
            vec![("run".to_owned(), format!("{:032x}", segment.run_id())), ("series".to_owned(), number.to_string())];
        let at = self
            .query
            .selector
            .matches("unknown_series", &labels)
            .then(|| self.add("unknown_series".into(), labels, None, Unit::None, None));
        numbers.insert(number, at);
        at
    }

    fn scalar(&mut self, rows: &[ScalarRow], numbers: &mut Numbers, segment: &Segment) {
        let query = self.query;
        for row in rows.iter().filter(|row| query.covers(row.ts_ns)) {
            self.cover(row.ts_ns, row.end_ns);
            let Some(at) = self.number(row.series, numbers, segment) else { continue };
            let Some(series) = self.series.get_mut(at) else { continue };
            self.out.unnamed_rows += u64::from(series.scheme.is_none());
            let sum = series.steps.entry(query.step_of(row.ts_ns)).or_default();
            // Files of two runs may overlap; the latest value is the one of the latest window.
            let last = if row.ts_ns >= sum.last_ns { row.last } else { f64::NAN };
            sum.last_ns = sum.last_ns.max(row.ts_ns);
            sum.stats.merge(&Stats { count: row.count, sum: row.sum, min: row.min, max: row.max, last });
            sum.windows += 1;
            sum.start_ns = sum.start_ns.min(row.ts_ns);
            sum.end_ns = sum.end_ns.max(row.end_ns);
        }
    }

    fn hist(&mut self, rows: &HistRows, numbers: &Numbers) {
        let query = self.query;
        for (at, row) in rows.rows.iter().enumerate().filter(|(_, row)| query.covers(row.ts_ns)) {
            let Some(&Some(place)) = numbers.get(&row.series) else { continue };
            let Some(series) = self.series.get_mut(place) else { continue };
            let (indices, counts) = rows.buckets(at);
            let sum = series.steps.entry(query.step_of(row.ts_ns)).or_default();
            sum.tally.add(indices, counts);
            // `min` and `max` ignore a NaN on either side, which is what the empty state is.
            sum.lowest = sum.lowest.min(row.min);
            sum.highest = sum.highest.max(row.max);
            // Where the block with the window's count and sum is damaged, this row is all there is of it.
            sum.start_ns = sum.start_ns.min(row.ts_ns);
            sum.end_ns = sum.end_ns.max(row.end_ns);
        }
    }

    fn finish(mut self) -> QueryResult {
        let query = self.query;
        for series in self.series.drain(..).filter(|series| !series.steps.is_empty()) {
            let (name, labels) = series.identity;
            let (kind, scheme, covered) = (series.kind, series.scheme, self.covered);
            let steps = series.steps.into_iter().map(|(number, sum)| step(query, number, sum, kind, scheme, covered));
            self.out.series.push(SeriesResult {
                series: text::series(&name, &labels),
                name,
                labels: labels.into_iter().collect(),
                kind: series.kind.map_or("unknown", Kind::name),
                unit: series.unit.suffix(),
                steps: steps.collect(),
            });
        }
        self.out.series.sort_by(|a, b| (&a.name, &a.labels).cmp(&(&b.name, &b.labels)));
        self.out.damages_total = self.damages.total();
        self.out.damages = std::mem::take(&mut self.damages).into_kept();
        if let Some(anomalies) = &mut self.out.anomalies {
            anomalies.sort_by_key(|anomaly| (anomaly.time_ns, anomaly.id));
        }
        self.out
    }
}

/// Whether rows name a series that no dictionary so far described.
fn names_unknown(rows: &Rows, numbers: &Numbers) -> bool {
    let unknown = |series: u32| !numbers.contains_key(&series);
    match rows {
        Rows::Scalar(rows) => rows.iter().any(|row| unknown(row.series)),
        Rows::Hist(rows) => rows.rows.iter().any(|row| unknown(row.series)),
        Rows::Event(rows) => rows.iter().any(|row| unknown(row.series)),
        _ => false,
    }
}

fn step(query: &Query, number: i64, sum: Sum, kind: Option<Kind>, scheme: Option<Scheme>, covered: (i64, i64)) -> Step {
    let (from_ns, to_ns) = if query.step().is_some() {
        let (from, to) = (query.step_start(number), query.step_start(number.saturating_add(1)));
        (from.max(query.from_ns.unwrap_or(i64::MIN)), to.min(query.to_ns.unwrap_or(i64::MAX)))
    } else {
        (query.from_ns.unwrap_or(sum.start_ns), query.to_ns.unwrap_or(sum.end_ns))
    };
    // A step may begin before the history or end behind it; what was not watched is no time without events.
    let (start, end) = (from_ns.max(covered.0), to_ns.min(covered.1));
    let seconds = (i128::from(end) - i128::from(start)).max(0) as f64 / 1e9;
    let Sum { stats, windows, tally, lowest, highest, .. } = sum;
    let buckets = scheme.map(|scheme| tally.into_buckets(scheme));
    let value = |stat: &Stat| {
        let value = match *stat {
            // Only buckets were readable, and 0 would be no answer but a wrong one.
            Stat::Count | Stat::Sum | Stat::Rate if windows == 0 => f64::NAN,
            Stat::Count => stats.count as f64,
            Stat::Sum => stats.sum,
            Stat::Min => stats.min,
            Stat::Max => stats.max,
            // Each increment is 1, and so is their mean; of use is how many a window brings.
            Stat::Mean if kind == Some(Kind::Counter) => stats.sum / windows as f64,
            Stat::Mean => stats.mean(),
            Stat::Last => stats.last,
            Stat::Rate => stats.count as f64 / seconds,
            // The extremes are exact, and no quantile lies beyond them.
            Stat::Quantile(q) => {
                let upper = buckets.as_ref().and_then(|buckets| buckets.quantile(q));
                upper.map_or(f64::NAN, |upper| upper.max(lowest).min(highest))
            }
        };
        Some(value).filter(|value| value.is_finite())
    };
    let values = query.stats.iter().map(|stat| (stat.to_string(), value(stat))).collect();
    Step { from_ns, to_ns, windows, values }
}
