//! The algebra of resources: add, subtract, contain, equality, and views by role, reservation
//! and name, over what `mesos.v1.Resource` can say.
//!
//! A resource is a [`Kind`] (what it is) and an [`Amount`] (how much of it); [`Resources`] is a
//! multiset of them. Messages come in by [`Resources::from_proto`], which validates, and go out
//! by [`Resources::to_proto`]. Inside, reservations are always a stack
//! (`Resource.reservations`); [`upgrade`] and [`downgrade`] translate the older format.
//!
//! Who may use what is not decided here: that is the allocator's and the master's.

mod amount;
mod bag;
mod convert;
mod display;
mod error;
mod format;
mod kind;
mod plain;
mod quantities;
mod ranges;
mod scalar;
mod text;
mod validate;
pub(crate) mod value_text;
mod views;

pub use amount::Amount;
pub use bag::{Entry, Resources};
pub use error::ResourceError;
pub use format::{downgrade, to_endpoint, upgrade};
pub use kind::Kind;
pub use quantities::Quantities;
pub use ranges::{Range, Ranges};
pub use scalar::Scalar;
pub use text::{parse, parse_json, parse_text};
pub use validate::validate;
