//! The disk: the same calls have the same outcome on the machine and in memory.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tepui_runtime::{Disk, FileInfo};

use crate::in_both_worlds;
use crate::support::Stage;

in_both_worlds! {
    a_file_is_written_whole
    a_file_grows_and_is_cut
    a_part_of_a_file_is_read
    folders_are_made_listed_and_removed
    a_folder_is_renamed_with_what_is_in_it
    links_are_replaced_and_followed
    a_lock_names_its_holder
    errors_name_the_path
    only_known_users_own_files
}

/// A folder of a disk: on the machine a temporary one.
struct Place {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    _held: TempDir,
}

impl Place {
    fn new(stage: &impl Stage) -> Place {
        let held = tempfile::tempdir().unwrap();
        let disk = stage.node().disk();
        disk.create_dir_all(held.path()).unwrap();
        Place {
            disk,
            folder: held.path().to_path_buf(),
            _held: held,
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn list(&self, name: &str) -> Vec<String> {
        self.disk.list(&self.at(name)).unwrap()
    }
}

fn a_file_is_written_whole(stage: &mut impl Stage) {
    let place = Place::new(stage);
    let path = place.at("registry");
    assert!(!place.disk.exists(&path));
    place.disk.write_atomic(&path, b"one").unwrap();
    place.disk.write_atomic(&path, b"another").unwrap();
    assert_eq!(place.disk.read(&path).unwrap(), b"another");
    assert_eq!(place.list(""), ["registry"]);
    let absent = place
        .disk
        .write_atomic(&place.at("absent/file"), b"")
        .unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::NotFound);
    place.disk.create_dir_all(&place.at("folder")).unwrap();
    let folder = place
        .disk
        .write_atomic(&place.at("folder"), b"")
        .unwrap_err();
    assert_eq!(folder.kind(), ErrorKind::IsADirectory);
    assert_eq!(place.list(""), ["folder", "registry"]);
}

fn a_file_grows_and_is_cut(stage: &mut impl Stage) {
    let place = Place::new(stage);
    let path = place.at("updates");
    place.disk.append_synced(&path, b"abc").unwrap();
    place.disk.append(&path, b"def").unwrap();
    place.disk.append_synced(&path, b"ghi").unwrap();
    assert_eq!(place.disk.read(&path).unwrap(), b"abcdefghi");
    place.disk.truncate(&path, 4).unwrap();
    assert_eq!(place.disk.read(&path).unwrap(), b"abcd");
    place.disk.remove_file(&path).unwrap();
    assert!(!place.disk.exists(&path));
    assert_eq!(
        place.disk.truncate(&path, 0).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

fn a_part_of_a_file_is_read(stage: &mut impl Stage) {
    let place = Place::new(stage);
    let path = place.at("stdout");
    place.disk.write_atomic(&path, b"0123456789").unwrap();
    assert_eq!(place.disk.read_at(&path, 3, 4).unwrap(), b"3456");
    assert_eq!(place.disk.read_at(&path, 8, 4).unwrap(), b"89");
    assert_eq!(place.disk.read_at(&path, 11, 4).unwrap(), b"");
}

fn folders_are_made_listed_and_removed(stage: &mut impl Stage) {
    let place = Place::new(stage);
    let disk = &place.disk;
    disk.create_dir_all(&place.at("a/b/c")).unwrap();
    disk.create_dir_all(&place.at("a/b/c")).unwrap();
    disk.write_atomic(&place.at("a/z"), b"12345").unwrap();
    disk.write_atomic(&place.at("a-file"), b"").unwrap();
    disk.symlink(Path::new("z"), &place.at("a/link")).unwrap();
    assert_eq!(place.list("a"), ["b", "link", "z"]);
    let info = |name: &str| disk.metadata(&place.at(name)).unwrap();
    assert_eq!(
        info("a/z"),
        FileInfo {
            len: 5,
            is_dir: false,
            is_symlink: false
        }
    );
    assert!(info("a/b").is_dir && info("a/link").is_symlink);
    let under_a_file = disk.create_dir_all(&place.at("a/z/deeper")).unwrap_err();
    assert_eq!(under_a_file.kind(), ErrorKind::NotADirectory);
    disk.remove_dir_all(&place.at("a")).unwrap();
    assert_eq!(place.list(""), ["a-file"]);
    assert_eq!(
        disk.list(&place.at("a")).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        disk.list(&place.at("a-file")).unwrap_err().kind(),
        ErrorKind::NotADirectory
    );
}

fn a_folder_is_renamed_with_what_is_in_it(stage: &mut impl Stage) {
    let place = Place::new(stage);
    let disk = &place.disk;
    disk.create_dir_all(&place.at("old/deep")).unwrap();
    disk.write_atomic(&place.at("old/deep/file"), b"x").unwrap();
    disk.create_dir_all(&place.at("full/deep")).unwrap();
    let full = disk
        .rename(&place.at("old"), &place.at("full"))
        .unwrap_err();
    assert_eq!(full.kind(), ErrorKind::DirectoryNotEmpty);
    disk.rename(&place.at("old"), &place.at("new")).unwrap();
    assert_eq!(disk.read(&place.at("new/deep/file")).unwrap(), b"x");
    assert_eq!(place.list(""), ["full", "new"]);
}

fn links_are_replaced_and_followed(stage: &mut impl Stage) {
    let place = Place::new(stage);
    let disk = &place.disk;
    for id in ["S0", "S1"] {
        disk.create_dir_all(&place.at(id)).unwrap();
        disk.write_atomic(&place.at(id).join("slave.info"), id.as_bytes())
            .unwrap();
        disk.symlink(Path::new(id), &place.at("latest")).unwrap();
        assert_eq!(disk.read_link(&place.at("latest")).unwrap(), Path::new(id));
        assert_eq!(
            disk.read(&place.at("latest/slave.info")).unwrap(),
            id.as_bytes()
        );
    }
    assert_eq!(place.list(""), ["S0", "S1", "latest"]);
    disk.remove_file(&place.at("latest")).unwrap();
    assert!(disk.exists(&place.at("S1/slave.info")));
    disk.symlink(Path::new("loop"), &place.at("loop")).unwrap();
    assert!(disk.read(&place.at("loop/x")).is_err());
}

fn a_lock_names_its_holder(stage: &mut impl Stage) {
    let place = Place::new(stage);
    let path = place.at("lock");
    let lock = place
        .disk
        .lock_exclusive(&path, "agent with pid 7")
        .unwrap();
    let error = place.disk.lock_exclusive(&path, "another").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert_eq!(
        error.to_string(),
        format!("{} is locked by agent with pid 7", path.display())
    );
    let wait = std::time::Duration::from_millis(20);
    let error = place.disk.lock_patiently(&path, "another", wait);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(lock);
    place.disk.lock_exclusive(&path, "another").unwrap();
    assert_eq!(place.disk.read(&path).unwrap(), b"another");
}

fn errors_name_the_path(stage: &mut impl Stage) {
    let place = Place::new(stage);
    let path = place.at("absent");
    let named = |error: std::io::Error| {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(
            error.to_string().starts_with(&path.display().to_string()),
            "{error}"
        );
    };
    named(place.disk.read(&path).unwrap_err());
    named(place.disk.remove_file(&path).unwrap_err());
    named(place.disk.remove_dir_all(&path).unwrap_err());
    named(place.disk.metadata(&path).unwrap_err());
    named(place.disk.read_link(&path).unwrap_err());
    named(place.disk.rename(&path, &place.at("new")).unwrap_err());
    named(place.disk.own(&path, "root").unwrap_err());
}

fn only_known_users_own_files(stage: &mut impl Stage) {
    let place = Place::new(stage);
    place.disk.write_atomic(&place.at("file"), b"").unwrap();
    let error = place
        .disk
        .own(&place.at("file"), "no such user")
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        error.to_string().ends_with("no user 'no such user'"),
        "{error}"
    );
}
