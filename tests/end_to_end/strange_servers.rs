//! Servers that speak the protocol and answer what makes no sense: a proxy, another database, a
//! broken or hostile one.

use std::sync::Arc;

use aurora_driver::{Cluster, ErrorKind, Postgres};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The type of a text column (PostgreSQL: `pg_type.dat`).
const TEXT_OID: i32 = 25;
/// Far more than any message of the driver's to such a server.
const MESSAGE_MAX: usize = 1 << 16;

/// Rows of an answer, all to one question; an empty value is NULL.
type Rows = &'static [&'static [&'static [u8]]];

/// What a server may say when it is asked about the cluster: which columns it has is told by the
/// first row.
const ANSWERS: [(&str, Rows); 8] = [
    ("no row", &[]),
    ("a row without columns", &[&[]]),
    ("one column only", &[&[b"t"]]),
    ("two columns", &[&[b"a", b"f"]]),
    ("a role that is none", &[&[b"a", b"maybe", b"1764000000"]]),
    ("a time that is none", &[&[b"a", b"f", b"noon"]]),
    ("a name that is no text", &[&[b"\xff", b"f", b"1764000000"]]),
    ("a role that is no text", &[&[b"a", b"\xff", b"1764000000"]]),
];

/// What is understood of the instance itself, with rows of its table that are not.
const TABLES: [(&str, Rows); 2] = [
    (
        "rows with too few columns",
        &[&[b"", b"f", b"1764000000"], &[b"b", b"t", b"1764000000"]],
    ),
    (
        "a row of nothing",
        &[&[b"", b"f", b"1764000000"], &[b"", b"", b""]],
    ),
];

fn message(kind: u8, body: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    let length = i32::try_from(body.len() + 4).unwrap();
    out.extend(length.to_be_bytes());
    out.extend(body);
}

/// PostgreSQL documentation, "Message Formats": `RowDescription`, `DataRow`, `CommandComplete`.
fn answer(rows: Rows) -> Vec<u8> {
    let columns = rows.first().map_or(0, |row| row.len());
    let mut out = Vec::new();
    let mut description = i16::try_from(columns).unwrap().to_be_bytes().to_vec();
    for _ in 0..columns {
        description.extend(b"column\0");
        description.extend([0; 6]);
        description.extend(TEXT_OID.to_be_bytes());
        description.extend((-1_i16).to_be_bytes());
        description.extend((-1_i32).to_be_bytes());
        description.extend([0; 2]);
    }
    message(b'T', &description, &mut out);
    for row in rows {
        let mut data = i16::try_from(row.len()).unwrap().to_be_bytes().to_vec();
        for value in *row {
            let length = match value.len() {
                0 => -1,
                length => i32::try_from(length).unwrap(),
            };
            data.extend(length.to_be_bytes());
            data.extend(*value);
        }
        message(b'D', &data, &mut out);
    }
    message(b'C', b"SELECT 1\0", &mut out);
    message(b'Z', b"I", &mut out);
    out
}

/// Lets everybody in and gives the same answer to all questions.
async fn serve(mut client: TcpStream, answer: Arc<Vec<u8>>) -> std::io::Result<()> {
    let length = client.read_i32().await?;
    read(&mut client, length).await?;
    let mut welcome = Vec::new();
    message(b'R', &0_i32.to_be_bytes(), &mut welcome);
    message(b'Z', b"I", &mut welcome);
    client.write_all(&welcome).await?;
    loop {
        let kind = client.read_u8().await?;
        let length = client.read_i32().await?;
        read(&mut client, length).await?;
        match kind {
            b'Q' => client.write_all(&answer).await?,
            b'X' => return Ok(()),
            _ => {}
        }
    }
}

async fn read(client: &mut TcpStream, length: i32) -> std::io::Result<()> {
    let length = usize::try_from(length - 4).unwrap();
    assert!(length <= MESSAGE_MAX, "a message of {length} bytes");
    let mut body = vec![0; length];
    client.read_exact(&mut body).await?;
    Ok(())
}

/// The URL of a server that says only this.
async fn start(rows: Rows) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer(rows));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(serve(client, Arc::clone(&answer)));
        }
    });
    format!("postgres://app:secret@{address}/shop?sslmode=disable")
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_an_error_that_says_so() {
    for (what, rows) in ANSWERS {
        let url = start(rows).await;
        let error = Cluster::<Postgres>::connect(&url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotAurora, "{what}: {error}");
    }
}

#[tokio::test]
async fn rows_of_a_table_that_make_no_sense_are_left_out() {
    for (what, rows) in TABLES {
        let url = start(rows).await;
        let cluster = Cluster::<Postgres>::connect(&url).await;
        let cluster = cluster.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(cluster.topology().instances().count(), 1, "{what}");
    }
}
