//! The roles as a tree of path segments, and the order in which they are served.
//!
//! ```text
//!            (root)
//!           /      \
//!         eng      sales          the smaller share (over weight) is served first,
//!        /   \       |            with everything below it before its sibling
//!       .    web     .
//!            |                    `.` stands for the frameworks in the role itself,
//!            .                    beside its sub-roles, with weight 1
//! ```

use std::sync::Arc;

use super::names::NameId;
use super::shares::{FairTotals, Shares};
use super::slab::Slab;

/// The number of a node.
pub(super) type NodeId = u32;

/// The number of a role.
pub(super) type RoleId = u32;

#[derive(Debug)]
struct Node {
    /// The role that the path up to here names; for a `.` that of its parent with `/.`.
    path: Arc<str>,
    parent: Option<NodeId>,
    children: Vec<NodeId>,
    /// The role itself, where this is a `.`.
    role: Option<RoleId>,
    shares: Shares,
    /// Whether `children` are in order.
    sorted: bool,
}

/// The tree of roles.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Slab<Node>,
    root: NodeId,
    order: Vec<RoleId>,
    ordered: bool,
    version: u64,
}

impl Tree {
    pub(super) fn new() -> Tree {
        let mut nodes = Slab::default();
        let root = nodes.insert(Node {
            path: Arc::from(""),
            parent: None,
            children: Vec::new(),
            role: None,
            shares: Shares::new(1.0),
            sorted: true,
        });
        Tree {
            nodes,
            root,
            order: Vec::new(),
            ordered: true,
            version: 0,
        }
    }

    /// Adds a role that is not there yet; gives back its leaf.
    pub(super) fn add(&mut self, path: &str, role: RoleId, weight: impl Fn(&str) -> f64) -> NodeId {
        let mut at = self.root;
        let ends = path
            .match_indices('/')
            .map(|(end, _)| end)
            .chain([path.len()]);
        for end in ends {
            let prefix = &path[..end];
            at = match self.child(at, prefix) {
                Some(child) => child,
                None => self.attach(at, prefix, None, weight(prefix)),
            };
        }
        self.attach(at, &format!("{path}/."), Some(role), 1.0)
    }

    /// Removes a role's leaf, and of its path what serves no other role. It must hold nothing.
    pub(super) fn remove(&mut self, leaf: NodeId) {
        let mut at = leaf;
        while let Some(parent) = self.nodes[at].parent {
            if !self.nodes[at].children.is_empty() {
                break;
            }
            self.nodes.remove(at);
            self.nodes[parent].children.retain(|child| *child != at);
            at = parent;
        }
        self.ordered = false;
    }

    /// Sets the weight of the node for `path`, if there is one.
    pub(super) fn set_weight(&mut self, path: &str, weight: f64, totals: &FairTotals<'_>) {
        let found = self
            .nodes
            .iter()
            .find(|(_, node)| node.role.is_none() && &*node.path == path)
            .map(|(id, _)| id);
        let Some(id) = found else { return };
        self.nodes[id].shares.set_weight(weight, totals);
        self.unsort_parent(id);
    }

    pub(super) fn allocated(
        &mut self,
        leaf: NodeId,
        amounts: &[(NameId, i64)],
        totals: &FairTotals<'_>,
    ) {
        self.change_path(leaf, |shares| shares.allocated(amounts, totals));
    }

    pub(super) fn recovered(
        &mut self,
        leaf: NodeId,
        amounts: &[(NameId, i64)],
        totals: &FairTotals<'_>,
    ) {
        self.change_path(leaf, |shares| shares.recovered(amounts, totals));
    }

    /// The roles in the order in which they are served now.
    pub(super) fn order(&mut self, totals: &FairTotals<'_>) -> &[RoleId] {
        let version = totals.totals.version();
        if self.version != version {
            for (_, node) in self.nodes.iter_mut() {
                node.shares.refresh(totals);
                node.sorted = false;
            }
            self.version = version;
            self.ordered = false;
        }
        if !self.ordered {
            let mut order = std::mem::take(&mut self.order);
            order.clear();
            self.walk(self.root, &mut order);
            self.order = order;
            self.ordered = true;
        }
        &self.order
    }

    /// The two nodes at which the paths to two different leaves part, and their paths and shares.
    pub(super) fn parting(&self, one: NodeId, other: NodeId) -> [(NodeId, &str, f64); 2] {
        let (one, other) = (self.path_to(one), self.path_to(other));
        let at = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
        let facts = |path: &[NodeId]| {
            let id = path[at.min(path.len() - 1)];
            (id, &*self.nodes[id].path, self.nodes[id].shares.share())
        };
        [facts(&one), facts(&other)]
    }

    /// The shares along the path to `leaf`, from the root's child down.
    pub(super) fn shares_to(&self, leaf: NodeId) -> Vec<(NodeId, f64)> {
        self.path_to(leaf)
            .into_iter()
            .map(|id| (id, self.nodes[id].shares.share()))
            .collect()
    }

    /// What the whole tree holds.
    pub(super) fn root(&self) -> &Shares {
        &self.nodes[self.root].shares
    }

    /// The paths with a role of their own or below them, and what they hold.
    pub(super) fn paths(&self) -> impl Iterator<Item = (&str, &Shares)> {
        self.nodes
            .iter()
            .filter(|(_, node)| node.role.is_none() && node.parent.is_some())
            .map(|(_, node)| (&*node.path, &node.shares))
    }

    fn child(&self, parent: NodeId, path: &str) -> Option<NodeId> {
        let children = &self.nodes[parent].children;
        children
            .iter()
            .copied()
            .find(|id| &*self.nodes[*id].path == path)
    }

    fn attach(&mut self, parent: NodeId, path: &str, role: Option<RoleId>, weight: f64) -> NodeId {
        let id = self.nodes.insert(Node {
            path: Arc::from(path),
            parent: Some(parent),
            children: Vec::new(),
            role,
            shares: Shares::new(weight),
            sorted: true,
        });
        self.nodes[parent].children.push(id);
        self.unsort_parent(id);
        id
    }

    fn change_path(&mut self, leaf: NodeId, mut change: impl FnMut(&mut Shares)) {
        let mut at = Some(leaf);
        while let Some(id) = at {
            change(&mut self.nodes[id].shares);
            self.unsort_parent(id);
            at = self.nodes[id].parent;
        }
    }

    fn unsort_parent(&mut self, id: NodeId) {
        if let Some(parent) = self.nodes[id].parent {
            self.nodes[parent].sorted = false;
        }
        self.ordered = false;
    }

    fn path_to(&self, leaf: NodeId) -> Vec<NodeId> {
        let mut path = vec![leaf];
        let mut at = leaf;
        while let Some(parent) = self.nodes[at].parent {
            if parent != self.root {
                path.push(parent);
            }
            at = parent;
        }
        path.reverse();
        path
    }

    fn walk(&mut self, at: NodeId, order: &mut Vec<RoleId>) {
        order.extend(self.nodes[at].role);
        let mut children = std::mem::take(&mut self.nodes[at].children);
        if !self.nodes[at].sorted {
            children.sort_by(|a, b| {
                let (a, b) = (&self.nodes[*a], &self.nodes[*b]);
                a.shares
                    .compare(&b.shares)
                    .then_with(|| a.path.cmp(&b.path))
            });
            self.nodes[at].sorted = true;
        }
        for child in &children {
            self.walk(*child, order);
        }
        self.nodes[at].children = children;
    }
}
