//! How the service ends: it says so first and serves on, then it closes.

use std::io::Write;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Longer ones are mistakes: whoever stops a service loses patience sooner.
const DRAIN_MAX: Duration = Duration::from_secs(600);

/// The two moments of an end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ending {
    /// It was asked for: the service is no longer ready, and serves all the same.
    pub(crate) announced: CancellationToken,
    /// Nobody is let in any more, and whoever is there is sent home.
    pub(crate) begun: CancellationToken,
}

impl Ending {
    /// Waits until it is asked for, then as long as `drain`, or until it is asked for once more.
    ///
    /// A load balancer goes on sending requests until it has seen that the service is not ready; if
    /// the port closed at once it could see nothing but refused connections.
    ///
    /// However this ends, the end has begun then: those who wait for it would wait for ever.
    pub(crate) async fn follow(self, mut signals: mpsc::Receiver<()>, drain: Duration) {
        let _begun = self.begun.drop_guard();
        signal(&mut signals).await;
        self.announced.cancel();
        if drain > Duration::ZERO {
            say(&format!(
                "Closing. It serves for {drain:?} more; a second Ctrl-C ends that."
            ));
            let _ = tokio::time::timeout(drain, signal(&mut signals)).await;
        } else {
            say("Closing.");
        }
    }
}

/// Where nobody listens any more there is nobody to tell, and that is no reason to fail.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "\n{text}");
}

async fn signal(signals: &mut mpsc::Receiver<()>) {
    if signals.recv().await.is_none() {
        // Without anybody who could ask there is no end.
        std::future::pending::<()>().await;
    }
}

/// Ctrl-C, and a service manager's SIGTERM, each time.
pub(crate) fn signals() -> mpsc::Receiver<()> {
    // The first, and the one that ends the patience.
    let (sender, receiver) = mpsc::channel(2);
    #[cfg(unix)]
    tokio::spawn(pass_on_terminate(sender.clone()));
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() && sender.send(()).await.is_ok() {}
    });
    receiver
}

#[cfg(unix)]
async fn pass_on_terminate(sender: mpsc::Sender<()>) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return;
    };
    while terminate.recv().await.is_some() && sender.send(()).await.is_ok() {}
}

/// A duration as the URL of the database has them too.
pub(crate) fn drain(text: &str) -> Result<Duration, String> {
    let allowed = || "give a whole number and a unit, 0s to 10m: 500ms, 1s, 2m".to_owned();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| allowed())?;
    let millis = match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        _ => None,
    };
    let span = millis.map(Duration::from_millis);
    span.filter(|span| *span <= DRAIN_MAX).ok_or_else(allowed)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use aurora_driver::Postgres;

    use super::*;
    use crate::testing::{DRAIN, Open};

    #[tokio::test]
    async fn a_service_that_is_to_close_says_so_and_serves_until_it_is_asked_again() {
        let open = Open::<Postgres>::start(&["--readers", "0"]).await;
        let ready = open.get_until("/readyz", |answer| answer.status == 200);
        assert_eq!(ready.await.json()["ready"], true);
        open.ask_to_close().await;
        let closing = open.get_until("/readyz", |answer| answer.status == 503);
        assert_eq!(closing.await.json()["reason"], "it is closing");
        assert_eq!(open.get("/healthz").await.status, 200);
        assert_eq!(open.get("/products").await.status, 200);
        let began = Instant::now();
        open.close().await;
        assert!(began.elapsed() < DRAIN, "the second signal is not heard");
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_by_itself_and_one_of_zero_takes_no_time() {
        for drain in [Duration::ZERO, Duration::from_secs(2)] {
            let (sender, signals) = mpsc::channel(1);
            sender.send(()).await.expect("a place");
            let ending = Ending::default();
            let began = tokio::time::Instant::now();
            ending.clone().follow(signals, drain).await;
            assert!(ending.announced.is_cancelled() && ending.begun.is_cancelled());
            assert_eq!(began.elapsed(), drain);
        }
    }

    #[tokio::test]
    async fn the_end_has_begun_however_the_wait_for_it_ends() {
        let (_sender, signals) = mpsc::channel(1);
        let ending = Ending::default();
        let cut_short = tokio::time::timeout(
            Duration::from_millis(1),
            ending.clone().follow(signals, DRAIN),
        );
        assert!(cut_short.await.is_err() && !ending.announced.is_cancelled());
        assert!(ending.begun.is_cancelled());
    }

    #[test]
    fn a_drain_is_a_whole_number_and_a_unit() {
        assert_eq!(drain("0s"), Ok(Duration::ZERO));
        assert_eq!(drain("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(drain("10m"), Ok(DRAIN_MAX));
        for wrong in [
            "",
            "1",
            "s",
            "-1s",
            "1.5s",
            "11m",
            "1h",
            "99999999999999999999s",
        ] {
            assert!(drain(wrong).is_err(), "{wrong:?}");
        }
    }
}
