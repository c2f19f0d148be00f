//! Between [`Resources`] and the messages.

use super::amount::Amount;
use super::bag::{Entry, Resources};
use super::error::ResourceError;
use super::format;
use super::kind::Kind;
use super::plain::Plain;
use super::ranges::{Range, Ranges};
use super::scalar::Scalar;
use super::validate::validate;
use crate::mesos::v1::{Resource, value};

impl Resources {
    /// Takes resources from a message, in whichever reservation format they come; what is empty
    /// is dropped.
    ///
    /// # Errors
    /// The first resource that is not valid, by field.
    pub fn from_proto<'a>(
        resources: impl IntoIterator<Item = &'a Resource>,
    ) -> Result<Resources, ResourceError> {
        let mut all = Resources::new();
        for resource in resources {
            all.add_proto(resource)?;
        }
        Ok(all)
    }

    /// Adds one resource of a message.
    ///
    /// # Errors
    /// Where it is not valid, by field; nothing is added then.
    pub fn add_proto(&mut self, resource: &Resource) -> Result<(), ResourceError> {
        validate(resource)?;
        let kind = Plain::of(resource).map_or_else(
            || {
                let mut resource = resource.clone();
                format::upgrade(&mut resource);
                Kind::of(&resource)
            },
            Plain::kind,
        );
        self.add_entry(Entry::new(kind, amount_of(resource)));
        Ok(())
    }

    /// The messages for these resources, reservations as a stack. What is counted comes as often
    /// as it is there, so that nothing is lost on the way.
    #[must_use]
    pub fn to_proto(&self) -> Vec<Resource> {
        let mut messages = Vec::with_capacity(self.len());
        for entry in self {
            let message = entry.kind.to_proto(&entry.amount);
            messages.extend(std::iter::repeat_n(message, entry.count as usize));
        }
        messages
    }

    /// The messages in the older reservation format.
    ///
    /// # Errors
    /// Where a reservation refines another one.
    pub fn to_older_proto(&self) -> Result<Vec<Resource>, ResourceError> {
        let mut messages = self.to_proto();
        messages.iter_mut().try_for_each(format::downgrade)?;
        Ok(messages)
    }

    /// The messages as the endpoints show them, with the fields of both formats.
    #[must_use]
    pub fn to_endpoint_proto(&self) -> Vec<Resource> {
        let mut messages = self.to_proto();
        messages.iter_mut().for_each(format::to_endpoint);
        messages
    }
}

/// The amount of a resource that `validate` has passed.
fn amount_of(resource: &Resource) -> Amount {
    match resource.r#type() {
        value::Type::Ranges => {
            let ranges = resource.ranges.iter().flat_map(|ranges| &ranges.range);
            let range = |range: &value::Range| Range {
                begin: range.begin,
                end: range.end,
            };
            Amount::Ranges(ranges.map(range).collect::<Ranges>())
        }
        value::Type::Set => Amount::Set(
            resource
                .set
                .iter()
                .flat_map(|set| set.item.iter().cloned())
                .collect(),
        ),
        value::Type::Scalar | value::Type::Text => {
            let value = resource.scalar.as_ref().map_or(0.0, |scalar| scalar.value);
            Amount::Scalar(Scalar::rounded(value).unwrap_or_default())
        }
    }
}
