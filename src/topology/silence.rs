//! When an instance that owes answers and sends nothing is taken for silent. Pure.
//!
//! A dead host, a cut network and a stopped process close nothing: neither an error nor a closed
//! socket tells of them, and the kernel of a stopped process goes on acknowledging what it is
//! sent. Only an unanswered question shows them. So while answers are awaited from an instance
//! and nothing at all comes from it:
//!
//! 1. after [`ASK_AFTER`] it is asked for a sign of life on the monitor's own connection, as the
//!    statements under way may be long ones;
//! 2. after a further [`ANSWER_TIME`] it is asked on a new connection, as that one connection may
//!    be all that is broken;
//! 3. after a further [`CONFIRM_TIME`] it is silent.
//!
//! Each span grows with the round trips seen so far. Anything that comes from the instance, on
//! any connection, begins the count anew.
//!
//! Time is counted in ticks, and no tick counts for more than [`LONGEST_TICK`]: when this process
//! itself was stopped or starved, it knows nothing of that time, and the answers may be waiting
//! to be read.

use std::time::Duration;

/// How often an instance that owes answers is looked at.
pub(crate) const TICK: Duration = Duration::from_millis(15);

/// The most that a tick counts for.
pub(crate) const LONGEST_TICK: Duration = Duration::from_millis(30);

/// Most statements are answered sooner; one short question for each such span while a long one
/// runs alone costs an instance nothing that can be measured.
const ASK_AFTER: Duration = Duration::from_millis(75);

/// A hundred times what an instance in the same region needs for a trivial answer.
const ANSWER_TIME: Duration = Duration::from_millis(75);

/// A login takes more round trips, and time of a processor.
const CONFIRM_TIME: Duration = Duration::from_millis(90);

/// No estimate makes the search for a silent instance longer than some seconds.
const LONGEST_ROUND_TRIP: Duration = Duration::from_millis(500);

/// What to do about an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Ask it on the connection that is kept for it.
    Ask,
    /// Ask it on a new connection.
    Confirm,
    /// It is silent.
    Condemn,
}

/// What is known of an instance at a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Whether answers are awaited from it.
    pub(crate) is_awaited: bool,
    /// How often something has come from it, ever.
    pub(crate) beats: u64,
}

/// The watch over one instance.
#[derive(Debug, Clone, Default)]
pub(crate) struct Vigil {
    beats: u64,
    quiet: Duration,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    #[default]
    Calm,
    Asked,
    Confirming,
    Condemned,
}

impl Vigil {
    /// Looks at the instance, `elapsed` after the last time.
    pub(crate) fn tick(
        &mut self,
        reading: Reading,
        elapsed: Duration,
        usual: Usual,
    ) -> Option<Action> {
        let lives = std::mem::replace(&mut self.beats, reading.beats) != reading.beats;
        if lives || !reading.is_awaited {
            self.quiet = Duration::ZERO;
            self.stage = Stage::Calm;
            return None;
        }
        self.quiet += elapsed.min(LONGEST_TICK);
        let one = usual.round_trip.upper();
        let ask = ASK_AFTER.max(one);
        let confirm = ask + ANSWER_TIME.max(one);
        let condemn = confirm + CONFIRM_TIME.max(usual.login.upper());
        let (due, stage, action) = match self.stage {
            Stage::Calm => (ask, Stage::Asked, Action::Ask),
            Stage::Asked => (confirm, Stage::Confirming, Action::Confirm),
            Stage::Confirming => (condemn, Stage::Condemned, Action::Condemn),
            Stage::Condemned => return None,
        };
        (self.quiet >= due).then(|| {
            self.stage = stage;
            action
        })
    }
}

/// What an instance usually takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Usual {
    /// To answer a trivial question.
    pub(crate) round_trip: RoundTrip,
    /// To let somebody in, and answer one.
    pub(crate) login: RoundTrip,
}

/// How long something takes, smoothed as TCP does it (RFC 6298, section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RoundTrip {
    smoothed: Option<Duration>,
    variation: Duration,
}

impl RoundTrip {
    /// Takes in one more measurement.
    pub(crate) fn measured(&mut self, took: Duration) {
        let took = took.min(LONGEST_ROUND_TRIP);
        match &mut self.smoothed {
            None => {
                self.smoothed = Some(took);
                self.variation = took / 2;
            }
            Some(smoothed) => {
                self.variation = (self.variation * 3 + smoothed.abs_diff(took)) / 4;
                *smoothed = (*smoothed * 7 + took) / 8;
            }
        }
    }

    /// What nearly every answer comes within; zero before the first.
    pub(crate) fn upper(self) -> Duration {
        let smoothed = self.smoothed.unwrap_or_default();
        (smoothed + self.variation * 4).min(LONGEST_ROUND_TRIP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWING: Reading = Reading {
        is_awaited: true,
        beats: 7,
    };

    /// What a vigil does, and after how long, while the instance stays as it is.
    fn course(vigil: &mut Vigil, tick: Duration, usual: Usual) -> Vec<(u128, Action)> {
        let mut actions = Vec::new();
        let mut passed = Duration::ZERO;
        for _ in 0..1_000 {
            passed += tick;
            if let Some(action) = vigil.tick(OWING, tick, usual) {
                actions.push((passed.as_millis(), action));
            }
        }
        actions
    }

    fn watching() -> Vigil {
        let mut vigil = Vigil::default();
        assert_eq!(vigil.tick(OWING, TICK, Usual::default()), None);
        vigil
    }

    #[test]
    fn a_silent_instance_is_asked_twice_and_condemned_once_within_a_quarter_of_a_second() {
        let actions = course(&mut watching(), TICK, Usual::default());
        assert_eq!(
            actions,
            [
                (75, Action::Ask),
                (150, Action::Confirm),
                (240, Action::Condemn)
            ]
        );
    }

    #[test]
    fn an_instance_that_owes_nothing_may_be_silent() {
        let mut vigil = watching();
        let idle = Reading {
            is_awaited: false,
            ..OWING
        };
        for _ in 0..1_000 {
            assert_eq!(vigil.tick(idle, TICK, Usual::default()), None);
        }
    }

    #[test]
    fn any_sign_of_life_begins_the_count_anew() {
        let mut vigil = watching();
        for beats in 8..100 {
            for _ in 0..15 {
                let action = vigil.tick(OWING, TICK, Usual::default());
                assert_ne!(action, Some(Action::Condemn));
            }
            let alive = Reading { beats, ..OWING };
            assert_eq!(vigil.tick(alive, TICK, Usual::default()), None);
            vigil.beats = OWING.beats;
        }
    }

    #[test]
    fn a_process_that_was_stopped_for_seconds_condemns_nobody_for_it() {
        let mut vigil = watching();
        let stopped = Duration::from_secs(2);
        assert_eq!(vigil.tick(OWING, stopped, Usual::default()), None);
        let actions = course(&mut vigil, TICK, Usual::default());
        assert!(actions[2].0 >= 200, "{actions:?}");
    }

    #[test]
    fn a_distant_instance_is_given_the_time_that_its_answers_take() {
        let mut round_trip = RoundTrip::default();
        for _ in 0..50 {
            round_trip.measured(Duration::from_millis(200));
        }
        let mut login = RoundTrip::default();
        login.measured(Duration::from_millis(400));
        let usual = Usual { round_trip, login };
        let actions = course(&mut watching(), TICK, usual);
        assert!(actions[0].0 >= 200, "{actions:?}");
        assert!(actions[2].0 >= 800, "{actions:?}");
    }

    #[test]
    fn round_trips_are_smoothed_and_bounded() {
        let mut round_trip = RoundTrip::default();
        assert_eq!(round_trip.upper(), Duration::ZERO);
        round_trip.measured(Duration::from_millis(10));
        assert_eq!(round_trip.upper(), Duration::from_millis(30));
        round_trip.measured(Duration::from_millis(30));
        // RFC 6298: 7/8 of 10 ms and 1/8 of 30 ms, and four times 3/4 of 5 ms and 1/4 of 20 ms.
        assert_eq!(round_trip.upper(), Duration::from_micros(47_500));
        for _ in 0..100 {
            round_trip.measured(Duration::from_millis(10));
        }
        assert!(round_trip.upper() < Duration::from_millis(11));
        round_trip.measured(Duration::from_secs(3_600));
        assert!(round_trip.upper() <= LONGEST_ROUND_TRIP);
    }
}
