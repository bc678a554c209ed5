//! PostgreSQL's own command line, where it is installed.

use std::process::Stdio;

use tokio::process::Command;

use super::{PASSWORD, Server, soon};

/// Runs psql on a script; `None`, with a note, where there is no psql.
async fn psql(server: &Server, script: &str) -> Option<(bool, String, String)> {
    let command = Command::new("psql")
        .args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", script])
        .env("PGHOST", server.address.ip().to_string())
        .env("PGPORT", server.address.port().to_string())
        .env("PGUSER", "app")
        .env("PGDATABASE", "main")
        .env("PGPASSWORD", PASSWORD)
        .env("PGCONNECT_TIMEOUT", "10")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    match soon("the end of psql", command).await {
        Ok(output) => Some((
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )),
        Err(error) => {
            println!("skipped: psql cannot be run here ({error})");
            None
        }
    }
}

#[tokio::test]
async fn psql_logs_in_and_reads_what_it_wrote() {
    let server = Server::start().await;
    let script = "create table t (id int primary key, name text); \
                  insert into t values (1, 'one'), (2, null); \
                  select id, name from t order by id";
    if let Some((success, output, errors)) = psql(&server, script).await {
        assert!(success, "{errors}");
        assert!(output.ends_with("1|one\n2|\n"), "{output}");
    }
}

#[tokio::test]
async fn psql_shows_an_error_with_its_code() {
    let server = Server::start().await;
    if let Some((success, _, errors)) = psql(&server, "select * from nowhere").await {
        assert!(!success);
        assert!(errors.starts_with("ERROR:"), "{errors}");
        assert!(errors.contains("nowhere"), "{errors}");
    }
}
