//! Offers: ids, and what may be launched on them.

use std::collections::BTreeMap;

use super::Found;
use crate::{Fact, HEARS_ITS_OWN, OFFER_ID_ONCE, OFFER_USED_ONCE, TaskKey};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Answered,
    Rescinded,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Offers {
    /// Every offer there was, with its framework.
    offers: BTreeMap<String, (String, State)>,
    /// What is wrong with sending a task to its agent, if anything is: it depends on what launched
    /// it last.
    launched: BTreeMap<TaskKey, Option<String>>,
}

impl Offers {
    pub(super) fn see(&mut self, fact: &Fact, found: &mut Found) {
        match fact {
            Fact::Offered {
                to,
                framework,
                offer,
                ..
            } => {
                if to != framework {
                    let detail = format!("offer {offer} of {framework} was sent to {to}");
                    found.add(&HEARS_ITS_OWN, detail);
                }
                let new = (framework.clone(), State::Open);
                if let Some((former, _)) = self.offers.insert(offer.clone(), new) {
                    let detail = format!("offer {offer} to {framework} was one to {former} before");
                    found.add(&OFFER_ID_ONCE, detail);
                }
            }
            Fact::Rescinded { to, offer } => {
                if let Some((owner, state)) = self.offers.get_mut(offer) {
                    if owner != to {
                        let detail = format!("RESCIND of offer {offer} of {owner} went to {to}");
                        found.add(&HEARS_ITS_OWN, detail);
                    }
                    *state = State::Rescinded;
                }
            }
            // An ACCEPT that is on its way then comes from nobody whom the master knows.
            Fact::Disconnected { framework, .. }
            | Fact::Removed { framework, .. }
            | Fact::Subscribed {
                framework,
                repeated: false,
            } => self.void(framework),
            Fact::Answered {
                framework,
                offers,
                launches,
            } => self.answered(framework, offers, launches),
            Fact::TaskSent { task, .. } => {
                let done = Some("what launched it was carried out before".to_owned());
                let problem = match self.launched.insert(task.clone(), done) {
                    Some(None) => return,
                    Some(Some(problem)) => problem,
                    None => "nothing launched it".to_owned(),
                };
                found.add(&OFFER_USED_ONCE, format!("task {task}: {problem}"));
            }
            // Its successor knows none of them.
            Fact::MasterCrashed => {
                for (_, state) in self.offers.values_mut() {
                    *state = State::Rescinded;
                }
            }
            _ => {}
        }
    }

    /// All that is open of a framework's is taken back.
    fn void(&mut self, framework: &str) {
        let own = self.offers.values_mut();
        let open = own.filter(|(owner, state)| owner == framework && *state == State::Open);
        for (_, state) in open {
            *state = State::Rescinded;
        }
    }

    fn answered(&mut self, framework: &str, offers: &[String], launches: &[String]) {
        let none = || offers.is_empty().then(|| "it names no offer".to_owned());
        let problem = offers.iter().find_map(|offer| {
            let state = self.offers.get(offer);
            match state {
                None => Some(format!("offer {offer} was never made")),
                Some((owner, _)) if owner != framework => {
                    Some(format!("offer {offer} is {owner}'s"))
                }
                Some((_, State::Answered)) => Some(format!("offer {offer} was used before")),
                Some((_, State::Rescinded)) => Some(format!("offer {offer} was rescinded before")),
                Some((_, State::Open)) => None,
            }
        });
        let problem = problem.or_else(none);
        for offer in offers {
            if let Some((owner, state)) = self.offers.get_mut(offer)
                && owner == framework
                && *state == State::Open
            {
                *state = State::Answered;
            }
        }
        for task in launches {
            let task = TaskKey::new(framework, task);
            self.launched.insert(task, problem.clone());
        }
    }
}
