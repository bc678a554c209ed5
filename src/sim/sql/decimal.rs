//! Exact decimal numbers: what `NUMERIC` and `DECIMAL` columns hold, as text in SQLite.

use std::cmp::Ordering;
use std::fmt;

/// The most digits after the point.
pub(super) const MAX_SCALE: u32 = 18;

/// A number with at most 38 digits, of which `scale` are after the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal {
    digits: i128,
    scale: u32,
}

impl Decimal {
    /// A number of so many units of 10^-scale.
    pub(super) fn new(digits: i128, scale: u32) -> Self {
        Self { digits, scale }
    }

    /// Reads plain or scientific notation. Digits beyond [`MAX_SCALE`] are rounded off.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, mantissa) = match mantissa.as_bytes().first()? {
            b'-' => (true, &mantissa[1..]),
            b'+' => (false, &mantissa[1..]),
            _ => (false, mantissa),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut digits: i128 = 0;
        let mut scale: i32 = 0;
        for (place, byte) in whole.bytes().chain(fraction.bytes()).enumerate() {
            if !byte.is_ascii_digit() {
                return None;
            }
            if place >= whole.len() {
                // One digit more than is kept, to round by.
                if scale > MAX_SCALE as i32 {
                    continue;
                }
                scale += 1;
            }
            digits = digits.checked_mul(10)?.checked_add((byte - b'0').into())?;
        }
        let mut scale = scale.checked_sub(exponent)?;
        if !(-38..=76).contains(&scale) {
            return None;
        }
        while scale < 0 {
            digits = digits.checked_mul(10)?;
            scale += 1;
        }
        let digits = if negative { -digits } else { digits };
        let exact = Self::new(digits, scale.unsigned_abs());
        Some(exact.round(exact.scale.min(MAX_SCALE)))
    }

    /// The nearest decimal that prints like the float.
    pub(super) fn from_float(number: f64) -> Option<Self> {
        if !number.is_finite() {
            return None;
        }
        Self::parse(&format!("{number}"))
    }

    /// How many digits stand before the point; a lone zero is none.
    pub(super) fn whole_digits(self) -> u32 {
        let mut whole = self.digits.unsigned_abs();
        for _ in 0..self.scale {
            whole /= 10;
        }
        whole.checked_ilog10().map_or(0, |digits| digits + 1)
    }

    pub(super) fn scale(self) -> u32 {
        self.scale
    }

    pub(super) fn is_zero(self) -> bool {
        self.digits == 0
    }

    pub(super) fn to_float(self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// Rounds half away from zero, or adds zeros, to so many digits after the point.
    pub(super) fn round(self, scale: u32) -> Self {
        if scale >= self.scale {
            return self.rescale(scale).unwrap_or(self);
        }
        let Some(step) = 10_i128.checked_pow(self.scale - scale) else {
            return Self::new(0, scale);
        };
        let half = if self.digits < 0 { -step / 2 } else { step / 2 };
        let digits = self.digits.checked_add(half).unwrap_or(self.digits) / step;
        Self::new(digits, scale)
    }

    /// Drops the digits after so many behind the point.
    pub(super) fn truncate(self, scale: u32) -> Self {
        if scale >= self.scale {
            return self;
        }
        match 10_i128.checked_pow(self.scale - scale) {
            Some(step) => Self::new(self.digits / step, scale),
            None => Self::new(0, scale),
        }
    }

    pub(super) fn floor(self) -> Self {
        let cut = self.truncate(0);
        if cut.compare(self) == Ordering::Greater {
            Self::new(cut.digits - 1, 0)
        } else {
            cut
        }
    }

    pub(super) fn ceil(self) -> Self {
        let floor = self.floor();
        if floor.compare(self) == Ordering::Less {
            Self::new(floor.digits + 1, 0)
        } else {
            floor
        }
    }

    pub(super) fn to_integer(self) -> Option<i64> {
        i64::try_from(self.round(0).digits).ok()
    }

    fn rescale(self, scale: u32) -> Option<Self> {
        let step = 10_i128.checked_pow(scale.checked_sub(self.scale)?)?;
        Some(Self::new(self.digits.checked_mul(step)?, scale))
    }

    fn aligned(self, other: Self) -> Option<(i128, i128, u32)> {
        let scale = self.scale.max(other.scale);
        Some((
            self.rescale(scale)?.digits,
            other.rescale(scale)?.digits,
            scale,
        ))
    }

    pub(super) fn add(self, other: Self) -> Option<Self> {
        let (left, right, scale) = self.aligned(other)?;
        Some(Self::new(left.checked_add(right)?, scale))
    }

    pub(super) fn subtract(self, other: Self) -> Option<Self> {
        let (left, right, scale) = self.aligned(other)?;
        Some(Self::new(left.checked_sub(right)?, scale))
    }

    pub(super) fn multiply(self, other: Self) -> Option<Self> {
        let exact = Self::new(
            self.digits.checked_mul(other.digits)?,
            self.scale + other.scale,
        );
        Some(exact.round(exact.scale.min(MAX_SCALE)))
    }

    /// Divides to so many digits after the point; `None` for zero or when it does not fit.
    pub(super) fn divide(self, other: Self, scale: u32) -> Option<Self> {
        // One more digit than asked for, to round by.
        let shift = (scale + 1 + other.scale).checked_sub(self.scale);
        let digits = match shift {
            Some(shift) => self.digits.checked_mul(10_i128.checked_pow(shift)?)?,
            None => self.digits / 10_i128.checked_pow(self.scale - scale - 1 - other.scale)?,
        };
        Some(Self::new(digits.checked_div(other.digits)?, scale + 1).round(scale))
    }

    pub(super) fn remainder(self, other: Self) -> Option<Self> {
        let (left, right, scale) = self.aligned(other)?;
        Some(Self::new(left.checked_rem(right)?, scale))
    }

    pub(super) fn compare(self, other: Self) -> Ordering {
        match self.aligned(other) {
            Some((left, right, _)) => left.cmp(&right),
            None => self.to_float().total_cmp(&other.to_float()),
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.digits < 0 { "-" } else { "" };
        let width = self.scale as usize + 1;
        let digits = format!("{:0>width$}", self.digits.unsigned_abs());
        let (whole, fraction) = digits.split_at(digits.len() - self.scale as usize);
        if fraction.is_empty() {
            write!(f, "{sign}{whole}")
        } else {
            write!(f, "{sign}{whole}.{fraction}")
        }
    }
}

/// Orders two texts as numbers; texts that are no numbers come last, in their own order.
pub(super) fn collate(left: &str, right: &str) -> Ordering {
    match (Decimal::parse(left), Decimal::parse(right)) {
        (Some(left), Some(right)) => left.compare(right),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => left.cmp(right),
    }
}
