//! The regular expressions of offer constraints: RE2's syntax, a bounded size, a full match.
//!
//! Mesos uses RE2. The engine here is the one of Rust's `regex`, which is as bounded: its time is
//! linear in the text, its memory is limited when the expression is read. What the two syntaxes
//! write differently is translated; what RE2 does not have is refused.
//!
//! | in RE2 | here |
//! |---|---|
//! | `\d` `\s` `\w` and `\b` mean ASCII | so they do |
//! | `[`, `&&`, `~~` and `--` in brackets are characters | so they are |
//! | `\Q...\E` is literal | so it is |
//! | a `{` that begins no repetition is a character | so it is |
//! | `\C`, and the flags `x`, `u`, `R` | refused |

use std::fmt;

use regex_automata::meta;
use regex_automata::nfa::thompson::{self, NFA, State, WhichCaptures};
use regex_automata::util::syntax;

/// How large an expression may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatternLimits {
    /// Bytes of memory for its program: Mesos' `offer_constraints_re2_max_mem`.
    pub max_memory: usize,
    /// Instructions of its program: Mesos' `offer_constraints_re2_max_program_size`.
    pub max_program: usize,
}

impl Default for PatternLimits {
    /// Mesos' defaults.
    fn default() -> PatternLimits {
        PatternLimits {
            max_memory: 4096,
            max_program: 100,
        }
    }
}

/// Why a text is no expression, or none that may be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It cannot be read.
    #[error("Failed to construct regex from pattern '{pattern}': {problem}")]
    Syntax {
        /// The expression.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
    /// It takes too much memory.
    #[error(
        "Failed to construct regex from pattern '{pattern}': pattern too large - compile failed"
    )]
    Memory {
        /// The expression.
        pattern: String,
    },
    /// It has too many instructions.
    #[error(
        "Regex '{pattern}' is too complex: program size of {size} is larger than maximum of {most} \
         allowed"
    )]
    Program {
        /// The expression.
        pattern: String,
        /// How many it has.
        size: usize,
        /// How many it may have.
        most: usize,
    },
}

/// The memory of the tables that one search may make: enough for the expressions that the limits
/// let through, little for ten thousand of them.
const SEARCH_MEMORY: usize = 64 * 1024;

/// An expression that can be matched.
#[derive(Clone)]
pub(super) struct Pattern {
    text: String,
    regex: meta::Regex,
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.text).finish()
    }
}

impl Pattern {
    /// Reads an expression.
    pub(super) fn new(text: &str, limits: PatternLimits) -> Result<Pattern, PatternError> {
        let wrong = |problem: String| PatternError::Syntax {
            pattern: text.to_owned(),
            problem,
        };
        let inner = translated(text).map_err(|problem| wrong(problem.to_owned()))?;
        let program = NFA::compiler()
            .configure(
                thompson::Config::new()
                    .nfa_size_limit(Some(limits.max_memory))
                    .which_captures(WhichCaptures::All),
            )
            .build(&inner);
        let size = match program {
            Ok(program) => program.states().iter().map(instructions).sum(),
            Err(problem) if problem.size_limit().is_some() => {
                return Err(PatternError::Memory {
                    pattern: text.to_owned(),
                });
            }
            Err(problem) => return Err(wrong(cause(&problem))),
        };
        if size > limits.max_program {
            return Err(PatternError::Program {
                pattern: text.to_owned(),
                size,
                most: limits.max_program,
            });
        }
        let config = meta::Config::new()
            .which_captures(WhichCaptures::None)
            .hybrid(false)
            .dfa(false)
            .onepass_size_limit(Some(SEARCH_MEMORY));
        let regex = meta::Builder::new()
            .configure(config)
            .syntax(syntax::Config::new())
            // By itself it was found whole above, so that it cannot reach out of the group.
            .build(&format!("\\A(?:{inner})\\z"))
            .map_err(|problem| wrong(problem.to_string()))?;
        Ok(Pattern {
            text: text.to_owned(),
            regex,
        })
    }

    /// Whether all of `text` is what the expression says.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// The expression as the framework wrote it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// How many instructions RE2 has where the program here has one state. With what both have before
/// and behind each expression this is RE2's own count, but for a few in loops, alternatives and beyond ASCII.
fn instructions(state: &State) -> usize {
    match state {
        State::ByteRange { .. } | State::Look { .. } | State::Capture { .. } => 1,
        State::Match { .. } | State::Dense(_) => 1,
        State::Sparse(transitions) => transitions.transitions.len(),
        State::Union { .. } | State::BinaryUnion { .. } | State::Fail => 0,
    }
}

/// The innermost cause in one line.
fn cause(problem: &dyn std::error::Error) -> String {
    let mut innermost = problem;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = innermost.to_string();
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    let last = last.unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// From RE2's syntax to ours.
fn translated(text: &str) -> Result<String, &'static str> {
    let mut rest = text.chars().peekable();
    let mut written = String::with_capacity(text.len());
    let mut in_brackets = false;
    while let Some(c) = rest.next() {
        match c {
            '\\' => escape(&mut rest, in_brackets, &mut written)?,
            '[' if !in_brackets => {
                in_brackets = true;
                written.push('[');
                if rest.next_if_eq(&'^').is_some() {
                    written.push('^');
                }
                if rest.next_if_eq(&']').is_some() {
                    written.push_str("\\]");
                }
            }
            '[' if rest.peek() == Some(&':') => {
                let name: String = rest.clone().skip(1).collect();
                let name = name.split_once(":]").map(|(name, _)| name);
                let known = |c: char| c == '^' || c.is_ascii_alphabetic();
                match name.filter(|name| name.chars().all(known)) {
                    // The name with a colon on both sides and the bracket.
                    Some(name) => {
                        written.push('[');
                        written.extend(rest.by_ref().take(name.len() + 3));
                    }
                    None => written.push_str("\\["),
                }
            }
            '[' => written.push_str("\\["),
            ']' if in_brackets => {
                in_brackets = false;
                written.push(']');
            }
            '&' | '~' if in_brackets => {
                written.push('\\');
                written.push(c);
            }
            '-' if in_brackets && rest.next_if_eq(&'-').is_some() => written.push_str("-\\-"),
            '(' if !in_brackets && rest.peek() == Some(&'?') => {
                let flags: String = rest.clone().skip(1).collect();
                let end = flags.find([':', ')', '<']).unwrap_or(flags.len());
                if flags[..end].contains(['x', 'u', 'R']) {
                    return Err("invalid perl operator");
                }
                written.push('(');
            }
            '{' if !in_brackets && !is_repetition(&rest.clone().collect::<String>()) => {
                written.push_str("\\{");
            }
            other => written.push(other),
        }
    }
    Ok(written)
}

/// Whether what follows a `{` makes it a repetition: `2}`, `2,}`, `2,5}`.
fn is_repetition(rest: &str) -> bool {
    let Some((inner, _)) = rest.split_once('}') else {
        return false;
    };
    let (least, most) = inner.split_once(',').unwrap_or((inner, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    !least.is_empty() && digits(least) && digits(most)
}

/// What follows a backslash.
fn escape(
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
    in_brackets: bool,
    written: &mut String,
) -> Result<(), &'static str> {
    let Some(c) = rest.next() else {
        return Err("trailing \\");
    };
    let class = match c.to_ascii_lowercase() {
        'd' => Some("0-9"),
        's' => Some("\\t\\n\\f\\r "),
        'w' => Some("0-9A-Za-z_"),
        _ => None,
    };
    match (c, class) {
        (_, Some(class)) if c.is_ascii_uppercase() => written.push_str(&format!("[^{class}]")),
        (_, Some(class)) if in_brackets => written.push_str(class),
        (_, Some(class)) => written.push_str(&format!("[{class}]")),
        ('b' | 'B', _) if !in_brackets => written.push_str(&format!("(?-u:\\{c})")),
        ('C', _) => return Err("invalid escape sequence: \\C"),
        ('Q', _) => {
            let literal: String = rest.clone().collect();
            let length = literal.find("\\E").unwrap_or(literal.len());
            let (literal, closed) = (&literal[..length], length < literal.len());
            for c in literal.chars() {
                if c.is_ascii_punctuation() {
                    written.push('\\');
                }
                written.push(c);
            }
            let skipped = literal.chars().count() + if closed { 2 } else { 0 };
            rest.by_ref().take(skipped).for_each(drop);
        }
        // A class or a number by its name in braces.
        ('p' | 'P' | 'x', _) if rest.peek() == Some(&'{') => {
            written.push('\\');
            written.push(c);
            let name: String = rest.clone().collect();
            let length = name.find('}').map_or(name.len(), |end| end + 1);
            written.extend(rest.by_ref().take(name[..length].chars().count()));
        }
        // With a meaning of their own only here.
        ('<' | '>', _) => written.push(c),
        _ => {
            written.push('\\');
            written.push(c);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        let pattern = Pattern::new(pattern, PatternLimits::default());
        pattern.unwrap().matches(text)
    }

    #[test]
    fn all_of_the_text_is_matched() {
        assert!(matches("rack", "rack"));
        for other in ["racks", "arack", "Rack", "", "rack\n"] {
            assert!(!matches("rack", other), "{other:?}");
        }
        assert!(matches("a|bc", "bc") && !matches("a|bc", "ac"));
        assert!(matches("(?i)rack", "RACK"));
        assert!(matches("r.*[0-9]{2}", "rack-07") && !matches("r.*[0-9]{2}", "rack-7"));
        // One character, not one byte.
        assert!(matches("z.rich", "zürich") && matches("z[^a]rich", "zürich"));
        assert!(!matches(".", "\n") && matches("(?s).", "\n"));
    }

    #[test]
    fn what_re2_writes_otherwise_means_what_re2_means() {
        // An Arabic digit, and a letter with an umlaut, are neither \d nor \w.
        assert!(matches(r"\d", "7") && !matches(r"\d", "\u{663}"));
        assert!(matches(r"\D", "\u{663}") && matches(r"[\D]", "x") && !matches(r"[\D]", "7"));
        assert!(matches(r"\w+", "a_9") && !matches(r"\w", "ü") && matches(r"\W", "ü"));
        assert!(matches(r"[\w-]+", "a-b") && matches(r"\s", " ") && !matches(r"\s", "\u{a0}"));
        assert!(matches(r"a\b.*", "a-b") && !matches(r"a\b.*", "ab"));
        for character in ["a", "[", "b"] {
            assert!(matches("[a[b]", character), "{character}");
        }
        assert!(matches("[[:alpha:]]", "x") && !matches("[[:alpha:]]", ":"));
        assert!(matches("[[:^alpha:]]", "7") && matches("[]a]", "]"));
        assert!(matches("[a&&b]", "&") && matches("[a~~b]", "a"));
        assert!(matches("[+--]", ",") && matches("[[:]", ":"));
        assert!(matches(r"\Qa.b*\E+", "a.b**") && !matches(r"\Qa.b", "axb"));
        assert!(matches("a{", "a{") && matches("{a}", "{a}") && matches("a{,2}", "a{,2}"));
        assert!(matches("a{2}", "aa") && matches(r"\<a\>", "<a>"));
        assert!(matches(r"\x{e9}\x41", "éA"));
        let large = PatternLimits {
            max_memory: 1 << 20,
            max_program: 100_000,
        };
        let greek = Pattern::new(r"\pL\p{Greek}\P{Greek}", large).unwrap();
        assert!(greek.matches("zαz") && !greek.matches("zzz"));
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for wrong in [
            "(",
            ")",
            "a)(b",
            "[a",
            "*",
            "a**b\\",
            "\\C",
            "(?x)a",
            "(?u)a",
            "(?=a)",
            "\\1",
            "(?P<n>a",
            "[z-a]",
            "a{2,1}",
            "\\p{Nothing}",
        ] {
            let error = Pattern::new(wrong, PatternLimits::default()).unwrap_err();
            assert!(
                matches!(error, PatternError::Syntax { .. }),
                "{wrong}: {error}"
            );
            assert_eq!(error.to_string().lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_costs_anything() {
        let limits = |max_memory, max_program| PatternLimits {
            max_memory,
            max_program,
        };
        let size = |pattern: &str| match Pattern::new(pattern, limits(1 << 20, 0)).unwrap_err() {
            PatternError::Program { size, most: 0, .. } => size,
            other => panic!("{other}"),
        };
        // As Mesos 1.11 counts them.
        for (pattern, instructions) in [
            ("", 4),
            ("a", 5),
            ("abc", 7),
            ("abcdefghij", 14),
            ("a*", 5),
            ("a|b", 5),
            ("ab|cd", 8),
            ("[a-z0-9]", 6),
            ("(a)(b)", 10),
            ("a{100}", 104),
            ("é", 6),
            (r"\ba", 6),
            ("us-(east|west)-[12][abc]", 20),
        ] {
            assert_eq!(size(pattern), instructions, "{pattern}");
        }
        let most = size("rack-[a-f]+");
        assert!(Pattern::new("rack-[a-f]+", limits(1 << 20, most)).is_ok());
        let error = Pattern::new("rack-[a-f]+", limits(1 << 20, most - 1)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "Regex 'rack-[a-f]+' is too complex: program size of {most} is larger than \
                 maximum of {} allowed",
                most - 1
            )
        );
        for huge in [
            "(((a{100}){100}){100}){100}",
            "\\pL{500}",
            "(?i)[^\\x00]{900}",
        ] {
            let error = Pattern::new(huge, PatternLimits::default()).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "Failed to construct regex from pattern '{huge}': pattern too large - compile \
                     failed"
                )
            );
        }
        assert!(Pattern::new("a", limits(16, 100)).is_err());
    }
}
