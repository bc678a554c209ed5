//! What was measured, for people and for programs. Nothing is measured here.
//!
//! | file | idea |
//! |---|---|
//! | `text` | the terminal |
//! | `json`, `csv` | programs |
//! | `html` | one page without anything from elsewhere |
//! | `plot` | its pictures |
//! | `escape` | what may not stand in them as it is |

pub(crate) mod csv;
pub(crate) mod escape;
pub(crate) mod html;
pub(crate) mod json;
mod plot;
mod text;

use std::fs;
use std::io;
use std::path::Path;

use crate::numbers::{Cell, Ratio};

pub(crate) use text::line;

/// The name of this driver among the contestants.
pub(crate) const OURS: &str = "ours";

/// Under what all was measured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Conditions {
    pub(crate) timeline: String,
    pub(crate) writers: usize,
    pub(crate) readers: usize,
    pub(crate) limit_seconds: u64,
    pub(crate) processors: usize,
    /// As the system tells it at the beginning: other work on the machine shows here.
    pub(crate) load_average: String,
}

/// All that was measured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    conditions: Conditions,
    /// Who did not take part, and why.
    absent: Vec<String>,
    cells: Vec<Cell>,
}

/// One engine and one fault: this driver first, then the contestants.
#[derive(Debug, Clone, Copy)]
struct Group<'a> {
    engine: &'a str,
    fault: &'a str,
    cells: &'a [Cell],
}

impl Report {
    pub(crate) fn new(conditions: Conditions, absent: Vec<String>) -> Self {
        Self {
            conditions,
            absent,
            cells: Vec::new(),
        }
    }

    /// Cells of one engine and fault come one after the other.
    pub(crate) fn add(&mut self, cell: Cell) {
        self.cells.push(cell);
    }

    pub(crate) fn note_absence(&mut self, why: String) {
        self.absent.push(why);
    }

    /// This driver lost nothing, doubled nothing and was always back.
    pub(crate) fn is_good(&self) -> bool {
        let mut runs = self
            .cells
            .iter()
            .filter(|cell| cell.contestant == OURS)
            .flat_map(|cell| &cell.runs);
        runs.all(|run| run.is_correct() && run.gap.is_some())
    }

    pub(crate) fn summary(&self) -> String {
        text::summary(self)
    }

    /// Writes the three files.
    pub(crate) fn write(&self, directory: &Path) -> io::Result<()> {
        let json = format!("{:#}\n", json::json(self));
        fs::write(directory.join("report.json"), json)?;
        fs::write(directory.join("report.csv"), csv::csv(self))?;
        fs::write(directory.join("index.html"), html::page(self))
    }

    fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        let same =
            |one: &Cell, other: &Cell| one.engine == other.engine && one.fault == other.fault;
        self.cells.chunk_by(same).map(|cells| Group {
            engine: &cells[0].engine,
            fault: &cells[0].fault,
            cells,
        })
    }
}

impl Group<'_> {
    fn ours(&self) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.contestant == OURS)
    }

    /// Each contestant with its ratios to this driver: of the gaps, and of what is added.
    fn ratios(&self) -> Vec<(&Cell, Option<Ratio>, Option<Ratio>)> {
        let Some(ours) = self.ours() else {
            return Vec::new();
        };
        let others = self.cells.iter().filter(|cell| cell.contestant != OURS);
        let ratios = others.map(|cell| {
            (
                cell,
                Ratio::of_gaps(cell, ours),
                Ratio::of_added(cell, ours),
            )
        });
        ratios.collect()
    }
}
