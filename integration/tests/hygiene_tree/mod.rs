//! The tree that the hygiene test walks: every text file that git tracks or would track.

use std::path::{Path, PathBuf};
use std::process::Command;

/// One text file.
pub struct Source {
    /// Relative to the top of the tree.
    pub path: String,
    /// Its whole content.
    pub text: String,
}

/// All text files of the project.
pub struct Tree {
    top: PathBuf,
    files: Vec<Source>,
}

impl Tree {
    /// Reads the tree that this crate belongs to.
    pub fn read() -> Tree {
        let top = tepui_integration::top();
        let skipped = |path: &Path| {
            path.ends_with("target") || path.ends_with(".git") || path.ends_with("__pycache__")
        };
        let mut files = Vec::new();
        let walk = walkdir::WalkDir::new(&top).sort_by_file_name();
        for entry in walk
            .into_iter()
            .filter_entry(|entry| !skipped(entry.path()))
        {
            let entry = entry.expect("the tree is readable");
            if !entry.file_type().is_file() {
                continue;
            }
            let path = entry.path().strip_prefix(&top).expect("below the top");
            let path = path.to_string_lossy().into_owned();
            if let Ok(text) = String::from_utf8(
                std::fs::read(entry.path()).expect("files of the tree are readable"),
            ) {
                files.push(Source { path, text });
            }
        }
        assert!(
            files.len() > 50,
            "only {} files found below {}",
            files.len(),
            top.display()
        );
        Tree { top, files }
    }

    /// Every text file.
    pub fn all(&self) -> impl Iterator<Item = &Source> {
        self.files.iter()
    }

    /// Every Rust file.
    pub fn rust(&self) -> impl Iterator<Item = &Source> {
        self.files
            .iter()
            .filter(|source| source.path.ends_with(".rs"))
    }

    /// The content of one file that has to exist.
    pub fn text(&self, path: &str) -> &str {
        let source = self.files.iter().find(|source| source.path == path);
        &source
            .unwrap_or_else(|| panic!("{path} does not exist"))
            .text
    }

    /// Whether a path exists below the top.
    pub fn exists(&self, path: &str) -> bool {
        self.top.join(path).exists()
    }

    /// First part of every path.
    pub fn top_level(&self) -> Vec<&str> {
        let mut entries: Vec<&str> = self
            .files
            .iter()
            .filter_map(|source| source.path.split('/').next())
            .collect();
        entries.dedup();
        entries
    }
}

/// Whether a Rust text has a test of this name: `#[test]` is right above it, other attributes at
/// most between.
pub fn has_test(text: &str, name: &str) -> bool {
    let start = format!("fn {name}(");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let functions = (0..lines.len()).filter(|&at| lines[at].starts_with(&start));
    functions.into_iter().any(|at| {
        let attributes = lines[..at].iter().rev();
        let mut attributes = attributes.take_while(|line| line.starts_with("#["));
        attributes.any(|line| *line == "#[test]")
    })
}

/// What the `tepui` command prints on stdout.
pub fn output_of_tepui(arguments: &[&str]) -> String {
    let output = Command::new(tepui_integration::tepui())
        .args(arguments)
        .output()
        .expect("tepui can be started");
    String::from_utf8(output.stdout).expect("tepui prints text")
}
