//! What can be asked of a series.

use std::fmt;
use std::str::FromStr;

/// A figure of a series over a range of windows.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Stat {
    /// How many values; for a counter, its increments.
    Count,
    /// Their sum.
    Sum,
    /// The smallest; for a counter, of what a window added.
    Min,
    /// The largest; for a counter, of what a window added.
    Max,
    /// Sum over count.
    Mean,
    /// The latest value; for a counter, its total since its engine started.
    Last,
    /// Values (for a counter: increments) per second, over the time asked about.
    Rate,
    /// The value at or below which this share (0 to 1) of the values lies, as the upper bound of its histogram
    /// bucket, or the largest value where that is smaller: within 1/1,024 of numpy's `inverted_cdf`. Only histograms
    /// have it.
    Quantile(f64),
}

impl Stat {
    /// What is computed where nothing is asked for.
    pub const DEFAULT: [Stat; 8] = [
        Stat::Count,
        Stat::Mean,
        Stat::Min,
        Stat::Max,
        Stat::Last,
        Stat::Quantile(0.5),
        Stat::Quantile(0.95),
        Stat::Quantile(0.99),
    ];
}

impl fmt::Display for Stat {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stat::Count => out.write_str("count"),
            Stat::Sum => out.write_str("sum"),
            Stat::Min => out.write_str("min"),
            Stat::Max => out.write_str("max"),
            Stat::Mean => out.write_str("mean"),
            Stat::Last => out.write_str("last"),
            Stat::Rate => out.write_str("rate"),
            // The digits after "p", as people write them: p50, p99, p99.9.
            Stat::Quantile(q) => write!(out, "p{}", (q * 1e11).round() / 1e9),
        }
    }
}

/// The text names no figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatError {
    text: String,
}

impl fmt::Display for StatError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{:?} is no statistic: use count, sum, min, max, mean, last, rate, or a percentile such as p50, p99 or p99.9",
            self.text
        )
    }
}

impl std::error::Error for StatError {}

impl FromStr for Stat {
    type Err = StatError;

    fn from_str(text: &str) -> Result<Stat, StatError> {
        let error = || StatError { text: text.chars().take(40).collect() };
        Ok(match text {
            "count" => Stat::Count,
            "sum" => Stat::Sum,
            "min" => Stat::Min,
            "max" => Stat::Max,
            "mean" => Stat::Mean,
            "last" => Stat::Last,
            "rate" => Stat::Rate,
            // The first users' spelling of 99.9 %, without the point.
            "p999" => Stat::Quantile(0.999),
            "p9999" => Stat::Quantile(0.9999),
            _ => {
                let percent = text.strip_prefix('p').ok_or_else(error)?;
                if !percent.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
                    return Err(error());
                }
                // The decimal point is moved in the text: dividing by 100 would round a second time, and with the rank
                // at a whole number the last bit decides which value is meant.
                let quantile: f64 = format!("{percent}e-2").parse().map_err(|_| error())?;
                if !(0.0..=1.0).contains(&quantile) {
                    return Err(error());
                }
                Stat::Quantile(quantile)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for text in
            ["count", "sum", "min", "max", "mean", "last", "rate", "p0", "p50", "p99", "p99.9", "p99.999", "p100"]
        {
            assert_eq!(text.parse::<Stat>().unwrap().to_string(), text);
        }
        assert_eq!("p999".parse::<Stat>().unwrap().to_string(), "p99.9");
    }

    #[test]
    fn a_percentile_is_the_number_it_says() {
        for permille in 0..=1_000_u32 {
            let text = format!("p{}", f64::from(permille) / 10.0);
            assert_eq!(text.parse(), Ok(Stat::Quantile(f64::from(permille) / 1_000.0)), "{text}");
        }
    }

    #[test]
    fn others_are_refused_with_a_list() {
        for text in ["", "p", "p101", "p-1", "pNaN", "median", "pinf"] {
            assert!(text.parse::<Stat>().unwrap_err().to_string().contains("p99.9"), "{text}");
        }
    }
}
