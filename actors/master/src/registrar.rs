//! The registrar: the one writer of the registry, in batches, durable before it answers.
//!
//! ```text
//!   Recover ──> fetching ──> storing (the new master's info) ──> idle <──────────────┐
//!                   │               │                              │ operations      │ stored
//!                   │ error,        │ error, time out,             v                 │
//!                   │ time out      │ another writer            storing a batch ─────┘
//!                   v               v                              │
//!                 failed <────────────────────────────────────────┘
//! ```
//!
//! Failed is for good: every operation, waiting or new, is answered with the error, and the
//! master ends itself. Files: `operation` (what each operation does), `core` (the batches),
//! `storage` (where the bytes lie), `process` (the process `registrar(1)`).

mod core;
mod operation;
mod process;
mod storage;

pub use self::core::{Effect, Input, RegistrarCore, Ticket};
pub use self::operation::apply;
pub use self::process::{Limits, Registrar};
pub use self::storage::{Done, Entry, InMemory, Storage, StorageError};
