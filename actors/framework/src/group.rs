//! Tasks that start together, and end together when one of them goes wrong: groups of Mesos'
//! default executor, which an agent brings along.
//!
//! Each task has a container of its own, with its own sandbox and processes, within the container
//! of their executor, whose network and (unless it is said otherwise) limits they share. Not here:
//! groups of a framework's own executor (`Driver::launch_group`).

use tepui_protocol::mesos::v1::{
    ExecutorId, ExecutorInfo, LinuxInfo, Offer, TaskInfo, container_info, executor_info,
};
use tepui_protocol::resources::{ResourceError, Resources, parse_text};

use crate::driver::Driver;
use crate::task::Task;

/// What an executor has for itself unless it is said otherwise: a little more than Mesos' least.
const OWN: &str = "cpus:0.1;mem:32;disk:10";

/// A group that is being described; [`Group::launch`] runs it.
///
/// ```
/// # use tepui_framework::{Driver, Group, Task};
/// # use tepui_protocol::mesos::v1::{FrameworkId, Offer};
/// # let framework_id = FrameworkId { value: "F".to_owned() };
/// # let mut driver = Driver::new(Some(&framework_id), Default::default());
/// # let resources = tepui_protocol::resources::parse_text("cpus:1;mem:512;disk:50", "*")?;
/// # let offer = Offer { resources: resources.to_proto(), ..Offer::default() };
/// let server = Task::command("web-7", "exec ./serve").cpus(0.5).mem(128.0);
/// let logger = Task::command("log-7", "exec ./ship-logs").cpus(0.1).mem(32.0);
/// let group = Group::new("pod-7").task(server).task(logger);
/// if group.fits(&offer) {
///     group.launch(&mut driver, &offer);
/// }
/// # assert_eq!(driver.calls().len(), 1);
/// # Ok::<(), tepui_protocol::resources::ResourceError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Group {
    executor: ExecutorInfo,
    tasks: Vec<Task>,
}

/// A default executor, with its own resources in the form of `--resources`: at least 0.01 cpus,
/// 32 MB of memory and some disk.
///
/// # Errors
/// [`ResourceError`] where `resources` is not of that form.
pub fn default_executor(
    id: impl Into<String>,
    resources: &str,
) -> Result<ExecutorInfo, ResourceError> {
    Ok(ExecutorInfo {
        resources: parse_text(resources, "*")?.to_proto(),
        ..of_id(id.into())
    })
}

fn of_id(id: String) -> ExecutorInfo {
    ExecutorInfo {
        r#type: Some(executor_info::Type::Default as i32),
        executor_id: ExecutorId { value: id },
        ..ExecutorInfo::default()
    }
}

impl Group {
    /// A group of no tasks yet, for the default executor of this id: a new one, with 0.1 cpus,
    /// 32 MB of memory and 10 MB of disk for itself.
    #[must_use]
    pub fn new(executor: impl Into<String>) -> Group {
        let resources = parse_text(OWN, "*").unwrap_or_default().to_proto();
        Group::of(ExecutorInfo {
            resources,
            ..of_id(executor.into())
        })
    }

    /// A group of no tasks yet for this executor. One that runs already is described as it was.
    #[must_use]
    pub fn of(executor: ExecutorInfo) -> Group {
        Group {
            executor,
            tasks: Vec::new(),
        }
    }

    /// With this task, too. It has a command.
    #[must_use]
    pub fn task(mut self, task: Task) -> Group {
        self.tasks.push(task);
        self
    }

    /// Each of its tasks so far has cgroups, and so limits, of its own. All tasks of an executor
    /// have, or none.
    #[must_use]
    pub fn own_cgroups(mut self) -> Group {
        for task in &mut self.tasks {
            let container = task.info_mut().container.get_or_insert_default();
            container.r#type = container_info::Type::Mesos as i32;
            let linux: &mut LinuxInfo = container.linux_info.get_or_insert_default();
            linux.share_cgroups = Some(false);
        }
        self
    }

    /// Its executor.
    #[must_use]
    pub fn executor(&self) -> &ExecutorInfo {
        &self.executor
    }

    /// Whether the offer has what its tasks and a new executor need, as they describe it: what is
    /// reserved is only for who asks for it so.
    #[must_use]
    pub fn fits(&self, offer: &Offer) -> bool {
        let of_tasks = self.tasks.iter().flat_map(|task| &task.info().resources);
        let needed = Resources::from_proto(of_tasks.chain(&self.executor.resources));
        let there = Resources::from_proto(&offer.resources);
        match (there, needed) {
            (Ok(there), Ok(needed)) => there.unallocate().contains(&needed.unallocate()),
            _ => false,
        }
    }

    /// Runs it on the offer, whole or not at all. What is left of the offer is declined.
    pub fn launch(self, driver: &mut Driver<'_>, offer: &Offer) {
        let tasks: Vec<TaskInfo> = self.tasks.into_iter().map(|task| task.on(offer)).collect();
        driver.launch_group(offer, self.executor, tasks);
    }
}

#[cfg(test)]
mod tests {
    use tepui_protocol::mesos::v1::FrameworkId;
    use tepui_protocol::mesos::v1::offer::operation;

    use super::*;

    fn offer(resources: &str) -> Offer {
        Offer {
            resources: parse_text(resources, "*").unwrap().to_proto(),
            ..Offer::default()
        }
    }

    fn two() -> Group {
        let task = |id: &str| Task::command(id, "sleep 9").cpus(0.5).mem(64.0);
        Group::new("pod").task(task("a")).task(task("b"))
    }

    #[test]
    fn a_group_needs_what_its_tasks_and_its_executor_need() {
        assert!(two().fits(&offer("cpus:1.1;mem:160;disk:10")));
        assert!(!two().fits(&offer("cpus:1;mem:160;disk:10")), "its own cpu");
        assert!(!two().fits(&offer("cpus:1.1;mem:160")), "its disk");
        assert!(!two().fits(&offer("cpus(front):9;mem:160;disk:10")));
    }

    #[test]
    fn a_group_is_accepted_as_one_operation_with_its_executor() {
        let id = FrameworkId {
            value: "F".to_owned(),
        };
        let mut driver = Driver::new(Some(&id), tepui_runtime::Time::default());
        two()
            .own_cgroups()
            .launch(&mut driver, &offer("cpus:2;mem:512;disk:20"));
        let accept = driver.calls()[0].accept.as_ref().unwrap();
        let operation = &accept.operations[0];
        assert_eq!(operation.r#type(), operation::Type::LaunchGroup);
        let launch = operation.launch_group.as_ref().unwrap();
        let executor = &launch.executor;
        assert_eq!(executor.r#type(), executor_info::Type::Default);
        assert_eq!(executor.command, None, "an agent makes it");
        // A master asks for it in a group.
        assert_eq!(executor.framework_id, Some(id.clone()));
        let tasks = &launch.task_group.tasks;
        assert_eq!(tasks.len(), 2);
        for task in tasks {
            let container = task.container.as_ref().unwrap();
            assert_eq!(container.r#type(), container_info::Type::Mesos);
            let linux = container.linux_info.as_ref().unwrap();
            assert_eq!(linux.share_cgroups, Some(false));
        }
    }

    #[test]
    fn whose_an_executor_is_is_filled_in_wherever_a_group_names_it() {
        let id = FrameworkId {
            value: "F".to_owned(),
        };
        let mut driver = Driver::new(Some(&id), tepui_runtime::Time::default());
        let own = crate::executor("e", "./run", OWN).unwrap();
        let offer = offer("cpus:1");
        let task = Task::custom("t", own.clone()).on(&offer);
        driver.launch_group(&offer, own, [task]);
        let accept = driver.calls()[0].accept.as_ref().unwrap();
        let launch = accept.operations[0].launch_group.as_ref().unwrap();
        let named = launch.task_group.tasks[0].executor.as_ref();
        assert_eq!(named, Some(&launch.executor));
        assert_eq!(launch.executor.framework_id.as_ref(), Some(&id));
    }

    #[test]
    fn a_default_executor_has_the_resources_that_it_was_given() {
        let executor = default_executor("e", "cpus:1;mem:64;disk:1").unwrap();
        assert_eq!(Group::of(executor).executor().resources.len(), 3);
        assert!(default_executor("e", "cpus").is_err());
    }
}
