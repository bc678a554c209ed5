//! Where a test stands: the programs found, the user that runs servers, a directory, and, where
//! the machine allows it, namespaces of its own for network and processes.
//!
//! Each test runs in a process of its own. In its namespaces it is process 1: when it ends,
//! however it ends, the kernel ends every server with it.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use std::{env, fs};

/// Set for the process that is the test: its directory.
const DIRECTORY: &str = "AURORA_DRIVER_REAL_DIRECTORY";
/// Set with it where the process has namespaces of its own.
const PRIVATE: &str = "AURORA_DRIVER_REAL_PRIVATE";
/// `1` makes missing programs a failure, `0` leaves the tests out in any case.
const DEMANDED: &str = "AURORA_DRIVER_REAL";

/// Far beyond any test: whoever takes longer hangs.
const TEST_TIMEOUT: Duration = Duration::from_secs(300);

/// Servers disturb each other's times, and without namespaces they need the same addresses.
static TURN: Mutex<()> = Mutex::new(());

/// What a test needs of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Postgres,
    MariaDb,
    /// Packets can be dropped: a network of one's own, and nftables.
    Cuts,
}

/// The user that owns servers' files and runs them.
#[derive(Debug, Clone, Copy)]
struct Owner {
    user: u32,
    group: u32,
}

/// Where a test stands.
#[derive(Debug)]
pub(crate) struct Ground {
    directory: PathBuf,
    owner: Option<Owner>,
}

impl Ground {
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// A command that runs as the owner of the servers, in a known environment.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.directory)
            .env_clear()
            .env("PATH", path())
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        if let Some(owner) = self.owner {
            command.uid(owner.user).gid(owner.group);
        }
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, program: &Path, arguments: &[&str]) {
        let mut command = self.command(program);
        let output = command.args(arguments).output();
        let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        assert!(
            output.status.success(),
            "{} {arguments:?} failed:\n{}{}",
            program.display(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Writes a file that the servers may read.
    pub(crate) fn write(&self, path: &Path, text: &str) {
        fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self.give(path);
    }

    pub(crate) fn make_directory(&self, path: &Path) {
        fs::create_dir_all(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("it is ours");
        self.give(path);
    }

    fn give(&self, path: &Path) {
        if let Some(owner) = self.owner {
            chown(path, Some(owner.user), Some(owner.group)).expect("root gives files away");
        }
    }
}

/// Runs a test where its needs are met; otherwise says what is missing.
///
/// The test is an async closure written within the test function, whose name it is found by.
pub(crate) fn stand_on<T: AsyncFnOnce(Ground)>(needs: &[Need], test: T) {
    if let Some(directory) = env::var_os(DIRECTORY) {
        return perform(directory.into(), test);
    }
    let name = sentence::<T>();
    let wanted = env::var(DEMANDED).ok();
    if wanted.as_deref() == Some("0") {
        println!("SKIPPED {name}: {DEMANDED} is 0");
        return;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let namespaces = namespaces();
    if let Some(missing) = needs.iter().find_map(|need| missing(*need, namespaces)) {
        let demanded = wanted.as_deref() == Some("1");
        assert!(!demanded, "{name} cannot run: {missing}");
        println!("SKIPPED {name}: {missing}");
        return;
    }
    delegate(&name, namespaces);
}

/// `real::writers::a_sentence::{{closure}}` is the test `writers::a_sentence`.
fn sentence<T>() -> String {
    let parts: Vec<&str> = std::any::type_name::<T>().split("::").collect();
    let end = parts.iter().position(|part| part.starts_with("{{"));
    parts[1..end.expect("the test is a closure")].join("::")
}

fn perform<T: AsyncFnOnce(Ground)>(directory: PathBuf, test: T) {
    if is_private() {
        let lo = ["link", "set", "lo", "up"];
        let status = Command::new("ip").args(lo).env("PATH", path()).status();
        assert!(status.is_ok_and(|status| status.success()), "no loopback");
    }
    let ground = Ground {
        directory,
        owner: owner(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let bounded = tokio::time::timeout(TEST_TIMEOUT, test(ground));
        bounded.await.expect("the test ends in time");
    });
    // Whatever still hangs must not keep the test from ending.
    runtime.shutdown_background();
}

/// Runs this very program once more, for one test, in namespaces of its own.
fn delegate(name: &str, namespaces: Option<&[&str]>) {
    let directory = Directory::new();
    let program = env::current_exe().expect("this program has a path");
    let mut command = match namespaces {
        Some(flags) => {
            let mut command = Command::new("unshare");
            command.args(flags).arg(program).env(PRIVATE, "1");
            command
        }
        None => Command::new(program),
    };
    let mut child = command
        .args(["--exact", name, "--nocapture", "--include-ignored"])
        .env(DIRECTORY, &directory.0)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this program can be started");
    let stderr = child.stderr.take().expect("it is piped");
    for line in BufReader::new(stderr).lines() {
        println!("{}", line.expect("text"));
    }
    let status = child.wait().expect("it was started");
    if !status.success() {
        directory.print_logs();
        panic!("{name}: {status}");
    }
}

/// Whether this process has a network of its own.
fn is_private() -> bool {
    env::var_os(PRIVATE).is_some()
}

/// What `unshare` needs to be told here; `None` where it is not allowed.
fn namespaces() -> Option<&'static [&'static str]> {
    const AS_ROOT: &[&str] = &[
        "--net",
        "--ipc",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ];
    const AS_USER: &[&str] = &[
        "--user",
        "--map-current-user",
        "--keep-caps",
        "--net",
        "--ipc",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ];
    let allowed = |flags: &&[&str]| {
        let mut command = Command::new("unshare");
        command.args(*flags).args(["ip", "link", "set", "lo", "up"]);
        let status = command.env("PATH", path()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    let flags = if user() == 0 { AS_ROOT } else { AS_USER };
    Some(flags).filter(allowed)
}

fn missing(need: Need, namespaces: Option<&[&str]>) -> Option<&'static str> {
    match need {
        Need::Postgres if postgres_programs().is_none() => {
            Some("PostgreSQL 15's server programs are not installed (Debian: postgresql-15)")
        }
        Need::MariaDb if program("mariadbd").is_none() => {
            Some("MariaDB's server is not installed (Debian: mariadb-server)")
        }
        Need::Cuts if namespaces.is_none() => Some("no network namespace is allowed here"),
        Need::Cuts if program("nft").is_none() => Some("nft is not installed (Debian: nftables)"),
        _ => None,
    }
}

/// The directory of `postgres`, `initdb` and their like.
pub(crate) fn postgres_programs() -> Option<PathBuf> {
    let named = env::var_os("PG_BIN").map(PathBuf::from);
    let usual = Some(PathBuf::from("/usr/lib/postgresql/15/bin"));
    let places = [named, usual].into_iter().flatten();
    let mut found = places.filter(|place| place.join("initdb").exists());
    found.next()
}

/// Where a program is, if it is installed.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = path();
    let mut places = env::split_paths(&path).map(|place| place.join(name));
    places.find(|place| place.exists())
}

/// The usual path, with the places of administrators' programs.
fn path() -> OsString {
    let mut path = env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    path
}

fn user() -> u32 {
    use std::os::unix::fs::MetadataExt;
    // The owner of a process's directory is its effective user.
    fs::metadata("/proc/self").expect("/proc is mounted").uid()
}

/// No server runs as root: then it is `postgres`, who came with the programs, or `nobody`.
fn owner() -> Option<Owner> {
    if user() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("there are users");
    let find = |name: &str| {
        let mut lines = users
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>());
        let fields = lines.find(|fields| fields[0] == name)?;
        Some(Owner {
            user: fields[2].parse().ok()?,
            group: fields[3].parse().ok()?,
        })
    };
    let owner = find("postgres").or_else(|| find("nobody"));
    Some(owner.expect("root has somebody to run servers as"))
}

/// A test's directory, removed with all that is in it.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let output = Command::new("mktemp")
            .args(["--directory", "--tmpdir", "aurora-driver-real.XXXXXXXX"])
            .output()
            .expect("mktemp is there");
        let path = String::from_utf8(output.stdout).expect("a path of ours is text");
        let path = PathBuf::from(path.trim_end());
        if let Some(owner) = owner() {
            chown(&path, Some(owner.user), Some(owner.group)).expect("root gives files away");
        }
        Self(path)
    }

    /// What the servers had to say, for a test that failed.
    fn print_logs(&self) {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            if path.extension().is_some_and(|extension| extension == "log") {
                let log = fs::read_to_string(&path).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                let last = lines[lines.len().saturating_sub(25)..].join("\n");
                println!("--- the end of {}:\n{last}", path.display());
            }
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
