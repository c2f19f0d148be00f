//! The text of one value, as the flags for resources and attributes write it:
//! `12.5`, `[1-5,8-8]`, `{a,b}`, anything else is text.

use std::collections::BTreeSet;

use super::ranges::{Range, Ranges};

/// What a piece of text turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ValueText {
    Scalar(f64),
    Ranges(Ranges),
    Set(BTreeSet<String>),
    Text(String),
}

/// Reads one value. Blanks are deleted wherever they are, as Mesos does; a number that is
/// negative or not finite counts as text.
pub(crate) fn parse(text: &str) -> Result<ValueText, String> {
    let text: String = text.chars().filter(|c| *c != ' ').collect();
    if text.is_empty() {
        return Err("expected a value".to_owned());
    }
    for (open, close) in [('{', '}'), ('[', ']'), ('(', ')')] {
        if !brackets_match(&text, open, close) {
            return Err(format!("'{open}' and '{close}' do not match"));
        }
    }
    match (text.find('['), text.find('{')) {
        (Some(0), _) => ranges(&text).map(ValueText::Ranges),
        (Some(_), _) => Err("unexpected '['".to_owned()),
        (None, Some(0)) => set(&text).map(ValueText::Set),
        (None, Some(_)) => Err("unexpected '{'".to_owned()),
        (None, None) => number_or_text(text),
    }
}

fn brackets_match(text: &str, open: char, close: char) -> bool {
    let mut depth: i64 = 0;
    for c in text.chars() {
        depth += i64::from(c == open) - i64::from(c == close);
        if depth < 0 {
            return false;
        }
    }
    depth == 0
}

fn number_or_text(text: String) -> Result<ValueText, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_subnormal() => Err("subnormal values are not supported".to_owned()),
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(ValueText::Scalar(value)),
        _ => Ok(ValueText::Text(text)),
    }
}

fn ranges(text: &str) -> Result<Ranges, String> {
    let inner = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .ok_or_else(|| "expected '[begin-end,...]'".to_owned())?;
    let mut ranges = Vec::new();
    for token in inner.split(',').filter(|token| !token.trim().is_empty()) {
        let number = |text: &str| text.trim().parse::<u64>().ok();
        let (begin, end) = token
            .split_once('-')
            .and_then(|(begin, end)| number(begin).zip(number(end)))
            .ok_or_else(|| format!("expected 'begin-end' of whole numbers, found '{token}'"))?;
        if begin > end {
            return Err(format!("begin > end in {begin}-{end}"));
        }
        ranges.push(Range { begin, end });
    }
    Ok(ranges.into_iter().collect())
}

fn set(text: &str) -> Result<BTreeSet<String>, String> {
    let inner = text
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .filter(|inner| !inner.contains(['{', '}']))
        .ok_or_else(|| "expected '{a,b,...}'".to_owned())?;
    let mut items = BTreeSet::new();
    for item in inner.split([',', '\n']).filter(|item| !item.is_empty()) {
        if !items.insert(item.to_owned()) {
            return Err(format!("'{item}' is there twice"));
        }
    }
    Ok(items)
}
