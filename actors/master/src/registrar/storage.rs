//! Where the registry's bytes lie: a versioned variable, written only by who read it last.
//!
//! It is Mesos' `State`: an entry has a name, a uuid that changes with each write, and a value.
//! A write carries the entry it replaces; if another writer was there meanwhile, it is refused.
//! The in-memory body is here. It does not survive the process, and says so.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tepui_runtime::{Bytes, Uuid};

/// A variable as it was read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// The version of its value.
    pub uuid: Uuid,
    /// Its value; empty if it was never written.
    pub value: Bytes,
}

/// Why the storage failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// Somebody else wrote the variable since it was read.
    #[error("version mismatch of '{name}': another writer replaced it")]
    VersionMismatch {
        /// The variable.
        name: String,
    },
    /// The storage itself failed.
    #[error("storage of '{name}' failed: {problem}")]
    Failed {
        /// The variable.
        name: String,
        /// What went wrong.
        problem: String,
    },
}

/// Takes the outcome, once, on whatever thread.
pub type Done<T> = Box<dyn FnOnce(Result<T, StorageError>) + Send>;

/// A place for versioned variables. Neither call blocks.
pub trait Storage: Send + Sync {
    /// Whether what is written is there after the process ended.
    fn survives(&self) -> bool;

    /// Reads a variable; one that was never written has an empty value and the version `fresh`.
    fn get(&self, name: &str, fresh: Uuid, done: Done<Entry>);

    /// Replaces what `read` holds by `value`, under the version `fresh`. When `done` is called
    /// with the new entry, the write is as durable as this storage is.
    fn set(&self, read: &Entry, value: Bytes, fresh: Uuid, done: Done<Entry>);
}

/// Variables in memory.
#[derive(Debug, Default)]
pub struct InMemory {
    entries: Mutex<BTreeMap<String, Entry>>,
}

impl Storage for InMemory {
    fn survives(&self) -> bool {
        false
    }

    fn get(&self, name: &str, fresh: Uuid, done: Done<Entry>) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let unwritten = || Entry {
            name: name.to_owned(),
            uuid: fresh,
            value: Bytes::new(),
        };
        let entry = entries
            .entry(name.to_owned())
            .or_insert_with(unwritten)
            .clone();
        drop(entries);
        done(Ok(entry));
    }

    fn set(&self, read: &Entry, value: Bytes, fresh: Uuid, done: Done<Entry>) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let there = entries
            .get(&read.name)
            .map_or(read.uuid, |entry| entry.uuid);
        let outcome = if there == read.uuid {
            let entry = Entry {
                name: read.name.clone(),
                uuid: fresh,
                value,
            };
            entries.insert(read.name.clone(), entry.clone());
            Ok(entry)
        } else {
            Err(StorageError::VersionMismatch {
                name: read.name.clone(),
            })
        };
        drop(entries);
        done(outcome);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn uuid(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn get(storage: &InMemory, fresh: Uuid) -> Entry {
        let (sender, receiver) = channel();
        storage.get(
            "registry",
            fresh,
            Box::new(move |entry| sender.send(entry).unwrap()),
        );
        receiver.recv().unwrap().unwrap()
    }

    fn set(
        storage: &InMemory,
        read: &Entry,
        value: &'static str,
        fresh: Uuid,
    ) -> Result<Entry, StorageError> {
        let (sender, receiver) = channel();
        let done = Box::new(move |entry| sender.send(entry).unwrap());
        storage.set(read, Bytes::from_static(value.as_bytes()), fresh, done);
        receiver.recv().unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let storage = InMemory::default();
        let empty = get(&storage, uuid(1));
        assert_eq!((empty.uuid, empty.value.len()), (uuid(1), 0));
        let written = set(&storage, &empty, "a", uuid(2)).unwrap();
        assert_eq!(get(&storage, uuid(9)), written);
        assert_eq!(&written.value[..], b"a");
    }

    #[test]
    fn a_second_writer_is_refused() {
        let storage = InMemory::default();
        let first = get(&storage, uuid(1));
        let second = get(&storage, uuid(2));
        assert_eq!(first, second);
        set(&storage, &first, "a", uuid(3)).unwrap();
        let error = set(&storage, &second, "b", uuid(4)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "version mismatch of 'registry': another writer replaced it"
        );
        assert_eq!(&get(&storage, uuid(5)).value[..], b"a");
    }
}
