//! An outstanding offer, as a framework's entry shows it.

use serde::{Serialize, Serializer, ser::SerializeMap};
use tepui_master::snapshot::Offer;

use super::resources::Summary;

pub(crate) struct OfferView<'a>(pub(crate) &'a Offer);

impl Serialize for OfferView<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let offer = self.0;
        let mut map = to.serialize_map(Some(5))?;
        map.serialize_entry("id", &offer.id)?;
        map.serialize_entry("framework_id", &offer.framework_id)?;
        map.serialize_entry("allocation_info", &Allocation { role: &offer.role })?;
        map.serialize_entry("slave_id", &offer.agent_id)?;
        map.serialize_entry("resources", &Summary::of(&offer.resources))?;
        map.end()
    }
}

#[derive(Serialize)]
struct Allocation<'a> {
    role: &'a str,
}
