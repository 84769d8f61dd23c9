//! Units of measurement, as exposition formats spell them.

/// What a series' values are measured in.
///
/// The unit decides the suffix in Prometheus names and the range and resolution of the series' histogram (see
/// [`crate::aggregate::Scheme`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Unit {
    /// A plain number.
    #[default]
    None = 0,
    /// Seconds.
    Seconds = 1,
    /// Bytes.
    Bytes = 2,
    /// A share, 1 = 100 %.
    Ratio = 3,
}

impl Unit {
    /// The suffix of the base unit in Prometheus names, without the underscore; empty for [`Unit::None`].
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Unit::None => "",
            Unit::Seconds => "seconds",
            Unit::Bytes => "bytes",
            Unit::Ratio => "ratio",
        }
    }

    /// The unit with this code, as stored in segments.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Unit> {
        match code {
            0 => Some(Unit::None),
            1 => Some(Unit::Seconds),
            2 => Some(Unit::Bytes),
            3 => Some(Unit::Ratio),
            _ => None,
        }
    }
}
