//! The one door to randomness: from the operating system, or from a seed that repeats.

use std::time::Duration;

/// A source of random choices.
#[derive(Debug, Clone)]
pub(crate) struct Rng(fastrand::Rng);

impl Rng {
    /// Seeded by the operating system.
    pub(crate) fn from_entropy() -> Self {
        Self(fastrand::Rng::new())
    }

    /// The same choices for the same seed.
    #[cfg(test)]
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// `span` made up to `percent` longer or shorter, evenly spread.
    pub(crate) fn jitter(&mut self, span: Duration, percent: u32) -> Duration {
        let reach = f64::from(percent) / 100.0;
        span.mul_f64(1.0 - reach + 2.0 * reach * self.0.f64())
    }

    /// The span, up to that part of itself longer.
    pub(crate) fn lengthen(&mut self, span: Duration, percent: u32) -> Duration {
        span + span.mul_f64(f64::from(percent) / 100.0 * self.0.f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_never_made_shorter_where_it_is_to_be_lengthened() {
        let mut rng = Rng::seeded(3);
        let span = Duration::from_millis(100);
        let lengthened = (0..1_000).map(|_| rng.lengthen(span, 20));
        let (least, most) = lengthened.fold((span * 2, span), |(least, most), one| {
            (least.min(one), most.max(one))
        });
        assert!(least >= span && least < span * 102 / 100, "{least:?}");
        assert!(
            most <= span * 120 / 100 && most > span * 118 / 100,
            "{most:?}"
        );
    }

    #[test]
    fn a_seed_repeats_and_jitter_stays_within_its_reach() {
        let draw = |seed| {
            let mut rng = Rng::seeded(seed);
            (0..100)
                .map(|_| rng.jitter(Duration::from_millis(100), 20))
                .collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert!(
            draw(7)
                .iter()
                .all(|span| (80..=120).contains(&span.as_millis()))
        );
    }
}
