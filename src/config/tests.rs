use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::*;

const RDS: &str = "demo.cluster-abc123.eu-west-1.rds.amazonaws.com";

fn url(text: &str) -> Config {
    Config::from_url(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refusal(text: &str) -> String {
    match Config::from_url(text) {
        Ok(config) => panic!("{text} was taken for {config:?}"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Config, "{text}");
            error.to_string()
        }
    }
}

async fn password(config: &Config) -> Option<String> {
    let password = config.credentials.password_for("i-1", 1).await.unwrap();
    password.map(|password| password.expose_secret().to_owned())
}

#[tokio::test]
async fn a_full_url_is_read_to_its_last_key() {
    let config = url(&format!(
        "postgresql://app:p%40ss%2Fw:rd@{RDS},[::1]:6000,10.0.0.7/shop%20db?sslmode=verify-full\
         &sslrootcert=/etc/ssl/global-bundle.pem&dns=127.0.0.1:5353&instance_pattern=?.db.internal:3307\
         &pool_max=20&pool_min_idle=2&checkout_timeout=3s&connect_timeout=750ms&failover_timeout=2m\
         &probe_interval=2s&probe_timeout=1s&idle_timeout=5m&max_lifetime=1h&max_reader_lag=200ms\
         &custom_endpoint=reports.db.internal&application_name=check%26out&set.work_mem=64MB&set.my.flag=a%3Db"
    ));
    assert_eq!(config.engine, EngineKind::Postgres);
    let seeds: Vec<_> = config.seeds.iter().map(ToString::to_string).collect();
    assert_eq!(
        seeds,
        [&format!("{RDS}:5432"), "[::1]:6000", "10.0.0.7:5432"]
    );
    assert_eq!(config.credentials.user(), "app");
    assert_eq!(password(&config).await.as_deref(), Some("p@ss/w:rd"));
    assert_eq!(config.database.as_deref(), Some("shop db"));
    assert_eq!(config.tls, TlsMode::VerifyFull);
    assert_eq!(
        config.root_certificates,
        Some(RootCertificates::PemFile(
            "/etc/ssl/global-bundle.pem".into()
        ))
    );
    assert_eq!(config.dns_server, Some("127.0.0.1:5353".parse().unwrap()));
    assert_eq!(
        config.instance_pattern.as_deref(),
        Some("?.db.internal:3307")
    );
    assert_eq!((config.pool.max, config.pool.min_idle), (20, 2));
    assert_eq!(config.timing.checkout_timeout, Duration::from_secs(3));
    assert_eq!(config.timing.connect_timeout, Duration::from_millis(750));
    assert_eq!(config.timing.failover_timeout, Duration::from_secs(120));
    assert_eq!(config.timing.probe_interval, Duration::from_secs(2));
    assert_eq!(config.timing.probe_timeout, Duration::from_secs(1));
    assert_eq!(config.timing.idle_timeout, Duration::from_secs(300));
    assert_eq!(config.timing.max_lifetime, Duration::from_secs(3600));
    assert_eq!(config.max_reader_lag, Some(Duration::from_millis(200)));
    assert_eq!(
        config.custom_endpoint.as_deref(),
        Some("reports.db.internal")
    );
    assert_eq!(config.application_name.as_deref(), Some("check&out"));
    let settings: Vec<_> = config.settings.iter().collect();
    assert_eq!(
        settings,
        [
            (&"my.flag".to_owned(), &"a=b".to_owned()),
            (&"work_mem".to_owned(), &"64MB".to_owned())
        ]
    );
}

#[tokio::test]
async fn url_and_builder_end_in_the_same_configuration() {
    let read = url(
        "mysql://app:secret@127.0.0.1:3307/shop?pool_max=4&connect_timeout=2s&custom_endpoint=jobs",
    );
    let built = Config::builder(EngineKind::MySql)
        .host("127.0.0.1:3307")
        .credentials(Credentials::new("app", "secret"))
        .database("shop")
        .pool_max(4)
        .custom_endpoint("jobs")
        .timing(|timing| timing.connect_timeout = Duration::from_secs(2))
        .build()
        .unwrap();
    assert_eq!(format!("{read:?}"), format!("{built:?}"));
    assert_eq!(password(&read).await, password(&built).await);
}

#[test]
fn workloads_and_labels_are_the_same_in_a_url_and_built() {
    let read = url(
        "mysql://app@localhost?zone=a&zone.db-1=b&tier.db-1=15&when_none=wait\
         &writer_reads_percent=30&workload.jobs.tiers=2-15&workload.jobs.pool_max=2\
         &workload.jobs.max_lag=30s&workload.jobs.when_none=readers\
         &workload.reports.instances=db-1,DB-2&workload.all.pool_min_idle=1",
    );
    let mut all = Workload::new();
    all.pool.min_idle = 1;
    let jobs = Workload::new()
        .tiers(2..=15)
        .pool_max(2)
        .max_lag(Duration::from_secs(30))
        .when_none(WhenNone::Readers);
    let built = Config::builder(EngineKind::MySql)
        .host("localhost")
        .credentials(Credentials::without_password("app"))
        .zone("a")
        .instance_zone("db-1", "b")
        .instance_tier("db-1", 15)
        .when_none(WhenNone::Wait)
        .writer_reads_percent(30)
        .workload("jobs", jobs)
        .workload("reports", Workload::new().instances(["db-1", "db-2"]))
        .workload("all", all)
        .build()
        .unwrap();
    assert_eq!(format!("{read:?}"), format!("{built:?}"));
    assert_eq!(read.writer_reads_max(), Some(3));
    assert!(read.is_far(&"db-1".into()) && !read.is_far(&"db-2".into()));
    let (jobs, members) = read.for_workload("jobs", &read.workloads["jobs"]);
    assert_eq!(members, Some(["db-1".into()].into()));
    assert_eq!((jobs.pool.max, jobs.workloads.len()), (2, 0));
}

#[test]
fn the_port_is_the_engines_unless_given() {
    assert_eq!(url("mysql://app@localhost").seeds[0].port, 3306);
    assert_eq!(url("postgres://app@localhost").seeds[0].port, 5432);
    assert_eq!(url("postgres://app@localhost:1").seeds[0].port, 1);
}

#[test]
fn tls_is_off_by_default_only_when_every_seed_is_this_machine() {
    for local in [
        "localhost",
        "LOCALHOST.",
        "127.0.0.9",
        "[::1]",
        "127.0.0.2,localhost",
    ] {
        let config = url(&format!("mysql://app@{local}"));
        assert_eq!(config.tls, TlsMode::Disable, "{local}");
    }
    for other in [RDS, "10.0.0.1", "127.0.0.1,10.0.0.1", "localhost.example"] {
        let message = refusal(&format!("mysql://app@{other}"));
        assert!(
            message.contains("global-bundle.pem") && message.contains("sslrootcert"),
            "{message}"
        );
        let config = url(&format!("mysql://app@{other}?sslrootcert=/ca.pem"));
        assert_eq!(config.tls, TlsMode::VerifyFull, "{other}");
    }
}

#[test]
fn certificates_named_for_a_local_server_turn_tls_on() {
    assert_eq!(
        url("mysql://app@127.0.0.1?sslrootcert=/ca.pem").tls,
        TlsMode::VerifyFull
    );
}

#[test]
fn require_verifies_the_name_and_weaker_modes_are_refused_with_the_next_step() {
    let with = |mode: &str| format!("postgres://app@db.example?sslrootcert=/ca.pem&sslmode={mode}");
    assert_eq!(url(&with("require")).tls, TlsMode::VerifyFull);
    assert_eq!(url(&with("disable")).tls, TlsMode::Disable);
    for weak in ["prefer", "allow", "verify-ca"] {
        let message = refusal(&with(weak));
        assert!(
            message.contains(weak) && message.contains("use `verify-full`"),
            "{message}"
        );
    }
    assert!(refusal(&with("on")).contains("`on` is unknown"));
}

#[test]
fn a_bad_query_is_refused_with_the_key_the_value_and_what_is_allowed() {
    for (query, needles) in [
        ("poolmax=1", ["`poolmax` is unknown", "pool_max"]),
        ("pool_max=1&pool_max=2", ["`pool_max`", "twice"]),
        ("pool_max=many", ["`many` of `pool_max`", "whole number"]),
        ("pool_max=%2B5", ["`+5` of `pool_max`", "whole number"]),
        ("pool_max=0", ["pool_max is 0", "1 to"]),
        ("pool_max=", ["`pool_max`", "whole number"]),
        (
            "pool_max=1&pool_min_idle=2",
            ["pool_min_idle is 2", "pool_max"],
        ),
        ("connect_timeout=5", ["`5` of `connect_timeout`", "500ms"]),
        ("connect_timeout=0s", ["connect_timeout is 0ns", "24h"]),
        ("checkout_timeout=25h", ["checkout_timeout", "24h"]),
        ("probe_interval=10ms", ["probe_interval is 10ms", "100ms"]),
        ("dns=127.0.0.1", ["`127.0.0.1` of `dns`", "127.0.0.1:53"]),
        ("dns=resolver:53", ["`resolver:53` of `dns`", "address"]),
        ("custom_endpoint=", ["`custom_endpoint`", "not empty"]),
        ("custom_endpoint=10.0.0.7", ["custom_endpoint", "address"]),
        ("custom_endpoint=a.b:3306", ["custom_endpoint", "host name"]),
        ("application_name=", ["`application_name`", "not empty"]),
        ("application_name=%zz", ["application_name", "%25"]),
        ("when_none=never", ["`never` of `when_none`", "readers"]),
        (
            "writer_reads_percent=101",
            ["writer_reads_percent is 101", "0 to 100"],
        ),
        ("writer_reads_percent=999", ["`999`", "0 to 100"]),
        ("zone=", ["`zone`", "not empty"]),
        ("tier.a=16", ["tier 16 of `a`", "0 to 15"]),
        ("tier.a=x", ["`x` of `tier.a`", "0 to 15"]),
        ("colour.a=x", ["`colour.a` is unknown", "zone.INSTANCE"]),
        ("workload.a=1", ["`workload.a`", "pool_max"]),
        ("workload.a.pool_max=0", ["workload `a`", "1 to"]),
        ("workload.a.tiers=3-2", ["workload `a`", "0 to 15"]),
        (
            "workload.a.tiers=2-9&tier.b=1",
            ["workload `a`", "`tier.INSTANCE=9`"],
        ),
        ("workload.a.tiers=x", ["`x` of `workload.a.tiers`", "2-15"]),
        ("workload.a.instances=", ["workload `a`", "at least one"]),
        (
            "workload.a.max_lag=1",
            ["`1` of `workload.a.max_lag`", "30s"],
        ),
        (
            "workload.a.custom_endpoint=10.0.0.7",
            ["custom_endpoint", "address"],
        ),
        ("set.=1", ["name of a session setting", "letters"]),
        ("set.a%3Bdrop=1", ["`a;drop`", "letters"]),
        ("set.a=%00", ["zero byte", "remove"]),
    ] {
        let message = refusal(&format!("mysql://app@localhost?{query}"));
        for needle in needles {
            assert!(message.contains(needle), "{query}: {message}");
        }
    }
}

#[test]
fn a_url_that_is_no_url_is_refused_with_the_next_step() {
    for (text, needle) in [
        ("", "no scheme"),
        ("localhost/db", "no scheme"),
        ("oracle://app@db", "`oracle` is unknown"),
        ("mysql://localhost", "names no user"),
        ("mysql://:secret@localhost", "no user is given"),
        ("mysql://app@", "a host is missing"),
        ("mysql://app@localhost,", "a host is missing"),
        ("mysql://app@localhost:none", "no port"),
        ("mysql://app@::1", "brackets"),
        ("mysql://app@localhost/a/b", "%2F"),
        ("mysql://app@localhost/db#part", "%23"),
        ("mysql://a%00b@localhost", "zero byte"),
        ("mysql://app:%00@localhost", "zero byte"),
        ("mysql://%zz@localhost", "percent-encoded"),
    ] {
        let message = refusal(text);
        assert!(message.contains(needle), "{text}: {message}");
    }
    let many = vec!["localhost"; 65].join(",");
    assert!(refusal(&format!("mysql://app@{many}")).contains("65 hosts"));
    assert!(refusal(&format!("mysql://app@{}", "x".repeat(20_000))).contains("longer than"));
}

#[test]
fn no_error_and_no_debug_output_shows_a_piece_of_the_password() {
    for unescaped in [
        "hunter2/x",
        "hunter2?x",
        "hunter2#x",
        "x@hunter2/y",
        "x@y/hunter2",
        "x@y?hunter2=1",
        "x@y#hunter2",
        "%hunter2",
    ] {
        let message = refusal(&format!(
            "mysql://app:{unescaped}@localhost:3306/db?pool_max=x"
        ));
        assert!(!message.contains("hunter2"), "{unescaped}: {message}");
    }
    assert!(!refusal("app:hunter2@x://").contains("hunter2"));
    let config = url("mysql://app:hunter2@localhost");
    assert!(!format!("{config:?} {config:#?}").contains("hunter2"));
}

#[test]
fn a_changed_configuration_is_checked_again() {
    let mut config = url("mysql://app@localhost");
    config.tls = TlsMode::VerifyFull;
    let message = config.validate().unwrap_err().to_string();
    assert!(message.contains("global-bundle.pem"), "{message}");

    let mut config = url("mysql://app@localhost");
    config.seeds.push(HostPort::new("not a host", 1));
    assert!(config.validate().is_err());
    config.seeds.clear();
    let message = config.validate().unwrap_err().to_string();
    assert!(message.contains("no host"), "{message}");
}

#[test]
fn a_builder_without_credentials_says_so() {
    let error = Config::builder(EngineKind::MySql).host("localhost").build();
    assert!(error.unwrap_err().to_string().contains("credentials"));
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let config = url("mysql://app@localhost");
    assert_eq!(config.pool.max, 10);
    assert_eq!(config.pool.min_idle, 0);
    assert_eq!(config.pool.max_connecting, 8);
    assert_eq!(config.timing, Timing::default());
    assert_eq!(config.timing.checkout_timeout, Duration::from_secs(30));
    assert_eq!(config.timing.dns_max_ttl, Duration::from_secs(5));
    assert_eq!(config.max_reader_lag, None);
    assert_eq!(config.custom_endpoint, None);
    assert_eq!(config.database, None);
}

proptest! {
    #[test]
    fn no_text_makes_the_url_parser_panic(text in ".*", tail in ".*") {
        for url in [text.clone(), format!("mysql://{text}@{tail}"), format!("mysql://a@b?{text}={tail}")] {
            let _ = Config::from_url(&url);
        }
    }

    #[test]
    fn no_separator_within_a_password_makes_an_error_show_it(
        before in "[@:/?#%&=,a\\[\\]]{0,4}",
        after in "[@:/?#%&=,a\\[\\]]{0,4}",
        rest in "(:port)?(/db)?(\\?(pool_max=x|sslmode=y|other=z))?",
    ) {
        let url = format!("postgres://app:{before}hunter2{after}@localhost{rest}");
        if let Err(error) = Config::from_url(&url) {
            prop_assert!(!format!("{error} {error:?}").contains("hunter2"), "{url}: {error}");
        }
    }
}
