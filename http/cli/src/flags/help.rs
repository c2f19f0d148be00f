//! The text of `--help`.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{Flag, Group, Kind, Support, parse::merge};

/// The longest line, where words allow.
const WIDTH: usize = 100;
/// Where the text of a flag begins.
const INDENT: usize = 8;

/// The usage of a command: its flags in groups, then those that are known and not offered.
pub(crate) fn usage(
    command: &str,
    summary: &str,
    groups: &[&[Group]],
    environment: bool,
) -> String {
    let mut text = format!("{summary}\n\nUsage: tepui {command} [--flag=value ...]\n");
    let all = merge(groups);
    for (title, flags) in groups.iter().flat_map(|part| part.iter()) {
        let taken = |flag: &&Flag| all.iter().any(|kept| std::ptr::eq(*kept, *flag));
        let rows: Vec<&Flag> = flags
            .iter()
            .filter(|flag| flag.support == Support::Honoured)
            .filter(taken)
            .collect();
        if rows.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n{title}:");
        for flag in rows {
            row(&mut text, flag);
        }
    }
    refused(&mut text, &all);
    text.push_str(
        "\nA boolean flag is set by --name and cleared by --no-name. A value of the form\n\
         file:///path stands for that file's content.\n",
    );
    if environment {
        text.push_str(
            "Each flag may also be set as TEPUI_<NAME> or MESOS_<NAME> in the environment; the\n\
             command line wins. Of libprocess' variables LIBPROCESS_IP, _ADVERTISE_IP, _ADVERTISE_PORT,\n\
             _NUM_WORKER_THREADS and _REQUIRE_PEER_ADDRESS_IP_MATCH are taken, too.\n",
        );
    }
    text
}

fn row(text: &mut String, flag: &Flag) {
    let form = match flag.kind {
        Kind::Boolean => format!("--[no-]{}", flag.name),
        kind => format!("--{}={}", flag.name, kind.placeholder()),
    };
    let default = flag
        .default
        .map(|value| format!(" [{value}]"))
        .unwrap_or_default();
    let _ = writeln!(text, "  {form}{default}");
    wrap(text, flag.help.split(' '), " ");
}

/// Those that are refused, by the feature that is not offered.
fn refused(text: &mut String, all: &[&Flag]) {
    let mut features: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for flag in all {
        if let Support::Refused { feature, .. } = flag.support {
            features.entry(feature).or_default().push(flag.name);
        }
    }
    if features.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\nKnown from Mesos and refused, unless they ask for what happens anyway:"
    );
    for (feature, names) in features {
        let _ = writeln!(text, "  {feature} (not offered)");
        wrap(text, names.into_iter(), " ");
    }
}

/// Words in lines, behind an indent.
fn wrap<'a>(text: &mut String, words: impl Iterator<Item = &'a str>, between: &str) {
    let mut line = String::new();
    for word in words {
        if !line.is_empty() && INDENT + line.len() + word.len() + between.len() > WIDTH {
            let _ = writeln!(text, "{:INDENT$}{line}", "");
            line.clear();
        }
        if !line.is_empty() {
            line.push_str(between);
        }
        line.push_str(word);
    }
    let _ = writeln!(text, "{:INDENT$}{line}", "");
}
