//! `/files/download`: a whole file, sent piece by piece.

use std::{path::Path, sync::Arc};

use tepui_runtime::{
    Id, Node, OpenFile,
    http::{Handler, Request, Response, body_channel},
};

use super::{Attached, mime, path_of, refusal, resolve, transfer::Transfer};
use crate::{checks::Refusal, sessions::Sessions};

/// How many files are sent at once; each holds a descriptor.
const MOST: usize = 1000;

pub(super) fn download(attached: &Arc<dyn Attached>) -> Handler {
    let attached = Arc::clone(attached);
    let running = Arc::new(Sessions::<()>::new(MOST));
    Arc::new(move |request, node| {
        let (attached, running) = (Arc::clone(&attached), Arc::clone(&running));
        Box::pin(async move {
            let disk_node = node.clone();
            let opened = node.blocking(move || open(&*attached, &disk_node, &request));
            match opened.await {
                Some(Ok(opened)) => send(opened, &running, &node).unwrap_or_else(Response::from),
                // Here, and only here, Mesos has words for it.
                Some(Err(Refusal::NotFound(_))) => Response::text(404, "404 Not Found."),
                Some(Err(refusal)) => refusal.into(),
                None => Response::text(500, "the file could not be opened"),
            }
        })
    })
}

struct Opened {
    file: Box<dyn OpenFile>,
    size: u64,
    name: String,
}

fn open(attached: &dyn Attached, node: &Node, request: &Request) -> Result<Opened, Refusal> {
    let path = path_of(request)?;
    let place = resolve(attached, path)?;
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::IsADirectory => {
            Refusal::BadRequest("Cannot download a directory.\n".to_owned())
        }
        _ => refusal(path, &error),
    };
    let file = node
        .disk()
        .open_beneath(&place.root, &place.rest)
        .map_err(failed)?;
    let size = file.len().map_err(failed)?;
    let named = if place.rest.as_os_str().is_empty() {
        &place.root
    } else {
        &place.rest
    };
    let name = named.file_name().unwrap_or_default();
    Ok(Opened {
        file,
        size,
        name: name.to_string_lossy().into_owned(),
    })
}

fn send(opened: Opened, running: &Sessions<()>, node: &Node) -> Result<Response, Refusal> {
    let admission = running.admit().ok_or_else(|| {
        Refusal::Unavailable(format!("{MOST} files are being downloaded already"))
    })?;
    let (writer, reader) = body_channel(Transfer::PIECE);
    let disposition = format!("attachment; filename={}", quoted(&opened.name));
    let kind = mime::of(Path::new(&opened.name));
    let reader = reader.sized(opened.size);
    let transfer = Transfer::new(opened.file, opened.size, writer, admission);
    node.spawn(Id::prefix("download"), transfer)
        .map_err(|problem| Refusal::Unavailable(problem.to_string()))?;
    Ok(Response::stream(200, kind, reader).with_header("Content-Disposition", disposition))
}

/// A file's name for a header: as it is where it is plain, else in quotes, without what a header
/// cannot hold.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+~".contains(c);
    if !name.is_empty() && name.chars().all(plain) {
        return name.to_owned();
    }
    let shown = name.chars().map(|c| match c {
        '"' | '\\' => '_',
        c if c.is_ascii_graphic() || c == ' ' => c,
        _ => '_',
    });
    format!("\"{}\"", shown.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_header() {
        assert_eq!(quoted("stdout"), "stdout");
        assert_eq!(quoted("a b.txt"), "\"a b.txt\"");
        assert_eq!(quoted("a\r\nX: y\"\\ñ"), "\"a__X: y___\"");
        assert_eq!(quoted(""), "\"\"");
    }
}
