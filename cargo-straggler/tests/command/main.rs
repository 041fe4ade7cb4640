//! Runs `cargo straggler` on small workspaces, with the real cargo.
//!
//! All of them share one target folder, so that tokio and straggler are built once.
//! `INSTA_UPDATE=always` rewrites the snapshots.

// The command does not depend on this flag, and would build everything once more.
#![cfg(not(tokio_unstable))]

mod baseline;
mod completions;
mod configuration;
mod explore;
mod fixture;
mod html;
mod init;
mod lock_file;
mod manual;
mod nextest;
mod own_straggler;
mod report;
mod sarif;
mod suite;
mod unusable;
