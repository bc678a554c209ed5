use super::*;

#[test]
fn the_directory_goes_away_with_the_volume() {
    let volume = Volume::create().expect("a volume");
    let directory = volume.path().parent().expect("a parent").to_owned();
    let connection = volume.connect().expect("a connection");
    connection
        .execute_batch("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1)")
        .expect("a write, which makes the -wal and -shm files");
    drop(connection);
    assert!(directory.exists());
    drop(volume);
    assert!(!directory.exists());
}

#[test]
fn a_query_cannot_write() {
    let volume = Volume::create().expect("a volume");
    assert_eq!(
        volume.query("SELECT 1, 'a', NULL").expect("a row"),
        vec![vec![
            Value::Integer(1),
            Value::Text("a".to_owned()),
            Value::Null
        ]]
    );
    assert!(volume.query("CREATE TABLE t (a INTEGER)").is_err());
}

#[test]
fn long_texts_are_cut_in_the_ledger_at_a_character_boundary() {
    let volume = Volume::create().expect("a volume");
    let connection = volume.connect().expect("a connection");
    let instance = crate::id::InstanceId::new("one");
    let origin = EntryOrigin {
        elapsed_micros: 5,
        instance: &instance,
        epoch: 1,
        session: 2,
        transaction: 3,
    };
    let parameters = [
        Value::Text("ä".repeat(1000)),
        Value::Bytes(vec![0xab; 1000]),
    ];
    append_to_ledger(&connection, &origin, &"ü".repeat(5000), &parameters, 1).expect("an entry");
    let ledger = volume.ledger().expect("the ledger");
    assert_eq!(ledger[0].statement.chars().count(), 1000);
    assert_eq!(ledger[0].parameters[0].as_str().map(str::len), Some(256));
    assert_eq!(ledger[0].parameters[1].as_str().map(str::len), Some(512));
    assert_eq!(volume.ledger_len().expect("a count"), 1);
}

#[tokio::test]
async fn the_write_lock_is_held_by_one_at_a_time() {
    let volume = Volume::create().expect("a volume");
    let guard = volume.lock_for_writing().await;
    assert!(volume.try_lock_for_writing().is_none());
    drop(guard);
    assert!(volume.try_lock_for_writing().is_some());
}

fn commit(volume: &Volume, writer: &Connection, at: u64, sql: &str) {
    volume
        .commit(Duration::from_millis(at), || writer.execute_batch(sql))
        .expect("a commit");
}

#[test]
fn states_and_their_files_are_bounded_and_go_away() {
    let volume = Volume::create().expect("a volume");
    let writer = volume.connect().expect("a connection");
    commit(&volume, &writer, 0, "CREATE TABLE t (a INTEGER)");
    assert_eq!(volume.replication.states_kept(), 0, "nobody lags");
    let reader = InstanceId::new("reader");
    let lag = Duration::from_secs(1);
    volume
        .set_replication(&reader, lag, false, Duration::from_millis(1))
        .expect("a lag");
    let files = || {
        let directory = volume.path().parent().expect("a parent");
        std::fs::read_dir(directory).expect("files").count()
    };
    let before = files();
    for at in 1..3000 {
        commit(&volume, &writer, at, "INSERT INTO t VALUES (1)");
        if at % 100 == 0 {
            let now = Duration::from_millis(at);
            let view = volume.view(&reader, now).expect("a state");
            let state = Volume::connect_to(&view.expect("an old one")).expect("a connection");
            let count: i64 = state
                .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
                .expect("a count");
            let newest = i64::try_from(at.saturating_sub(1000)).expect("a small number");
            assert!((newest - 16..=newest).contains(&count), "{count} at {at}");
        }
        assert!(volume.replication.states_kept() <= 67);
    }
    assert!(files() <= before + 12, "{} files", files());
    volume
        .set_replication(&reader, Duration::ZERO, false, Duration::from_secs(3))
        .expect("no lag");
    assert_eq!(volume.replication.states_kept(), 0);
    assert_eq!(files(), before);
    assert!(
        volume
            .view(&reader, Duration::from_secs(3))
            .expect("live")
            .is_none()
    );
}
