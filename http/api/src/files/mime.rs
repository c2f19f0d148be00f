//! What type a file is by the end of its name, for the header of a download.

use std::path::Path;

const DEFAULT: &str = "application/octet-stream";

/// Endings and types, sorted by ending.
const TYPES: &[(&str, &str)] = &[
    ("bz2", "application/x-bzip2"),
    ("c", "text/plain"),
    ("cc", "text/plain"),
    ("conf", "text/plain"),
    ("css", "text/css"),
    ("csv", "text/csv"),
    ("gif", "image/gif"),
    ("gz", "application/x-gzip"),
    ("h", "text/plain"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("ico", "image/x-icon"),
    ("jar", "application/java-archive"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "application/javascript"),
    ("json", "application/json"),
    ("log", "text/plain"),
    ("md", "text/plain"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("py", "text/plain"),
    ("rs", "text/plain"),
    ("sh", "text/plain"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("tgz", "application/x-gzip"),
    ("toml", "text/plain"),
    ("txt", "text/plain"),
    ("xml", "text/xml"),
    ("yaml", "text/plain"),
    ("yml", "text/plain"),
    ("zip", "application/zip"),
];

/// The type of a file of that name.
pub(super) fn of(name: &Path) -> &'static str {
    let ending = name.extension().and_then(|ending| ending.to_str());
    let ending = ending.unwrap_or_default().to_ascii_lowercase();
    TYPES
        .binary_search_by(|(known, _)| (*known).cmp(&ending))
        .map_or(DEFAULT, |at| TYPES[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_name_says_the_type() {
        assert!(TYPES.is_sorted(), "it is searched by halves");
        for (name, expected) in [
            ("a.TXT", "text/plain"),
            ("stdout", DEFAULT),
            ("x.tar.gz", "application/x-gzip"),
            (".bashrc", DEFAULT),
            ("a.nosuch", DEFAULT),
        ] {
            assert_eq!(of(Path::new(name)), expected, "{name}");
        }
    }
}
