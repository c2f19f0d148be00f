//! Archives of friends and of strangers.

use super::*;

use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

type Entry<'a> = (&'a str, EntryType, &'a str);

/// A tar archive with just these names, whatever a well-behaved archiver would say of them; what
/// comes third is the contents or the target.
fn tar_of(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, text) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o4755);
        header.set_mtime(1_000_000);
        let contents = if matches!(kind, EntryType::Symlink | EntryType::Link) {
            header.as_old_mut().linkname[..text.len()].copy_from_slice(text.as_bytes());
            ""
        } else {
            text
        };
        header.set_size(contents.len() as u64);
        header.set_cksum();
        builder.append(&header, contents.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

/// A sandbox in a folder of its own, so that what leaves it is seen.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("sandbox")).unwrap();
        Place { folder }
    }

    fn sandbox(&self) -> std::path::PathBuf {
        self.folder.path().join("sandbox")
    }

    fn extract(&self, archive: &[u8]) -> Result<(), String> {
        let path = self.folder.path().join("archive");
        std::fs::write(&path, archive).unwrap();
        let sandbox = Sandbox::open(&self.sandbox()).unwrap();
        let result = extract(File::open(&path).unwrap(), &sandbox, &Progress::default());
        std::fs::remove_file(path).unwrap();
        let outside = std::fs::read_dir(self.folder.path()).unwrap().count();
        assert_eq!(outside, 1, "something left the sandbox");
        result
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.sandbox().join(name)).unwrap()
    }
}

fn ordinary() -> Vec<u8> {
    tar_of(&[
        ("./", EntryType::Directory, ""),
        ("./bin/", EntryType::Directory, ""),
        ("bin/tool", EntryType::Regular, "tool"),
        ("deep/er/file", EntryType::Regular, "file"),
        ("link", EntryType::Symlink, "bin/tool"),
        ("same", EntryType::Link, "bin/tool"),
    ])
}

fn check(place: &Place) {
    assert_eq!(place.read("bin/tool"), "tool");
    assert_eq!(place.read("deep/er/file"), "file");
    assert_eq!(place.read("link"), "tool");
    assert_eq!(place.read("same"), "tool");
    let metadata = std::fs::metadata(place.sandbox().join("bin/tool")).unwrap();
    assert_eq!(
        metadata.permissions().mode() & 0o7777,
        0o755,
        "no set-user-id"
    );
    let modified = metadata.modified().unwrap().duration_since(UNIX_EPOCH);
    assert_eq!(modified.unwrap(), Duration::from_secs(1_000_000));
}

#[test]
fn a_tar_archive_is_unpacked_however_it_is_compressed() {
    let tar = ordinary();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(&tar).unwrap();
    let archives = [tar, gzip.finish().unwrap(), bzip2.finish().unwrap()];
    for archive in archives {
        let place = Place::new();
        place.extract(&archive).unwrap();
        check(&place);
    }
}

/// What `printf hello > a; tar c a | xz` made.
const XZ: &str = "\
    fd377a585a000004e6d6b446020021011c00000010cf58cce027ff00555d00308033501868898301\
    dce26e2105573538564d67becacd17d0b91866df897134380da575ef33f11ef51e6976a469fa2afd\
    39621cc0763b79311b497cfe4d15ac2d326edff588a538ca7b1963404c4a03f8da979f0000000000\
    02705dd426b05e37000171805000000089b5c079b1c467fb020000000004595a";

#[test]
fn xz_is_read() {
    let hex = XZ
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
    let place = Place::new();
    place.extract(&hex.collect::<Vec<_>>()).unwrap();
    assert_eq!(place.read("a"), "hello");
}

#[test]
fn names_that_lead_out_are_refused() {
    for (name, kind, text) in [
        ("../out", EntryType::Regular, "x"),
        ("a/../../out", EntryType::Regular, "x"),
        ("/out", EntryType::Regular, "x"),
        ("../out/", EntryType::Directory, ""),
        ("../out", EntryType::Symlink, "x"),
        ("x", EntryType::Link, "../archive"),
        ("x", EntryType::Link, "/etc/passwd"),
    ] {
        let place = Place::new();
        let error = place.extract(&tar_of(&[(name, kind, text)])).unwrap_err();
        assert!(error.starts_with(&format!("entry '{name}': ")), "{error}");
        assert!(error.ends_with("leads out of the sandbox"), "{error}");
    }
}

#[test]
fn a_link_that_leads_out_is_not_followed() {
    for target in ["..", "/", "../sandbox/.."] {
        let place = Place::new();
        let archive = tar_of(&[
            ("up", EntryType::Symlink, target),
            ("up/out", EntryType::Regular, "x"),
        ]);
        let error = place.extract(&archive).unwrap_err();
        assert!(error.starts_with("entry 'up/out': "), "{error}");
        // The link itself is there, as the archive wants it.
        let link = std::fs::read_link(place.sandbox().join("up")).unwrap();
        assert_eq!(link, Path::new(target));
    }
}

#[test]
fn devices_are_refused() {
    for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo] {
        let place = Place::new();
        let error = place.extract(&tar_of(&[("x", kind, "")])).unwrap_err();
        assert!(error.contains("are not unpacked"), "{error}");
    }
}

#[test]
fn a_broken_archive_is_an_error() {
    let whole = ordinary();
    let place = Place::new();
    assert!(place.extract(&whole[..700]).is_err(), "cut within an entry");
    let noise: Vec<u8> = (0..2048_u32).map(|n| (n * 7 % 251) as u8).collect();
    assert!(Place::new().extract(&noise).is_err());
    let mut magic = b"\xfd7zXZ\0".to_vec();
    magic.extend(noise);
    assert!(Place::new().extract(&magic).is_err());
    assert!(Place::new().extract(b"PK\x03\x04nothing").is_err());
}

#[test]
fn what_comes_out_is_bounded() {
    let progress = Progress::default();
    let mut budget = Budget {
        entries: 1,
        bytes: 10,
        progress: &progress,
    };
    budget.entry().unwrap();
    let error = budget.entry().unwrap_err();
    assert_eq!(error, "it has more than 1000000 entries");
    let mut out = Vec::new();
    budget.copy(&mut &b"0123456789"[..], &mut out).unwrap();
    let error = budget.copy(&mut &b"x"[..], &mut out).unwrap_err();
    assert!(error.contains("bytes come out of it"), "{error}");
    assert_eq!(out.len(), 10);
}

fn zip_of(entries: &[(&str, u32, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, mode, text) in entries {
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated)
            .unix_permissions(*mode);
        if *mode & TYPE == TYPE_LINK {
            writer.add_symlink(*name, *text, options).unwrap();
        } else if name.ends_with('/') {
            writer.add_directory(*name, options).unwrap();
        } else {
            writer.start_file(*name, options).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn a_zip_archive_is_unpacked() {
    let place = Place::new();
    let archive = zip_of(&[
        ("dir/", 0o755, ""),
        ("dir/tool", 0o750, "tool"),
        ("link", TYPE_LINK | 0o777, "dir/tool"),
    ]);
    place.extract(&archive).unwrap();
    assert_eq!(place.read("link"), "tool");
    let mode = std::fs::metadata(place.sandbox().join("dir/tool")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o7777, 0o750);
}

#[test]
fn a_zip_archive_stays_in_the_sandbox() {
    for name in ["../out", "/out", "a/../../out"] {
        let error = Place::new()
            .extract(&zip_of(&[(name, 0o644, "x")]))
            .unwrap_err();
        assert!(
            error.contains("leads out of the sandbox"),
            "{name}: {error}"
        );
    }
    let up = [("up", TYPE_LINK | 0o777, ".."), ("up/out", 0o644, "x")];
    assert!(Place::new().extract(&zip_of(&up)).is_err());
}

#[test]
fn one_compressed_file_is_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"plain").unwrap();
    let path = folder.path().join("a.gz");
    std::fs::write(&path, gzip.finish().unwrap()).unwrap();
    let mut into = File::create(folder.path().join("a")).unwrap();
    gunzip(File::open(&path).unwrap(), &mut into, &Progress::default()).unwrap();
    assert_eq!(std::fs::read(folder.path().join("a")).unwrap(), b"plain");
}
