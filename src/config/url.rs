//! A configuration read from a URL.
//!
//! The grammar is libpq's rather than the web's: several hosts, each with a port, separated by
//! commas. It is read by hand for that reason, and so that no error can show a piece of a
//! password: whatever might belong to one is named, not quoted.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{
    Config, ConfigBuilder, Credentials, RootCertificates, TlsMode, duration, invalid, percent,
};
use crate::error::{Error, Result};
use crate::id::EngineKind;

/// Longer than any URL that makes sense, so that a hostile one costs little.
const MAX_URL_LENGTH: usize = 16 * 1024;

/// The keys of the query, as errors list them.
const KEYS: &str = "application_name, checkout_timeout, connect_timeout, custom_endpoint, dns, \
                    failover_timeout, idle_timeout, insights, insights_max, instance_pattern, \
                    keep_literals, max_lifetime, max_reader_lag, metrics, pool_max, \
                    pool_max_connecting, pool_max_waiting, pool_min_idle, probe_interval, \
                    probe_timeout, set.NAME, slow_per_second, slow_sample, slow_start, \
                    slow_statement, span_text, sqlcommenter, sslmode, sslrootcert, tier.INSTANCE, \
                    when_none, workload.NAME.KEY, writer_reads_percent, zone, zone.INSTANCE";

pub(super) fn parse(url: &str) -> Result<Config> {
    if url.len() > MAX_URL_LENGTH {
        return Err(invalid(format!(
            "the URL is longer than {MAX_URL_LENGTH} bytes: use the builder instead"
        )));
    }
    let parts = Parts::split(url)?;
    let mut builder = ConfigBuilder::new(parts.engine).credentials(parts.credentials()?);
    for host in parts.hosts.split(',') {
        if host.is_empty() {
            return Err(invalid(
                "a host is missing: write `user:password@host/database`, several hosts as \
                 `host1:port,host2:port`",
            ));
        }
        builder = builder.host(host);
    }
    if !parts.database.is_empty() {
        builder = builder.database(decode("the database name", parts.database)?);
    }
    let mut seen = BTreeSet::new();
    for pair in parts.query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = decode("a key after the `?`", key)?;
        let value = decode(&key, value)?;
        builder = apply(builder, &key, &value)?;
        if !seen.insert(key.clone()) {
            return Err(invalid(format!(
                "the key `{key}` is given twice: which one counts is anybody's guess, remove one"
            )));
        }
    }
    builder.build()
}

/// A URL cut at its separators, nothing decoded yet.
struct Parts<'a> {
    engine: EngineKind,
    user_info: &'a str,
    hosts: &'a str,
    database: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    fn split(url: &'a str) -> Result<Self> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(invalid(
                "the URL has no scheme: begin it with `postgres://` or `mysql://`",
            ));
        };
        let engine = match scheme {
            "postgres" | "postgresql" => EngineKind::Postgres,
            "mysql" => EngineKind::MySql,
            other => {
                // Text of another shape may be a piece of a URL with a password in it.
                let is_scheme = other.bytes().all(|byte| byte.is_ascii_lowercase());
                return Err(invalid(format!(
                    "the scheme{} is unknown: use `postgres`, `postgresql` or `mysql`",
                    if is_scheme {
                        format!(" `{other}`")
                    } else {
                        String::new()
                    }
                )));
            }
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        // A password with a bare `/`, `?` or `#` cuts the authority short and leaves its `@`
        // behind; nothing may be quoted then.
        if rest.contains('@') {
            return Err(invalid(
                "there is an `@` after the host: within user, password and values write `@` as \
                 %40, `/` as %2F, `?` as %3F, `#` as %23 and `%` as %25",
            ));
        }
        let Some((user_info, hosts)) = authority.rsplit_once('@') else {
            return Err(invalid(
                "the URL names no user: write `user:password@` before the host",
            ));
        };
        if rest.contains('#') {
            return Err(invalid(
                "the URL has a `#`, which has no meaning here: write it as %23 within a value",
            ));
        }
        // The query begins at the first `?`; later ones belong to it, as in an instance pattern.
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let database = path.strip_prefix('/').unwrap_or(path);
        if database.contains('/') {
            return Err(invalid(
                "the database name has a `/`: write it as %2F if it is part of the name",
            ));
        }
        Ok(Self {
            engine,
            user_info,
            hosts,
            database,
            query,
        })
    }

    fn credentials(&self) -> Result<Credentials> {
        match self.user_info.split_once(':') {
            Some((user, password)) => Ok(Credentials::new(
                decode("the user", user)?,
                decode("the password", password)?,
            )),
            None => Ok(Credentials::without_password(decode(
                "the user",
                self.user_info,
            )?)),
        }
    }
}

fn apply(builder: ConfigBuilder, key: &str, value: &str) -> Result<ConfigBuilder> {
    if let Some((family, name)) = key.split_once('.') {
        return apply_named(builder, (key, family, name), value);
    }
    let time = || {
        duration::parse(value)
            .ok_or_else(|| bad_value(key, value, "a whole number and a unit: 500ms, 30s, 2m, 1h"))
    };
    let timed = |builder: ConfigBuilder, set: fn(&mut super::Timing, Duration)| {
        let span = time()?;
        Ok(builder.timing(|timing| set(timing, span)))
    };
    if let Some(change) = observed(key, value)? {
        return Ok(builder.observe(change));
    }
    match key {
        "application_name" => Ok(builder.application_name(text(key, value)?)),
        "checkout_timeout" => timed(builder, |timing, span| timing.checkout_timeout = span),
        "connect_timeout" => timed(builder, |timing, span| timing.connect_timeout = span),
        "custom_endpoint" => Ok(builder.custom_endpoint(text(key, value)?)),
        "dns" => match value.parse() {
            Ok(server) => Ok(builder.dns_server(server)),
            Err(_) => Err(bad_value(key, value, "an address and a port: 127.0.0.1:53")),
        },
        "failover_timeout" => timed(builder, |timing, span| timing.failover_timeout = span),
        "idle_timeout" => timed(builder, |timing, span| timing.idle_timeout = span),
        "instance_pattern" => Ok(builder.instance_pattern(text(key, value)?)),
        "max_lifetime" => timed(builder, |timing, span| timing.max_lifetime = span),
        "max_reader_lag" => Ok(builder.max_reader_lag(time()?)),
        "pool_max" => Ok(builder.pool_max(count(key, value)?)),
        "pool_max_connecting" => Ok(builder.pool_max_connecting(count(key, value)?)),
        "pool_max_waiting" => Ok(builder.pool_max_waiting(count(key, value)?)),
        "pool_min_idle" => Ok(builder.pool_min_idle(count(key, value)?)),
        "probe_interval" => timed(builder, |timing, span| timing.probe_interval = span),
        "probe_timeout" => timed(builder, |timing, span| timing.probe_timeout = span),
        "slow_start" => timed(builder, |timing, span| timing.slow_start = span),
        "sslmode" => Ok(builder.tls(TlsMode::from_sslmode(value)?)),
        "sslrootcert" => {
            let path = text(key, value)?.into();
            Ok(builder.root_certificates(RootCertificates::PemFile(path)))
        }
        "when_none" => match value.parse() {
            Ok(rule) => Ok(builder.when_none(rule)),
            Err(allowed) => Err(bad_value(key, value, &allowed)),
        },
        "writer_reads_percent" => match u8::try_from(count(key, value)?) {
            Ok(percent) => Ok(builder.writer_reads_percent(percent)),
            Err(_) => Err(bad_value(key, value, "a percentage, 0 to 100")),
        },
        "zone" => Ok(builder.zone(text(key, value)?)),
        _ => Err(unknown(key)),
    }
}

/// A key that names what it is about behind a dot.
fn apply_named(
    mut builder: ConfigBuilder,
    (key, family, name): (&str, &str, &str),
    value: &str,
) -> Result<ConfigBuilder> {
    match family {
        "set" => Ok(builder.setting(name, value)),
        "tier" => match value.parse() {
            Ok(tier) => Ok(builder.instance_tier(name, tier)),
            Err(_) => Err(bad_value(key, value, "a promotion tier, 0 to 15")),
        },
        "workload" => {
            let (name, part) = name.split_once('.').unwrap_or((name, ""));
            let set = builder.change_workload(name, |workload| workload.set(part, value));
            match set {
                Ok(()) => Ok(builder),
                Err(allowed) => Err(bad_value(key, value, &allowed)),
            }
        }
        "zone" => Ok(builder.instance_zone(name, text(key, value)?)),
        _ => Err(unknown(key)),
    }
}

fn unknown(key: &str) -> Error {
    invalid(format!(
        "the key `{}` is unknown; known are: {KEYS}",
        key.escape_debug()
    ))
}

/// What a key changes of what is observed, if it is one of those.
fn observed(key: &str, value: &str) -> Result<Option<impl FnOnce(&mut super::Observe) + use<>>> {
    let is_flag = matches!(
        key,
        "insights" | "keep_literals" | "metrics" | "span_text" | "sqlcommenter"
    );
    let is_number = matches!(key, "insights_max" | "slow_per_second" | "slow_sample");
    if !is_flag && !is_number && key != "slow_statement" {
        return Ok(None);
    }
    let flag = match value {
        "on" => true,
        "off" => false,
        _ if is_flag => return Err(bad_value(key, value, "`on` or `off`")),
        _ => false,
    };
    let number = if is_number { count(key, value)? } else { 0 };
    let fits = u32::try_from(number);
    let Ok(small) = fits else {
        return Err(bad_value(key, value, "a smaller number"));
    };
    let span = match key {
        "slow_statement" => Some(
            duration::parse(value)
                .ok_or_else(|| bad_value(key, value, "a whole number and a unit: 500ms, 1s"))?,
        ),
        _ => None,
    };
    let key = key.to_owned();
    Ok(Some(move |observe: &mut super::Observe| match &*key {
        "insights" => observe.insights = flag,
        "insights_max" => observe.insights_max = number,
        "keep_literals" => observe.keep_literals = flag,
        "metrics" => observe.metrics = flag,
        "slow_per_second" => observe.slow_per_second = small,
        "slow_sample" => observe.slow_sample = small,
        "span_text" => observe.span_text = flag,
        "sqlcommenter" => observe.sqlcommenter = flag,
        _ => observe.slow_statement = span,
    }))
}

fn decode(what: &str, text: &str) -> Result<String> {
    percent::decode(text).ok_or_else(|| {
        invalid(format!(
            "{what} is not percent-encoded UTF-8: write a `%` itself as %25",
        ))
    })
}

fn text<'a>(key: &str, value: &'a str) -> Result<&'a str> {
    if value.is_empty() {
        return Err(bad_value(key, value, "a text that is not empty"));
    }
    Ok(value)
}

fn count(key: &str, value: &str) -> Result<usize> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse() {
        Ok(count) if digits => Ok(count),
        _ => Err(bad_value(key, value, "a whole number")),
    }
}

fn bad_value(key: &str, value: &str, allowed: &str) -> Error {
    invalid(format!(
        "the value `{}` of `{key}` makes no sense: give {allowed}",
        value.escape_debug()
    ))
}
