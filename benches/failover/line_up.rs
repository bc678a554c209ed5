//! Who takes part: this driver, the pools that Rust applications use, and AWS's driver for Python
//! where it is installed.

use std::path::{Path, PathBuf};

use anyhow::Context;
use aurora_driver::EngineKind;
use tokio::process::Command;

use crate::arguments::Arguments;
use crate::client::Contestant;
use crate::hosts;

/// Names the interpreter in which AWS's driver is installed.
const AWS_PYTHON_VARIABLE: &str = "AURORA_DRIVER_AWS_PYTHON";

/// Where `.ci/run aws_python` installs it.
const AWS_PYTHON: &str = "target/ci/aws-python/bin/python";

/// A build directory of their own, so that the driver's own artefacts stay as they are.
const TARGET: &str = "target/contestants";

/// All who take part, and why others do not.
#[derive(Debug)]
pub(crate) struct LineUp {
    contestants: Vec<(Contestant, Vec<EngineKind>)>,
    /// Told to the reader of the report.
    pub(crate) absent: Vec<String>,
}

impl LineUp {
    pub(crate) async fn new(arguments: &Arguments) -> anyhow::Result<Self> {
        const BOTH: [EngineKind; 2] = [EngineKind::Postgres, EngineKind::MySql];
        let mut line_up = Self {
            contestants: vec![(Contestant::ours(), BOTH.to_vec())],
            absent: Vec::new(),
        };
        let only_ours = arguments.only == [Contestant::OURS];
        if !only_ours && !hosts::are_possible().await {
            let reason =
                "contestants: this machine allows no mount namespace, in which their names resolve";
            line_up.absent.push(reason.to_owned());
        } else if !only_ours {
            line_up.add_rust(arguments).await;
            line_up.add_aws_python(BOTH.to_vec());
        }
        line_up.choose(&arguments.only)?;
        Ok(line_up)
    }

    pub(crate) fn on(&self, engine: EngineKind) -> impl Iterator<Item = &Contestant> {
        let speaking = self.contestants.iter();
        let speaking = speaking.filter(move |(_, engines)| engines.contains(&engine));
        speaking.map(|(contestant, _)| contestant)
    }

    fn choose(&mut self, only: &[String]) -> anyhow::Result<()> {
        if only.is_empty() {
            return Ok(());
        }
        for name in only {
            let takes_part = self.contestants.iter().any(|(it, _)| it.name == name);
            anyhow::ensure!(takes_part, "`{name}` does not take part; {:?}", self.absent);
        }
        self.contestants
            .retain(|(it, _)| only.iter().any(|name| name == it.name));
        Ok(())
    }

    async fn add_rust(&mut self, arguments: &Arguments) {
        let wanted = ["deadpool-postgres", "sqlx", "mysql_async"];
        let chosen = |name: &&str| arguments.only.iter().any(|only| only == name);
        if !arguments.only.is_empty() && !wanted.iter().any(chosen) {
            return;
        }
        let program = match build().await {
            Ok(program) => program,
            Err(error) => {
                self.absent
                    .push(format!("{}: {error:#}", wanted.join(", ")));
                return;
            }
        };
        let engines = [
            vec![EngineKind::Postgres],
            vec![EngineKind::Postgres, EngineKind::MySql],
            vec![EngineKind::MySql],
        ];
        for (name, engines) in wanted.into_iter().zip(engines) {
            self.contestants
                .push((Contestant::rust(name, program.clone()), engines));
        }
    }

    fn add_aws_python(&mut self, engines: Vec<EngineKind>) {
        let named = std::env::var_os(AWS_PYTHON_VARIABLE).map(PathBuf::from);
        let python = named.unwrap_or_else(|| AWS_PYTHON.into());
        if !has_aws_driver(&python) {
            self.absent.push(format!(
                "AWS's Python driver: not installed in {}; `.ci/run aws_python` does it, or name an \
                 interpreter in {AWS_PYTHON_VARIABLE}",
                python.display()
            ));
            return;
        }
        for (name, settings) in [
            ("aws-python", "default"),
            ("aws-python-aggressive", "aggressive"),
        ] {
            let contestant = Contestant::aws_python(name, settings, python.clone());
            self.contestants.push((contestant, engines.clone()));
        }
    }
}

/// Whether the interpreter is there and finds AWS's driver.
fn has_aws_driver(python: &Path) -> bool {
    let mut import = std::process::Command::new(python);
    import.args(["-c", "import aws_advanced_python_wrapper"]);
    import.output().is_ok_and(|done| done.status.success())
}

/// The contestants' program is a package and a workspace of its own, built here when it is needed:
/// whoever tests the driver need not compile other drivers.
async fn build() -> anyhow::Result<PathBuf> {
    eprintln!("building the contestants; the first time takes a minute or two");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = "benches/contestants/Cargo.toml";
    let built = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--manifest-path",
            manifest,
        ])
        .args(["--target-dir", TARGET])
        .status()
        .await?;
    anyhow::ensure!(built.success(), "{manifest} cannot be built");
    let program = Path::new(TARGET).join("release/aurora-driver-contestants");
    program
        .exists()
        .then_some(program)
        .context("no program was built")
}
