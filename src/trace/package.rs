//! The package that a source file belongs to.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::mutex::lock;

/// The package of tokio's own sources where `cargo straggler` puts a tracked tokio in its place.
const TOKIO_COPY: &str = "straggler-tokio-copy";

/// A package whose folder is on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    version: Option<String>,
    /// Whether cargo copied it here, by `cargo vendor`.
    pub(crate) is_vendored: bool,
    /// How many folders lie between its own and the file.
    depth: usize,
}

impl Package {
    /// The package of a file with forward slashes. A relative one starts at `root`. Returns `None` if
    /// the sources are not on this machine.
    pub(crate) fn of(file: &str, root: Option<&Path>) -> Option<Arc<Self>> {
        static FOUND: Mutex<Option<HashMap<String, Option<Arc<Package>>>>> = Mutex::new(None);

        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        // An absolute path replaces the root in `join`.
        let absolute = if is_absolute(file) {
            Path::new(folder).to_owned()
        } else {
            root?.join(folder)
        };
        let mut found = lock(&FOUND);
        let found = found.get_or_insert_default();
        if let Some(known) = found.get(folder) {
            return known.clone();
        }
        let package = Self::around(&absolute).map(Arc::new);
        found.insert(folder.to_owned(), package.clone());
        package
    }

    fn around(folder: &Path) -> Option<Self> {
        // Without the sources, a manifest further up would be another package's.
        if !folder.is_dir() {
            return None;
        }
        let mut folders = folder.ancestors().enumerate();
        folders.find_map(|(depth, folder)| {
            let manifest = fs::read_to_string(folder.join("Cargo.toml")).ok()?;
            let name = match value(&manifest, "name")? {
                TOKIO_COPY => "tokio",
                name => name,
            };
            Some(Self {
                name: name.to_owned(),
                version: value(&manifest, "version").map(ToOwned::to_owned),
                is_vendored: folder.join(".cargo-checksum.json").is_file(),
                depth,
            })
        })
    }

    /// The path of one of its files, from its folder on.
    pub(crate) fn below<'f>(&self, file: &'f str) -> &'f str {
        let mut slashes = file.rmatch_indices('/');
        slashes
            .nth(self.depth)
            .map_or(file, |(at, _)| &file[at + 1..])
    }

    /// The folder that cargo would unpack it to.
    pub(crate) fn title(&self) -> String {
        match &self.version {
            Some(version) => format!("{}-{version}", self.name),
            None => self.name.clone(),
        }
    }
}

/// Whether a path with forward slashes is absolute, on Unix or on Windows.
pub(crate) fn is_absolute(file: &str) -> bool {
    file.starts_with('/') || file.get(1..3) == Some(":/")
}

/// A string in the section `[package]` of a manifest.
fn value<'m>(manifest: &'m str, key: &str) -> Option<&'m str> {
    let mut lines = manifest.lines().map(str::trim);
    lines.find(|line| *line == "[package]")?;
    lines
        .take_while(|line| !line.starts_with('['))
        .find_map(|line| {
            let value = line.strip_prefix(key)?.trim_start().strip_prefix('=')?;
            let value = value.trim_start();
            let quote = value
                .chars()
                .next()
                .filter(|quote| "\"'".contains(*quote))?;
            value[1..].split(quote).next()
        })
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn manifest_value_is_of_its_package() {
        let manifest = "[workspace]\nname = 'no'\n[package] \nname-of = 'no'\n  name= \"bank\" # yes\n\
            version.workspace = true\n[dependencies]\nversion = '1'";
        assert_eq!(value(manifest, "name"), Some("bank"));
        assert_eq!(value(manifest, "version"), None);
        assert_eq!(value("[workspace]", "name"), None);
    }
}
