//! Python's own protobuf library, given the same descriptors, reads what the crate writes and
//! writes it again as the same bytes; and the crate does so with what Python writes.
//!
//! `TEPUI_PYTHON` names a Python that has `protobuf`.

#![cfg(test)]

#[path = "support/draw.rs"]
mod draw;
#[path = "support/registry.rs"]
mod registry;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use draw::{Dice, draw};
use prost_reflect::prost::Message as _;
use tepui_message::Encoding;

/// Messages of every type as the crate writes them: name, bytes in hex.
fn written() -> String {
    let pool = registry::pool();
    let mut lines = String::new();
    for (name, transcode) in registry::types() {
        let descriptor = pool.get_message_by_name(name).unwrap();
        let mut dice = Dice::new(11, name);
        for round in 0..30 {
            let body = draw(&descriptor, round, &mut dice).encode_to_vec();
            let [_, _, body] = transcode(Encoding::Protobuf, &body).unwrap();
            lines.push_str(name);
            lines.push(' ');
            for byte in body {
                write!(lines, "{byte:02x}").unwrap();
            }
            lines.push('\n');
        }
    }
    lines
}

fn bytes(digits: &str) -> Vec<u8> {
    let pair = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(pair).collect()
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the other side is a program that reads files"
)]
fn python_writes_the_same_bytes() {
    let python = std::env::var_os("TEPUI_PYTHON")
        .expect("TEPUI_PYTHON has to name a Python with protobuf; the README says how");
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../integration/python/protobuf_agrees.py");
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("descriptors"), registry::DESCRIPTORS).unwrap();
    std::fs::write(file("received"), written()).unwrap();
    let output = Command::new(python)
        .arg(script)
        .args(["descriptors", "received", "drawn"].map(file))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");

    let types = registry::types();
    let mut agreed: BTreeMap<&str, usize> = BTreeMap::new();
    let drawn = std::fs::read_to_string(file("drawn")).unwrap();
    for line in drawn.lines() {
        let (name, digits) = line.split_once(' ').unwrap();
        let body = bytes(digits);
        let [_, _, again] = types[name](Encoding::Protobuf, &body)
            .unwrap_or_else(|error| panic!("{name}: {error}: {digits}"));
        assert_eq!(again, body, "{name}: {digits}");
        *agreed.entry(name).or_default() += 1;
    }
    assert_eq!(agreed.len(), types.len());
    assert!(agreed.values().all(|count| *count == 30));
}
