//! From metrics to exposition families: prefix, unit suffix, and what happens when two metrics want one name.

use std::collections::{HashMap, HashSet};

use crate::aggregate::{SeriesWindow, Snapshot};
use crate::record::{Kind, Unit};

/// The engine's own metrics: never prefixed, and no name a program could take.
const OWN: &str = "afferent_";

/// One family: a metric with the name it is exposed under.
#[derive(Debug)]
pub(super) struct Family<'a> {
    /// The name without `_total`, `_bucket` and the like.
    pub(super) base: String,
    pub(super) kind: Kind,
    pub(super) unit: Unit,
    pub(super) rows: Vec<&'a SeriesWindow>,
}

/// Groups the rows of a snapshot into families, in the order in which their first series were registered.
///
/// No two families share a sample name, whatever the metrics are called: `gauge jobs_total` and `counter jobs` would
/// both be exposed as `jobs_total`. The metric that was registered first keeps its name; the other is exposed with its
/// kind added before the unit (`jobs_counter_total`), and with a number after that if need be. The result depends on
/// the order of registration only, so it is the same at every scrape. `taken` are base names that are
/// spoken for.
pub(super) fn families<'a>(snapshot: &'a Snapshot, prefix: &str, taken: &[&str]) -> Vec<Family<'a>> {
    let mut claimed: HashSet<String> =
        taken.iter().flat_map(|&name| [name.to_owned(), format!("{name}_total")]).collect();
    let mut by_metric: HashMap<&str, usize> = HashMap::new();
    let mut families: Vec<Family<'a>> = Vec::new();
    for row in &snapshot.series {
        let info = &row.info;
        let at = *by_metric.entry(&info.name).or_insert_with(|| {
            let base = claim(&mut claimed, prefix, &info.name, info.kind, info.unit);
            families.push(Family { base, kind: info.kind, unit: info.unit, rows: Vec::new() });
            families.len() - 1
        });
        if let Some(family) = families.get_mut(at) {
            family.rows.push(row);
        }
    }
    families
}

/// The first free base name for a metric; all its sample names are claimed.
fn claim(claimed: &mut HashSet<String>, prefix: &str, name: &str, kind: Kind, unit: Unit) -> String {
    let stem = stem(prefix, name, kind, unit);
    let mut attempt = 0_usize;
    loop {
        let infix = match attempt {
            0 => String::new(),
            1 => format!("_{}", kind.name()),
            n => format!("_{}_{n}", kind.name()),
        };
        let base = with_unit(&format!("{stem}{infix}"), unit);
        let names: Vec<String> = sample_suffixes(kind).iter().map(|suffix| format!("{base}{suffix}")).collect();
        if names.iter().all(|name| !claimed.contains(name)) {
            claimed.extend(names);
            return base;
        }
        attempt += 1;
    }
}

/// The name with its prefix, without the suffixes that exposition adds.
fn stem(prefix: &str, name: &str, kind: Kind, unit: Unit) -> String {
    let mut stem =
        if prefix.is_empty() || name.starts_with(OWN) { name.to_owned() } else { format!("{prefix}_{name}") };
    if kind == Kind::Counter {
        cut(&mut stem, "total");
    }
    if unit != Unit::None {
        cut(&mut stem, unit.suffix());
    }
    stem
}

fn cut(stem: &mut String, suffix: &str) {
    let rest = stem.strip_suffix(suffix).and_then(|rest| rest.strip_suffix('_'));
    if let Some(length) = rest.map(str::len).filter(|&length| length > 0) {
        stem.truncate(length);
    }
}

fn with_unit(stem: &str, unit: Unit) -> String {
    if unit == Unit::None { stem.to_owned() } else { format!("{stem}_{}", unit.suffix()) }
}

/// What a family of this kind may put after its base name, the base itself included. OpenMetrics reserves `_created`.
const fn sample_suffixes(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Counter => &["", "_total", "_created"],
        Kind::Gauge => &[""],
        Kind::Histogram => &["", "_bucket", "_sum", "_count", "_created"],
    }
}

/// A prefix with every character that no metric name may have replaced by `_`, and without `_` at its end.
pub(super) fn clean_prefix(prefix: &str) -> String {
    let mut clean: String = prefix
        .chars()
        .take(128)
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == ':' { c } else { '_' })
        .collect();
    clean.truncate(clean.trim_end_matches('_').len());
    if clean.starts_with(|c: char| c.is_ascii_digit()) {
        clean.insert(0, '_');
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(prefix: &str, name: &str, kind: Kind, unit: Unit) -> String {
        claim(&mut HashSet::new(), prefix, name, kind, unit)
    }

    #[test]
    fn suffixes_are_added_once() {
        assert_eq!(name("", "planning_time", Kind::Histogram, Unit::Seconds), "planning_time_seconds");
        assert_eq!(name("", "planning_seconds", Kind::Histogram, Unit::Seconds), "planning_seconds");
        assert_eq!(name("", "sent_bytes_total", Kind::Counter, Unit::Bytes), "sent_bytes");
        assert_eq!(name("", "sent", Kind::Counter, Unit::Bytes), "sent_bytes");
        assert_eq!(name("", "actions_total", Kind::Counter, Unit::None), "actions");
        assert_eq!(name("", "actions_total", Kind::Gauge, Unit::None), "actions_total");
        assert_eq!(name("", "error_ratio", Kind::Gauge, Unit::Ratio), "error_ratio");
        assert_eq!(name("", "_total", Kind::Counter, Unit::None), "_total");
    }

    #[test]
    fn the_prefix_spares_the_engines_own() {
        assert_eq!(
            name("active_inference", "inference_time", Kind::Gauge, Unit::Seconds),
            "active_inference_inference_time_seconds"
        );
        assert_eq!(name("active_inference", "afferent_window_lag", Kind::Gauge, Unit::None), "afferent_window_lag");
    }

    #[test]
    fn the_second_of_a_name_gets_its_kind() {
        let mut claimed = HashSet::new();
        assert_eq!(claim(&mut claimed, "", "jobs_total", Kind::Gauge, Unit::None), "jobs_total");
        assert_eq!(claim(&mut claimed, "", "jobs", Kind::Counter, Unit::None), "jobs_counter");
        assert_eq!(claim(&mut claimed, "", "time", Kind::Histogram, Unit::Seconds), "time_seconds");
        assert_eq!(claim(&mut claimed, "", "time_seconds", Kind::Gauge, Unit::Seconds), "time_gauge_seconds");
        assert_eq!(claim(&mut claimed, "", "time_gauge", Kind::Gauge, Unit::Seconds), "time_gauge_gauge_seconds");
        assert_eq!(claim(&mut claimed, "", "time_seconds_count", Kind::Gauge, Unit::None), "time_seconds_count_gauge");
    }

    #[test]
    fn prefixes_become_legal() {
        assert_eq!(clean_prefix("active_inference_"), "active_inference");
        assert_eq!(clean_prefix("my agent\n"), "my_agent");
        assert_eq!(clean_prefix("9x"), "_9x");
        assert_eq!(clean_prefix("___"), "");
    }
}
