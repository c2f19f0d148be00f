//! Resources as endpoints show them: summed up by name, or one by one.

use std::borrow::Cow;

use serde::{Serialize, Serializer, ser::SerializeMap};
use tepui_protocol::{
    mesos::v1::{Resource, value},
    resources::{Amount, Quantities, Resources, Scalar},
};

/// Sums by name. The four that every agent has are always there; revocable resources are summed
/// apart, under their name with `_revocable` behind it.
#[derive(Debug)]
pub(crate) struct Summary<'a>(Vec<Sum<'a>>);

/// There are few names, so that they are looked for one by one.
#[derive(Debug)]
struct Sum<'a> {
    name: &'a str,
    revocable: bool,
    amount: Amount,
}

const ALWAYS: [&str; 4] = ["cpus", "disk", "gpus", "mem"];

impl<'a> Summary<'a> {
    fn new() -> Self {
        let always = ALWAYS.map(|name| Sum {
            name,
            revocable: false,
            amount: Amount::Scalar(Scalar::ZERO),
        });
        Self(always.into())
    }

    /// The sums of `resources`.
    pub(crate) fn of(resources: &'a Resources) -> Self {
        let mut summary = Self::new();
        for entry in resources {
            let amount = match entry.quantity() {
                Some(quantity) => Amount::Scalar(quantity),
                None => entry.amount.clone(),
            };
            summary.add(entry.kind.name(), entry.kind.is_revocable(), amount);
        }
        summary
    }

    /// The sums of resources as messages carry them.
    pub(crate) fn of_proto(resources: &'a [Resource]) -> Self {
        let mut summary = Self::new();
        for resource in resources {
            let amount = match resource.r#type() {
                value::Type::Scalar => {
                    let scalar = resource.scalar.as_ref().map_or(0.0, |scalar| scalar.value);
                    Amount::Scalar(Scalar::rounded(scalar).unwrap_or_default())
                }
                value::Type::Ranges => {
                    let ranges = resource.ranges.iter().flat_map(|ranges| &ranges.range);
                    Amount::Ranges(ranges.map(|range| (range.begin, range.end)).collect())
                }
                value::Type::Set => {
                    let items = resource.set.iter().flat_map(|set| set.item.iter().cloned());
                    Amount::Set(items.collect())
                }
                value::Type::Text => continue,
            };
            summary.add(&resource.name, resource.revocable.is_some(), amount);
        }
        summary
    }

    fn add(&mut self, name: &'a str, revocable: bool, amount: Amount) {
        let same = |sum: &&mut Sum<'_>| {
            (sum.name, sum.revocable) == (name, revocable)
                && sum.amount.value_type() == amount.value_type()
        };
        match self.0.iter_mut().find(same) {
            Some(sum) => sum.amount.add(&amount),
            None => self.0.push(Sum {
                name,
                revocable,
                amount,
            }),
        }
    }
}

impl Serialize for Summary<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for sum in &self.0 {
            let key = if sum.revocable {
                Cow::Owned(format!("{}_revocable", sum.name))
            } else {
                Cow::Borrowed(sum.name)
            };
            match &sum.amount {
                Amount::Scalar(scalar) => map.serialize_entry(&key, &scalar.to_f64())?,
                other => map.serialize_entry(&key, &other.to_string())?,
            }
        }
        map.end()
    }
}

/// What is reserved of an agent: a summary for each role that something is reserved to.
pub(crate) struct Reserved<'a>(pub(crate) &'a Resources);

impl Serialize for Reserved<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let by_role = self.0.reservations();
        to.collect_map(by_role.iter().map(|(role, of)| (role, Summary::of(of))))
    }
}

/// Each resource as a message, in the format that carries both ways to say a reservation.
pub(crate) struct Full<'a>(pub(crate) &'a Resources);

impl Serialize for Full<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.to_endpoint_proto())
    }
}

/// What is reserved of an agent, each resource by itself, by role.
pub(crate) struct ReservedFull<'a>(pub(crate) &'a Resources);

impl Serialize for ReservedFull<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let by_role = self.0.reservations();
        to.collect_map(by_role.iter().map(|(role, of)| (role, Full(of))))
    }
}

/// Scalars by name, and no other.
pub(crate) struct Amounts<'a>(pub(crate) &'a Quantities);

impl Serialize for Amounts<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(name, amount)| (name, amount.to_f64())))
    }
}

#[cfg(test)]
mod tests {
    use tepui_protocol::resources::parse;

    use super::*;

    fn shown(value: &impl Serialize) -> String {
        serde_json::to_string(value).unwrap()
    }

    #[test]
    fn the_four_are_always_there_and_the_rest_where_it_is() {
        let none = r#"{"cpus":0.0,"disk":0.0,"gpus":0.0,"mem":0.0}"#;
        assert_eq!(shown(&Summary::of(&Resources::new())), none);
        let text =
            "cpus:0.1;cpus(web):0.2;mem:64;ports:[31000-31005,8000-8000];zones:{b,a};tokens:3";
        let resources = parse(text, "*").unwrap();
        let expected = concat!(
            r#"{"cpus":0.3,"disk":0.0,"gpus":0.0,"mem":64.0,"#,
            r#""ports":"[8000-8000, 31000-31005]","zones":"{a, b}","tokens":3.0}"#
        );
        assert_eq!(shown(&Summary::of(&resources)), expected);
        assert_eq!(shown(&Summary::of_proto(&resources.to_proto())), expected);
    }

    #[test]
    fn revocable_resources_are_summed_apart() {
        let mut resources = parse("cpus:2", "*").unwrap().to_proto();
        let mut revocable = resources[0].clone();
        revocable.revocable = Some(tepui_protocol::mesos::v1::resource::RevocableInfo::default());
        resources.push(revocable);
        let expected = r#"{"cpus":2.0,"disk":0.0,"gpus":0.0,"mem":0.0,"cpus_revocable":2.0}"#;
        assert_eq!(shown(&Summary::of_proto(&resources)), expected);
        let bag = Resources::from_proto(&resources).unwrap();
        assert_eq!(shown(&Summary::of(&bag)), expected);
    }

    #[test]
    fn reservations_are_shown_by_role_and_in_both_formats() {
        let resources = parse("cpus(web):1;mem:32", "*").unwrap();
        let expected = r#"{"web":{"cpus":1.0,"disk":0.0,"gpus":0.0,"mem":0.0}}"#;
        assert_eq!(shown(&Reserved(&resources)), expected);
        let full = serde_json::to_value(ReservedFull(&resources)).unwrap();
        let expected = serde_json::json!({"web": [{
            "name": "cpus", "type": "SCALAR", "scalar": {"value": 1.0}, "role": "web",
            "reservations": [{"type": "STATIC", "role": "web"}],
        }]});
        assert_eq!(full, expected);
        let full = serde_json::to_value(Full(&resources.unreserved())).unwrap();
        let expected = serde_json::json!([{
            "name": "mem", "type": "SCALAR", "scalar": {"value": 32.0}, "role": "*",
        }]);
        assert_eq!(full, expected);
    }
}
