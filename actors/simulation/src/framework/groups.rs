//! The default executors that run a framework's groups of tasks: mostly a new one for each group,
//! now and then the one that got the last group of the same agent.
//!
//! Not here: the executor itself, which comes with the agent.

use std::collections::BTreeMap;

use tepui_framework::default_executor;
use tepui_protocol::mesos::v1::{ExecutorInfo, FrameworkId, Offer, executor_info};
use tepui_runtime::Random;

use super::crews::NEEDS;

/// A framework's default executors.
#[derive(Clone, Debug, Default)]
pub(crate) struct DefaultExecutors {
    /// The last one of each role on each agent.
    last: BTreeMap<(String, String), ExecutorInfo>,
    made: u64,
}

impl DefaultExecutors {
    /// The executor for a group on an offer.
    pub(super) fn draw(
        &mut self,
        offer: &Offer,
        framework: Option<&FrameworkId>,
        random: &Random,
    ) -> ExecutorInfo {
        let role = offer.allocation_info.as_ref();
        let role = role.and_then(|it| it.role.clone()).unwrap_or_default();
        let place = (role, offer.agent_id.value.clone());
        let again = random.below(3) == 0;
        if let Some(last) = self.last.get(&place).filter(|_| again) {
            return last.clone();
        }
        self.made += 1;
        let resources = format!("cpus:{};mem:{};disk:1", NEEDS.0, NEEDS.1);
        let made = default_executor(format!("group-{}", self.made), &resources);
        let made = ExecutorInfo {
            framework_id: framework.cloned(),
            ..made.unwrap_or_default()
        };
        self.last.insert(place, made.clone());
        made
    }
}

/// Whether an executor is a default one.
pub(crate) fn is_default(executor: &ExecutorInfo) -> bool {
    executor.r#type() == executor_info::Type::Default
}

#[cfg(test)]
mod tests {
    use tepui_protocol::mesos::v1::AgentId;

    use super::*;

    #[test]
    fn one_group_in_three_is_for_the_executor_of_the_last() {
        let random = Random::from_number(3);
        let mut executors = DefaultExecutors::default();
        let offer = Offer::default();
        let drawn: Vec<ExecutorInfo> = (0..90)
            .map(|_| executors.draw(&offer, None, &random))
            .collect();
        assert!(drawn.iter().all(is_default));
        assert!(drawn.iter().all(|one| one.resources.len() == 3));
        let again = drawn.windows(2).filter(|two| two[0] == two[1]).count();
        assert!((15..=45).contains(&again), "{again} of 89");
        let elsewhere = Offer {
            agent_id: AgentId {
                value: "another".to_owned(),
            },
            ..Offer::default()
        };
        let other = executors.draw(&elsewhere, None, &random);
        assert!(!drawn.contains(&other));
    }
}
