//! `/files/read`: a piece of a file as text.

use std::sync::Arc;

use serde::Serialize;
use tepui_runtime::{
    Node,
    http::{Handler, Request},
};

use super::{Attached, path_of, refusal, resolve};
use crate::{checks::Refusal, views};

/// The most that one request reads: Mesos' 16 pages.
const MOST: u64 = 16 * 4096;

pub(super) fn read(attached: &Arc<dyn Attached>) -> Handler {
    let attached = Arc::clone(attached);
    views::rendered(move |request, node| {
        let path = path_of(request)?;
        let wanted = Wanted::of(request)?;
        views::to_json(&piece(&*attached, node, path, wanted)?)
    })
}

/// What a request asks for: `offset` and `length` of -1 stand for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    offset: Option<u64>,
    length: Option<u64>,
}

impl Wanted {
    fn of(request: &Request) -> Result<Self, Refusal> {
        Ok(Self {
            offset: number(request, "offset")?,
            length: number(request, "length")?,
        })
    }
}

fn number(request: &Request, key: &str) -> Result<Option<u64>, Refusal> {
    let Some(text) = request.query.get(key) else {
        return Ok(None);
    };
    let number: i64 = text.parse().map_err(|_| {
        Refusal::BadRequest(format!(
            "Failed to parse {key}: Failed to convert '{text}' to number.\n"
        ))
    })?;
    match number {
        -1 => Ok(None),
        _ => u64::try_from(number)
            .map(Some)
            .map_err(|_| Refusal::BadRequest(format!("Negative {key} provided: {number}.\n"))),
    }
}

#[derive(Debug, Serialize)]
struct Piece {
    offset: u64,
    data: String,
}

fn piece(
    attached: &dyn Attached,
    node: &Node,
    path: &str,
    wanted: Wanted,
) -> Result<Piece, Refusal> {
    let place = resolve(attached, path)?;
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::IsADirectory => {
            Refusal::BadRequest("Cannot read a directory.\n".to_owned())
        }
        _ => refusal(path, &error),
    };
    let file = node
        .disk()
        .open_beneath(&place.root, &place.rest)
        .map_err(failed)?;
    let size = file.len().map_err(failed)?;
    let Some(offset) = wanted.offset else {
        // Whoever gives no offset wants to know how long the file is.
        let data = String::new();
        return Ok(Piece { offset: size, data });
    };
    let length = wanted.length.unwrap_or(MOST).min(MOST);
    let length = length.min(size.saturating_sub(offset));
    let length = usize::try_from(length).unwrap_or(0);
    let mut bytes = file.read_at(offset, length).map_err(failed)?;
    bytes.truncate(whole(&bytes));
    let data = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Piece { offset, data })
}

/// The length without a last character that is cut off, which the next piece begins with; all of
/// it if there is nothing else.
fn whole(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(cut) if cut.error_len().is_none() && cut.valid_up_to() > 0 => cut.valid_up_to(),
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(key: &str, value: &str) -> Result<Wanted, String> {
        let mut request = Request::new("GET", "/files/read");
        request.query.insert(key.to_owned(), value.to_owned());
        Wanted::of(&request).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn numbers_are_read_as_mesos_does() {
        let none = Wanted {
            offset: None,
            length: None,
        };
        assert_eq!(wanted("offset", "-1"), Ok(none));
        assert_eq!(wanted("length", "-1"), Ok(none));
        let offset = Some(7);
        assert_eq!(wanted("offset", "7"), Ok(Wanted { offset, ..none }));
        let text = "Negative offset provided: -2.\n".to_owned();
        assert_eq!(wanted("offset", "-2"), Err(text));
        for key in ["offset", "length"] {
            let text = format!("Failed to parse {key}: Failed to convert 'a' to number.\n");
            assert_eq!(wanted(key, "a"), Err(text));
        }
    }

    #[test]
    fn a_character_is_not_cut_in_two() {
        assert_eq!(whole("añ".as_bytes()), 3);
        assert_eq!(whole(&"añ".as_bytes()[..2]), 1);
        assert_eq!(
            whole(&"ñ".as_bytes()[..1]),
            1,
            "else nothing would ever be read"
        );
        assert_eq!(whole(b"a\xff\xc3"), 3, "this is no text");
        assert_eq!(whole(b""), 0);
    }
}
