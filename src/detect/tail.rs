//! From standard deviations to the probability of a normal's tails, on a logarithmic scale.

/// Scores end here: beyond it nobody tells one from another, and every sum of scores stays finite.
pub(crate) const MAX_SCORE: f64 = 1_000.0;

/// `L = -log10 p`, where `p` is the probability that a standard normal lies farther than `score` from 0, on either
/// side: 0 gives 0, 2 gives 1.34, 4 gives 4.20, 6 gives 8.70. A NaN or a negative number counts as 0.
///
/// `p = erfc(score / sqrt 2)`, in the form `erfc(x) = t exp(-x^2 + P(t))` with `t = 1 / (1 + x/2)` and a polynomial
/// `P` fitted to a relative error below 1.2e-7 for all `x >= 0` (W. H. Press et al., "Numerical Recipes", section 6.2).
/// Because the logarithm is wanted, nothing underflows however large the score. Cost: one division and one logarithm.
pub(crate) fn surprise(score: f64) -> f64 {
    const P: [f64; 10] = [
        0.170_872_77,
        -0.822_152_23,
        1.488_515_87,
        -1.135_203_98,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_68,
        -1.265_512_23,
    ];
    if score.is_nan() || score <= 0.0 {
        return 0.0;
    }
    let x = score.min(MAX_SCORE) * std::f64::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * x);
    let ln_p = t.ln() - x * x + P.iter().fold(0.0, |sum, c| sum * t + c);
    // The fit can exceed 1 by its error where p is almost 1.
    (-ln_p * std::f64::consts::LOG10_E).max(0.0)
}

/// The `anomaly_score` of detection files: `L / (L + 6)`, so that one in a million is 0.5 and nothing reaches 1.
pub(crate) fn unit_score(surprise: f64) -> f64 {
    surprise / (surprise + 6.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reference values are `-log10(erfc(z / sqrt 2))` with the C library's `erfc`.
    #[test]
    fn it_is_the_normals_tail() {
        let known = [
            (0.5, 0.209_661_993_601),
            (1.0, 0.498_515_545_828),
            (2.0, 1.341_986_084_477),
            (3.0, 2.568_669_040_265),
            (4.0, 4.198_304_911_893),
            (6.0, 8.704_833_431_813),
            (10.0, 22.817_023_409_822),
        ];
        for (score, want) in known {
            assert!((surprise(score) - want).abs() < 1e-6, "{score}: {} instead of {want}", surprise(score));
        }
    }

    #[test]
    fn it_rises_and_stays_finite() {
        let mut before = -1.0;
        for step in 1..10_000 {
            let now = surprise(f64::from(step) * 0.1);
            assert!(now > before && now.is_finite());
            before = now;
        }
        assert_eq!(surprise(f64::INFINITY), surprise(MAX_SCORE));
        for nothing in [0.0, -1.0, f64::NAN, f64::NEG_INFINITY] {
            assert_eq!(surprise(nothing), 0.0);
        }
        assert!(unit_score(surprise(MAX_SCORE)) < 1.0);
        assert_eq!(unit_score(0.0), 0.0);
    }
}
