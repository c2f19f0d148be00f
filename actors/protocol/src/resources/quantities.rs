//! Sums of scalars by name, without roles, reservations or disks: what fair shares, limits and
//! minima are counted in.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::error::ResourceError;
use super::scalar::Scalar;
use crate::mesos::v1::value;

/// Scalar amounts by name; none of them is zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Quantities(BTreeMap<String, Scalar>);

impl Quantities {
    /// Nothing.
    #[must_use]
    pub const fn new() -> Quantities {
        Quantities(BTreeMap::new())
    }

    /// Reads `cpus:0.01;mem:32`, as in `--min_allocatable_resources`.
    ///
    /// # Errors
    /// Where a name is missing or an amount is not a scalar.
    pub fn parse(text: &str) -> Result<Quantities, ResourceError> {
        let mut quantities = Quantities::new();
        for token in text
            .split(';')
            .map(str::trim)
            .filter(|token| !token.is_empty())
        {
            let wrong = |problem: &str| ResourceError::text(token, problem);
            let (name, amount) = token
                .split_once(':')
                .ok_or_else(|| wrong("expected 'name:amount'"))?;
            let value: f64 = amount
                .trim()
                .parse()
                .map_err(|_| wrong("expected a number"))?;
            let scalar = Scalar::rounded(value)
                .filter(|scalar| *scalar >= Scalar::ZERO)
                .ok_or_else(|| wrong("expected an amount that is not negative"))?;
            if name.trim().is_empty() {
                return Err(wrong("expected a name before ':'"));
            }
            quantities.add(name.trim(), scalar);
        }
        Ok(quantities)
    }

    /// From a map of a message; what is zero, negative or no number is left out.
    #[must_use]
    pub fn from_proto(quantities: &BTreeMap<String, value::Scalar>) -> Quantities {
        quantities
            .iter()
            .filter_map(|(name, scalar)| Some((name.clone(), Scalar::rounded(scalar.value)?)))
            .filter(|(_, scalar)| *scalar > Scalar::ZERO)
            .collect()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The amount of that name; zero where there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> Scalar {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// The names with their amounts, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Scalar)> {
        self.0.iter().map(|(name, scalar)| (name.as_str(), *scalar))
    }

    /// Adds to one name.
    pub fn add(&mut self, name: &str, amount: Scalar) {
        if amount.is_zero() {
            return;
        }
        match self.0.get_mut(name) {
            Some(mine) => *mine += amount,
            None => {
                self.0.insert(name.to_owned(), amount);
            }
        }
    }

    /// Takes away from one name, down to nothing.
    pub fn subtract(&mut self, name: &str, amount: Scalar) {
        if let Some(mine) = self.0.get_mut(name) {
            *mine = mine.minus_floored(amount);
            if mine.is_zero() {
                self.0.remove(name);
            }
        }
    }

    /// Whether there is at least as much of every name as in `other`.
    #[must_use]
    pub fn contains(&self, other: &Quantities) -> bool {
        other.iter().all(|(name, amount)| self.get(name) >= amount)
    }
}

impl FromIterator<(String, Scalar)> for Quantities {
    fn from_iter<I: IntoIterator<Item = (String, Scalar)>>(amounts: I) -> Quantities {
        let mut quantities = Quantities::new();
        for (name, amount) in amounts {
            quantities.add(&name, amount);
        }
        quantities
    }
}

/// `cpus:0.01; mem:32`, or `{}` where there is nothing.
impl fmt::Display for Quantities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("{}");
        }
        let amounts: Vec<String> = self
            .iter()
            .map(|(name, amount)| format!("{name}:{amount}"))
            .collect();
        f.write_str(&amounts.join("; "))
    }
}
