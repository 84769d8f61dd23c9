//! The detectors over one series: what they say, what they must not, and that hostile values do not hurt them.

use super::history::{History, LENGTH};
use super::{Detectors, Iqr, Observation, SeriesDetector, Severity, ZScore};
use proptest::prelude::*;

const NONE: [usize; 0] = [];

/// Values that look random in -1..1, from a fixed seed.
fn noise(seed: u64) -> impl Iterator<Item = f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    })
}

fn alarms(detectors: &Detectors, values: impl IntoIterator<Item = f64>) -> Vec<usize> {
    let mut detector = SeriesDetector::new(detectors);
    let seen = values.into_iter().enumerate().filter_map(|(at, value)| detector.observe(value).alarm.map(|_| at));
    seen.collect()
}

#[test]
fn a_spike_is_one_alarm_and_noise_is_none() {
    let mut values: Vec<f64> = noise(1).take(5_000).map(|x| 100.0 + x).collect();
    assert_eq!(alarms(&Detectors::default(), values.iter().copied()), NONE);
    values[3_000..3_010].fill(150.0);
    assert_eq!(alarms(&Detectors::default(), values), [3_000]);
}

#[test]
fn a_level_shift_is_one_alarm_however_long_it_lasts() {
    let values = noise(2).enumerate().map(|(at, x)| if at < 2_000 { x } else { x + 100.0 });
    assert_eq!(alarms(&Detectors::default(), values.take(20_000)), [2_000]);
}

#[test]
fn a_flat_stretch_does_not_make_everything_unusual() {
    // Almost constant at 1,000, then a change of half a percent.
    let values = (0..2_000).map(|at| if at < 1_500 { 1_000.0 } else { 1_005.0 });
    assert_eq!(alarms(&Detectors::default(), values), NONE);
    let values = (0..2_000).map(|at| if at < 1_500 { 1_000.0 } else { 1_020.0 });
    assert_eq!(alarms(&Detectors::default(), values), [1_500]);
}

#[test]
fn nothing_is_said_while_warming_up() {
    let mut detector = SeriesDetector::new(&Detectors::default());
    for at in 0..100 {
        assert_eq!(detector.band(), (f64::NEG_INFINITY, f64::INFINITY));
        let value = if at % 10 == 9 { 1e6 } else { 1.0 };
        assert_eq!(detector.observe(value), Observation::default());
    }
    assert!(detector.band().1.is_finite());
}

#[test]
fn a_detector_is_small_and_can_change_threads() {
    fn sendable<T: Send + Sync>(value: T) -> T {
        value
    }
    let mut detector = sendable(SeriesDetector::new(&Detectors::default()));
    assert_eq!(detector.bytes(), size_of::<SeriesDetector>());
    let mut full = 0;
    for (at, x) in noise(10).take(5_000).enumerate() {
        detector.observe(x);
        if at == LENGTH {
            full = detector.bytes();
        }
    }
    assert_eq!(detector.bytes(), full, "nothing grows once the history is full");
    assert!(full <= 20 << 10, "{full}");
}

#[test]
fn an_alarm_carries_its_evidence() {
    let mut detector = SeriesDetector::new(&Detectors::default());
    for x in noise(3).take(1_000) {
        detector.observe(x);
    }
    let band = detector.band();
    let seen = detector.observe(9.0);
    let alarm = seen.alarm.expect("9 lies far outside -1 to 1");
    assert_eq!(alarm.severity, Severity::Critical);
    assert_eq!(alarm.score, seen.score);
    let names: Vec<_> = alarm.verdicts.iter().map(|verdict| verdict.detector).collect();
    assert_eq!(names, ["z_score", "iqr"]);
    for verdict in &alarm.verdicts {
        assert!(verdict.low > -6.0 && verdict.low < -1.0 && verdict.high > 1.0 && verdict.high < 6.0, "{verdict:?}");
        assert!(verdict.score >= alarm.score && band.0 <= verdict.low && verdict.high <= band.1);
    }
}

#[test]
fn one_detector_speaks_for_itself() {
    // Four values in five are 0, so the quartiles are blind, and the z-score is not.
    let values: Vec<f64> =
        noise(4).enumerate().map(|(at, x)| if at % 5 == 0 { 10.0 + x } else { 0.0 }).take(2_000).collect();
    let z_score = Detectors::none().with(ZScore::new(4.0));
    let iqr = Detectors::none().with(Iqr::new(3.0));
    assert_eq!(alarms(&z_score, values.iter().copied()), NONE);
    assert!(!alarms(&iqr, values.iter().copied()).is_empty());
    assert_eq!(alarms(&Detectors::default(), values.iter().copied()), NONE);
    assert_eq!(alarms(&Detectors::none(), [0.0, 1.0].repeat(1_000)), NONE);
    assert_eq!(alarms(&z_score, values.into_iter().chain([40.0])), [2_000]);
}

#[test]
fn hostile_values_are_survived_and_forgotten() {
    let hostile: [&[f64]; 6] = [
        &[1e308, -1e308],
        &[f64::MAX, 0.0],
        &[5e-324, -5e-324],
        &[1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY],
        &[0.0, -0.0],
        &[1e-300, 1e300],
    ];
    for pattern in hostile {
        let mut detector = SeriesDetector::new(&Detectors::default());
        for &value in pattern.iter().cycle().take(5_000) {
            let seen = detector.observe(value);
            assert!(seen.score.is_finite() && seen.surprise.is_finite(), "{pattern:?}");
            assert!((0.0..1.0).contains(&seen.detection_score()), "{pattern:?}");
            assert!(!detector.band().0.is_nan() && !detector.band().1.is_nan(), "{pattern:?}");
        }
        // A thousand ordinary values later nothing of it is left.
        for x in noise(5).take(LENGTH) {
            detector.observe(x);
        }
        let (low, high) = detector.band();
        assert!(low > -6.0 && low < -1.0 && high > 1.0 && high < 6.0, "{pattern:?}: {low} {high}");
    }
}

#[test]
fn what_is_not_finite_changes_nothing() {
    let (mut a, mut b) = (SeriesDetector::new(&Detectors::default()), SeriesDetector::new(&Detectors::default()));
    for x in noise(6).take(1_500) {
        b.observe(f64::NAN);
        assert_eq!(a.observe(x), b.observe(x));
        assert_eq!(b.observe(f64::INFINITY), Observation::default());
    }
}

#[test]
fn a_beginning_outranks_what_follows() {
    let mut detector = SeriesDetector::new(&Detectors::default());
    for x in noise(7).take(1_000) {
        detector.observe(x);
    }
    let first = detector.observe(20.0).detection_score();
    let second = detector.observe(20.0).detection_score();
    assert!(first > 0.9 && second < 0.5, "{first} {second}");
}

/// Tolerance: the mean to 1e-12 and the deviation to 1e-9 of the largest magnitude that was seen between two exact
/// computations, as the head of [`History`] promises.
fn check_history(values: &[f64]) {
    let mut history = History::default();
    for (at, &value) in values.iter().enumerate() {
        history.push(History::admissible(value));
        let from = (at + 1).saturating_sub(LENGTH);
        let mut window: Vec<f64> = values[from..=at].iter().map(|&x| History::admissible(x)).collect();
        let n = window.len() as f64;
        let mean = window.iter().sum::<f64>() / n;
        let deviation = (window.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
        let size = values[from.saturating_sub(LENGTH)..=at].iter().fold(0.0_f64, |size, x| size.max(x.abs()));
        window.sort_by(f64::total_cmp);
        assert_eq!(history.sorted(), window);
        assert!((history.mean() - mean).abs() <= 1e-12 * size, "{at}: {} {mean}", history.mean());
        let got = history.deviation();
        assert!((got - deviation).abs() <= 1e-9 * deviation + 1e-12 * size, "{at}: {got} {deviation}");
    }
}

#[test]
fn history_forgets_an_outlier_wholly() {
    let mut values: Vec<f64> = noise(8).take(3_500).collect();
    values[700] = 1e12;
    values[1_800] = -1e15;
    check_history(&values);
    let mut history = History::default();
    for &value in &values {
        history.push(value);
    }
    assert!((history.deviation() - 0.577).abs() < 0.05, "{}", history.deviation());
}

#[test]
fn history_holds_for_plain_series() {
    check_history(&noise(9).take(2_600).map(|x| (x * 4.0).round()).collect::<Vec<_>>());
    check_history(&vec![7.0; 1_300]);
    check_history(&(0..1_300).map(f64::from).collect::<Vec<_>>());
    check_history(&(0..1_300).map(|x| -f64::from(x)).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn history_holds_for_any_series(values in prop::collection::vec(prop_oneof![-1e3_f64..1e3, Just(0.0)], 0..1_200)) {
        check_history(&values);
    }

    #[test]
    fn scores_are_causal(values in prop::collection::vec(-1e3_f64..1e3, 150..400), cut in 100_usize..150) {
        let (mut whole, mut part) = (SeriesDetector::new(&Detectors::default()), SeriesDetector::new(&Detectors::default()));
        let all: Vec<_> = values.iter().map(|&x| whole.observe(x)).collect();
        let first: Vec<_> = values[..cut].iter().map(|&x| part.observe(x)).collect();
        prop_assert_eq!(&all[..cut], &first[..]);
    }

    /// An alarm is only raised by a value outside the band, and the band is what the engine compares fast series with.
    #[test]
    fn the_band_and_the_alarm_agree(values in prop::collection::vec(prop_oneof![8 => -1.0_f64..1.0, 1 => -1e3_f64..1e3], 200..600)) {
        let mut detector = SeriesDetector::new(&Detectors::default());
        for value in values {
            let (low, high) = detector.band();
            let slack = 1e-9 * (high - low).min(1e9);
            if detector.observe(value).alarm.is_some() {
                prop_assert!(value <= low + slack || value >= high - slack, "{} in {} to {}", value, low, high);
            }
        }
    }
}

#[test]
fn a_lone_outlier_is_no_alarm_where_three_in_a_row_are_asked_for() {
    let mut detector = SeriesDetector::new(&Detectors::default()).alarm_after(3);
    let quiet = |detector: &mut SeriesDetector, values: u32| {
        (0..values).for_each(|step| assert!(detector.observe(10.0 + f64::from(step % 7)).alarm.is_none()));
    };
    quiet(&mut detector, 500);
    for lone in [1, 2, 1, 2] {
        (0..lone).for_each(|_| assert!(detector.observe(500.0).alarm.is_none()));
        quiet(&mut detector, 3);
    }
    let raised: Vec<bool> = (0..6).map(|_| detector.observe(500.0).alarm.is_some()).collect();
    assert_eq!(raised, [false, false, true, false, false, false]);
}
