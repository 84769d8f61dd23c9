//! Which detectors look at a series, and how strict they are.

/// The z-score: how many standard deviations a value lies from the mean of the last 1,000.
///
/// Right for values that scatter evenly round a level. Outliers widen the deviation they are measured with, so it is
/// slow to call a second one unusual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ZScore {
    threshold: f64,
}

impl ZScore {
    /// A value is unusual from `threshold` standard deviations on. A number that is not above 0 counts as the smallest
    /// one that is.
    #[must_use]
    pub fn new(threshold: f64) -> ZScore {
        ZScore { threshold: positive(threshold) }
    }

    /// The threshold in standard deviations.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        self.threshold
    }
}

impl Default for ZScore {
    /// 4 standard deviations: one in 16,000 values of a normal distribution.
    fn default() -> Self {
        ZScore::new(4.0)
    }
}

/// Tukey's fences: how many interquartile ranges a value lies beyond the quartiles of the last 1,000.
///
/// Right for skewed values and values with outliers, which hardly move the quartiles. Where the middle
/// half of all values is equal, the range between the quartiles is 0, and a share of the series' size stands in for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Iqr {
    k: f64,
}

impl Iqr {
    /// A value is unusual from `k` interquartile ranges beyond the nearer quartile on (Tukey: 1.5 is "outside", 3 is
    /// "far out"). A number that is not above 0 counts as the smallest one that is.
    #[must_use]
    pub fn new(k: f64) -> Iqr {
        Iqr { k: positive(k) }
    }

    /// The distance of the fences from the quartiles, in interquartile ranges.
    #[must_use]
    pub fn k(&self) -> f64 {
        self.k
    }
}

impl Default for Iqr {
    /// 3 interquartile ranges, Tukey's "far out": 4.7 standard deviations of a normal distribution.
    fn default() -> Self {
        Iqr::new(3.0)
    }
}

fn positive(number: f64) -> f64 {
    if number > 0.0 { number } else { f64::MIN_POSITIVE }
}

/// One detector with its settings.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Detector {
    /// See [`ZScore`].
    ZScore(ZScore),
    /// See [`Iqr`].
    Iqr(Iqr),
}

impl From<ZScore> for Detector {
    fn from(detector: ZScore) -> Detector {
        Detector::ZScore(detector)
    }
}

impl From<Iqr> for Detector {
    fn from(detector: Iqr) -> Detector {
        Detector::Iqr(detector)
    }
}

/// The detectors that look at a series, at most one of each kind.
///
/// ```
/// use afferent::detect::{Detectors, ZScore};
///
/// let strict = Detectors::none().with(ZScore::new(6.0));
/// assert!(strict.iqr().is_none());
/// assert_eq!(Detectors::default().z_score().unwrap().threshold(), 4.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detectors {
    z_score: Option<ZScore>,
    iqr: Option<Iqr>,
}

impl Detectors {
    /// No detectors: nothing is ever unusual.
    #[must_use]
    pub const fn none() -> Detectors {
        Detectors { z_score: None, iqr: None }
    }

    /// These and `detector`, which takes the place of one of its own kind.
    #[must_use]
    pub fn with(mut self, detector: impl Into<Detector>) -> Detectors {
        match detector.into() {
            Detector::ZScore(detector) => self.z_score = Some(detector),
            Detector::Iqr(detector) => self.iqr = Some(detector),
        }
        self
    }

    /// The z-score detector, if it is one of these.
    #[must_use]
    pub fn z_score(&self) -> Option<ZScore> {
        self.z_score
    }

    /// The detector by Tukey's fences, if it is one of these.
    #[must_use]
    pub fn iqr(&self) -> Option<Iqr> {
        self.iqr
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.z_score.is_none() && self.iqr.is_none()
    }
}

impl Default for Detectors {
    /// Both, with their default settings.
    fn default() -> Self {
        Detectors::none().with(ZScore::default()).with(Iqr::default())
    }
}
