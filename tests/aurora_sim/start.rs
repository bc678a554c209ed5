//! Flags, the file, the ready file, what is printed, and the end.

use std::io::Write;
use std::time::Duration;

use crate::api::instance;
use crate::http::{ask, wait_for};
use crate::program::{LIMIT, command, refused, start};

#[tokio::test]
async fn flags_that_make_no_sense_end_it_with_code_2_and_the_next_step() {
    let cases: [(&[&str], &str); 9] = [
        (&["--no-such-flag"], "--help"),
        (&["--engine", "oracle"], "--help"),
        (&["--timeline", "never"], "fast, aurora"),
        (&["--tls", "perhaps"], "off, optional, required"),
        (&["--instance", "21"], "NAME@ADDRESS"),
        (
            &["--control", "127.0.0.1:0", "--instance", "21@8.8.8.8"],
            "127.0.0.0/8",
        ),
        (
            &["--control", "127.0.0.1:0", "--readers", "16"],
            "at most 15",
        ),
        (&["--control", "somewhere"], "--help"),
        (&["/no/such/file.toml"], "name a TOML file"),
    ];
    for (flags, next) in cases {
        let output = refused(flags).await;
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {told}");
        assert!(told.contains(next), "{flags:?}: {told}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let control = format!("127.0.0.1:{port}");
    let cases: [&[&str]; 3] = [
        &["--control", &control],
        &["--control", "127.0.0.1:0", "--dns-port", &port],
        &[
            "--control",
            "127.0.0.1:0",
            "--port",
            &port,
            "--instance",
            "a@127.0.0.1",
        ],
    ];
    for flags in cases {
        let output = refused(flags).await;
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{flags:?}: {told}");
        assert!(
            told.contains(&port) && told.contains("choose another"),
            "{told}"
        );
    }
}

#[tokio::test]
async fn a_file_describes_the_cluster_and_a_flag_goes_before_it() {
    let mut file = tempfile("cluster");
    file.1
        .write_all(
            b"engine = 'mysql'\ncluster_id = 'shop'\ndatabase = 'shop'\n\
              domain = 'abc123xyz.us-east-1.rds.amazonaws.com'\ntls = 'optional'\n\
              [[instance]]\nid = 'a21'\naddress = '127.77.0.21'\n\
              [[instance]]\nid = 'a22'\naddress = '127.77.0.22'\ntier = 3\n\
              [[user]]\nname = 'app'\npassword = 'from the file'\n",
        )
        .unwrap();
    let program = start(&[&file.0, "--database", "other"]).await;
    let cluster = ask(&program.control, "GET /api/cluster").await.json();
    assert_eq!(cluster["engine"], "mysql");
    assert_eq!(cluster["writer"], "a21");
    assert_eq!(cluster["instances"][1]["tier"], 3);
    assert_eq!(cluster["instances"][1]["address"], "127.77.0.22");
    let told = &program.introduction;
    for line in [
        "127.77.0.21 a21.abc123xyz.us-east-1.rds.amazonaws.com",
        "shop.cluster-ro-abc123xyz.us-east-1.rds.amazonaws.com",
        "'-pfrom the file' other",
        "/other?dns=127.0.0.1:",
    ] {
        assert!(told.contains(line), "{line} is not in: {told}");
    }
    std::fs::remove_file(&file.0).unwrap();
}

#[tokio::test]
async fn the_storage_begins_with_the_file_s_sql_and_a_reader_with_its_lag() {
    let mut file = tempfile("filled");
    file.1
        .write_all(
            b"sql = \"CREATE TABLE t (id int); INSERT INTO t VALUES (1)\"\n\
              tls = 'required'\nmax_connections = 50\n\
              [[instance]]\nid = 'w'\naddress = '127.77.1.21'\n\
              [[instance]]\nid = 'r'\naddress = '127.77.1.22'\nlag_ms = 200\n",
        )
        .unwrap();
    let program = start(&[&file.0]).await;
    let ledger = ask(&program.control, "GET /api/ledger").await.json();
    assert_eq!(ledger[1]["statement"], "INSERT INTO t VALUES (1)");
    let cluster = ask(&program.control, "GET /api/cluster").await.json();
    let reader = instance(&cluster, "r").expect("the reader");
    assert_eq!(reader["lag_ms"], 200);
    assert!(
        program
            .introduction
            .contains("sslmode=verify-full sslrootcert=")
    );

    std::fs::write(&file.0, "sql = 'CREATE TABLE t (id int); SELEKT 1'\n").unwrap();
    let output = refused(&[&file.0, "--control", "127.0.0.1:0"]).await;
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(
        told.contains("initial SQL") && told.contains("SELEKT"),
        "{told}"
    );
    std::fs::remove_file(&file.0).unwrap();
}

#[tokio::test]
async fn a_timeline_file_is_played_from_the_start() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/timelines/crash.toml");
    let program = start(&["--play", script]).await;
    wait_for(&program.control, |now| now["epoch"] == 1).await;
    let output = refused(&["--play", "/no/such/timeline.toml"]).await;
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("name a TOML file"), "{told}");
}

#[tokio::test]
async fn a_wrong_file_names_the_line_and_shows_no_password() {
    let mut file = tempfile("wrong");
    file.1
        .write_all(b"readers = 1\n[[user]]\nname = 'app'\npasword = 'hidden'\n")
        .unwrap();
    let output = refused(&[&file.0]).await;
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("line ") && told.contains("pasword"), "{told}");
    assert!(!told.contains("hidden"), "{told}");
    std::fs::remove_file(&file.0).unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn either_signal_ends_it_at_once_while_the_keyboard_is_silent() {
    for signal in ["-INT", "-TERM"] {
        let ready = tempfile("ready").0;
        std::fs::remove_file(&ready).unwrap();
        let mut child = command(&["--control", "127.0.0.1:0", "--ready-file", &ready])
            .spawn()
            .unwrap();
        let written = async {
            loop {
                if let Ok(text) = std::fs::read_to_string(&ready) {
                    return text;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let url = tokio::time::timeout(LIMIT, written).await.expect("ready");
        let control = url.trim().strip_prefix("http://").expect("a URL");
        // An open stream of events does not hold it up.
        let mut stream = tokio::net::TcpStream::connect(control).await.unwrap();
        let request = format!("GET /api/stream HTTP/1.1\r\nHost: {control}\r\n\r\n");
        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes())
            .await
            .unwrap();
        let id = child.id().unwrap().to_string();
        let killed = std::process::Command::new("kill")
            .args([signal, &id])
            .status();
        assert!(killed.unwrap().success());
        let ended = tokio::time::timeout(Duration::from_secs(5), child.wait()).await;
        assert_eq!(ended.expect("at once").unwrap().code(), Some(0), "{signal}");
        assert!(!std::path::Path::new(&ready).exists());
    }
}

fn tempfile(name: &str) -> (String, std::fs::File) {
    let path = format!(
        "{}/aurora-sim-{name}-{}.toml",
        env!("CARGO_TARGET_TMPDIR"),
        std::process::id()
    );
    let file = std::fs::File::create(&path).unwrap();
    (path, file)
}
