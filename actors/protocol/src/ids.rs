//! What an id may look like, and how ids are written as text.
//!
//! Not here: who makes them (the master for frameworks, agents and offers; frameworks for tasks).

use std::fmt;
use std::str::FromStr;

use crate::mesos::v1::ContainerId;

/// The longest id, in bytes: it has to be a file name.
pub const MAX_LENGTH: usize = 255;

/// Why a text is no id. The words are Mesos'.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// There is nothing in it.
    #[error("ID must not be empty")]
    Empty,
    /// It has more than [`MAX_LENGTH`] bytes.
    #[error("ID must not be greater than {MAX_LENGTH} characters")]
    TooLong,
    /// It is `.` or `..`.
    #[error("'{id}' is disallowed")]
    Disallowed {
        /// The id.
        id: String,
    },
    /// A control character or a slash of either kind; in the id of a container also `.` or a space.
    #[error("'{id}' contains invalid characters")]
    InvalidCharacters {
        /// The id.
        id: String,
    },
}

/// Mesos' rule for the ids of tasks, executors, frameworks, agents and persistent volumes.
///
/// # Errors
/// What the id breaks of the rule.
pub fn validate(id: &str) -> Result<(), IdError> {
    if id.is_empty() {
        return Err(IdError::Empty);
    }
    if id.len() > MAX_LENGTH {
        return Err(IdError::TooLong);
    }
    if id == "." || id == ".." {
        return Err(IdError::Disallowed { id: id.to_owned() });
    }
    if id
        .bytes()
        .any(|byte| byte.is_ascii_control() || byte == b'/' || byte == b'\\')
    {
        return Err(IdError::InvalidCharacters { id: id.to_owned() });
    }
    Ok(())
}

/// The rule for the id of a container and of those it is nested in: [`validate`], and neither `.`,
/// which separates them in text, nor a space.
///
/// # Errors
/// What the first of them, from the innermost, breaks of the rule.
pub fn validate_container(id: &ContainerId) -> Result<(), IdError> {
    for id in lineage(id) {
        validate(&id.value)?;
        if id.value.contains(['.', ' ']) {
            return Err(IdError::InvalidCharacters {
                id: id.value.clone(),
            });
        }
    }
    Ok(())
}

/// A container's id and those of the containers around it, from the innermost.
fn lineage(id: &ContainerId) -> impl Iterator<Item = &ContainerId> {
    std::iter::successors(Some(id), |id| id.parent.as_deref())
}

impl ContainerId {
    /// The id of a container that is in no other.
    #[must_use]
    pub fn top(value: impl Into<String>) -> ContainerId {
        ContainerId {
            value: value.into(),
            parent: None,
        }
    }

    /// The id of the outermost container: the executor's.
    #[must_use]
    pub fn root(&self) -> &ContainerId {
        lineage(self).last().unwrap_or(self)
    }

    /// Whether `self` is `other` or around it.
    #[must_use]
    pub fn holds(&self, other: &ContainerId) -> bool {
        lineage(other).any(|id| id == self)
    }
}

/// `parent.child`, as Mesos writes it in paths and logs.
impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut values: Vec<&str> = lineage(self).map(|id| id.value.as_str()).collect();
        values.reverse();
        f.write_str(&values.join("."))
    }
}

/// Reads `parent.child`; each part must be an id.
impl FromStr for ContainerId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<ContainerId, IdError> {
        let mut parts = text.split('.');
        let mut id = ContainerId::top(parts.next().unwrap_or_default());
        for part in parts {
            id = ContainerId {
                value: part.to_owned(),
                parent: Some(Box::new(id)),
            };
        }
        validate_container(&id)?;
        Ok(id)
    }
}

/// The conversions of an id that is a text and nothing else.
macro_rules! plain_id {
    ($type:ty) => {
        impl From<&str> for $type {
            fn from(value: &str) -> Self {
                Self {
                    value: value.to_owned(),
                }
            }
        }

        impl From<String> for $type {
            fn from(value: String) -> Self {
                Self { value }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.value)
            }
        }
    };
}
pub(crate) use plain_id;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_file_name_of_255_bytes() {
        assert_eq!(validate("a.b-c d é"), Ok(()));
        assert_eq!(validate(&"x".repeat(255)), Ok(()));
        assert_eq!(validate(&"x".repeat(256)), Err(IdError::TooLong));
        assert_eq!(validate(&"é".repeat(128)), Err(IdError::TooLong));
        assert_eq!(validate(""), Err(IdError::Empty));
        for id in [".", ".."] {
            assert_eq!(validate(id), Err(IdError::Disallowed { id: id.into() }));
        }
        for id in ["a/b", "a\\b", "a\nb", "\u{7f}", "a\0"] {
            assert_eq!(
                validate(id),
                Err(IdError::InvalidCharacters { id: id.into() })
            );
        }
        assert_eq!(validate("...").map_err(|e| e.to_string()), Ok(()));
    }

    #[test]
    fn a_container_is_written_from_the_outermost() {
        let id: ContainerId = "a.b.c".parse().unwrap();
        assert_eq!(id.value, "c");
        assert_eq!(id.to_string(), "a.b.c");
        assert_eq!(id.root(), &ContainerId::top("a"));
        assert!(id.root().holds(&id) && id.holds(&id) && !id.holds(id.root()));
        for (text, error) in [
            ("", "ID must not be empty"),
            ("a..c", "ID must not be empty"),
            ("a.b c", "'b c' contains invalid characters"),
            ("a/b.c", "'a/b' contains invalid characters"),
        ] {
            assert_eq!(
                text.parse::<ContainerId>().unwrap_err().to_string(),
                error,
                "{text}"
            );
        }
        let dotted = ContainerId::top("a.b");
        assert!(validate_container(&dotted).is_err());
    }
}
