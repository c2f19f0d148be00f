//! What a role may look like, and how roles are nested.
//!
//! Not here: who may have which role, and what a role gets.

/// The role of what is reserved to nobody.
pub const STAR: &str = "*";

/// Why a text is no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoleError {
    /// There is nothing in it.
    #[error("empty role name is invalid")]
    Empty,
    /// It begins with `/`.
    #[error("role '{role}' cannot start with a slash")]
    StartsWithSlash {
        /// The role.
        role: String,
    },
    /// It ends with `/`.
    #[error("role '{role}' cannot end with a slash")]
    EndsWithSlash {
        /// The role.
        role: String,
    },
    /// Two slashes with nothing between them.
    #[error("role '{role}' cannot contain two adjacent slashes")]
    AdjacentSlashes {
        /// The role.
        role: String,
    },
    /// A part is `.`, `..` or `*`.
    #[error("role '{role}' cannot include '{part}' as a component")]
    ReservedPart {
        /// The role.
        role: String,
        /// The part.
        part: String,
    },
    /// A part begins with `-`.
    #[error("component '{part}' of role '{role}' cannot start with '-'")]
    StartsWithDash {
        /// The role.
        role: String,
        /// The part.
        part: String,
    },
    /// A blank, or what moves the cursor.
    #[error("component '{part}' of role '{role}' contains invalid characters")]
    InvalidCharacters {
        /// The role.
        role: String,
        /// The part.
        part: String,
    },
}

/// Mesos' rule for roles: `*`, or parts with `/` between them.
///
/// # Errors
/// What the role breaks of the rule.
pub fn validate(role: &str) -> Result<(), RoleError> {
    if role == STAR {
        return Ok(());
    }
    let owned = || role.to_owned();
    if role.is_empty() {
        return Err(RoleError::Empty);
    }
    if role.starts_with('/') {
        return Err(RoleError::StartsWithSlash { role: owned() });
    }
    if role.ends_with('/') {
        return Err(RoleError::EndsWithSlash { role: owned() });
    }
    if role.contains("//") {
        return Err(RoleError::AdjacentSlashes { role: owned() });
    }
    for part in role.split('/') {
        if [".", "..", STAR].contains(&part) {
            return Err(RoleError::ReservedPart {
                role: owned(),
                part: part.to_owned(),
            });
        }
        if part.starts_with('-') {
            return Err(RoleError::StartsWithDash {
                role: owned(),
                part: part.to_owned(),
            });
        }
        if part.contains(['\t', '\n', '\x0b', '\x0c', '\r', ' ', '\x7f']) {
            return Err(RoleError::InvalidCharacters {
                role: owned(),
                part: part.to_owned(),
            });
        }
    }
    Ok(())
}

/// Whether `role` lies strictly below `ancestor`: `eng/web` below `eng`.
#[must_use]
pub fn is_below(role: &str, ancestor: &str) -> bool {
    role.strip_prefix(ancestor)
        .is_some_and(|rest| rest.starts_with('/'))
}

/// The roles above `role`, from the nearest: of `a/b/c` they are `a/b` and `a`.
pub fn ancestors(role: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(role), |role| {
        role.rsplit_once('/').map(|(above, _)| above)
    })
    .skip(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_parts_between_slashes() {
        for role in ["*", "web", "eng/web", "a.b", "a*", "...", "a-b", "é"] {
            assert_eq!(validate(role), Ok(()), "{role}");
        }
        for (role, error) in [
            ("", "empty role name is invalid"),
            ("/a", "role '/a' cannot start with a slash"),
            ("a/", "role 'a/' cannot end with a slash"),
            ("a//b", "role 'a//b' cannot contain two adjacent slashes"),
            ("a/*", "role 'a/*' cannot include '*' as a component"),
            (".", "role '.' cannot include '.' as a component"),
            ("a/../b", "role 'a/../b' cannot include '..' as a component"),
            (
                "a/-b",
                "component '-b' of role 'a/-b' cannot start with '-'",
            ),
            (
                "a b",
                "component 'a b' of role 'a b' contains invalid characters",
            ),
            (
                "a\x7f",
                "component 'a\x7f' of role 'a\x7f' contains invalid characters",
            ),
        ] {
            assert_eq!(validate(role).unwrap_err().to_string(), error);
        }
        for blank in ['\t', '\n', '\x0b', '\x0c', '\r'] {
            assert!(validate(&format!("a{blank}b")).is_err(), "{blank:?}");
        }
    }

    #[test]
    fn roles_are_nested() {
        assert!(is_below("a/b", "a") && is_below("a/b/c", "a"));
        assert!(!is_below("a", "a") && !is_below("ab", "a") && !is_below("a", "a/b"));
        assert_eq!(ancestors("a/b/c").collect::<Vec<_>>(), ["a/b", "a"]);
        assert_eq!(ancestors("a").count(), 0);
    }
}
