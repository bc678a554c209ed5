//! The comment behind a statement by which the database's own tools find out who sent it: the
//! sqlcommenter specification (google.github.io/sqlcommenter/spec).

use std::fmt::Write;

tokio::task_local! {
    static TAGS: Vec<(String, String)>;
}

/// How many tags of a caller's a comment takes, and how long it may be.
const TAGS_MAX: usize = 16;
const LENGTH_MAX: usize = 1024;

/// Runs `work`, and lets the statements that it sends carry these tags in their comments, where
/// [`Observe::sqlcommenter`](crate::config::Observe::sqlcommenter) is set: a `traceparent` for
/// example, or a `route`.
///
/// Tags within tags replace those around them. Tasks that `work` spawns do not have them.
///
/// ```
/// # use aurora_driver::sim::SimCluster;
/// use aurora_driver::observe::tagged;
/// use aurora_driver::{Cluster, Config, EngineKind, Postgres};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let simulated = SimCluster::builder(EngineKind::Postgres).start().await?;
/// let config = Config::from_url(&format!("{}&sqlcommenter=on", simulated.url()))?;
/// let cluster = Cluster::<Postgres>::new(config)?;
/// let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// tagged([("traceparent", traceparent)], async {
///     let writer = cluster.writer().await?;
///     writer.query_one("SELECT 1", &[]).await?;
///     Ok::<_, aurora_driver::Error>(())
/// })
/// .await?;
/// # Ok(())
/// # }
/// ```
///
/// # Cancellation
///
/// As `work` itself.
pub async fn tagged<T>(
    tags: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    work: impl Future<Output = T>,
) -> T {
    let tags = tags.into_iter().take(TAGS_MAX);
    let tags = tags.map(|(key, value)| (key.into(), value.into()));
    TAGS.scope(tags.collect(), work).await
}

/// The comment, with the space before it: keys and values encoded, in the order of the keys, as
/// the specification has it.
pub(super) fn comment(application: Option<&str>) -> String {
    let mut pairs = vec![("db_driver".to_owned(), "aurora-driver".to_owned())];
    pairs.extend(application.map(|name| ("application".to_owned(), name.to_owned())));
    let _ = TAGS.try_with(|tags| pairs.extend(tags.iter().cloned()));
    let mut encoded: Vec<(String, String)> = pairs
        .iter()
        .map(|(key, value)| (encode(key), encode(value)))
        .collect();
    // The caller's own come last among equals, and win.
    encoded.sort_by(|one, other| one.0.cmp(&other.0));
    let mut comment = String::from(" /*");
    for (place, (key, value)) in encoded.iter().enumerate() {
        let is_replaced = encoded.get(place + 1).is_some_and(|next| next.0 == *key);
        if is_replaced || comment.len() + key.len() + value.len() > LENGTH_MAX {
            continue;
        }
        let separator = if comment.len() > 3 { "," } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(comment, "{separator}{key}='{value}'");
    }
    comment.push_str("*/");
    comment
}

/// Percent-encoded, so that nothing can end the comment, or its quotes.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// A text without the comment that it ends with.
pub(super) fn stripped(text: &[u8]) -> &[u8] {
    if !text.ends_with(b"*/") {
        return text;
    }
    let begin = text.windows(2).rposition(|pair| pair == b"/*");
    begin.map_or(text, |begin| text[..begin].trim_ascii_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_comment_has_its_pairs_in_order_and_nothing_can_break_out_of_it() {
        let plain = comment(Some("shop"));
        assert_eq!(plain, " /*application='shop',db_driver='aurora-driver'*/");
        let hostile = [("route", "/a*/; DROP TABLE t; --'"), ("a'b", "\u{e9}")];
        let made = tagged(hostile, async { comment(None) }).await;
        assert_eq!(
            made,
            " /*a%27b='%C3%A9',db_driver='aurora-driver',\
             route='%2Fa%2A%2F%3B%20DROP%20TABLE%20t%3B%20--%27'*/"
        );
        let own = tagged([("application", "other")], async { comment(Some("shop")) }).await;
        assert_eq!(own, " /*application='other',db_driver='aurora-driver'*/");
        let long = tagged([("k", "x".repeat(5_000))], async { comment(None) }).await;
        assert_eq!(long, " /*db_driver='aurora-driver'*/");
    }

    #[test]
    fn what_is_added_is_taken_away_again() {
        let text = format!("SELECT 1{}", comment(Some("a b")));
        assert_eq!(stripped(text.as_bytes()), b"SELECT 1");
        assert_eq!(stripped(b"SELECT 1"), b"SELECT 1");
        assert_eq!(stripped(b"*/"), b"*/");
        assert_eq!(stripped(b""), b"");
    }
}
