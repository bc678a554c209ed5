//! The MariaDB command line, where it is installed.

use std::path::Path;
use std::process::Output;

use tokio::process::Command;

use super::*;

/// Runs the command line with that script; `None`: there is none here.
async fn command_line(server: &Server, arguments: &[&str], script: &str) -> Option<Output> {
    let path = std::env::var_os("PATH")?;
    let program = std::env::split_paths(&path)
        .flat_map(|folder| ["mariadb", "mysql"].map(|name| folder.join(name)))
        .find(|program| program.is_file());
    let Some(program) = program else {
        println!("skipped: neither mariadb nor mysql is on the PATH");
        return None;
    };
    let mut command = Command::new(program);
    command
        .arg("--no-defaults")
        .args(["-h", "127.0.0.1", "-u", "app", "-psecret"])
        .args(["-P", &server.address.port().to_string()])
        .args(arguments)
        .args(["-e", script, "shop"])
        .kill_on_drop(true);
    Some(within(command.output()).await.expect("it runs"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn the_command_line_logs_in_and_reads_rows() {
    let server = Server::start().await;
    let script = "CREATE TABLE item (id BIGINT, name VARCHAR(50)); \
                  INSERT INTO item VALUES (1, 'one'), (2, NULL); \
                  SELECT * FROM item ORDER BY id";
    // Without -A it asks for the fields of every table.
    let Some(output) = command_line(&server, &["--skip-ssl", "--batch"], script).await else {
        return;
    };
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "id\tname\n1\tone\n2\tNULL\n");
}

#[tokio::test]
async fn the_command_line_logs_in_over_tls_and_checks_the_certificate() {
    let server = Server::start().await;
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), &server.certificate).expect("written");
    let authority = format!("--ssl-ca={}", Path::new(file.path()).display());
    let arguments = ["--ssl", authority.as_str(), "--batch", "-N"];
    let Some(output) = command_line(&server, &arguments, "SELECT 1").await else {
        return;
    };
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "1\n");
}

#[tokio::test]
async fn the_command_line_shows_errors_with_number_and_state() {
    let server = Server::start().await;
    let arguments = ["--skip-ssl", "-A", "-pguess"];
    let Some(output) = command_line(&server, &arguments, "SELECT 1").await else {
        return;
    };
    assert!(!output.status.success());
    let shown = text(&output.stderr);
    assert!(shown.contains("ERROR 1045 (28000)"), "{shown}");
    assert!(
        shown.contains("Access denied for user 'app'@'127.0.0.1'"),
        "{shown}"
    );
}
