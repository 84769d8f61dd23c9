//! Names of the facade, which may be anything, in the letters that names may have here.

use ::metrics::Label;

use crate::record::MAX_NAME;

/// A metric's name.
pub(super) fn metric(name: &str) -> String {
    mapped(name, |c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

/// A label's name: as a metric's, without `:` and without the names that are reserved.
fn label(name: &str) -> String {
    let mut name = mapped(name, |c| c.is_ascii_alphanumeric() || c == '_');
    let leading = name.bytes().take_while(|&c| c == b'_').count();
    name.drain(..leading.saturating_sub(1));
    if name == "le" || name == "quantile" {
        name.push('_');
    }
    name
}

/// The labels of a key; of two with one name the last.
pub(super) fn labels<'a>(labels: impl Iterator<Item = &'a Label>) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    for given in labels {
        let (name, value) = (label(given.key()), given.value().to_owned());
        match out.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => out.push((name, value)),
        }
    }
    out
}

fn mapped(name: &str, allowed: impl Fn(char) -> bool) -> String {
    let first = if name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() { "_" } else { "" };
    first.chars().chain(name.chars()).map(|c| if allowed(c) { c } else { '_' }).take(MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{is_label_name, is_metric_name};

    #[test]
    fn what_is_allowed_stays() {
        assert_eq!(metric("http:latency_2"), "http:latency_2");
        assert_eq!(label("_agent_id2"), "_agent_id2");
    }

    #[test]
    fn the_rest_is_mapped() {
        for (name, expected) in [("http.latency/p", "http_latency_p"), ("2nd", "_2nd"), ("", "_"), ("naïve", "na_ve")]
        {
            assert_eq!(metric(name), expected);
        }
        for (name, expected) in [
            ("a:b", "a_b"),
            ("__name__", "_name__"),
            ("le", "le_"),
            ("quantile", "quantile_"),
            ("..", "_"),
            ("9", "_9"),
        ] {
            assert_eq!(label(name), expected);
        }
    }

    #[test]
    fn of_two_labels_with_one_name_the_last_counts() {
        let given = [Label::new("a.b", "1"), Label::new("c", "2"), Label::new("a/b", "3")];
        assert_eq!(labels(given.iter()), [("a_b".into(), "3".into()), ("c".into(), "2".into())]);
    }

    proptest::proptest! {
        #[test]
        fn every_name_becomes_one_that_is_allowed(name in "\\PC{0,300}") {
            proptest::prop_assert!(is_metric_name(&metric(&name)));
            proptest::prop_assert!(is_label_name(&label(&name)));
        }
    }
}
