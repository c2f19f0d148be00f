//! What can be wrong with resources that come from outside.

/// Resources that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourceError {
    /// A field of a message that breaks a rule.
    #[error("invalid resource '{name}': {field}: {problem}")]
    Field {
        /// The resource's name, as far as it has one.
        name: String,
        /// The path of the field within `mesos.v1.Resource`.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A piece of text that is no resource.
    #[error("cannot read resource '{token}': {problem}")]
    Text {
        /// The piece between two `;`.
        token: String,
        /// What is wrong with it.
        problem: String,
    },
    /// JSON that is no array of resources.
    #[error("cannot read resources as JSON: {path}: {problem}")]
    Json {
        /// Where in the document.
        path: String,
        /// What is wrong there.
        problem: String,
    },
    /// A resource that the older format, or the text form, cannot express.
    #[error("resource '{name}' cannot be written {form}: {problem}")]
    Inexpressible {
        /// The resource's name.
        name: String,
        /// Which form was asked for.
        form: &'static str,
        /// What the form lacks.
        problem: &'static str,
    },
}

impl ResourceError {
    pub(super) fn field(name: &str, field: &str, problem: impl Into<String>) -> ResourceError {
        ResourceError::Field {
            name: name.to_owned(),
            field: field.to_owned(),
            problem: problem.into(),
        }
    }

    pub(super) fn text(token: &str, problem: impl Into<String>) -> ResourceError {
        ResourceError::Text {
            token: token.to_owned(),
            problem: problem.into(),
        }
    }
}
