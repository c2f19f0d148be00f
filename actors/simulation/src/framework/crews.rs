//! The executors of a framework's own that its tasks share, what becomes of each, and what it is
//! asked.
//!
//! Not here: the executor itself (`crew.rs`).

use std::collections::BTreeMap;

use tepui_framework::executor;
use tepui_protocol::mesos::v1::{ExecutorInfo, FrameworkId, Offer};
use tepui_runtime::{Bytes, Random};

/// Cpus and megabytes of an executor.
pub(super) const NEEDS: (f64, f64) = (0.1, 32.0);

/// A framework's executors.
#[derive(Clone, Debug, Default)]
pub(crate) struct Crews {
    /// Those that get tasks at present, by role: an executor is in one role.
    present: BTreeMap<String, Vec<ExecutorInfo>>,
    made: u64,
}

/// The id of an executor: the same ones in every framework.
pub(super) fn id(number: u64) -> String {
    format!("crew-{number}")
}

/// How a framework greets its executors, which say back what they hear.
const GREETING: &str = "greetings from ";

/// What a framework says to one of its executors.
pub(super) fn greeting(framework: Option<&FrameworkId>) -> Bytes {
    let own = framework.map_or("nobody", |id| id.value.as_str());
    Bytes::from(format!("{GREETING}{own}"))
}

/// Whose executor says this, if it answers a greeting.
pub(crate) fn sender_of(answer: &[u8]) -> Option<String> {
    let answer = std::str::from_utf8(answer).ok()?;
    answer.strip_prefix(GREETING).map(str::to_owned)
}

impl Crews {
    /// The executor for a task on an offer: mostly one that others have, too.
    pub(super) fn draw(
        &mut self,
        offer: &Offer,
        framework: Option<&FrameworkId>,
        random: &Random,
    ) -> ExecutorInfo {
        let role = offer.allocation_info.as_ref();
        let role = role.and_then(|it| it.role.clone()).unwrap_or_default();
        let present = self.present.entry(role).or_default();
        if present.is_empty() || random.below(6) == 0 {
            self.made += 1;
            let resources = format!("cpus:{};mem:{};disk:1", NEEDS.0, NEEDS.1);
            let made = executor(id(self.made), command(random), &resources);
            let made = ExecutorInfo {
                framework_id: framework.cloned(),
                ..made.unwrap_or_default()
            };
            if present.len() == 2 {
                present.remove(0);
            }
            present.push(made);
        }
        let at = usize::try_from(random.below(present.len() as u64)).unwrap_or(0);
        present.get(at).cloned().unwrap_or_default()
    }
}

/// What an executor is and what becomes of it, in the words of `crew.rs`.
fn command(random: &Random) -> String {
    let seconds = random.below(90);
    match random.below(12) {
        // It never registers, and some end before they could.
        0 => "sleep 1000000000".to_owned(),
        1 => "sleep 2; exit 1".to_owned(),
        2 => format!("crew; hang {seconds}"),
        3 => format!("crew; sleep {seconds}; kill -9 $$"),
        4 => format!("crew; sleep {seconds}; exit 3"),
        5 => format!("crew; sleep {seconds}"),
        6..=8 => format!("crew; leave {}", random.below(10)),
        _ => "crew".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_greeted_is_in_the_answer() {
        let value = "F-0001".to_owned();
        let greeting = greeting(Some(&FrameworkId { value }));
        assert_eq!(sender_of(&greeting).as_deref(), Some("F-0001"));
        assert_eq!(sender_of(b"another word"), None);
    }
}
