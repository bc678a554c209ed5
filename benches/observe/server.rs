//! The server: a real PostgreSQL of this run's own, or a simulated one.

use std::net::TcpStream;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::Context;
use aurora_driver::EngineKind;
use aurora_driver::postgres::tokio_postgres::{self, NoTls};
use aurora_driver::sim::SimCluster;

/// Its address, of which the last part is the name of the instance, and its port.
const ADDRESS: &str = "127.0.0.41";
const PORT: u16 = 54_341;

const SETTINGS: &str = "\
fsync = off
port = 54341
listen_addresses = '127.0.0.41'
cluster_name = '41'
unix_socket_directories = ''
shared_buffers = 32MB
max_connections = 100
dynamic_shared_memory_type = mmap
jit = off
";

/// Aurora's functions, as the tests against real servers have them.
const FUNCTIONS: &str = include_str!("../../tests/real/aurora.sql");

const PATIENCE: Duration = Duration::from_secs(30);

/// Runs until dropped.
pub(crate) enum Server {
    Real(#[expect(dead_code, reason = "it is held for its end")] Postgres),
    Simulated(SimCluster),
}

impl Server {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        match programs() {
            Some(programs) => Ok(Self::Real(Postgres::start(&programs).await?)),
            None => {
                let simulated = SimCluster::builder(EngineKind::Postgres).start().await?;
                Ok(Self::Simulated(simulated))
            }
        }
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Real(_) => format!(
                "postgres://app:bench@{ADDRESS}:{PORT}/postgres?instance_pattern=127.0.0.%3F"
            ),
            Self::Simulated(simulated) => simulated.url(),
        }
    }

    pub(crate) fn what(&self) -> &'static str {
        match self {
            Self::Real(_) => "a real PostgreSQL 15 on loopback",
            Self::Simulated(_) => "a simulated PostgreSQL in this process",
        }
    }
}

fn programs() -> Option<PathBuf> {
    let named = env::var_os("PG_BIN").map(PathBuf::from);
    let usual = Some(PathBuf::from("/usr/lib/postgresql/15/bin"));
    let mut places = [named, usual].into_iter().flatten();
    places.find(|place| place.join("initdb").exists())
}

/// A real server in a directory of its own.
pub(crate) struct Postgres {
    child: Child,
    directory: PathBuf,
}

impl Postgres {
    async fn start(programs: &Path) -> anyhow::Result<Self> {
        let name = format!("aurora-driver-observe-{}", std::process::id());
        let directory = env::temp_dir().join(name);
        fs::create_dir(&directory)?;
        let owner = owner()?;
        let give = |path: &Path| match owner {
            Some((user, group)) => chown(path, Some(user), Some(group)),
            None => Ok(()),
        };
        give(&directory)?;
        let command = |program: &str| {
            let mut command = Command::new(programs.join(program));
            command.current_dir(&directory).stdin(Stdio::null());
            command.stdout(Stdio::null()).stderr(Stdio::null());
            if let Some((user, group)) = owner {
                command.uid(user).gid(group);
            }
            command
        };
        let data = directory.join("data");
        let made = command("initdb")
            .args([
                "--no-sync",
                "--auth=trust",
                "--username=rdsadmin",
                "--encoding=UTF8",
            ])
            .arg(format!("--pgdata={}", data.display()))
            .status()?;
        anyhow::ensure!(made.success(), "initdb failed");
        let settings = data.join("postgresql.conf");
        fs::write(&settings, SETTINGS)?;
        give(&settings)?;
        let child = command("postgres")
            .arg(format!("-D{}", data.display()))
            .spawn()?;
        let server = Self { child, directory };
        server.prepare().await?;
        Ok(server)
    }

    async fn prepare(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        while TcpStream::connect((ADDRESS, PORT)).is_err() {
            anyhow::ensure!(began.elapsed() < PATIENCE, "the server does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let login = format!("host={ADDRESS} port={PORT} user=rdsadmin dbname=postgres");
        let (client, connection) = loop {
            match tokio_postgres::connect(&login, NoTls).await {
                Ok(open) => break open,
                Err(error) if began.elapsed() > PATIENCE => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let driving = tokio::spawn(connection);
        client
            .batch_execute("SET allow_system_table_mods = on")
            .await?;
        client.batch_execute(FUNCTIONS).await?;
        client.batch_execute("CREATE ROLE app LOGIN").await?;
        drop(client);
        driving.await?.context("the connection of the superuser")?;
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A fast shutdown: connections end with it.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-INT", &pid]).status();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// PostgreSQL refuses to run as root: the user and group to run it as.
fn owner() -> anyhow::Result<Option<(u32, u32)>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    if user.and_then(|line| line.split_whitespace().next()) != Some("0") {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let find = |name: &str| {
        let mut lines = users
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>());
        let fields = lines.find(|fields| fields[0] == name)?;
        Some((fields[2].parse().ok()?, fields[3].parse().ok()?))
    };
    let owner = find("postgres").or_else(|| find("nobody"));
    Ok(Some(owner.context("there is nobody to run the server as")?))
}
