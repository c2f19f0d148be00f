//! What a URI means: where it is fetched from, under what name it is kept, and whether that is an
//! archive. Mesos' rules; nothing is fetched here.

use std::path::{Component, Path, PathBuf};

use crate::launch::Uri;

/// Where a URI is fetched from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A file of this host.
    File(PathBuf),
    /// http or https.
    Http(String),
}

/// What is to be done for one URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) source: Source,
    /// Where it is kept, below the sandbox; no part of it leads out.
    pub(super) name: PathBuf,
    pub(super) executable: bool,
    pub(super) extraction: Option<Extraction>,
}

/// What its suffix says of a file that is to be extracted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Extraction {
    /// A tar or zip archive, unpacked into the sandbox.
    Archive,
    /// One compressed file, which becomes this one.
    Gzip(PathBuf),
}

/// Suffixes of archives, in Mesos' order.
const ARCHIVES: [&str; 8] = [
    ".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tbz2", ".txz", ".zip",
];

impl Item {
    /// Reads a URI.
    ///
    /// # Errors
    /// What is wrong with it, in Mesos' words where it has any.
    pub(super) fn of(uri: &Uri, frameworks_home: Option<&Path>) -> Result<Item, String> {
        let value = uri.value.trim_start();
        if value.contains(['\\', '\'', '\0']) {
            return Err("Illegal characters in URI".to_owned());
        }
        let base = base_name(value)?;
        let name = match &uri.output_file {
            Some(file) => output_file(file)?,
            None => beneath(Path::new(base))?,
        };
        let extraction = if uri.extract && !uri.executable {
            extraction(&name)
        } else {
            None
        };
        Ok(Item {
            source: source(value, frameworks_home)?,
            name,
            executable: uri.executable,
            extraction,
        })
    }
}

fn base_name(value: &str) -> Result<&str, String> {
    let missing = || "Malformed URI (missing path)".to_owned();
    let path = match value.split_once("://") {
        Some((_, rest)) => rest.split_once('/').ok_or_else(missing)?.1,
        None => value,
    };
    let name = path.rsplit('/').next().unwrap_or(path);
    if name.is_empty() {
        Err(missing())
    } else {
        Ok(name)
    }
}

fn output_file(file: &str) -> Result<PathBuf, String> {
    if file.is_empty() {
        return Err("URI output file is empty".to_owned());
    }
    beneath(Path::new(file))
        .map_err(|_| format!("URI output file must be within the sandbox directory: '{file}'"))
}

/// A path of plain names, which stays below wherever it is joined to.
///
/// # Errors
/// It is absolute, has `..` in it, or names nothing.
pub(super) fn beneath(path: &Path) -> Result<PathBuf, String> {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(format!("'{}' leads out of the sandbox", path.display()));
            }
        }
    }
    if plain.as_os_str().is_empty() {
        return Err(format!("'{}' names no file", path.display()));
    }
    Ok(plain)
}

fn source(value: &str, frameworks_home: Option<&Path>) -> Result<Source, String> {
    let Some((scheme, rest)) = value.split_once("://") else {
        let path = Path::new(value);
        if path.is_absolute() {
            return Ok(Source::File(path.to_owned()));
        }
        let home = frameworks_home
            .ok_or("a relative path needs the agent's --frameworks_home, which is not given")?;
        return Ok(Source::File(home.join(path)));
    };
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => Ok(Source::Http(value.to_owned())),
        "file" => {
            let path = rest.strip_prefix("localhost").unwrap_or(rest);
            if path.starts_with('/') {
                Ok(Source::File(PathBuf::from(path)))
            } else {
                Err("File URI only supports absolute paths".to_owned())
            }
        }
        _ => Err(format!(
            "this agent cannot fetch by '{scheme}'; it can by file, http and https"
        )),
    }
}

fn extraction(name: &Path) -> Option<Extraction> {
    let text = name.to_str()?;
    if ARCHIVES.iter().any(|suffix| text.ends_with(suffix)) {
        return Some(Extraction::Archive);
    }
    let plain = text.strip_suffix(".gz")?;
    // A file that is called ".gz" has no other name.
    let named = !plain.is_empty() && !plain.ends_with('/');
    named.then(|| Extraction::Gzip(PathBuf::from(plain)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(value: &str) -> Uri {
        Uri {
            value: value.to_owned(),
            executable: false,
            extract: true,
            cache: false,
            output_file: None,
        }
    }

    fn item(value: &str) -> Result<Item, String> {
        Item::of(&uri(value), None)
    }

    #[test]
    fn a_uri_is_kept_under_its_last_part() {
        for (value, name) in [
            ("http://h/a/b.txt", "b.txt"),
            ("  https://h/b?x=1", "b?x=1"),
            ("/a/b", "b"),
            ("file:///a/b.tar", "b.tar"),
        ] {
            assert_eq!(item(value).unwrap().name, Path::new(name), "{value}");
        }
        let local = item("file://localhost/a/b").unwrap();
        assert_eq!(local.source, Source::File(PathBuf::from("/a/b")));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (value, error) in [
            ("http://h", "Malformed URI (missing path)"),
            ("http://h/", "Malformed URI (missing path)"),
            ("/a/", "Malformed URI (missing path)"),
            ("/a/b'c", "Illegal characters in URI"),
            ("/a/..", "'..' leads out of the sandbox"),
            ("file://a/b", "File URI only supports absolute paths"),
            (
                "hdfs://h/a",
                "this agent cannot fetch by 'hdfs'; it can by file, http and https",
            ),
            (
                "a/b",
                "a relative path needs the agent's --frameworks_home, which is not given",
            ),
        ] {
            assert_eq!(item(value).unwrap_err(), error, "{value}");
        }
        let home = Item::of(&uri("a/b"), Some(Path::new("/fw"))).unwrap();
        assert_eq!(home.source, Source::File(PathBuf::from("/fw/a/b")));
    }

    #[test]
    fn an_output_file_stays_in_the_sandbox() {
        let named = |file: &str| {
            let uri = Uri {
                output_file: Some(file.to_owned()),
                ..uri("/a/b.zip")
            };
            Item::of(&uri, None)
        };
        assert_eq!(named("x/./y").unwrap().name, Path::new("x/y"));
        assert_eq!(
            named("x/y").unwrap().extraction,
            None,
            "its own name counts"
        );
        for wrong in ["/x", "../x", "x/../../y"] {
            let expected =
                format!("URI output file must be within the sandbox directory: '{wrong}'");
            assert_eq!(named(wrong).unwrap_err(), expected);
        }
        assert_eq!(named("").unwrap_err(), "URI output file is empty");
    }

    #[test]
    fn archives_are_known_by_their_suffix() {
        let extraction = |name: &str| item(&format!("/a/{name}")).unwrap().extraction;
        for suffix in ARCHIVES {
            assert_eq!(extraction(&format!("b{suffix}")), Some(Extraction::Archive));
        }
        let gzip = Some(Extraction::Gzip(PathBuf::from("b")));
        assert_eq!(extraction("b.gz"), gzip);
        assert_eq!(extraction(".gz"), None);
        assert_eq!(extraction("b.rar"), None);
        let executable = Uri {
            executable: true,
            ..uri("/a/b.tar")
        };
        assert_eq!(Item::of(&executable, None).unwrap().extraction, None);
    }
}
