//! Attributes of an agent as one object.

use serde::{Serialize, Serializer, ser::SerializeMap};
use tepui_protocol::{
    attributes::ValueDisplay,
    mesos::v1::{Attribute, value},
};

/// A number for each scalar, text for each other one. Of a name given twice both are written, as
/// Mesos does.
pub(crate) struct Attributes<'a>(pub(crate) &'a [Attribute]);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for attribute in self.0 {
            match (&attribute.scalar, attribute.r#type()) {
                (Some(scalar), value::Type::Scalar) => {
                    map.serialize_entry(&attribute.name, &scalar.value)?;
                }
                _ => map.serialize_entry(&attribute.name, &ValueDisplay(attribute).to_string())?,
            }
        }
        map.end()
    }
}
