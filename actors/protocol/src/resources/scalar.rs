//! One scalar amount in fixed point: three decimal digits, held as an `i64` of thousandths.
//! Parsing of whole resources and the sums by name live in `text` and `quantities`.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub, SubAssign};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The largest amount, in whole units. Up to 2^51 thousandths the way to an `f64` and back is
/// exact; Mesos' own limits of quotas lie below.
const LARGEST: f64 = 2_000_000_000_000.0;

/// A scalar amount (cpus, megabytes, ...) counted in thousandths, as Mesos compares, adds and
/// subtracts them: 0.0004 is zero, 0.0005 is one thousandth.
///
/// Sums and differences saturate at the ends of `i64`; they never wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scalar(i64);

impl Scalar {
    /// Nothing.
    pub const ZERO: Scalar = Scalar(0);

    /// The amount of `thousandths` / 1000.
    #[must_use]
    pub const fn from_thousandths(thousandths: i64) -> Scalar {
        Scalar(thousandths)
    }

    /// The amount of `units` whole units.
    #[must_use]
    pub const fn from_units(units: i64) -> Scalar {
        Scalar(units.saturating_mul(1000))
    }

    /// Rounds to the nearest thousandth, halves away from zero (C's `llround`).
    ///
    /// `None` for what is no number, infinite, or beyond 2 * 10^12, where thousandths get lost.
    #[must_use]
    pub fn rounded(value: f64) -> Option<Scalar> {
        if !value.is_finite() || value.abs() > LARGEST {
            return None;
        }
        Some(Scalar((value * 1000.0).round() as i64))
    }

    /// The amount in thousandths.
    #[must_use]
    pub const fn thousandths(self) -> i64 {
        self.0
    }

    /// The amount in whole units, as it is written into a `Value.Scalar`.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        // Whole part and rest apart, so that only 0..=999 is ever divided.
        (self.0 / 1000) as f64 + (self.0 % 1000) as f64 / 1000.0
    }

    /// Whether this is exactly nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The difference, but never below nothing.
    #[must_use]
    pub fn minus_floored(self, other: Scalar) -> Scalar {
        Scalar(self.0.saturating_sub(other.0).max(0))
    }
}

impl Add for Scalar {
    type Output = Scalar;

    fn add(self, other: Scalar) -> Scalar {
        Scalar(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Scalar {
    fn add_assign(&mut self, other: Scalar) {
        *self = *self + other;
    }
}

impl Sub for Scalar {
    type Output = Scalar;

    fn sub(self, other: Scalar) -> Scalar {
        Scalar(self.0.saturating_sub(other.0))
    }
}

impl SubAssign for Scalar {
    fn sub_assign(&mut self, other: Scalar) {
        *self = *self - other;
    }
}

impl Sum for Scalar {
    fn sum<I: Iterator<Item = Scalar>>(amounts: I) -> Scalar {
        amounts.fold(Scalar::ZERO, Add::add)
    }
}

/// `12.5`, `4`, `0.001`: no more digits than needed.
impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, rest) = (self.0.unsigned_abs() / 1000, self.0.unsigned_abs() % 1000);
        if rest == 0 {
            return write!(f, "{sign}{whole}");
        }
        let digits = format!("{rest:03}");
        write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

/// A JSON number, as in `/state`.
impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.to_f64())
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Scalar, D::Error> {
        let value = f64::deserialize(deserializer)?;
        Scalar::rounded(value)
            .ok_or_else(|| serde::de::Error::custom(format!("{value} is no usable amount")))
    }
}
