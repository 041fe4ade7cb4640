//! The manifests of the packages that are built into a suite.

use toml_edit::{Array, DocumentMut, Item, Table, TableLike, table, value};

use crate::suite_tokio::SuiteTokio;

/// What only the author of a package needs.
const FOR_AUTHORS: [&str; 9] = [
    "workspace",
    "dev-dependencies",
    "profile",
    "patch",
    "lints",
    "test",
    "bench",
    "example",
    "badges",
];

/// The manifest of a workspace member outside the workspace of `root`.
pub(crate) fn alone(member: &DocumentMut, root: &DocumentMut) -> DocumentMut {
    let mut manifest = member.clone();
    // A published manifest has inherited everything already.
    if let Some(of_workspace) = root.get("workspace") {
        inherit(&mut manifest["package"], &of_workspace["package"]);
        inherit(&mut manifest["dependencies"], &of_workspace["dependencies"]);
    }
    if let Some(package) = manifest["package"].as_table_like_mut() {
        for key in ["readme", "include", "documentation", "metadata"] {
            package.remove(key);
        }
        // A lock file cannot tell it from a straggler of the suite's own, at another path, without.
        if let Some(version) = package.get("version").and_then(Item::as_str) {
            let version = format!("{version}+tracked");
            package.insert("version", value(version));
        }
    }
    // Only its own proofs build with it.
    if let Some(targets) = manifest.get_mut("target").and_then(Item::as_table_like_mut) {
        targets.remove("cfg(straggler_loom)");
    }
    build_only(&mut manifest);
    manifest
}

/// The manifest of tokio's own sources, as a package called `name`.
pub(crate) fn of_copy(tokio: &DocumentMut, name: &str) -> DocumentMut {
    let mut manifest = tokio.clone();
    manifest["package"]["name"] = value(name);
    // The library keeps its name: paths in reports and in code still start with `tokio`.
    manifest["lib"]["name"] = value("tokio");
    if let Some(targets) = manifest.get_mut("target").and_then(Item::as_table_like_mut) {
        for (_, target) in targets.iter_mut() {
            if let Some(target) = target.as_table_like_mut() {
                target.remove("dev-dependencies");
            }
        }
    }
    build_only(&mut manifest);
    manifest
}

/// The manifest of the package `tokio` of a suite, which has all of tokio's features.
pub(crate) fn of_tokio(suite: &SuiteTokio, copy: &str) -> DocumentMut {
    let mut manifest = DocumentMut::new();
    manifest["package"] = table();
    manifest["package"]["name"] = value("tokio");
    manifest["package"]["version"] = value(suite.version.to_string());
    manifest["package"]["edition"] = value("2021");
    manifest["features"] = table();
    for feature in &suite.features {
        let forwarded = Array::from_iter([format!("{copy}/{feature}")]);
        manifest["features"][feature] = value(forwarded);
    }
    let mut dependency = |name: &str, path: &str| {
        manifest["dependencies"][name]["path"] = value(path);
        manifest["dependencies"][name]["default-features"] = value(false);
    };
    dependency(copy, "../copy");
    dependency("straggler", "../straggler");
    manifest["dependencies"]["straggler"]["features"] =
        value(Array::from_iter(["tokio", "macros"]));
    build_only(&mut manifest);
    // Cargo would look for one further up, and find that of the suite.
    manifest["workspace"] = Item::Table(Table::new());
    manifest
}

/// Removes what a build does not need.
fn build_only(manifest: &mut DocumentMut) {
    for section in FOR_AUTHORS {
        manifest.remove(section);
    }
}

/// Replaces each `key.workspace = true` by the workspace's own `key`.
fn inherit(section: &mut Item, of_workspace: &Item) {
    let Some(section) = section.as_table_like_mut() else {
        return;
    };
    for (key, item) in section.iter_mut() {
        let Some(own) = item
            .as_table_like()
            .filter(|own| own.contains_key("workspace"))
        else {
            continue;
        };
        let mut inherited = of_workspace.get(key.get()).cloned().unwrap_or_default();
        let additions: Vec<_> = additions(own).collect();
        if !additions.is_empty() {
            // `key = "1.0"` is short for a table with a version.
            if let Some(version) = inherited.as_str().map(str::to_owned) {
                inherited = table();
                inherited["version"] = value(version);
            }
            for (name, addition) in additions {
                inherited[&name] = addition;
            }
        }
        *item = inherited;
    }
}

/// What a member adds to a dependency of its workspace.
fn additions(own: &dyn TableLike) -> impl Iterator<Item = (String, Item)> {
    let added = own.iter().filter(|(key, _)| *key != "workspace");
    added.map(|(key, item)| (key.to_owned(), item.clone()))
}
