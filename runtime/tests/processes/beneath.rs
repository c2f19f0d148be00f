//! Reading below a folder: nothing leads out of it, on the machine and in memory.

use std::io::{self, ErrorKind};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;
use tepui_runtime::Disk;

use crate::in_both_worlds;
use crate::support::{Stage, real};

in_both_worlds! {
    what_is_below_is_read
    links_that_stay_below_are_followed
    nothing_leads_out
    a_root_that_is_a_file_is_read_itself
    a_folder_is_listed_with_what_its_links_lead_to
    only_what_is_there_is_found
    folders_are_made_and_moved_below_and_nowhere_else
}

/// A sandbox with a secret beside it.
struct Place {
    disk: Arc<dyn Disk>,
    above: PathBuf,
    root: PathBuf,
    _held: TempDir,
}

impl Place {
    fn new(stage: &impl Stage) -> Place {
        let held = tempfile::tempdir().unwrap();
        let above = held.path().canonicalize().unwrap();
        let disk = stage.node().disk();
        let root = above.join("sandbox");
        disk.create_dir_all(&root.join("a/b")).unwrap();
        disk.write_atomic(&above.join("secret"), b"secret").unwrap();
        disk.create_dir_all(&above.join("sandbox-2")).unwrap();
        disk.write_atomic(&above.join("sandbox-2/secret"), b"secret")
            .unwrap();
        disk.write_atomic(&root.join("a/file"), b"0123456789")
            .unwrap();
        Place {
            disk,
            above,
            root,
            _held: held,
        }
    }

    fn link(&self, target: impl AsRef<Path>, name: &str) {
        self.disk
            .symlink(target.as_ref(), &self.root.join(name))
            .unwrap();
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let file = self.disk.open_beneath(&self.root, Path::new(path))?;
        file.read_at(0, 1000)
    }

    fn kind(&self, path: &str) -> ErrorKind {
        self.read(path).expect_err(path).kind()
    }
}

fn what_is_below_is_read(stage: &mut impl Stage) {
    let place = Place::new(stage);
    let file = place.disk.open_beneath(&place.root, Path::new("a/file"));
    let file = file.unwrap();
    assert_eq!((file.len().unwrap(), file.is_empty().unwrap()), (10, false));
    assert_eq!(file.read_at(2, 3).unwrap(), b"234");
    assert_eq!(file.read_at(8, 100).unwrap(), b"89");
    assert_eq!(file.read_at(10, 1).unwrap(), b"");
    assert_eq!(file.read_at(99, 1).unwrap(), b"");
    assert_eq!(place.read("./a/./file").unwrap(), b"0123456789");
    assert_eq!(place.read("a/b/../file").unwrap(), b"0123456789");
    assert_eq!(place.kind("a"), ErrorKind::IsADirectory);
    assert_eq!(place.kind(""), ErrorKind::IsADirectory);
}

fn links_that_stay_below_are_followed(stage: &mut impl Stage) {
    let place = Place::new(stage);
    place.link("a/file", "relative");
    place.link("../a/file", "a/up");
    place.link(place.root.join("a/file"), "absolute");
    place.link("a", "folder");
    place.link("relative", "twice");
    place.link(&place.root, "whole");
    for path in [
        "relative",
        "a/up",
        "absolute",
        "folder/file",
        "twice",
        "whole/a/file",
        "whole/whole/folder/up",
    ] {
        assert_eq!(place.read(path).unwrap(), b"0123456789", "{path}");
    }
}

fn nothing_leads_out(stage: &mut impl Stage) {
    let place = Place::new(stage);
    place.link("../secret", "beside");
    place.link(place.above.join("secret"), "absolute");
    place.link("a/b/../../../secret", "through");
    place.link("..", "up");
    place.link("/", "top");
    // Begins with the same letters as the root.
    place.link(place.above.join("sandbox-2"), "neighbor");
    place.link("beside", "chain");
    let secret = place.above.join("secret");
    for path in [
        "beside",
        "absolute",
        "through",
        "up",
        "up/secret",
        "up/sandbox/a/file",
        "top",
        "top/etc/passwd",
        "neighbor",
        "neighbor/secret",
        "chain",
        "..",
        "../secret",
        "a/../../secret",
        "/secret",
        "/",
        secret.to_str().unwrap(),
    ] {
        assert_eq!(place.kind(path), ErrorKind::PermissionDenied, "{path}");
        let listed = place.disk.list_beneath(&place.root, Path::new(path));
        assert_eq!(
            listed.unwrap_err().kind(),
            ErrorKind::PermissionDenied,
            "{path}"
        );
    }
}

fn a_root_that_is_a_file_is_read_itself(stage: &mut impl Stage) {
    let place = Place::new(stage);
    let log = place.root.join("a/file");
    let file = place.disk.open_beneath(&log, Path::new("")).unwrap();
    assert_eq!(file.read_at(0, 2).unwrap(), b"01");
    let below = place.disk.open_beneath(&log, Path::new("x"));
    assert_eq!(below.unwrap_err().kind(), ErrorKind::NotADirectory);
    let above = place.disk.open_beneath(&log, Path::new(".."));
    assert_eq!(above.unwrap_err().kind(), ErrorKind::PermissionDenied);
}

fn a_folder_is_listed_with_what_its_links_lead_to(stage: &mut impl Stage) {
    const KIND: u32 = 0o170_000;
    let place = Place::new(stage);
    place.link("a/file", "inside");
    place.link("../secret", "outside");
    place.link("nowhere", "broken");
    let listed = place.disk.list_beneath(&place.root, Path::new("")).unwrap();
    let shown: Vec<(&str, u32)> = listed
        .iter()
        .map(|(name, stat)| (name.as_str(), stat.mode & KIND))
        .collect();
    let expected = [
        ("a", 0o040_000),
        ("broken", 0o120_000),
        ("inside", 0o100_000),
        ("outside", 0o120_000),
    ];
    assert_eq!(shown, expected);
    let inside = &listed[2].1;
    assert_eq!((inside.len, inside.links), (10, 1));
    assert_ne!(listed[3].1.len, 6, "nothing is told of what is outside");
    let file = place.disk.list_beneath(&place.root, Path::new("a/file"));
    assert_eq!(file.unwrap_err().kind(), ErrorKind::NotADirectory);
}

fn only_what_is_there_is_found(stage: &mut impl Stage) {
    let place = Place::new(stage);
    place.link("nowhere", "broken");
    place.link("loop-2", "loop-1");
    place.link("loop-1", "loop-2");
    assert_eq!(place.kind("x"), ErrorKind::NotFound);
    assert_eq!(place.kind("x/y"), ErrorKind::NotFound);
    assert_eq!(place.kind("broken"), ErrorKind::NotFound);
    assert_eq!(place.kind("a/file/x"), ErrorKind::NotADirectory);
    let error = place.read("loop-1").unwrap_err().to_string();
    assert!(
        error.ends_with("too many levels of symbolic links"),
        "{error}"
    );
    let gone = place
        .disk
        .open_beneath(&place.above.join("no"), Path::new(""));
    assert_eq!(gone.unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn what_is_neither_file_nor_folder_is_not_opened() {
    let stage = real();
    let place = Place::new(&stage);
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o600);
    // Opened like a file it would wait until somebody writes.
    nix::unistd::mkfifo(&place.root.join("pipe"), mode).unwrap();
    let _socket = UnixListener::bind(place.root.join("socket")).unwrap();
    for path in ["pipe", "socket"] {
        assert_eq!(place.kind(path), ErrorKind::InvalidInput, "{path}");
    }
}

#[test]
fn owners_and_permissions_are_told() {
    let stage = real();
    let place = Place::new(&stage);
    let path = place.root.join("a/file");
    let permissions = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(&path, permissions).unwrap();
    let listed = place
        .disk
        .list_beneath(&place.root, Path::new("a"))
        .unwrap();
    let (name, stat) = listed.last().unwrap();
    assert_eq!((name.as_str(), stat.mode), ("file", 0o100_640));
    let me = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap();
    assert_eq!(Some(&stat.user), me.map(|me| me.name).as_ref());
    assert!(stat.modified.as_secs_f64() > 1.7e9, "{stat:?}");
}

/// A task swaps a folder for a link to outside as fast as it can; a reader either gets the folder
/// or is refused, and never sees the secret.
#[test]
fn a_link_made_at_the_same_time_leads_nowhere() {
    let stage = real();
    let place = Place::new(&stage);
    let (inside, swapped) = (place.root.join("inside"), place.root.join("swapped"));
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(inside.join("secret"), b"harmless").unwrap();
    let link = place.root.join("link");
    let done = AtomicBool::new(false);
    let (mut read, mut refused) = (0, 0);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !done.load(Ordering::Acquire) {
                std::fs::rename(&inside, &swapped).unwrap();
                std::fs::rename(&swapped, &inside).unwrap();
                symlink(&place.above, &link).unwrap();
                std::fs::rename(&link, &swapped).unwrap();
                std::fs::remove_file(&swapped).unwrap();
            }
        });
        while read < 200 || refused < 200 {
            match place.read("swapped/secret") {
                Ok(bytes) => {
                    assert_eq!(bytes, b"harmless");
                    read += 1;
                }
                Err(error) => {
                    assert!(
                        matches!(
                            error.kind(),
                            ErrorKind::PermissionDenied | ErrorKind::NotFound
                        ),
                        "{error}"
                    );
                    refused += u32::from(error.kind() == ErrorKind::PermissionDenied);
                }
            }
        }
        done.store(true, Ordering::Release);
    });
}

fn folders_are_made_and_moved_below_and_nowhere_else(stage: &mut impl Stage) {
    let place = Place::new(stage);
    let make = |path: &str, user: Option<&str>| {
        place
            .disk
            .create_dir_beneath(&place.root, Path::new(path), user)
    };
    make("new/deep", Some("root")).unwrap();
    make("new/deep", None).expect("it may be there");
    assert!(place.disk.exists(&place.root.join("new/deep")));
    let listed = place
        .disk
        .list_beneath(&place.root, Path::new("new"))
        .unwrap();
    assert_eq!(
        (listed[0].0.as_str(), listed[0].1.user.as_str()),
        ("deep", "root")
    );
    let unknown = make("new/other", Some("no such user")).unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);

    let elsewhere = place.above.join("sandbox-2");
    place.link(&elsewhere, "out");
    place.link("a", "in");
    for (path, kind) in [
        ("out", ErrorKind::NotADirectory),
        ("out/x", ErrorKind::NotADirectory),
        // Not even one that stays below.
        ("in/x", ErrorKind::NotADirectory),
        ("a/file/x", ErrorKind::NotADirectory),
        ("../sandbox-2/x", ErrorKind::PermissionDenied),
    ] {
        assert_eq!(make(path, Some("root")).unwrap_err().kind(), kind, "{path}");
    }
    assert_eq!(place.disk.list(&elsewhere).unwrap(), ["secret"]);

    let aside = place.above.join("aside");
    let moved = |path: &str| {
        place
            .disk
            .rename_beneath(&place.root, Path::new(path), &aside)
    };
    for (path, kind) in [
        ("out/secret", ErrorKind::NotADirectory),
        ("../secret", ErrorKind::PermissionDenied),
        ("", ErrorKind::PermissionDenied),
        ("no", ErrorKind::NotFound),
    ] {
        assert_eq!(moved(path).unwrap_err().kind(), kind, "{path}");
    }
    moved("new/deep").unwrap();
    assert!(place.disk.exists(&aside));
    assert!(!place.disk.exists(&place.root.join("new/deep")));
    assert_eq!(place.disk.list(&elsewhere).unwrap(), ["secret"]);
}
