//! Hostile and excessive input: an error, never a panic, a hang or a flood.

use super::*;

const BOTH: [EngineKind; 2] = [EngineKind::Postgres, EngineKind::MySql];

#[tokio::test]
async fn chains_and_nests_of_any_length_give_an_error_or_an_answer() {
    for engine in BOTH {
        let mut client = Bench::new(engine).session();
        let sum = |count: usize| format!("SELECT {}1", "1+".repeat(count));
        assert_eq!(client.number(&sum(400)).await, 401);
        client.err(&sum(100_000)).await;
        client
            .err(&format!(
                "SELECT {}1{}",
                "(".repeat(50_000),
                ")".repeat(50_000)
            ))
            .await;
        client
            .err(&format!("SELECT {}1", "(1)+".repeat(50_000)))
            .await;
        client
            .err(&format!("SELECT {} true", "NOT ".repeat(50_000)))
            .await;
        client
            .err(&format!("SELECT {}1", "- ".repeat(50_000)))
            .await;
        client
            .err(&format!("SELECT 1 {}", "UNION SELECT 1 ".repeat(5_000)))
            .await;
        client
            .err(&format!("SELECT {}1", "CASE WHEN true THEN ".repeat(5_000)))
            .await;
        let chain = "id = 1 OR ".repeat(400);
        let query = format!("SELECT count(*) FROM (SELECT 1 AS id) t WHERE {chain} id = 2");
        assert_eq!(client.number(&query).await, 1);
    }
}

#[tokio::test]
async fn long_lists_are_no_deep_trees() {
    for engine in BOTH {
        let mut client = Bench::new(engine).session();
        client
            .ok("CREATE TABLE t (id INT PRIMARY KEY, v INT)")
            .await;
        let rows: Vec<String> = (0..5_000).map(|id| format!("({id}, -{id} + 1)")).collect();
        client
            .ok(&format!("INSERT INTO t VALUES {}", rows.join(", ")))
            .await;
        let ids: Vec<String> = (0..5_000).map(|id| id.to_string()).collect();
        let query = format!("SELECT count(*) FROM t WHERE id IN ({})", ids.join(","));
        assert_eq!(client.number(&query).await, 5_000);
    }
}

#[tokio::test]
async fn garbage_is_a_syntax_error() {
    for engine in BOTH {
        let mut client = Bench::new(engine).session();
        for garbage in [
            "\0",
            "'",
            "\"",
            "`",
            "/*",
            "$$",
            "$1$",
            "SELECT '",
            "SELECT \0",
            "\u{feff}SELECT 1 1",
            "é",
            "SELECT 1 FROM",
            "((((",
            "))",
            ";;;)",
            "SELECT $",
            "SELECT :x",
            "{}",
            "\\",
        ] {
            let error = client.err(garbage).await;
            assert!(!error.message.is_empty(), "{garbage:?}");
        }
        assert!(client.0.parse("").expect("nothing").is_empty());
        assert!(
            client
                .0
                .parse(" ; ;; -- only this\n")
                .expect("nothing")
                .is_empty()
        );
    }
}

#[tokio::test]
async fn quotes_and_comments_hide_semicolons() {
    let mut client = Bench::new(EngineKind::Postgres).session();
    let script = "SELECT ';' AS a; -- ;\nSELECT /* ; */ 2 AS \";\"; SELECT $$;$$;";
    let statements = client.0.parse(script).expect("three statements");
    assert_eq!(statements.len(), 3);
    assert_eq!(statements[1].text(), "SELECT /* ; */ 2 AS \";\"");
    let mut client = Bench::new(EngineKind::MySql).session();
    let script = "SELECT 'it\\';' ; # ;\nSELECT `;` FROM (SELECT 1 AS `;`) t";
    assert_eq!(client.0.parse(script).expect("two statements").len(), 2);
}

#[tokio::test]
async fn a_syntax_error_has_its_position_in_characters() {
    let mut client = Bench::new(EngineKind::Postgres).session();
    let error = client.0.parse("SELECT 'ä',\n  1 1").expect_err("an error");
    assert_eq!(error.sqlstate, "42601");
    assert_eq!(error.position, Some(17));
}

#[tokio::test]
async fn an_endless_query_is_cancelled() {
    let mut client = Bench::new(EngineKind::Postgres).session();
    let endless = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n FROM t) \
                   SELECT count(*) FROM t";
    let error = client.err(endless).await;
    assert_eq!(error.sqlstate, "57014");
    assert_eq!(client.number("SELECT 1").await, 1);
}

#[tokio::test]
async fn a_wrong_number_of_parameters_is_refused() {
    for (engine, query) in [
        (EngineKind::Postgres, "SELECT $1::int + $2::int"),
        (EngineKind::MySql, "SELECT ? + ?"),
    ] {
        let mut client = Bench::new(engine).session();
        let error = client
            .run_with(query, &[Value::Integer(1)])
            .await
            .expect_err("an error");
        assert!(matches!(error.number, 0 | 1210), "{error}");
    }
    let mut client = Bench::new(EngineKind::Postgres).session();
    assert_eq!(client.err("SELECT $70000").await.sqlstate, "42P02");
    assert_eq!(client.err("SELECT $0").await.sqlstate, "42P02");
}

#[tokio::test]
async fn texts_with_zero_bytes_stay_whole() {
    let mut client = Bench::new(EngineKind::MySql).session();
    client.ok("CREATE TABLE t (v TEXT)").await;
    let text = Value::Text("a\0b".to_owned());
    client
        .run_with("INSERT INTO t VALUES (?)", std::slice::from_ref(&text))
        .await
        .expect("a row");
    assert_eq!(client.rows("SELECT v FROM t").await, [[text]]);
}

#[tokio::test]
async fn a_value_cannot_outgrow_its_bound() {
    let mut client = Bench::new(EngineKind::Postgres).session();
    let grow = "SELECT length(string_agg(repeat('x', 10000000), '')) FROM generate_series(1, 20)";
    let error = client.err(grow).await;
    assert_eq!(error.sqlstate, "54000");
    let grow = "SELECT length(repeat('x', 2000000000))";
    assert_eq!(client.err(grow).await.sqlstate, "54000");
}
