//! The output of tasks as it grows in their sandboxes, brought to this command's own stdout and
//! stderr. One instance's bytes pass as they are; with several, whole lines, each with the number
//! of its instance in front.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use tepui_runtime::Disk;

/// How much is read of one file at once.
const CHUNK_BYTES: usize = 64 << 10;

/// The longest line that is waited for; a longer one is cut into lines.
const LINE_BYTES: usize = 64 << 10;

/// One file, as far as it was read.
#[derive(Debug)]
struct Tail {
    path: PathBuf,
    offset: u64,
    /// What goes in front of each line; without it bytes pass as they are.
    prefix: Option<String>,
    /// The beginning of a line whose end was not read yet.
    partial: Vec<u8>,
}

/// The two streams of one instance.
#[derive(Debug)]
pub(crate) struct Output {
    stdout: Tail,
    stderr: Tail,
}

impl Output {
    /// The output in a sandbox, from its beginning.
    pub(crate) fn new(sandbox: &Path, prefix: Option<String>) -> Self {
        let tail = |name| Tail {
            path: sandbox.join(name),
            offset: 0,
            prefix: prefix.clone(),
            partial: Vec::new(),
        };
        Self {
            stdout: tail("stdout"),
            stderr: tail("stderr"),
        }
    }

    /// Passes on what came since the last time; blocks. With `last` also a line without an end.
    ///
    /// # Errors
    ///
    /// What writing gives; a file that cannot be read is one with nothing in it yet.
    pub(crate) fn pump(
        &mut self,
        disk: &dyn Disk,
        stdout: &mut dyn Write,
        stderr: &mut dyn Write,
        last: bool,
    ) -> io::Result<()> {
        self.stdout.pump(disk, stdout, last)?;
        self.stderr.pump(disk, stderr, last)
    }
}

impl Tail {
    fn pump(&mut self, disk: &dyn Disk, out: &mut dyn Write, last: bool) -> io::Result<()> {
        while let Ok(chunk) = disk.read_at(&self.path, self.offset, CHUNK_BYTES)
            && !chunk.is_empty()
        {
            self.offset += chunk.len() as u64;
            out.write_all(&self.take(chunk))?;
        }
        if last && !self.partial.is_empty() {
            self.partial.push(b'\n');
            let line = self.take(Vec::new());
            out.write_all(&line)?;
        }
        out.flush()
    }

    /// What of these bytes, and of those kept before, is to be written now.
    fn take(&mut self, chunk: Vec<u8>) -> Vec<u8> {
        let Some(prefix) = &self.prefix else {
            return chunk;
        };
        self.partial.extend_from_slice(&chunk);
        let mut written = Vec::new();
        let mut rest = self.partial.as_slice();
        while let Some((line, after)) = split_line(rest) {
            written.extend_from_slice(prefix.as_bytes());
            written.extend_from_slice(line);
            written.push(b'\n');
            rest = after;
        }
        self.partial = rest.to_vec();
        written
    }
}

/// The first whole line without its end, and what follows.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let within = &bytes[..bytes.len().min(LINE_BYTES)];
    if let Some(end) = within.iter().position(|byte| *byte == b'\n') {
        return Some((&bytes[..end], &bytes[end + 1..]));
    }
    (bytes.len() >= LINE_BYTES).then(|| bytes.split_at(LINE_BYTES))
}

#[cfg(test)]
mod tests {
    use tepui_runtime::{Node, NodeOptions, SimOptions, World};

    use super::*;

    fn disk() -> std::sync::Arc<dyn Disk> {
        let simulation = World::simulated(SimOptions::default());
        let node = Node::start(simulation.world(), NodeOptions::default()).unwrap();
        node.disk().create_dir_all(Path::new("/sandbox")).unwrap();
        node.disk()
    }

    fn pumped(output: &mut Output, disk: &dyn Disk, last: bool) -> (String, String) {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        output.pump(disk, &mut stdout, &mut stderr, last).unwrap();
        (
            String::from_utf8(stdout).unwrap(),
            String::from_utf8(stderr).unwrap(),
        )
    }

    #[test]
    fn the_bytes_of_one_instance_pass_as_they_are() {
        let disk = disk();
        let mut output = Output::new(Path::new("/sandbox"), None);
        assert_eq!(
            pumped(&mut output, &*disk, false),
            (String::new(), String::new())
        );
        disk.append_synced(Path::new("/sandbox/stdout"), b"hel")
            .unwrap();
        assert_eq!(pumped(&mut output, &*disk, false).0, "hel");
        disk.append_synced(Path::new("/sandbox/stdout"), b"lo")
            .unwrap();
        disk.append_synced(Path::new("/sandbox/stderr"), b"oh\n")
            .unwrap();
        assert_eq!(
            pumped(&mut output, &*disk, true),
            ("lo".to_owned(), "oh\n".to_owned())
        );
    }

    #[test]
    fn of_several_instances_whole_lines_pass() {
        let disk = disk();
        let mut output = Output::new(Path::new("/sandbox"), Some("[1] ".to_owned()));
        disk.append_synced(Path::new("/sandbox/stdout"), b"one\ntw")
            .unwrap();
        assert_eq!(pumped(&mut output, &*disk, false).0, "[1] one\n");
        disk.append_synced(Path::new("/sandbox/stdout"), b"o\n\nthree")
            .unwrap();
        assert_eq!(pumped(&mut output, &*disk, false).0, "[1] two\n[1] \n");
        assert_eq!(pumped(&mut output, &*disk, true).0, "[1] three\n");
        assert_eq!(pumped(&mut output, &*disk, true).0, "");
    }

    #[test]
    fn a_line_that_does_not_end_is_cut() {
        let disk = disk();
        let mut output = Output::new(Path::new("/sandbox"), Some(String::new()));
        disk.append_synced(Path::new("/sandbox/stdout"), &[b'x'; LINE_BYTES + 5])
            .unwrap();
        let text = pumped(&mut output, &*disk, false).0;
        assert_eq!(
            (text.len(), text.matches('\n').count()),
            (LINE_BYTES + 1, 1)
        );
        assert_eq!(pumped(&mut output, &*disk, true).0, "xxxxx\n");
    }
}
