//! Mutations that keep most of the form of what they change, so that most of it gets past a decoder
//! and what comes behind that is tried: of JSON by its values, of texts by their parts, of bytes.

use serde_json::{Number, Value};
use tepui_integration::Dice;

/// Texts that are the edge of something: of ids, of roles, of resources, of encodings.
const TEXTS: [&str; 27] = [
    "",
    ".",
    "..",
    "*",
    "a",
    "a/b",
    "/a",
    "a//b",
    "-a",
    "a\\b",
    "a b",
    "\u{0}",
    "\u{7f}",
    "\u{1f980}",
    "0",
    "cpus",
    "mem",
    "ports",
    "gpus",
    "$framework",
    "$agent",
    "$offer",
    "$task",
    "$executor",
    "$container",
    "AAAAAAAAAAAAAAAAAAAAAA==",
    "TASK_RUNNING",
];

fn edge(dice: &mut Dice) -> &'static str {
    TEXTS[dice.between(0, TEXTS.len() as u64) as usize]
}

const NUMBERS: [f64; 16] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.0004,
    0.001,
    1.5,
    255.0,
    65_536.0,
    2_147_483_647.0,
    -2_147_483_648.0,
    4_294_967_295.0,
    9_007_199_254_740_991.0,
    1e18,
    1e300,
    -1e-300,
];

/// Changes so many values of a tree. `others` is where parts may be taken from.
pub fn tree(dice: &mut Dice, tree: &mut Value, others: &[Value], changes: u64) {
    for _ in 0..changes {
        let at = dice.between(0, size(tree));
        if let Some(value) = nth(tree, &mut { at }) {
            change(dice, value, others);
        }
    }
}

fn size(value: &Value) -> u64 {
    1 + match value {
        Value::Array(values) => values.iter().map(size).sum(),
        Value::Object(fields) => fields.values().map(size).sum(),
        _ => 0,
    }
}

fn nth<'a>(value: &'a mut Value, at: &mut u64) -> Option<&'a mut Value> {
    if *at == 0 {
        return Some(value);
    }
    *at -= 1;
    match value {
        Value::Array(values) => values.iter_mut().find_map(|value| nth_or_skip(value, at)),
        Value::Object(fields) => fields.values_mut().find_map(|value| nth_or_skip(value, at)),
        _ => None,
    }
}

fn nth_or_skip<'a>(value: &'a mut Value, at: &mut u64) -> Option<&'a mut Value> {
    let size = size(value);
    if *at < size {
        return nth(value, at);
    }
    *at -= size;
    None
}

fn change(dice: &mut Dice, value: &mut Value, others: &[Value]) {
    if dice.percent(3) {
        *value = dice
            .pick(&[Value::Null, Value::Bool(true), 7.into(), "7".into()])
            .clone();
        return;
    }
    match value {
        Value::Null => *value = Value::Bool(true),
        Value::Bool(value) => *value = !*value,
        Value::Number(number) => *number = changed_number(dice, number),
        Value::String(text) => change_text(dice, text),
        Value::Array(values) => change_list(dice, values),
        Value::Object(fields) => {
            let keys: Vec<String> = fields.keys().cloned().collect();
            if !keys.is_empty() && dice.percent(15) {
                fields.remove(dice.pick(&keys));
            }
            if !others.is_empty() {
                let other = dice.pick(others);
                let fields_of_other = other.as_object().into_iter().flatten();
                let found: Vec<_> = fields_of_other.collect();
                if !found.is_empty() {
                    let (key, value) = dice.pick(&found);
                    fields
                        .entry((*key).clone())
                        .or_insert_with(|| (*value).clone());
                }
            }
        }
    }
}

fn changed_number(dice: &mut Dice, number: &Number) -> Number {
    let drawn = *dice.pick(&NUMBERS);
    let small = number
        .as_i64()
        .unwrap_or_default()
        .wrapping_add(dice.between(0, 3) as i64 - 1);
    // Most fields of numbers are of 32 bits, or not negative: what fits goes further.
    match dice.between(0, 4) {
        0 => Number::from_f64(drawn).unwrap_or_else(|| 0.into()),
        1 => Number::from(dice.between(0, 70_000)),
        _ => Number::from(small.max(0)),
    }
}

fn change_text(dice: &mut Dice, text: &mut String) {
    match dice.between(0, 6) {
        0 => *text = "x".repeat(dice.between(1, 400) as usize),
        1 => text.push_str(edge(dice)),
        2 => {
            text.pop();
        }
        _ => *text = edge(dice).to_owned(),
    }
}

fn change_list(dice: &mut Dice, values: &mut Vec<Value>) {
    if values.is_empty() {
        return;
    }
    let at = dice.between(0, values.len() as u64) as usize;
    match dice.between(0, 4) {
        0 => drop(values.remove(at)),
        1 => values.clear(),
        2 => values.push(values[at].clone()),
        _ => {
            let copy = values[at].clone();
            let times = dice.between(2, 40);
            values.extend((0..times).map(|_| copy.clone()));
        }
    }
}

/// Changes a few bytes.
pub fn bytes(dice: &mut Dice, bytes: &mut Vec<u8>) {
    for _ in 0..dice.between(1, 4) {
        if bytes.is_empty() {
            bytes.push(dice.draw() as u8);
        }
        let at = dice.between(0, bytes.len() as u64) as usize;
        match dice.between(0, 5) {
            0 => bytes[at] ^= 1 << dice.between(0, 8),
            1 => bytes[at] = *dice.pick(&[0, 1, 0x7f, 0x80, 0xff, b'\n', b'9']),
            2 => bytes.insert(at, dice.draw() as u8),
            3 => {
                bytes.remove(at);
            }
            _ => bytes.truncate(at),
        }
    }
}

/// What a part of a text is: its mark, a number, or a word.
#[derive(PartialEq, Eq)]
enum Sort {
    Mark,
    Number,
    Word,
}

fn sort(part: &str, marks: &[char]) -> Sort {
    if part.chars().all(|c| marks.contains(&c)) {
        Sort::Mark
    } else if part.trim().parse::<f64>().is_ok() {
        Sort::Number
    } else {
        Sort::Word
    }
}

/// Changes a part or two of a text, which are what is between its marks, or the marks.
pub fn text(dice: &mut Dice, text: &str, others: &[&str], marks: &[char]) -> String {
    let mut parts = split(text, marks);
    for _ in 0..dice.between(1, 3) {
        let at = dice.between(0, parts.len() as u64) as usize;
        let other: &&str = dice.pick(others);
        let other = split(other, marks);
        let alike: Vec<&String> = other
            .iter()
            .filter(|part| sort(part, marks) == sort(&parts[at], marks))
            .collect();
        match (dice.between(0, 20), sort(&parts[at], marks)) {
            (0, _) => drop(parts.remove(at)),
            (1, _) => parts[at] = edge(dice).to_owned(),
            (2..10, Sort::Number) => parts[at] = dice.pick(&NUMBERS).abs().to_string(),
            (2..15, Sort::Number | Sort::Word) if !alike.is_empty() => {
                parts[at] = (*dice.pick(&alike)).clone();
            }
            // Another text behind this one, as a further entry.
            _ => parts.extend([";".to_owned()].into_iter().chain(other)),
        }
        if parts.is_empty() {
            break;
        }
    }
    parts.concat()
}

fn split(text: &str, marks: &[char]) -> Vec<String> {
    let mut parts = vec![String::new()];
    for c in text.chars() {
        if marks.contains(&c) {
            parts.extend([c.to_string(), String::new()]);
        } else if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts.retain(|part| !part.is_empty());
    if parts.is_empty() {
        parts.push(String::new());
    }
    parts
}
