//! Closures: what is run again, and what never.

use std::collections::BTreeSet;

use aurora_driver::sim::{FaultPoint, SimCluster, StatementFault, StatementKind};
use aurora_driver::{Cluster, Connection, Error, ErrorKind, Outcome};

use crate::database::{Database, on_both_engines, start};

on_both_engines!(
    a_read_whose_connection_is_lost_is_run_again_on_another_instance,
    a_read_on_an_instance_that_falls_silent_is_run_again_on_another,
    a_read_that_is_wrong_is_not_run_again,
    an_error_of_the_closures_own_is_returned_as_it_is,
    a_read_is_run_five_times_at_most_on_all_instances,
    a_read_that_is_given_up_by_its_closure_is_run_again,
    a_write_whose_answer_is_lost_is_never_run_again,
    a_write_given_up_for_others_is_run_again,
    a_write_after_another_that_stays_is_not_run_again,
    a_write_in_a_transaction_by_hand_is_run_again_until_its_commit,
    a_write_waits_through_a_failover,
    a_transaction_whose_connection_is_lost_is_run_again_as_a_whole,
    a_transaction_in_conflict_is_run_again_as_a_whole,
    a_commit_whose_answer_is_lost_is_unknown_and_not_run_again,
    a_transaction_is_rolled_back_when_its_closure_fails,
    a_transaction_waits_through_a_failover,
    a_read_only_transaction_of_ones_own_is_not_tried_again,
);

async fn rows<E: Database>(cluster: &Cluster<E>) -> i64 {
    let mut writer = cluster.writer().await.unwrap();
    E::number(&mut writer, "SELECT count(*) FROM t")
        .await
        .unwrap()
}

fn conflict() -> StatementFault {
    StatementFault::error("40001", 1213, "try again")
}

async fn insert<E: Database>(connection: &mut Connection<E>, number: i64) -> Result<(), Error> {
    E::run(connection, &format!("INSERT INTO t (n) VALUES ({number})")).await
}

async fn a_read_whose_connection_is_lost_is_run_again_on_another_instance<E: Database>() {
    for fault in [
        StatementFault::reset(),
        StatementFault::close(),
        StatementFault::half_close(),
        StatementFault::truncate(),
        StatementFault::garbage(),
        StatementFault::crash(),
    ] {
        let (simulated, cluster) = start::<E>().await;
        let _fault = simulated.fault(fault.clone().containing("count").first(1));
        let mut asked = Vec::new();
        let count = cluster
            .read(async |reader| {
                asked.push(reader.instance().clone());
                E::number(reader, "SELECT count(*) FROM t").await
            })
            .await
            .unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert_eq!(count, 0);
        assert_eq!(asked.len(), 2, "{fault:?}");
        assert_ne!(asked[0], asked[1], "{fault:?}");
    }
}

async fn a_read_on_an_instance_that_falls_silent_is_run_again_on_another<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    let mut asked = Vec::new();
    let count = cluster
        .read(async |reader| {
            asked.push(reader.instance().clone());
            if asked.len() == 1 {
                simulated.silence(reader.instance()).unwrap();
            }
            E::number(reader, "SELECT count(*) FROM t").await
        })
        .await;
    assert_eq!(count.unwrap(), 0);
    assert_eq!(asked.len(), 2);
    assert_ne!(asked[0], asked[1]);
}

async fn a_read_that_is_wrong_is_not_run_again<E: Database>() {
    let (_simulated, cluster) = start::<E>().await;
    let mut runs = 0;
    let error: Error = cluster
        .read(async |reader| {
            runs += 1;
            E::number(reader, "SELECT count(*) FROM missing").await
        })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server, "{error}");
    assert_eq!(runs, 1);
}

async fn an_error_of_the_closures_own_is_returned_as_it_is<E: Database>() {
    #[derive(Debug)]
    enum OwnError {
        Own(i64),
        Database(Error),
    }
    impl From<Error> for OwnError {
        fn from(error: Error) -> Self {
            Self::Database(error)
        }
    }
    impl OwnError {
        fn is_of_the_database(&self) -> bool {
            match self {
                Self::Own(_) => false,
                Self::Database(error) => error.outcome() == Outcome::Rejected,
            }
        }
    }
    let (simulated, cluster) = start::<E>().await;
    let mut runs = 0;
    let error = cluster
        .write(async |writer| {
            runs += 1;
            let count = E::number(writer, "SELECT count(*) FROM t").await?;
            Err::<(), _>(OwnError::Own(count))
        })
        .await
        .unwrap_err();
    assert!(!error.is_of_the_database(), "{error:?}");
    assert!(matches!(error, OwnError::Own(0)), "{error:?}");
    // What failed in between and was got over by the closure is no reason either.
    let _fault = simulated.fault(conflict().containing("INSERT").first(1));
    let error: anyhow::Error = cluster
        .write(async |writer| {
            runs += 1;
            insert(writer, 1).await.unwrap_err();
            E::number(writer, "SELECT count(*) FROM t").await?;
            Err::<(), _>(anyhow::anyhow!("changed my mind"))
        })
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "changed my mind");
    assert_eq!(runs, 2);
}

async fn a_read_is_run_five_times_at_most_on_all_instances<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    let _fault = simulated.fault(conflict().containing("count"));
    let (mut runs, mut asked) = (0, BTreeSet::new());
    let error: Error = cluster
        .read(async |reader| {
            runs += 1;
            asked.insert(reader.instance().clone());
            E::number(reader, "SELECT count(*) FROM t").await
        })
        .await
        .unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert_eq!(runs, 5);
    assert_eq!(asked.len(), 2, "both readers");
}

async fn a_read_that_is_given_up_by_its_closure_is_run_again<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    let fault = StatementFault::delay(std::time::Duration::from_secs(60));
    let _fault = simulated.fault(fault.containing("count").first(1));
    let mut runs = 0;
    let count: anyhow::Result<i64> = cluster
        .read(async |reader| {
            runs += 1;
            // A limit of one's own for each attempt.
            let limit = std::time::Duration::from_millis(if runs == 1 { 100 } else { 30_000 });
            let query = E::number(reader, "SELECT count(*) FROM t");
            Ok(tokio::time::timeout(limit, query).await??)
        })
        .await;
    assert_eq!(count.unwrap(), 0);
    assert_eq!(runs, 2);
}

async fn a_write_whose_answer_is_lost_is_never_run_again<E: Database>() {
    for (fault, rows_then) in [
        (StatementFault::reset().at(FaultPoint::Answer), 1),
        (StatementFault::reset().at(FaultPoint::Execute), 0),
    ] {
        let (simulated, cluster) = start::<E>().await;
        let _fault = simulated.fault(fault.containing("INSERT").first(1));
        let mut runs = 0;
        let error: Error = cluster
            .write(async |writer| {
                runs += 1;
                insert(writer, 1).await
            })
            .await
            .unwrap_err();
        assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
        assert_eq!(runs, 1);
        assert_eq!(rows(&cluster).await, rows_then);
    }
}

async fn a_write_given_up_for_others_is_run_again<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    let _fault = simulated.fault(conflict().containing("INSERT").first(2));
    let mut runs = 0;
    let written = cluster
        .write(async |writer| {
            runs += 1;
            insert(writer, 1).await
        })
        .await;
    written.unwrap();
    assert_eq!(runs, 3);
    assert_eq!(rows(&cluster).await, 1);
}

async fn a_write_after_another_that_stays_is_not_run_again<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    let _fault = simulated.fault(conflict().containing("(2)"));
    for prepared in [false, true] {
        let mut runs = 0;
        let error = cluster
            .write(async |writer| {
                runs += 1;
                match prepared {
                    true => E::insert_prepared(writer, 1).await?,
                    false => insert(writer, 1).await?,
                }
                insert(writer, 2).await
            })
            .await
            .unwrap_err();
        assert_eq!(error.outcome(), Outcome::Rejected, "{error}");
        assert_eq!(runs, 1, "prepared: {prepared}");
    }
    assert_eq!(rows(&cluster).await, 2);
}

async fn a_write_in_a_transaction_by_hand_is_run_again_until_its_commit<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    let _fault = simulated.fault(conflict().containing("(2)").first(1));
    let mut runs = 0;
    let written = cluster
        .write(async |writer| {
            runs += 1;
            E::run(writer, "BEGIN").await?;
            E::insert_prepared(writer, 1).await?;
            insert(writer, 2).await?;
            E::run(writer, "COMMIT").await
        })
        .await;
    written.unwrap();
    assert_eq!((runs, rows(&cluster).await), (2, 2));
    let _fault = simulated.fault(conflict().containing("(3)"));
    let refused = cluster
        .write(async |writer| {
            runs += 1;
            E::run(writer, "BEGIN").await?;
            insert(writer, 1).await?;
            E::run(writer, "COMMIT").await?;
            insert(writer, 3).await
        })
        .await;
    assert_eq!(refused.unwrap_err().outcome(), Outcome::Rejected);
    assert_eq!((runs, rows(&cluster).await), (3, 3));
}

async fn fail_over(simulated: &SimCluster) {
    simulated.failover(None).unwrap();
    simulated.failover_finished().await;
}

async fn a_write_waits_through_a_failover<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    let mut asked = Vec::new();
    let written = cluster
        .write(async |writer| {
            asked.push(writer.instance().clone());
            if asked.len() == 1 {
                fail_over(&simulated).await;
            }
            insert(writer, 1).await
        })
        .await;
    // On MySQL nobody watches an idle socket: the statement may have been sent before its end
    // was noticed, and is unknown then.
    match written {
        Ok(()) => {
            assert_eq!(asked.len(), 2);
            assert_ne!(asked[0], asked[1]);
            assert_eq!(rows(&cluster).await, 1);
        }
        Err(error) => {
            assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
            assert_eq!(asked.len(), 1);
        }
    }
}

const INSERT: &str = "INSERT INTO t (n) VALUES (?)";

async fn a_transaction_whose_connection_is_lost_is_run_again_as_a_whole<E: Database>() {
    for fault in [
        StatementFault::reset().at(FaultPoint::Execute),
        StatementFault::reset().at(FaultPoint::Answer),
        StatementFault::reset().at(FaultPoint::Prepare),
        StatementFault::close(),
    ] {
        let (simulated, cluster) = start::<E>().await;
        let _fault = simulated.fault(fault.clone().containing("INSERT").nth(2));
        let mut runs = 0;
        cluster
            .transaction(async |mut transaction| {
                runs += 1;
                E::execute_in(&mut transaction, INSERT, 1).await?;
                E::execute_in(&mut transaction, "INSERT INTO t(n) VALUES (?)", 2).await
            })
            .await
            .unwrap_or_else(|error: Error| panic!("{fault:?}: {error}"));
        assert_eq!((runs, rows(&cluster).await), (2, 2), "{fault:?}");
    }
}

async fn a_transaction_in_conflict_is_run_again_as_a_whole<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    let _statement = simulated.fault(conflict().containing("INSERT").nth(2));
    let _commit = simulated.fault(conflict().kind(StatementKind::Commit).first(1));
    let mut runs = 0;
    let done = cluster
        .transaction(async |mut transaction| {
            runs += 1;
            E::execute_in(&mut transaction, INSERT, 1).await?;
            E::execute_in(&mut transaction, INSERT, 2).await
        })
        .await;
    done.unwrap();
    assert_eq!((runs, rows(&cluster).await), (3, 2));
}

async fn a_commit_whose_answer_is_lost_is_unknown_and_not_run_again<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    let lost = StatementFault::reset().at(FaultPoint::Answer);
    let _fault = simulated.fault(lost.kind(StatementKind::Commit).first(1));
    let mut runs = 0;
    let error = cluster
        .transaction(async |mut transaction| {
            runs += 1;
            E::execute_in(&mut transaction, INSERT, 1).await
        })
        .await
        .unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    assert_eq!((runs, rows(&cluster).await), (1, 1));
}

async fn a_transaction_is_rolled_back_when_its_closure_fails<E: Database>() {
    let (_simulated, cluster) = start::<E>().await;
    let mut runs = 0;
    let error = cluster
        .transaction(async |mut transaction| {
            runs += 1;
            E::execute_in(&mut transaction, INSERT, 1).await?;
            Err::<(), _>(anyhow::anyhow!("changed my mind"))
        })
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "changed my mind");
    assert_eq!((runs, rows(&cluster).await), (1, 0));
    let value = cluster
        .transaction(async |mut transaction| {
            E::execute_in(&mut transaction, INSERT, 1).await?;
            Ok::<_, Error>(7)
        })
        .await;
    assert_eq!(value.unwrap(), 7);
    assert_eq!(rows(&cluster).await, 1);
}

async fn a_transaction_waits_through_a_failover<E: Database>() {
    let (simulated, cluster) = start::<E>().await;
    let mut runs = 0;
    let done = cluster
        .transaction(async |mut transaction| {
            runs += 1;
            E::execute_in(&mut transaction, INSERT, 1).await?;
            if runs == 1 {
                fail_over(&simulated).await;
            }
            E::execute_in(&mut transaction, INSERT, 2).await
        })
        .await;
    done.unwrap();
    assert_eq!((runs, rows(&cluster).await), (2, 2));
}

async fn a_read_only_transaction_of_ones_own_is_not_tried_again<E: Database>() {
    let (_simulated, cluster) = start::<E>().await;
    let mut runs = 0;
    let error = cluster
        .write(async |writer| {
            runs += 1;
            E::run(writer, "START TRANSACTION READ ONLY").await?;
            insert(writer, 1).await
        })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server, "{error}");
    assert_eq!(runs, 1);
    assert_eq!(rows(&cluster).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_closure_is_fit_for_a_task() {
    let (_simulated, cluster) = start::<aurora_driver::Postgres>().await;
    let shared = cluster.clone();
    let task = tokio::spawn(async move {
        let names = vec!["tea".to_owned()];
        shared
            .transaction(async move |transaction| {
                for (number, _) in (1_i64..).zip(&names) {
                    transaction
                        .execute("INSERT INTO t (n) VALUES ($1)", &[&number])
                        .await?;
                }
                Ok::<_, Error>(())
            })
            .await?;
        shared
            .write(async |writer| writer.batch_execute("INSERT INTO t (n) VALUES (2)").await)
            .await?;
        shared
            .read(async |reader| {
                let row = reader.query_one("SELECT count(*) FROM t", &[]).await?;
                anyhow::Ok::<i64>(row.get(0))
            })
            .await
    });
    assert_eq!(task.await.unwrap().unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mysql_closure_is_fit_for_a_task() {
    use aurora_driver::mysql::mysql_async::prelude::*;

    let (_simulated, cluster) = start::<aurora_driver::MySql>().await;
    let shared = cluster.clone();
    let task = tokio::spawn(async move {
        let names = vec!["tea".to_owned()];
        // The errors are `mysql_async`'s, and stay so.
        shared
            .transaction(async move |mut transaction| {
                for (number, _) in (1_i64..).zip(&names) {
                    let insert = "INSERT INTO t (n) VALUES (?)";
                    transaction.exec_drop(insert, (number,)).await?;
                }
                Ok::<_, mysql_async::Error>(())
            })
            .await?;
        shared
            .write(async |writer| writer.query_drop("INSERT INTO t (n) VALUES (2)").await)
            .await?;
        shared
            .read(async |reader| {
                let count: Option<i64> = reader.query_first("SELECT count(*) FROM t").await?;
                anyhow::Ok(count)
            })
            .await
    });
    assert_eq!(task.await.unwrap().unwrap(), Some(2));
}
