//! The program `aurora-sim` as its users meet it: flags, files, the control API, its end.

mod api;
mod http;
mod operations;
mod program;
mod start;
