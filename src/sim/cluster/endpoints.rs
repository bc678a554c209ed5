//! Custom endpoints, and what the DNS says, rightly or not.

use std::time::Duration;

use crate::id::InstanceId;
use crate::sim::dns::{
    CustomEndpointKind, CustomEndpointMembers, DnsAnswer, DnsFault, DnsFaultGuard,
};
use crate::sim::world::{Command, Refusal};

use super::names::is_host_label;
use super::shell::Shared;
use super::{SimCluster, SimError};

impl SimCluster {
    /// Adds a custom endpoint and returns its host name,
    /// `<name>.cluster-custom-<account>.<region>...`. Each query is answered with another of its
    /// members that is up, as found by the last health check
    /// ([`Timeline::dns_health_check`](crate::sim::Timeline::dns_health_check)), and has the role
    /// asked for, as far as the DNS knows; with no address at all while there is none.
    ///
    /// Members keep their place through crashes and promotions (Aurora User Guide, "Amazon Aurora
    /// connection management"). A member that is renamed loses it, as members are listed by name.
    ///
    /// ```
    /// use aurora_driver::EngineKind;
    /// use aurora_driver::sim::{CustomEndpointKind, CustomEndpointMembers, SimCluster};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster = SimCluster::builder(EngineKind::MySql).readers(2).start().await?;
    /// let members = CustomEndpointMembers::fixed(["demo-instance-3"]);
    /// let host = cluster.custom_endpoint("reports", CustomEndpointKind::Reader, members)?;
    /// assert!(host.starts_with("reports.cluster-custom-"));
    /// # cluster.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The name is taken, or not 1 to 63 letters, digits and hyphens; the cluster has five custom
    /// endpoints already; or one of the instances named does not exist.
    pub fn custom_endpoint(
        &self,
        name: &str,
        kind: CustomEndpointKind,
        members: CustomEndpointMembers,
    ) -> Result<String, SimError> {
        self.shared.add_custom_endpoint(name, kind, members)
    }

    /// Deletes a custom endpoint, given the name that it was added with. Its host name no longer
    /// exists; connections made through it stay.
    ///
    /// # Errors
    ///
    /// There is no such custom endpoint.
    pub fn remove_custom_endpoint(&self, name: &str) -> Result<(), SimError> {
        Ok(self.shared.zone.write().remove_custom(name)?)
    }

    /// What the DNS answers for each of the cluster's names now: the cluster endpoint, the reader
    /// endpoint, the custom endpoints, the instances. Asking does not pass the turn of an endpoint
    /// on. [`DnsFault::Wrong`] shows; the other faults are about answers as such and do not.
    pub fn dns_answers(&self) -> Vec<DnsAnswer> {
        self.shared.zone.read().answers()
    }

    /// How long resolvers may remember the record of one host name: whole seconds, the rest is
    /// cut off. All records begin with Aurora's 5 s; 1 s has been seen at reader endpoints.
    ///
    /// # Errors
    ///
    /// The cluster has no such name.
    pub fn set_dns_ttl(&self, host: &str, ttl: Duration) -> Result<(), SimError> {
        Ok(self.shared.zone.write().set_ttl(host, ttl)?)
    }

    /// Changes [`Timeline::dns_flip`](crate::sim::Timeline::dns_flip) for the promotions that are
    /// decided from now on.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn set_dns_flip(&self, delay: Duration) -> Result<(), SimError> {
        Ok(self.shared.perform(Command::SetDnsFlip(delay))?)
    }

    /// Breaks the cluster's DNS server until the guard is dropped. Of several faults the one that
    /// began last counts; delays add up.
    ///
    /// ```
    /// use aurora_driver::EngineKind;
    /// use aurora_driver::sim::{DnsFault, SimCluster};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster = SimCluster::builder(EngineKind::MySql).start().await?;
    /// let broken = cluster.break_dns(DnsFault::ServFail);
    /// // Whoever resolves a name now gets an error.
    /// drop(broken);
    /// # cluster.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn break_dns(&self, fault: DnsFault) -> DnsFaultGuard {
        DnsFaultGuard::new(self.shared.zone.clone(), fault)
    }
}

impl Shared {
    pub(super) fn add_custom_endpoint(
        &self,
        name: &str,
        kind: CustomEndpointKind,
        members: CustomEndpointMembers,
    ) -> Result<String, SimError> {
        if !is_host_label(name) {
            return Err(SimError::Refused(format!(
                "custom endpoint `{name}`: use 1 to 63 letters, digits and hyphens"
            )));
        }
        let world = self.world();
        let exists = |id: &InstanceId| world.instances().any(|(known, _, _)| known == id);
        if let Some(unknown) = members.named().iter().find(|id| !exists(id)) {
            return Err(Refusal::Unknown(unknown.clone()).into());
        }
        drop(world);
        Ok(self.zone.write().add_custom(name, kind, members)?)
    }
}

#[cfg(test)]
mod tests;
