//! Finds the source files that reports name.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;

use cargo_metadata::Metadata;

use crate::findings::function::Functions;

/// The sources of a suite and its dependencies.
#[derive(Debug)]
pub(crate) struct Sources {
    root: PathBuf,
    /// The folders of the dependencies, by the names that reports give them.
    dependencies: HashMap<String, Dependency>,
    parsed: RefCell<HashMap<String, Rc<Functions>>>,
}

#[derive(Debug)]
struct Dependency {
    name: String,
    folder: PathBuf,
}

impl Sources {
    pub(crate) fn of(graph: &Metadata) -> Self {
        let packages = graph
            .packages
            .iter()
            .filter(|package| package.source.is_some());
        let dependencies = packages.filter_map(|package| {
            let title = format!("{}-{}", package.name, package.version);
            let folder = package.manifest_path.parent()?.as_std_path().to_owned();
            let name = package.name.to_string();
            Some((title, Dependency { name, folder }))
        });
        Self {
            root: graph.workspace_root.as_std_path().to_owned(),
            dependencies: dependencies.collect(),
            parsed: RefCell::default(),
        }
    }

    /// No sources at all.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self {
            root: PathBuf::from("/nowhere"),
            dependencies: HashMap::new(),
            parsed: RefCell::default(),
        }
    }

    /// Adds a dependency whose sources cannot be read.
    #[cfg(test)]
    pub(crate) fn with_dependency(mut self, name: &str, version: &str) -> Self {
        let dependency = Dependency {
            name: name.to_owned(),
            folder: self.root.join(name),
        };
        self.dependencies
            .insert(format!("{name}-{version}"), dependency);
        self
    }

    /// The dependency that a file is in, or `None` for the user's own code.
    pub(crate) fn package(&self, file: &str) -> Option<&str> {
        let (title, _) = file.split_once('/')?;
        self.dependencies
            .get(title)
            .map(|dependency| &*dependency.name)
    }

    /// The function around a line, or `None` if the file cannot be read.
    pub(crate) fn function(&self, file: &str, line: usize) -> Option<String> {
        let mut parsed = self.parsed.borrow_mut();
        let functions = parsed.entry(file.to_owned()).or_insert_with(|| {
            let text = fs::read_to_string(self.path(file));
            Rc::new(Functions::of(&text.unwrap_or_default()))
        });
        functions.around(line).map(str::to_owned)
    }

    fn path(&self, file: &str) -> PathBuf {
        let in_dependency = file.split_once('/').and_then(|(title, below)| {
            let dependency = self.dependencies.get(title)?;
            Some(dependency.folder.join(below))
        });
        // An absolute path replaces the root.
        in_dependency.unwrap_or_else(|| self.root.join(file))
    }
}
