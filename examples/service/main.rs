//! A small shop over an Aurora cluster: reads go to readers, writes to the writer, reports to
//! connections of their own, and a page shows it all live.
//!
//! ```text
//! cargo run --example service                  # an embedded simulated cluster; then open the page
//! cargo run --example service -- --load 50     # with fifty customers
//! cargo run --example service -- --database-url postgres://app:secret@db.example/shop
//! ```
//!
//! | file | idea |
//! |---|---|
//! | `backend` | which cluster: a given one, or an embedded simulated one |
//! | `closing` | how the service ends |
//! | `shop` | the data layer |
//! | `traffic` | what was asked of the shop, how long it took, and who answered |
//! | `failures` | failed requests in the log |
//! | `load` | customers |
//! | `web` | HTTP: the shop, the page, health |
//! | `live` | what the page shows, as messages |
//! | `progress` | the line that tells how the load goes |
//! | `testing` | the service on a loopback port, for the tests beside the code |

mod backend;
mod closing;
mod failures;
mod live;
mod load;
mod progress;
mod shop;
#[cfg(test)]
mod testing;
mod traffic;
mod web;

use std::io::{IsTerminal, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use aurora_driver::{Config, EngineKind, MySql, Postgres};
use clap::builder::Resettable;
use clap::{CommandFactory, FromArgMatches, Parser, ValueEnum};
use tokio_util::sync::CancellationToken;

use backend::Backend;
use closing::Ending;
use shop::Store;
use traffic::Traffic;

/// How long calls under way have to end after Ctrl-C.
const GRACE: Duration = Duration::from_secs(5);

/// The variable of the database's URL.
const DATABASE_URL: &str = "SHOP_DATABASE_URL";

/// The driver's events too, of which a failover has some ten: whoever reads of a writer's loss wants to
/// read that there is one again.
const LOGGED: &str = "warn,aurora_driver::event=info";

/// A small shop over an Aurora cluster, with a page that shows it at work.
#[derive(Debug, Parser)]
#[command(name = "service")]
pub(crate) struct Arguments {
    /// The address of the page and of the shop, such as localhost:8080; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:3000", value_name = "ADDRESS", value_parser = place)]
    listen: SocketAddr,
    /// A real cluster, or a single real server, whose schema is brought up to date:
    /// postgres://user:password@host/database or mysql://…. Without it a simulated cluster runs
    /// inside. Other users of this machine can read a password here: the variable is the better
    /// place.
    #[arg(
        long,
        env = DATABASE_URL,
        hide_env_values = true,
        value_name = "URL"
    )]
    database_url: Option<String>,
    /// The engine of the simulated cluster: postgres or mysql.
    #[arg(long, default_value = "postgres", conflicts_with = "database_url")]
    engine: EngineKind,
    /// How many readers the simulated cluster has, 0 to 15.
    #[arg(long, default_value_t = 2, conflicts_with = "database_url",
          value_parser = clap::value_parser!(u8).range(0..=15), allow_negative_numbers = true)]
    readers: u8,
    /// Fixes the simulated cluster's random choices.
    #[arg(long, default_value_t = 1, conflicts_with = "database_url", value_parser = seed,
          allow_negative_numbers = true)]
    seed: u64,
    /// How long the simulated cluster's failovers take: some 0.3 s, or the seconds of a real one.
    #[arg(long, value_enum, default_value_t = Pace::Fast, conflicts_with = "database_url")]
    timeline: Pace,
    /// How many customers shop at once, 0 to 10000; a line tells how it goes.
    #[arg(long, default_value_t = 0, value_name = "CUSTOMERS", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u16).range(0..=10_000))]
    load: u16,
    /// How long the shop goes on serving after Ctrl-C or SIGTERM while /readyz says 503 already,
    /// so that a load balancer notices; 0s to 10m. A second signal ends that.
    #[arg(long, default_value = "1s", value_name = "DURATION", value_parser = closing::drain,
          allow_hyphen_values = true)]
    drain: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Pace {
    Fast,
    Aurora,
}

fn place(text: &str) -> Result<SocketAddr, String> {
    let found = text.to_socket_addrs().map_err(|error| error.to_string());
    found
        .and_then(|mut found| found.next().ok_or("the name leads nowhere".to_owned()))
        .map_err(|error| format!("{error}: give host:port, such as 127.0.0.1:3000"))
}

fn seed(text: &str) -> Result<u64, String> {
    let range = || format!("give a whole number, 0 to {}", u64::MAX);
    text.parse().map_err(|_| range())
}

/// What there is to give. An empty variable counts as none, as a shell or a composition of containers
/// leaves it where nobody has set it.
fn command(is_variable_empty: bool) -> clap::Command {
    match is_variable_empty {
        true => Arguments::command().mut_arg("database_url", |url| url.env(Resettable::Reset)),
        false => Arguments::command(),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| LOGGED.into()),
        )
        .with_writer(std::io::stderr)
        // A file is no place for colours.
        .with_ansi(std::io::stderr().is_terminal())
        // Of what cannot be written it would tell the same place, and panic in whoever logs.
        .log_internal_errors(false)
        .init();
    let url = std::env::var_os(DATABASE_URL);
    let command = command(url.is_some_and(|url| url.is_empty()));
    let arguments = Arguments::from_arg_matches(&command.get_matches());
    let arguments = arguments.unwrap_or_else(|error| error.exit());
    let given = arguments
        .database_url
        .as_deref()
        .map(backend::configuration);
    let given = match given.transpose() {
        Ok(given) => given,
        // Not by clap itself: its message would have the value in it, password and all.
        Err(error) => {
            let message = format!("the URL of the database cannot be used: {error}");
            Arguments::command()
                .error(clap::error::ErrorKind::ValueValidation, message)
                .exit()
        }
    };
    let engine = given
        .as_ref()
        .map_or(arguments.engine, |config| config.engine);
    let served = match engine {
        EngineKind::Postgres => run::<Postgres>(arguments, given).await,
        EngineKind::MySql => run::<MySql>(arguments, given).await,
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        // The causes on one line: a backtrace helps nobody who only has to start a database.
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run<E: Store>(arguments: Arguments, given: Option<Config>) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(arguments.listen)
        .await
        .with_context(|| {
            format!(
                "cannot listen on {}: give another address with --listen",
                arguments.listen
            )
        })?;
    let metrics = web::metrics::install()?;
    let backend = Backend::<E>::open(&arguments, given).await?;
    let migrated = shop::schema::migrate(backend.shop.cluster()).await?;
    let address = listener.local_addr()?;
    let traffic = Arc::new(Traffic::new());
    let ending = Ending::default();
    let end = ending.begun.clone();
    introduce(address, backend.describe(), migrated);

    let upkeep = tokio::spawn(web::metrics::keep_up(metrics.clone(), end.clone()));
    // Not at the service's end, but when nobody is left who could fail: most do while it closes.
    let all_left = CancellationToken::new();
    let telling = tokio::spawn({
        let (traffic, all_left) = (Arc::clone(&traffic), all_left.clone());
        async move { traffic.failures().keep_up(all_left).await }
    });
    let live = live::Live::start(&backend, &traffic, end.clone());
    let customers = load::Load::start(
        &backend.shop,
        &traffic,
        usize::from(arguments.load),
        end.clone(),
    );
    let progress = progress::show(
        &traffic,
        arguments.load > 0 && std::io::stderr().is_terminal(),
        end.clone(),
    );
    let state = web::State::new(&backend, &traffic, live, metrics, ending.clone());
    let serving = axum::serve(listener, web::router(state))
        .with_graceful_shutdown(ending.follow(closing::signals(), arguments.drain));
    // Whoever sends half a request and no more must not keep the shop open.
    let patience = async {
        end.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    let served = tokio::select! {
        served = serving => served.context("the HTTP server ended"),
        () = patience => {
            tracing::warn!("requests were still under way and have been cut off");
            Ok(())
        }
    };
    // Nobody serves any more, whether or not somebody asked for it.
    end.cancel();
    served?;
    // Those who still wait for a database that is away are sent home.
    let _ = tokio::time::timeout(GRACE, customers.finish()).await;
    progress.await.ok();
    upkeep.await.ok();
    if arguments.load > 0 {
        progress::sum_up(&traffic);
    }
    backend.close(GRACE).await;
    all_left.cancel();
    telling.await.ok();
    Ok(())
}

fn introduce(address: SocketAddr, database: &str, migrated: usize) {
    let text = format!(
        "The shop is open.\n\n\
         \x20 the page        http://{address}/\n\
         \x20 products        curl http://{address}/products\n\
         \x20 health          http://{address}/readyz, http://{address}/metrics\n\
         \x20 database        {database}, {migrated} migrations applied\n\n\
         Ctrl-C closes it.\n\n"
    );
    // A shop that nobody watches is open all the same.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_that_makes_no_sense_is_refused_with_what_would() {
        for (flags, advice) in [
            (["--listen", "nonsense"], "host:port"),
            (["--listen", "3457"], "host:port"),
            (["--load", "-1"], "0..=10000"),
            (["--readers", "-1"], "0..=15"),
            (["--seed", "-1"], "0 to 18446744073709551615"),
            (["--drain", "-1s"], "0s to 10m"),
        ] {
            let refused = Arguments::try_parse_from(["service"].into_iter().chain(flags));
            let told = refused.expect_err("nonsense").to_string();
            assert!(told.contains(advice), "{flags:?}: {told}");
        }
    }

    #[test]
    fn an_empty_variable_counts_as_none() {
        let variable = |command: clap::Command| {
            let mut arguments = command.get_arguments();
            let url = arguments.find(|argument| argument.get_id() == "database_url");
            url.and_then(|url| url.get_env().map(ToOwned::to_owned))
        };
        assert_eq!(variable(command(false)), Some(DATABASE_URL.into()));
        assert_eq!(variable(command(true)), None);
    }
}
