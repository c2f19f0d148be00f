//! The text of `--help` and of a flag error.

use std::fmt::Write as _;

use super::{Flag, Kind, Support, parse::merge};

/// The usage of a command: its flags in groups, then those that are known and not offered.
pub(crate) fn usage(command: &str, summary: &str, groups: &[(&str, &[Flag])]) -> String {
    let mut text = format!("{summary}\n\nUsage: tepui {command} [--flag=value ...]\n");
    let tables: Vec<&[Flag]> = groups.iter().map(|(_, flags)| *flags).collect();
    let all = merge(&tables);
    for (title, flags) in groups {
        let taken = |flag: &&Flag| all.iter().any(|kept| std::ptr::eq(*kept, *flag));
        let honoured = flags
            .iter()
            .filter(|flag| flag.support == Support::Honoured);
        let rows: Vec<&Flag> = honoured.filter(taken).collect();
        if rows.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n{title}:");
        for flag in rows {
            row(&mut text, flag);
        }
    }
    let refused: Vec<&str> = all
        .iter()
        .filter(|flag| flag.support != Support::Honoured)
        .map(|flag| flag.name)
        .collect();
    if !refused.is_empty() {
        let _ = writeln!(
            text,
            "\nKnown from Mesos and refused, since the feature is not offered:"
        );
        wrap(&mut text, &refused);
    }
    text.push_str(
        "\nEach flag may also be set as TEPUI_<NAME> or MESOS_<NAME> in the environment.\n\
         A value of the form file:///path stands for that file's content.\n",
    );
    text
}

fn row(text: &mut String, flag: &Flag) {
    let form = match flag.kind {
        Kind::Boolean => format!("--[no-]{}", flag.name),
        kind => format!("--{}={}", flag.name, kind.placeholder()),
    };
    let default = flag
        .default
        .map(|value| format!(" (default: {value})"))
        .unwrap_or_default();
    let _ = writeln!(text, "  {form:<42} {}{default}", flag.help);
}

fn wrap(text: &mut String, names: &[&str]) {
    let mut line = String::new();
    for name in names {
        if line.len() + name.len() > 92 {
            let _ = writeln!(text, " {line}");
            line.clear();
        }
        let _ = write!(line, " {name}");
    }
    let _ = writeln!(text, " {line}");
}
