//! Reads the results that criterion leaves on disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

/// Returns the median of every benchmark measured since `since`, in nanoseconds per run.
///
/// The key is the name that criterion prints. Results of earlier runs, which criterion keeps on
/// disk, are ignored.
#[must_use]
pub fn medians(since: SystemTime) -> BTreeMap<String, f64> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    let mut medians = BTreeMap::new();
    collect(&target.join("criterion"), since, &mut medians);
    medians
}

/// Collects the results below `folder`.
fn collect(folder: &Path, since: SystemTime, medians: &mut BTreeMap<String, f64>) {
    medians.extend(result(&folder.join("new"), since));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries
        .map(|entry| entry.path())
        .filter(|entry| entry.is_dir())
    {
        collect(&entry, since, medians);
    }
}

/// Reads the result of one benchmark, if `folder` holds one that is recent enough.
fn result(folder: &Path, since: SystemTime) -> Option<(String, f64)> {
    let estimates = folder.join("estimates.json");
    if fs::metadata(&estimates).ok()?.modified().ok()? < since {
        return None;
    }
    let read = |file| serde_json::from_slice::<Value>(&fs::read(file).ok()?).ok();
    let name = read(folder.join("benchmark.json"))?["full_id"]
        .as_str()?
        .to_owned();
    let median = read(estimates)?["median"]["point_estimate"].as_f64()?;
    Some((name, median))
}
