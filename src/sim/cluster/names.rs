//! The host names of a simulated cluster, in RDS's shape.

use crate::id::InstanceId;

/// What the names of one cluster are made of (Aurora User Guide, "Amazon Aurora connection
/// management").
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    cluster_id: String,
    /// The account's part, the region and the suffix: `abc123def456.us-east-1.rds.amazonaws.com`.
    domain: String,
}

impl Names {
    pub(crate) fn new(cluster_id: &str, domain: &str) -> Self {
        Self {
            cluster_id: cluster_id.to_ascii_lowercase(),
            domain: domain.to_ascii_lowercase(),
        }
    }

    /// A domain as RDS would give it to an account: the seed stands for the account.
    pub(crate) fn domain_of(seed: u64) -> String {
        const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
        let mut random = fastrand::Rng::with_seed(seed);
        let account: String = std::iter::once(LETTERS[random.usize(..26)])
            .chain((0..11).map(|_| LETTERS[random.usize(..LETTERS.len())]))
            .map(char::from)
            .collect();
        format!("{account}.us-east-1.rds.amazonaws.com")
    }

    pub(crate) fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    pub(crate) fn cluster_endpoint(&self) -> String {
        format!("{}.cluster-{}", self.cluster_id, self.domain)
    }

    pub(crate) fn reader_endpoint(&self) -> String {
        format!("{}.cluster-ro-{}", self.cluster_id, self.domain)
    }

    pub(crate) fn custom_endpoint(&self, name: &str) -> String {
        let name = name.to_ascii_lowercase();
        format!("{name}.cluster-custom-{}", self.domain)
    }

    pub(crate) fn instance_endpoint(&self, id: &InstanceId) -> String {
        format!("{id}.{}", self.domain)
    }

    /// All names that a certificate of the cluster has to cover.
    pub(crate) fn certificate_names(&self) -> Vec<String> {
        vec![
            self.cluster_endpoint(),
            self.reader_endpoint(),
            format!("*.{}", self.domain),
            format!("*.cluster-custom-{}", self.domain),
        ]
    }

    /// The DNS zone that all names are in: the domain without the account's part.
    pub(crate) fn zone(&self) -> &str {
        self.domain
            .split_once('.')
            .map_or(self.domain.as_str(), |(_, zone)| zone)
    }
}

/// Whether a text may be the name of a cluster or an instance, so that the host names made of it
/// are valid. Ours are shorter than a label could be, as other parts are added to them.
pub(crate) fn is_label(text: &str) -> bool {
    text.len() <= 50 && is_host_label(text)
}

/// Whether a text may be a label of a host name (RFC 1123, section 2.1; its length is by RFC
/// 1035, section 2.3.4, and that of a custom endpoint's name on Aurora).
pub(crate) fn is_host_label(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_shape_of_rds() {
        let names = Names::new("Demo", "abc123.eu-west-1.rds.amazonaws.com");
        assert_eq!(
            names.cluster_endpoint(),
            "demo.cluster-abc123.eu-west-1.rds.amazonaws.com"
        );
        assert_eq!(
            names.instance_endpoint(&"demo-instance-1".into()),
            "demo-instance-1.abc123.eu-west-1.rds.amazonaws.com"
        );
        assert_eq!(
            names.custom_endpoint("Reports"),
            "reports.cluster-custom-abc123.eu-west-1.rds.amazonaws.com"
        );
        assert_eq!(names.zone(), "eu-west-1.rds.amazonaws.com");
    }

    #[test]
    fn the_seed_stands_for_the_account() {
        assert_eq!(Names::domain_of(1), Names::domain_of(1));
        assert_ne!(Names::domain_of(1), Names::domain_of(2));
        for seed in 0..100 {
            let domain = Names::domain_of(seed);
            let account = domain.split('.').next().unwrap_or_default();
            assert!(is_label(account) && account.len() == 12, "{domain}");
        }
    }

    #[test]
    fn what_is_no_label_is_recognised() {
        for wrong in ["", "-a", "a-", "a.b", "a b", "ä", &"a".repeat(51)] {
            assert!(!is_label(wrong), "{wrong}");
        }
        assert!(is_label("shop-2"));
    }
}
