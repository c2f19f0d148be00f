//! What an operator chooses, and the text of the flags that choose it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tepui_protocol::resources::{Quantities, ResourceError};
use tepui_protocol::roles;

use crate::core::Options;

/// The options of the allocator's process.
#[derive(Clone, Debug, Default)]
pub struct AllocatorOptions {
    /// What it decides by.
    pub decisions: Options,
    /// Where each decision is written with its reason, as JSON lines; nowhere if absent. Its
    /// folder must exist.
    pub allocation_log: Option<PathBuf>,
    /// A file of hostnames, one a line: only their agents are offered. It is read every 5 seconds;
    /// until it could be read no agent is offered at all. All agents if absent.
    pub whitelist: Option<PathBuf>,
}

/// The text of a flag that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// An amount cannot be read.
    #[error("min_allocatable_resources: {0}")]
    MinAllocatableResources(#[from] ResourceError),
    /// A part of the weights is no weight.
    #[error("weights: '{part}': {problem}")]
    Weights {
        /// The part between two commas.
        part: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Reads `--min_allocatable_resources`: sets of amounts such as `cpus:0.01;mem:32`, with `|`
/// between alternatives, any of which is enough. Empty text lets everything through.
///
/// # Errors
/// An amount that cannot be read.
pub fn parse_min_allocatable_resources(text: &str) -> Result<Vec<Quantities>, OptionsError> {
    let sets = text.split('|').map(str::trim).filter(|set| !set.is_empty());
    Ok(sets.map(Quantities::parse).collect::<Result<_, _>>()?)
}

/// Reads `--weights`: `role=weight,role=weight`.
///
/// # Errors
/// A role that is none, twice the same role, or a weight that is not above zero.
pub fn parse_weights(text: &str) -> Result<BTreeMap<String, f64>, OptionsError> {
    let mut weights = BTreeMap::new();
    for part in text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let wrong = |problem: String| OptionsError::Weights {
            part: part.to_owned(),
            problem,
        };
        let (role, weight) = part
            .split_once('=')
            .ok_or_else(|| wrong("expected 'role=weight'".to_owned()))?;
        roles::validate(role).map_err(|error| wrong(error.to_string()))?;
        let weight: f64 = weight
            .parse()
            .ok()
            .filter(|weight: &f64| weight.is_finite() && *weight > 0.0)
            .ok_or_else(|| wrong("the weight must be a number above zero".to_owned()))?;
        if weights.insert(role.to_owned(), weight).is_some() {
            return Err(wrong("the role is there twice".to_owned()));
        }
    }
    Ok(weights)
}
