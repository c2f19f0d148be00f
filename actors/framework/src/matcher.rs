//! Packs tasks onto offers.
//!
//! Tasks are taken in the order they come in; each goes to the place that it fills best, so that
//! large ones find room later (best fit). Offers of one agent to one role are one place. What is
//! reserved is used before what everybody may have. Persistent volumes, shared and revocable
//! resources are left alone: who wants these chooses them by hand.
//!
//! Not here: what is preferred but not needed (`delay` says which places are open to a task),
//! and any call (`Driver`).

use std::collections::BTreeMap;

use tepui_protocol::mesos::v1::{AgentId, Offer, OfferId, Resource, TaskInfo};
use tepui_protocol::resources::{Amount, Entry, Quantities, Range, Ranges, Resources, Scalar};

use crate::constraint::{Constraint, Places, Spread};
use crate::site::Site;
use crate::task::Task;

/// What a task needs, besides what it is.
#[derive(Debug, Clone, Default)]
pub struct Needs {
    scalars: Quantities,
    ports: u64,
    constraints: Vec<Constraint>,
    spread: Option<Spread>,
    role: Option<String>,
}

impl Needs {
    /// Nothing.
    #[must_use]
    pub fn none() -> Needs {
        Needs::default()
    }

    /// Processors and megabytes of memory.
    #[must_use]
    pub fn of(cpus: f64, mem: f64) -> Needs {
        Needs::none().scalar("cpus", cpus).scalar("mem", mem)
    }

    /// So much of the resource `name`, in thousandths; what is no number or below a thousandth
    /// is nothing.
    #[must_use]
    pub fn scalar(mut self, name: &str, amount: f64) -> Needs {
        let amount = Scalar::rounded(amount).filter(|it| *it > Scalar::ZERO);
        self.scalars.add(name, amount.unwrap_or(Scalar::ZERO));
        self
    }

    /// So many ports, whichever there are.
    #[must_use]
    pub fn ports(mut self, ports: u64) -> Needs {
        self.ports += ports;
        self
    }

    /// Something that the place must be.
    #[must_use]
    pub fn on(mut self, constraint: Constraint) -> Needs {
        self.constraints.push(constraint);
        self
    }

    /// How it is spread among others of its group.
    #[must_use]
    pub fn spread(mut self, spread: Spread) -> Needs {
        self.spread = Some(spread);
        self
    }

    /// Only what is offered to this role of the framework.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Needs {
        self.role = Some(role.into());
        self
    }
}

/// One place: the offers of one agent to one role.
#[derive(Debug, Clone)]
pub struct Place {
    /// The offers, of which an ACCEPT takes all.
    pub offers: Vec<OfferId>,
    /// Their agent.
    pub agent_id: AgentId,
    /// What the agent is.
    pub site: Site,
    role: String,
    total: Quantities,
    left: Resources,
    tasks: Vec<TaskInfo>,
}

impl Place {
    /// The tasks that were put there.
    #[must_use]
    pub fn tasks(&self) -> &[TaskInfo] {
        &self.tasks
    }

    /// What nobody has taken yet.
    #[must_use]
    pub fn left(&self) -> &Resources {
        &self.left
    }

    /// How much of the place would be idle with `scalars` taken: the largest share of a wanted
    /// resource that stays, in thousandths. The less, the better the fit.
    fn idle(&self, scalars: &Quantities) -> i64 {
        let left = usable(&self.left).quantities();
        let share = |(name, amount): (&str, Scalar)| {
            let rest = left.get(name).minus_floored(amount).thousandths();
            rest.saturating_mul(1000) / self.total.get(name).thousandths().max(1)
        };
        scalars.iter().map(share).max().unwrap_or(0)
    }
}

/// Offers, as places that are being filled.
#[derive(Debug, Clone, Default)]
pub struct Matcher {
    places: Vec<Place>,
}

impl Matcher {
    /// The places of `offers`. An offer whose resources are not well-formed makes an empty place.
    #[must_use]
    pub fn new(offers: &[Offer]) -> Matcher {
        let mut places: BTreeMap<(String, String), Place> = BTreeMap::new();
        for offer in offers {
            let allocation = offer.allocation_info.as_ref();
            let role = allocation.map_or("*", |it| it.role()).to_owned();
            let key = (offer.agent_id.value.clone(), role.clone());
            let place = places.entry(key).or_insert_with(|| Place {
                offers: Vec::new(),
                agent_id: offer.agent_id.clone(),
                site: Site::of(offer),
                role,
                total: Quantities::default(),
                left: Resources::new(),
                tasks: Vec::new(),
            });
            place.offers.push(offer.id.clone());
            let resources = Resources::from_proto(&offer.resources).unwrap_or_default();
            place.left += &resources;
            place.total = usable(&place.left).quantities();
        }
        Matcher {
            places: places.into_values().collect(),
        }
    }

    /// Puts a task where it fits best among the places that `open` says are open to it, and
    /// says where; `None` where there is no room.
    pub fn place(
        &mut self,
        task: Task,
        needs: &Needs,
        places: &Places,
        mut open: impl FnMut(&Site) -> bool,
    ) -> Option<&Place> {
        let spread = |site: &Site| {
            let spread = needs.spread.as_ref();
            spread.is_none_or(|spread| places.admits(spread, site))
        };
        let fits = self.places.iter().enumerate().filter_map(|(index, place)| {
            let role = needs.role.as_ref().is_none_or(|role| *role == place.role);
            let suits = role && needs.constraints.iter().all(|it| it.admits(&place.site));
            (suits && spread(&place.site) && open(&place.site)).then_some(())?;
            let taken = carve(&place.left, needs)?;
            Some((place.idle(&needs.scalars), index, taken))
        });
        let (_, index, taken) = fits.min_by_key(|(idle, index, _)| (*idle, *index))?;
        let place = self.places.get_mut(index)?;
        place.left -= &taken;
        let task = task.resources(taken.to_proto()).on_agent(&place.agent_id);
        place.tasks.push(task);
        Some(place)
    }

    /// The places, those with tasks and those without.
    #[must_use]
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// Accepts what has tasks, and declines the rest for `idle`.
    pub fn launch(self, driver: &mut crate::Driver<'_>, idle: std::time::Duration) {
        let mut declined = Vec::new();
        for place in self.places {
            if place.tasks.is_empty() {
                declined.extend(place.offers);
            } else {
                driver.launch_on(place.offers, place.tasks, Some(crate::task::refuse(idle)));
            }
        }
        if !declined.is_empty() {
            driver.decline_with(declined, Some(crate::task::refuse(idle)));
        }
    }
}

/// What this matcher hands out.
fn usable(resources: &Resources) -> Resources {
    resources.filter(|entry| {
        let kind = &entry.kind;
        !kind.is_revocable() && !kind.is_counted() && kind.persistence_id().is_none()
    })
}

/// What `needs` takes of `left`, reserved first; `None` where it is not there.
fn carve(left: &Resources, needs: &Needs) -> Option<Resources> {
    let left = usable(left);
    let mut taken = Resources::new();
    for (name, wanted) in needs.scalars.iter() {
        let mut wanted = wanted;
        for entry in reserved_first(&left, name) {
            let Some(there) = entry.amount.scalar() else {
                continue;
            };
            let part = there.min(wanted);
            if part > Scalar::ZERO {
                taken.add_entry(Entry::new(entry.kind.clone(), Amount::Scalar(part)));
                wanted = wanted.minus_floored(part);
            }
        }
        wanted.is_zero().then_some(())?;
    }
    let mut wanted = needs.ports;
    for entry in reserved_first(&left, "ports") {
        let Amount::Ranges(there) = &entry.amount else {
            continue;
        };
        let part = lowest(there, wanted);
        if !part.is_empty() {
            wanted -= part.count();
            taken.add_entry(Entry::new(entry.kind.clone(), Amount::Ranges(part)));
        }
    }
    (wanted == 0).then_some(taken)
}

fn reserved_first<'a>(resources: &'a Resources, name: &'a str) -> Vec<&'a Entry> {
    let mut entries: Vec<&Entry> = resources
        .iter()
        .filter(|it| it.kind.name() == name)
        .collect();
    entries.sort_by_key(|entry| entry.kind.reservation_role().is_none());
    entries
}

/// The first `count` numbers.
fn lowest(ranges: &Ranges, count: u64) -> Ranges {
    let mut wanted = count;
    let mut taken = Vec::new();
    for range in ranges.as_slice() {
        if wanted == 0 {
            break;
        }
        let length = (range.end - range.begin).saturating_add(1).min(wanted);
        wanted -= length;
        taken.push(Range {
            begin: range.begin,
            end: range.begin + (length - 1),
        });
    }
    taken.into_iter().collect()
}

/// The ports among `resources`, in rising order.
#[must_use]
pub fn ports(resources: &[Resource]) -> Vec<u64> {
    let named = resources.iter().filter(|resource| resource.name == "ports");
    let ranges = named.flat_map(|it| it.ranges.iter().flat_map(|ranges| &ranges.range));
    let last = u64::from(u16::MAX);
    let mut ports: Vec<u64> = ranges
        .flat_map(|range| range.begin..=range.end.min(last))
        .collect();
    ports.sort_unstable();
    ports
}

#[cfg(test)]
mod tests {
    use tepui_protocol::mesos::v1::resource::AllocationInfo;
    use tepui_protocol::resources::parse_text;
    use tepui_runtime::Time;

    use super::*;
    use crate::driver::Driver;
    use crate::site::Selector;

    fn offer(id: &str, agent: &str, resources: &str) -> Offer {
        Offer {
            id: OfferId {
                value: id.to_owned(),
            },
            agent_id: AgentId {
                value: agent.to_owned(),
            },
            hostname: format!("host-{agent}"),
            allocation_info: Some(AllocationInfo {
                role: Some("web".to_owned()),
            }),
            resources: parse_text(resources, "*")
                .unwrap()
                .allocate("web")
                .to_proto(),
            ..Offer::default()
        }
    }

    fn task(id: &str) -> Task {
        Task::command(id, "true")
    }

    /// Agent of each task, in order; `-` for no room.
    fn packed(matcher: &mut Matcher, needs: &[Needs]) -> Vec<String> {
        let places = Places::default();
        let place = |(number, needs): (usize, &Needs)| {
            let placed = matcher.place(task(&number.to_string()), needs, &places, |_| true);
            placed.map_or_else(|| "-".to_owned(), |place| place.agent_id.value.clone())
        };
        needs.iter().enumerate().map(place).collect()
    }

    #[test]
    fn small_tasks_leave_room_for_a_large_one() {
        let offers = [
            offer("O0", "big", "cpus:4;mem:4096"),
            offer("O1", "small", "cpus:1;mem:1024"),
        ];
        let mut matcher = Matcher::new(&offers);
        let needs = [
            Needs::of(0.5, 512.0),
            Needs::of(0.5, 512.0),
            Needs::of(4.0, 4096.0),
            Needs::of(0.1, 1.0),
        ];
        assert_eq!(packed(&mut matcher, &needs), ["small", "small", "big", "-"]);
    }

    #[test]
    fn offers_of_one_agent_are_one_place_and_the_rest_is_declined() {
        let offers = [
            offer("O0", "a", "cpus:1;mem:64"),
            offer("O1", "a", "cpus:1;mem:64"),
            offer("O2", "b", "cpus:1;mem:64"),
        ];
        let mut matcher = Matcher::new(&offers);
        assert_eq!(packed(&mut matcher, &[Needs::of(2.0, 128.0)]), ["a"]);
        let mut driver = Driver::new(None, Time::default());
        matcher.launch(&mut driver, std::time::Duration::from_secs(7));
        let calls = driver.finish().calls;
        let [accept, decline] = calls.as_slice() else {
            panic!("{calls:?}");
        };
        let accept = accept.accept.as_ref().unwrap();
        let ids: Vec<&str> = accept
            .offer_ids
            .iter()
            .map(|id| id.value.as_str())
            .collect();
        assert_eq!(ids, ["O0", "O1"]);
        assert_eq!(
            accept.operations[0]
                .launch
                .as_ref()
                .unwrap()
                .task_infos
                .len(),
            1
        );
        let decline = decline.decline.as_ref().unwrap();
        assert_eq!(decline.offer_ids[0].value, "O2");
        assert_eq!(decline.filters.as_ref().unwrap().refuse_seconds, Some(7.0));
    }

    #[test]
    fn what_is_reserved_is_used_first_and_ports_are_picked() {
        let mut given = offer("O0", "a", "cpus:2;mem:64;ports:[31000-31001,31005-31009]");
        let reserved = parse_text("cpus(web):1", "*")
            .unwrap()
            .allocate("web")
            .to_proto();
        given.resources.extend(reserved);
        let mut matcher = Matcher::new(&[given]);
        let needs = [
            Needs::of(1.5, 32.0).ports(3),
            Needs::none().ports(4),
            Needs::none().ports(1),
        ];
        assert_eq!(packed(&mut matcher, &needs), ["a", "a", "-"]);
        let tasks = matcher.places()[0].tasks();
        assert_eq!(ports(&tasks[0].resources), [31000, 31001, 31005]);
        assert_eq!(ports(&tasks[1].resources), [31006, 31007, 31008, 31009]);
        let cpus = tasks[0].resources.iter().filter(|it| it.name == "cpus");
        let mut cpus: Vec<(bool, f64)> = cpus
            .map(|it| {
                (
                    it.reservations.is_empty(),
                    it.scalar.as_ref().unwrap().value,
                )
            })
            .collect();
        cpus.sort_by_key(|one| one.0);
        assert_eq!(cpus, [(false, 1.0), (true, 0.5)]);
    }

    #[test]
    fn a_place_that_is_not_so_or_not_open_gets_nothing() {
        let offers = [
            offer("O0", "a", "cpus:1;mem:64"),
            offer("O1", "b", "cpus:1;mem:64"),
        ];
        let mut matcher = Matcher::new(&offers);
        let only_b = Constraint::Is(Selector::Hostname, "host-b".to_owned());
        let needs = [
            Needs::of(0.5, 1.0).on(only_b.clone()),
            Needs::of(0.6, 1.0).on(only_b),
            Needs::of(0.1, 1.0).role("db"),
        ];
        assert_eq!(packed(&mut matcher, &needs), ["b", "-", "-"]);
        let closed = matcher.place(task("t"), &Needs::of(0.1, 1.0), &Places::default(), |_| {
            false
        });
        assert!(closed.is_none());
    }
}
