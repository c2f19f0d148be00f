//! Reading a stream back from its file, as far as it was synced.

use std::path::{Path, PathBuf};

use prost::Message as _;
use tepui_protocol::mesos::internal::{StatusUpdateRecord, status_update_record};

use super::Stream;
use super::stream::Acknowledged;
use crate::checkpoint::CheckpointError;
use crate::checkpoint::record;

/// A stream as its file tells it.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// The stream, with what is unacknowledged pending.
    pub stream: Stream,
    /// The terminal update was acknowledged, so nothing is left to send.
    pub finished: bool,
    /// Present where the file ends with a torn record: cut it to this many bytes.
    pub cut_to: Option<u64>,
}

/// Plays the records of the file at `path`, whose content is `bytes`.
///
/// # Errors
/// [`CheckpointError`] naming the file, where it is foreign or damaged.
pub fn replay(path: &Path, bytes: &[u8]) -> Result<Replayed, CheckpointError> {
    let records = record::parse(bytes).map_err(|source| CheckpointError::Record {
        path: path.to_owned(),
        source,
    })?;
    let mut stream = Stream::new(Some(path.to_owned()));
    let mut finished = false;
    for body in &records.bodies {
        let record =
            StatusUpdateRecord::decode(body.clone()).map_err(|source| CheckpointError::Decode {
                path: path.to_owned(),
                source,
            })?;
        match (record.r#type(), record.update, record.uuid) {
            (status_update_record::Type::Update, Some(update), _) => {
                stream.update(update);
            }
            (status_update_record::Type::Ack, _, Some(uuid)) => {
                finished |= stream.acknowledge(&uuid) == Acknowledged::Head { terminal: true };
            }
            _ => return Err(incomplete(path)),
        }
    }
    let cut_to = (records.whole < bytes.len()).then_some(records.whole as u64);
    Ok(Replayed {
        stream,
        finished,
        cut_to,
    })
}

fn incomplete(path: &Path) -> CheckpointError {
    CheckpointError::Incomplete {
        path: PathBuf::from(path),
        what: "a status update record without its update or uuid",
    }
}
