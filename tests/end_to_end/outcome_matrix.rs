//! What an error says of a statement, against what the storage took: every way to send one, by
//! every fault, at every point at which it may strike.

use std::time::Duration;

use aurora_driver::sim::{FaultPoint, SimCluster, StatementFault, StatementKind};
use aurora_driver::{Cluster, Connection, Error, ErrorKind, MySql, Outcome, Postgres};
use mysql_async::TxOpts;
use mysql_async::prelude::Queryable;

use crate::database::{Database, PATIENCE, eventually, on_both_engines, start_with};

on_both_engines!(
    no_error_of_a_statement_contradicts_the_storage,
    no_error_of_a_statement_in_a_transaction_contradicts_the_storage,
    no_error_of_a_commit_contradicts_the_storage,
    no_error_of_a_script_contradicts_the_storage,
    whatever_a_login_meets_nothing_has_been_sent,
);

/// A way to send an INSERT of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// By itself, as text.
    Text,
    /// By itself, prepared.
    Prepared,
    /// In a transaction, which is committed if it went well.
    InTransaction,
    PreparedInTransaction,
    /// In a transaction, and it is the commit that meets the fault.
    Commit,
    /// Two of them in one text, of which the second meets the fault.
    Script,
}

/// How far apart the two numbers of a script are.
const SECOND: i64 = 1_000_000;

trait Forms: Database {
    async fn send(connection: &mut Connection<Self>, form: Form, number: i64) -> Result<(), Error>;
}

fn insert(number: i64) -> String {
    format!("INSERT INTO t (n) VALUES ({number})")
}

impl Forms for Postgres {
    async fn send(connection: &mut Connection<Self>, form: Form, number: i64) -> Result<(), Error> {
        const INSERT: &str = "INSERT INTO t (n) VALUES ($1)";
        match form {
            Form::Text => connection.batch_execute(&insert(number)).await,
            Form::Prepared => connection.execute(INSERT, &[&number]).await.map(drop),
            Form::Script => {
                let script = format!("{}; {}", insert(number), insert(number + SECOND));
                connection.batch_execute(&script).await
            }
            Form::InTransaction | Form::PreparedInTransaction | Form::Commit => {
                let transaction = connection.transaction().await?;
                if form == Form::PreparedInTransaction {
                    transaction.execute(INSERT, &[&number]).await?;
                } else {
                    transaction.batch_execute(&insert(number)).await?;
                }
                transaction.commit().await
            }
        }
    }
}

impl Forms for MySql {
    async fn send(connection: &mut Connection<Self>, form: Form, number: i64) -> Result<(), Error> {
        const INSERT: &str = "INSERT INTO t (n) VALUES (?)";
        match form {
            Form::Text => connection.query_drop(insert(number)).await?,
            Form::Prepared => connection.exec_drop(INSERT, (number,)).await?,
            Form::Script => {
                let script = format!("{}; {}", insert(number), insert(number + SECOND));
                connection.query_drop(script).await?;
            }
            Form::InTransaction | Form::PreparedInTransaction | Form::Commit => {
                let mut transaction = connection.start_transaction(TxOpts::default()).await?;
                if form == Form::PreparedInTransaction {
                    transaction.exec_drop(INSERT, (number,)).await?;
                } else {
                    transaction.query_drop(insert(number)).await?;
                }
                transaction.commit().await?;
            }
        }
        Ok(())
    }
}

/// How the fault ends the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// Not at all.
    Nothing,
    /// With a refusal.
    Refusal,
    /// With the connection, one way or the other.
    Loss,
    /// Not before the instance ends.
    Silence,
}

fn faults() -> Vec<(&'static str, StatementFault, Effect)> {
    let error = StatementFault::error;
    vec![
        (
            "delay",
            StatementFault::delay(Duration::from_millis(5)),
            Effect::Nothing,
        ),
        (
            "conflict",
            error("40001", 1213, "try again"),
            Effect::Refusal,
        ),
        (
            "duplicate",
            error("23505", 1062, "it is there"),
            Effect::Refusal,
        ),
        (
            "shutdown",
            error("57P01", 1053, "shutting down"),
            Effect::Loss,
        ),
        ("reset", StatementFault::reset(), Effect::Loss),
        ("close", StatementFault::close(), Effect::Loss),
        ("half-close", StatementFault::half_close(), Effect::Loss),
        ("truncate", StatementFault::truncate(), Effect::Loss),
        ("garbage", StatementFault::garbage(), Effect::Loss),
        ("silence", StatementFault::silence(), Effect::Silence),
        ("crash", StatementFault::crash(), Effect::Loss),
    ]
}

/// How often the storage has a number.
fn count(simulated: &SimCluster, number: i64) -> u64 {
    let rows = simulated.query(&format!("SELECT count(*) FROM t WHERE n = {number}"));
    rows.unwrap()[0][0].as_u64().unwrap()
}

/// Whether a call may be left in doubt: everywhere else the driver must know.
fn may_be_unknown<E: Database>(form: Form, point: FaultPoint, effect: Effect) -> bool {
    let mysql = <E as Database>::KIND == aurora_driver::EngineKind::MySql;
    match (form, effect) {
        (_, Effect::Nothing) => false,
        // The statements of a script are committed one by one on MySQL.
        (Form::Script, Effect::Refusal) => mysql,
        (_, Effect::Refusal) | (Form::InTransaction | Form::PreparedInTransaction, _) => false,
        // `mysql_async` does not say whether it got beyond the preparation.
        (Form::Prepared, _) if point == FaultPoint::Prepare => mysql,
        (Form::Text | Form::Prepared | Form::Commit | Form::Script, _) => true,
    }
}

async fn try_all<E: Forms>(forms: &[Form]) {
    let (simulated, cluster) = start_with::<E>(|builder| builder.readers(1)).await;
    let mut number = 0;
    for form in forms {
        for point in [FaultPoint::Prepare, FaultPoint::Execute, FaultPoint::Answer] {
            for (name, fault, effect) in faults() {
                // A server that refuses what it has committed is past all telling.
                if point == FaultPoint::Answer && effect == Effect::Refusal {
                    continue;
                }
                number += 1;
                let case = format!("{form:?}, {point:?}, {name}");
                let fault = match form {
                    Form::Commit => fault.kind(StatementKind::Commit).first(1),
                    Form::Script => fault.containing("INSERT").nth(2),
                    _ => fault.containing("INSERT").first(1),
                };
                let guard = simulated.fault(fault.at(point));
                let answer = try_one(&simulated, &cluster, *form, number, effect).await;
                let fired = simulated.faults().iter().any(|active| active.fired > 0);
                assert!(
                    fired || point == FaultPoint::Prepare,
                    "{case} did not strike"
                );
                drop(guard);
                check::<E>(&simulated, *form, number, &answer, &case);
                if let Err(error) = &answer
                    && error.outcome() == Outcome::Unknown
                {
                    let allowed = may_be_unknown::<E>(*form, point, effect);
                    assert!(allowed, "{case}: the driver must know: {error}");
                }
                if effect == Effect::Nothing {
                    assert!(answer.is_ok(), "{case}: {answer:?}");
                }
            }
        }
    }
}

/// Sends the statement under the fault; an instance that owes the answer for ever is crashed.
async fn try_one<E: Forms>(
    simulated: &SimCluster,
    cluster: &Cluster<E>,
    form: Form,
    number: i64,
    effect: Effect,
) -> Result<(), Error> {
    let mut writer = cluster.writer().await.unwrap();
    let instance = writer.instance().clone();
    let end_silence = async {
        if effect == Effect::Silence {
            let struck = || simulated.faults().iter().any(|active| active.fired > 0);
            eventually("the fault strikes", struck).await;
            simulated.crash(&instance).unwrap();
        }
        std::future::pending::<()>().await;
    };
    let sent = async {
        tokio::select! {
            answer = E::send(&mut writer, form, number) => answer,
            () = end_silence => unreachable!("it waits for ever"),
        }
    };
    let answer = tokio::time::timeout(PATIENCE, sent).await;
    answer.expect("the call ends with its instance")
}

fn check<E: Forms>(
    simulated: &SimCluster,
    form: Form,
    number: i64,
    answer: &Result<(), Error>,
    case: &str,
) {
    let mut counts = vec![count(simulated, number)];
    if form == Form::Script {
        counts.push(count(simulated, number + SECOND));
    }
    let expected: &[u64] = match answer.as_ref().map_err(Error::outcome) {
        Ok(()) | Err(Outcome::Applied) => &[1],
        Err(Outcome::NotSent | Outcome::Rejected) => &[0],
        Err(Outcome::Unknown) => &[0, 1],
    };
    for count in counts {
        assert!(
            expected.contains(&count),
            "{case}: {count} times after {answer:?}"
        );
    }
}

async fn no_error_of_a_statement_contradicts_the_storage<E: Forms>() {
    try_all::<E>(&[Form::Text, Form::Prepared]).await;
}

async fn no_error_of_a_statement_in_a_transaction_contradicts_the_storage<E: Forms>() {
    try_all::<E>(&[Form::InTransaction, Form::PreparedInTransaction]).await;
}

async fn no_error_of_a_commit_contradicts_the_storage<E: Forms>() {
    try_all::<E>(&[Form::Commit]).await;
}

async fn no_error_of_a_script_contradicts_the_storage<E: Forms>() {
    try_all::<E>(&[Form::Script]).await;
}

async fn whatever_a_login_meets_nothing_has_been_sent<E: Forms>() {
    for (name, fault, effect) in faults() {
        let (simulated, _wide) = start_with::<E>(|builder| builder.readers(1)).await;
        let mut config = aurora_driver::Config::from_url(&simulated.url()).unwrap();
        config.share_monitor = false;
        config.timing.connect_timeout = Duration::from_millis(300);
        config.timing.checkout_timeout = Duration::from_secs(2);
        let cluster = Cluster::<E>::new(config).unwrap();
        cluster.ready(PATIENCE).await.unwrap();
        let met = |simulated: &SimCluster| simulated.faults().iter().any(|fault| fault.fired > 0);
        let _fault = simulated.fault(fault.at_the_writer().at(FaultPoint::Login).first(3));
        let calls = (0..5).map(|_| cluster.writer());
        for answer in futures_util::future::join_all(calls).await {
            if let Err(error) = answer {
                assert_eq!(error.outcome(), Outcome::NotSent, "{name}: {error}");
                assert_ne!(effect, Effect::Nothing, "{name}: {error}");
                assert_ne!(error.kind(), ErrorKind::Usage, "{name}: {error}");
            }
        }
        eventually(name, || met(&simulated)).await;
    }
}
