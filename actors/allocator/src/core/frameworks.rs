//! Frameworks, their roles, and the pairs of both, which are what offers go to.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::constraints::Constraints;
use super::inputs::FrameworkCapabilities;
use super::names::NameId;
use super::shares::{FairTotals, Shares};
use super::slab::Slab;
use super::tree::{NodeId, RoleId};

/// The number of a framework.
pub(super) type FrameworkId = u32;

/// The number of a framework in one of its roles.
pub(super) type ClientId = u32;

#[derive(Debug)]
pub(super) struct Framework {
    pub(super) id: Arc<str>,
    /// False while only what it holds is known (an agent came back before its framework).
    pub(super) added: bool,
    pub(super) active: bool,
    pub(super) capabilities: FrameworkCapabilities,
    /// Its clients by role.
    pub(super) clients: BTreeMap<Arc<str>, ClientId>,
}

/// One set of least amounts.
pub(super) type Minimum = Vec<(NameId, i64)>;

/// A framework in one role. It lives while the framework is subscribed to the role or holds
/// something in it.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) framework: FrameworkId,
    pub(super) role: RoleId,
    pub(super) subscribed: bool,
    pub(super) suppressed: bool,
    /// Whether offers go to it: subscribed, not suppressed, and the framework is active.
    pub(super) eligible: bool,
    /// Replaces the operator's, where it is there.
    pub(super) minimum: Option<Vec<Minimum>>,
    /// On which agents offers are wanted; on any, where there are none.
    pub(super) constraints: Option<Arc<Constraints>>,
    pub(super) shares: Shares,
    /// On how many agents it holds something.
    pub(super) agents: u32,
}

#[derive(Debug)]
pub(super) struct Role {
    pub(super) name: Arc<str>,
    /// Its leaf in the tree.
    pub(super) leaf: NodeId,
    pub(super) clients: Vec<ClientId>,
    /// The eligible ones in the order in which they are served, when `ordered`.
    order: Vec<ClientId>,
    ordered: bool,
    version: u64,
}

impl Role {
    pub(super) fn new(name: Arc<str>, leaf: NodeId) -> Role {
        Role {
            name,
            leaf,
            clients: Vec::new(),
            order: Vec::new(),
            ordered: false,
            version: 0,
        }
    }

    pub(super) fn unsort(&mut self) {
        self.ordered = false;
    }

    /// The frameworks of the role in the order in which they are served now.
    pub(super) fn order(
        &mut self,
        clients: &mut Slab<Client>,
        frameworks: &Slab<Framework>,
        totals: &FairTotals<'_>,
    ) -> &[ClientId] {
        let version = totals.totals.version();
        if self.version != version {
            for client in &self.clients {
                clients[*client].shares.refresh(totals);
            }
            self.version = version;
            self.ordered = false;
        }
        if !self.ordered {
            self.order.clear();
            let eligible = self
                .clients
                .iter()
                .copied()
                .filter(|client| clients[*client].eligible);
            self.order.extend(eligible);
            self.order.sort_by(|a, b| {
                let (a, b) = (&clients[*a], &clients[*b]);
                a.shares
                    .compare(&b.shares)
                    .then_with(|| frameworks[a.framework].id.cmp(&frameworks[b.framework].id))
            });
            self.ordered = true;
        }
        &self.order
    }
}
