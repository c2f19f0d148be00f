//! What the resources of an operation must be before any of it is looked at: Mesos'
//! `validateAndUpgradeResources`. One that is invalid fails the operation as a whole.

use tepui_protocol::ids;
use tepui_protocol::mesos::v1::offer::Operation;
use tepui_protocol::mesos::v1::{Resource, TaskInfo, value};
use tepui_protocol::resources::{ResourceError, Scalar, validate};
use tepui_protocol::roles;

use super::framework::{as_cpp, role_words};

/// Whether each resource of an operation's tasks and executors is one.
///
/// # Errors
/// The first that is not, in Mesos' words where it has some.
pub fn of_launch(operation: &Operation) -> Result<(), String> {
    let launch = operation.launch.iter().flat_map(|part| &part.task_infos);
    let group = operation.launch_group.iter();
    let executors = group.clone().flat_map(|part| &part.executor.resources);
    let group = group.flat_map(|part| &part.task_group.tasks);
    let tasks = launch.chain(group).flat_map(of_task);
    tasks.chain(executors).try_for_each(one)
}

fn of_task(task: &TaskInfo) -> impl Iterator<Item = &Resource> {
    let executor = task.executor.iter().flat_map(|info| &info.resources);
    task.resources.iter().chain(executor)
}

fn one(resource: &Resource) -> Result<(), String> {
    let Err(problem) = validate(resource) else {
        return Ok(());
    };
    if is_part_of_a_gpu(resource) {
        // Mesos finds it later, so that only its task fails.
        return Ok(());
    }
    let problem = match roles::validate(resource.role()) {
        Err(role) if resource.reservations.is_empty() => role_words(&role),
        _ => words(&problem),
    };
    Err(format!(
        "Resource '{}' is invalid: {problem}",
        shown(resource)
    ))
}

/// GPUs come in whole numbers.
fn is_part_of_a_gpu(resource: &Resource) -> bool {
    let amount = resource.scalar.as_ref().map_or(0.0, |scalar| scalar.value);
    resource.name == "gpus" && Scalar::rounded(amount).is_some_and(|amount| amount > Scalar::ZERO)
}

/// Why resources of a task or an executor are invalid, where only that one fails.
pub(super) fn words_of(problem: &ResourceError) -> String {
    match problem {
        ResourceError::Field { name, field, .. } if name == "gpus" && field == "scalar.value" => {
            "Invalid 'gpus' resource: The 'gpus' resource must be an unsigned integer".to_owned()
        }
        other => words(other),
    }
}

/// Mesos' words for a rule that a resource breaks; ours where it has none.
fn words(problem: &ResourceError) -> String {
    let ResourceError::Field { field, problem, .. } = problem else {
        return problem.to_string();
    };
    match field.as_str() {
        "name" => "Empty resource name".to_owned(),
        "scalar" => "Invalid scalar resource".to_owned(),
        "ranges" => "Invalid ranges resource".to_owned(),
        "set" => "Invalid set resource".to_owned(),
        "scalar.value" => "Invalid scalar resource: value <= 0".to_owned(),
        "ranges.range" if problem.contains('>') => {
            "Invalid ranges resource: begin > end".to_owned()
        }
        "ranges.range" => "Invalid ranges resource: overlapping ranges".to_owned(),
        "set.item" => "Invalid set resource: duplicated elements".to_owned(),
        "type" => format!("Unsupported resource type: {problem}"),
        "shared" => "Only persistent volumes can be shared".to_owned(),
        other => format!("{other}: {problem}"),
    }
}

/// Mesos' `validateDiskInfo`: a disk is a reserved persistent volume, or says where it comes from.
pub(super) fn disk(resource: &Resource) -> Result<(), String> {
    let Some(info) = &resource.disk else {
        return Ok(());
    };
    let problem = match (&info.persistence, &info.volume) {
        (Some(_), _) if resource.revocable.is_some() => {
            "Persistent volumes cannot be created from revocable resources"
        }
        (Some(_), _) if resource.reservations.is_empty() => {
            "Persistent volumes cannot be created from unreserved resources"
        }
        (Some(_), None) => "Expecting 'volume' to be set for persistent volume",
        (Some(_), Some(volume)) if volume.host_path.is_some() => {
            "Expecting 'host_path' to be unset for persistent volume"
        }
        (Some(persistence), Some(_)) => {
            let valid = ids::validate(&persistence.id);
            return valid.map_err(|problem| {
                format!("Invalid persistence ID for persistent volume: {problem}")
            });
        }
        (None, Some(_)) => "Non-persistent volume not supported",
        (None, None) if info.source.is_none() => "DiskInfo is set but empty",
        (None, None) => return Ok(()),
    };
    Err(problem.to_owned())
}

/// A resource as Mesos prints it, valid or not.
fn shown(resource: &Resource) -> String {
    let name = &resource.name;
    let shared = if resource.shared.is_some() {
        "<SHARED>"
    } else {
        ""
    };
    let amount = match resource.r#type() {
        value::Type::Scalar => {
            let amount = resource.scalar.as_ref().map_or(0.0, |scalar| scalar.value);
            Scalar::rounded(amount).map_or_else(|| as_cpp(amount), |rounded| rounded.to_string())
        }
        value::Type::Ranges => {
            let ranges = resource.ranges.iter().flat_map(|ranges| &ranges.range);
            let each: Vec<String> = ranges.map(|r| format!("{}-{}", r.begin, r.end)).collect();
            format!("[{}]", each.join(", "))
        }
        value::Type::Set => {
            let items = resource.set.iter().flat_map(|set| &set.item);
            let each: Vec<&str> = items.map(String::as_str).collect();
            format!("{{{}}}", each.join(", "))
        }
        value::Type::Text => "text".to_owned(),
    };
    format!("{name}{shared}:{amount}")
}
