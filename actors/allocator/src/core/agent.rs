//! One agent: what it has, who holds how much of it, and who refused what.
//!
//! Each resource of the agent has a slot. What is allocated beyond the total (an agent came back
//! smaller) is remembered; `free` is never below nothing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tepui_protocol::resources::{Amount, Entry, Kind, Resources, Scalar};

use super::filters::Filter;
use super::frameworks::ClientId;
use super::inputs::AgentSpec;
use super::names::{NameId, Names};
use super::part::Part;
use super::reason::RecentGrant;

/// How many of its last grants an agent remembers, to tell why somebody else got nothing.
const RECENT_GRANTS: usize = 8;

/// One resource of an agent.
#[derive(Debug)]
pub(super) struct Slot {
    /// Never given out twice on one agent, so what remembers a slot cannot meet another.
    pub(super) id: u32,
    pub(super) kind: Kind,
    /// The size of one piece, where pieces are counted.
    pub(super) piece: Option<Amount>,
    /// The number of its name, where it is a scalar.
    pub(super) name: Option<NameId>,
    pub(super) total: Part,
    pub(super) allocated: Part,
    /// What can be allocated now.
    pub(super) free: Part,
    /// More of it is held than there is, or some of it by two: an agent said so, or has less now.
    pub(super) beyond: bool,
}

impl Slot {
    /// Somebody holds `part`, granted or not.
    pub(super) fn reported(&mut self, part: &Part) {
        self.beyond |= !self.free.contains(part);
    }

    /// Whether all is in its place again.
    fn settle(&mut self) {
        // Of ports and names that two hold, what is allocated has only one.
        let told_apart =
            matches!(&self.allocated, Part::Amount(amount) if amount.scalar().is_none());
        self.beyond = self.beyond
            && match told_apart {
                true => !self.allocated.is_empty(),
                false => !self.total.contains(&self.allocated),
            };
    }

    /// The thousandths that `part` of this slot counts for in sums; 0 for ranges and sets.
    pub(super) fn thousandths(&self, part: &Part) -> i64 {
        match part {
            Part::Amount(amount) => amount.scalar().map_or(0, Scalar::thousandths),
            Part::Count(0) => 0,
            Part::Count(count) => {
                let times = if self.kind.is_shared() {
                    1
                } else {
                    i64::from(*count)
                };
                let piece = self.piece.as_ref().and_then(Amount::scalar);
                piece.map_or(0, |piece| piece.thousandths().saturating_mul(times))
            }
        }
    }

    /// What goes out in one grant: all that is free, but a shared resource once.
    pub(super) fn offered(&self) -> Part {
        match &self.free {
            Part::Count(count) if self.kind.is_shared() => Part::Count((*count).min(1)),
            free => free.clone(),
        }
    }

    /// Whether all that would be offered is within `part`.
    pub(super) fn is_within(&self, part: &Part) -> bool {
        match part {
            Part::Count(_) if self.kind.is_shared() => part.contains(&self.offered()),
            _ => part.contains(&self.free),
        }
    }

    fn refresh(&mut self) {
        self.free = self.total.clone();
        // Whoever holds a shared resource keeps it from nobody.
        if !self.kind.is_shared() {
            self.free.subtract(&self.allocated);
        }
    }

    fn is_for(&self, entry: &Entry) -> bool {
        self.kind == entry.kind
            && self
                .piece
                .as_ref()
                .is_none_or(|piece| *piece == entry.amount)
    }
}

/// Parts by slot id.
pub(super) type Parts = Vec<(u32, Part)>;

/// By how much what somebody holds of one scalar grew or shrank.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) name: NameId,
    pub(super) thousandths: i64,
    /// The slot, where it is a shared resource: it counts once for a whole role.
    pub(super) shared: Option<u32>,
}

impl Change {
    fn of(slot: &Slot, name: NameId, thousandths: i64) -> Change {
        Change {
            name,
            thousandths,
            shared: slot.kind.is_shared().then_some(slot.id),
        }
    }
}

#[derive(Debug)]
pub(super) struct Agent {
    pub(super) id: Arc<str>,
    pub(super) spec: AgentSpec,
    pub(super) active: bool,
    /// Whether gpus are among its resources.
    pub(super) gpus: bool,
    pub(super) slots: Vec<Slot>,
    next_slot: u32,
    /// Who holds what.
    pub(super) uses: BTreeMap<ClientId, Parts>,
    pub(super) filters: BTreeMap<ClientId, Vec<Filter>>,
    pub(super) recent: VecDeque<RecentGrant>,
}

impl Agent {
    pub(super) fn new(spec: AgentSpec) -> Agent {
        Agent {
            id: Arc::from(spec.id.as_str()),
            spec,
            active: true,
            gpus: false,
            slots: Vec::new(),
            next_slot: 0,
            uses: BTreeMap::new(),
            filters: BTreeMap::new(),
            recent: VecDeque::new(),
        }
    }

    /// Whether any resource is free.
    pub(super) fn has_free(&self) -> bool {
        self.slots.iter().any(|slot| !slot.free.is_empty())
    }

    pub(super) fn slot(&self, id: u32) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.id == id)
    }

    fn slot_mut(&mut self, id: u32) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.id == id)
    }

    /// The slot for a resource, made where there is none yet.
    fn slot_for(&mut self, entry: &Entry, names: &mut Names) -> &mut Slot {
        let at = match self.slots.iter().position(|slot| slot.is_for(entry)) {
            Some(at) => at,
            None => {
                let nothing = Part::nothing(&entry.kind);
                let scalar = entry.amount.scalar().is_some();
                self.slots.push(Slot {
                    id: self.next_slot,
                    kind: entry.kind.clone(),
                    piece: entry.kind.is_counted().then(|| entry.amount.clone()),
                    name: scalar.then(|| names.acquire(entry.kind.name())),
                    total: nothing.clone(),
                    allocated: nothing.clone(),
                    free: nothing,
                    beyond: false,
                });
                self.next_slot += 1;
                self.slots.len() - 1
            }
        };
        &mut self.slots[at]
    }

    /// Replaces the total. Gives back what this changes in the sum of all agents.
    pub(super) fn set_total(&mut self, total: &Resources, names: &mut Names) -> Vec<(NameId, i64)> {
        let mut changes = Vec::new();
        for slot in &mut self.slots {
            if let Some(name) = slot.name {
                changes.push((name, -slot.thousandths(&slot.total)));
            }
            slot.total = Part::nothing(&slot.kind);
        }
        self.gpus = total.iter().any(|entry| entry.kind.name() == "gpus");
        for entry in total {
            let slot = self.slot_for(entry, names);
            slot.total.add(&part_of(entry));
        }
        for slot in &mut self.slots {
            slot.refresh();
            slot.beyond |= !slot.total.contains(&slot.allocated);
            slot.settle();
            if let Some(name) = slot.name {
                changes.push((name, slot.thousandths(&slot.total)));
            }
        }
        changes
    }

    /// Turns resources into parts, making the slots they need.
    pub(super) fn parts(&mut self, resources: &Resources, names: &mut Names) -> Parts {
        let entries = resources.unallocate();
        entries
            .iter()
            .map(|entry| (self.slot_for(entry, names).id, part_of(entry)))
            .collect()
    }

    /// Turns resources into parts of slots that are there; the rest is unknown to this agent.
    pub(super) fn known_parts(&self, resources: &Resources) -> (Parts, Resources) {
        let (mut parts, mut unknown) = (Parts::new(), Resources::new());
        for entry in &resources.unallocate() {
            match self.slots.iter().find(|slot| slot.is_for(entry)) {
                Some(slot) => parts.push((slot.id, part_of(entry))),
                None => unknown.add_entry(entry.clone()),
            }
        }
        (parts, unknown)
    }

    /// Somebody is said to hold these parts, whether they were granted or not.
    pub(super) fn reported(&mut self, parts: &Parts) {
        for (id, part) in parts {
            if let Some(slot) = self.slot_mut(*id) {
                slot.reported(part);
            }
        }
    }

    /// Writes down that `client` holds `parts` more. Gives back by how much the client's sums
    /// grow: a shared resource that it held already adds nothing.
    pub(super) fn take(&mut self, client: ClientId, parts: &Parts) -> Vec<Change> {
        let mut grown = Vec::with_capacity(parts.len());
        let mut held = self.uses.remove(&client).unwrap_or_default();
        for (id, part) in parts {
            let Some(slot) = self.slot_mut(*id) else {
                continue;
            };
            slot.allocated.add(part);
            slot.refresh();
            let mine = match held.iter_mut().find(|(held, _)| held == id) {
                Some((_, mine)) => mine,
                None => {
                    held.push((*id, Part::nothing(&slot.kind)));
                    let last = held.len() - 1;
                    &mut held[last].1
                }
            };
            let before = slot.thousandths(mine);
            mine.add(part);
            if let Some(name) = slot.name {
                grown.push(Change::of(slot, name, slot.thousandths(mine) - before));
            }
        }
        self.uses.insert(client, held);
        grown
    }

    /// Takes back what `client` holds of `parts`. Gives back by how much its sums shrink, and
    /// the parts it did not hold.
    pub(super) fn give_back(&mut self, client: ClientId, parts: &Parts) -> (Vec<Change>, Parts) {
        let (mut shrunk, mut missing) = (Vec::new(), Parts::new());
        let mut held = self.uses.remove(&client).unwrap_or_default();
        for (id, part) in parts {
            let mine = held.iter_mut().find(|(held, _)| held == id);
            let (Some((_, mine)), Some(slot)) = (mine, self.slot_mut(*id)) else {
                missing.push((*id, part.clone()));
                continue;
            };
            let freed = mine.intersection(part);
            if !freed.contains(part) {
                let mut rest = part.clone();
                rest.subtract(&freed);
                missing.push((*id, rest));
            }
            let before = slot.thousandths(mine);
            mine.subtract(&freed);
            slot.allocated.subtract(&freed);
            slot.refresh();
            slot.settle();
            if let Some(name) = slot.name {
                shrunk.push(Change::of(slot, name, before - slot.thousandths(mine)));
            }
        }
        held.retain(|(_, part)| !part.is_empty());
        if !held.is_empty() {
            self.uses.insert(client, held);
        }
        (shrunk, missing)
    }

    /// Forgets the slots that neither exist on the agent nor are held. Gives back the numbers of
    /// their names. Refusals speak of slots, so while there are any all slots stay.
    pub(super) fn drop_unused_slots(&mut self) -> Vec<NameId> {
        let mut names = Vec::new();
        if !self.filters.is_empty() {
            return names;
        }
        self.slots.retain(|slot| {
            let used = !slot.total.is_empty() || !slot.allocated.is_empty();
            if !used {
                names.extend(slot.name);
            }
            used
        });
        names
    }

    pub(super) fn remember(&mut self, grant: RecentGrant) {
        if self.recent.len() == RECENT_GRANTS {
            self.recent.pop_front();
        }
        self.recent.push_back(grant);
    }
}

fn part_of(entry: &Entry) -> Part {
    if entry.kind.is_counted() {
        Part::Count(entry.count)
    } else {
        Part::Amount(entry.amount.clone())
    }
}
