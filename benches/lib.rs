//! What straggler costs: the benches are in the files beside this one, which is what they share.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Returns the median of every cell that criterion has measured, by group and function, in
/// nanoseconds a run.
#[must_use]
pub fn medians() -> BTreeMap<(String, String), f64> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    let mut medians = BTreeMap::new();
    for group in entries(&target.join("criterion")) {
        for function in entries(&group) {
            let estimates = function.join("new/estimates.json");
            let Some(median) = fs::read(estimates)
                .ok()
                .and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok())
                .and_then(|estimates| estimates["median"]["point_estimate"].as_f64())
            else {
                continue;
            };
            medians.insert((name(&group), name(&function)), median);
        }
    }
    medians
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
