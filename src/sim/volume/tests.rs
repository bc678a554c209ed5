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
