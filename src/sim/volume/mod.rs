//! The shared storage volume: one SQLite file in WAL mode that all instances of a cluster open.

/// The storage of one cluster.
#[derive(Debug)]
pub(crate) struct Volume {
    path: tempfile::TempPath,
}

impl Volume {
    pub(crate) fn create() -> std::io::Result<Self> {
        let path = tempfile::NamedTempFile::new()?.into_temp_path();
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        &self.path
    }
}
