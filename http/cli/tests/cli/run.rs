//! `tepui run`, as people use it.

use std::process::Command;

use crate::support::{Running, finish, runs, tepui, wait_until};
use nix::sys::signal::Signal;
use tempfile::TempDir;

/// `tepui run` with a temporary folder of its own, to see what is left in it.
fn run(arguments: &[&str]) -> (TempDir, Command) {
    let folder = TempDir::new().unwrap();
    let mut command = tepui(&["run"]);
    command.args(arguments).env("TMPDIR", folder.path());
    (folder, command)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test looks at the machine, not at a node"
)]
fn names(folder: &TempDir) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path()).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn is_empty(folder: &TempDir) -> bool {
    names(folder).is_empty()
}

#[test]
fn the_output_is_on_stdout_and_each_state_on_stderr() {
    let (folder, command) = run(&["echo hello"]);
    let (status, stdout, stderr) = finish(command);
    assert_eq!((status, stdout.as_str()), (0, "hello\n"), "{stderr}");
    let states: Vec<&str> = ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]
        .into_iter()
        .filter(|state| stderr.contains(&format!("tepui: task run.0 is {state}")))
        .collect();
    assert_eq!(
        states,
        ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"],
        "{stderr}"
    );
    assert!(is_empty(&folder));
}

#[test]
fn the_exit_status_is_that_of_the_task() {
    for (script, expected) in [("exit 3", 3), ("kill -9 $$", 137), ("true", 0)] {
        let (folder, command) = run(&["--quiet", script]);
        let (status, stdout, stderr) = finish(command);
        assert_eq!(
            (status, stdout.as_str()),
            (expected, ""),
            "{script}: {stderr}"
        );
        assert_eq!(stderr, "", "{script}");
        assert!(is_empty(&folder));
    }
}

#[test]
fn the_command_sees_its_environment_and_its_arguments() {
    let (_folder, command) = run(&[
        "--quiet",
        "--env",
        "GREETING=hello there",
        "echo \"$GREETING\"; echo oh >&2",
    ]);
    assert_eq!(
        finish(command),
        (0, "hello there\n".to_owned(), "oh\n".to_owned())
    );
    let (_folder, command) = run(&["--quiet", "echo", "$HOME", "-n"]);
    assert_eq!(finish(command), (0, "$HOME -n\n".to_owned(), String::new()));
}

#[test]
fn ctrl_c_kills_the_task_and_leaves_nothing() {
    for (signal, expected) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let sleep = format!("sleep 86{}", std::process::id());
        let script =
            format!("trap 'echo bye; exit 5' TERM; echo up; {sleep} & while :; do wait; done");
        let (folder, command) = run(&[&script]);
        let mut running = Running::start(command);
        assert_eq!(running.line(), "up");
        wait_until("the task's process", || runs(&sleep));
        running.signal(signal);
        let (status, stdout, stderr) = running.end();
        let stderr = stderr.join("\n");
        assert_eq!(status.code(), Some(expected), "{stderr}");
        assert_eq!(stdout, ["bye"], "the task had time to end: {stderr}");
        assert!(
            stderr.contains("tepui: task run.0 is TASK_KILLED"),
            "{stderr}"
        );
        assert!(!runs(&sleep), "nothing is left running");
        assert!(is_empty(&folder));
    }
}

#[test]
fn lines_of_several_instances_stay_whole() {
    let script = "for i in 1 2 3; do printf 'a%s' $i; printf 'b\\n'; done; exit 0";
    let (_folder, command) = run(&[
        "--quiet",
        "--instances=3",
        "--agents=2",
        "--cpus=0.2",
        "--mem=32",
        script,
    ]);
    let (status, stdout, stderr) = finish(command);
    assert_eq!(status, 0, "{stderr}");
    let mut lines: Vec<&str> = stdout.lines().collect();
    lines.sort_unstable();
    let expected: Vec<String> = (0..3)
        .flat_map(|instance| (1..=3).map(move |line| format!("[{instance}] a{line}b")))
        .collect();
    assert_eq!(lines, expected);
}

#[test]
fn the_folder_is_kept_when_asked_for() {
    let (folder, command) = run(&["--keep", "echo kept"]);
    let (status, _, stderr) = finish(command);
    assert_eq!(status, 0);
    assert!(stderr.contains("tepui: everything is kept in "), "{stderr}");
    assert!(!is_empty(&folder));
}

/// Names of cgroups that begin so, in any hierarchy.
#[expect(
    clippy::disallowed_methods,
    reason = "the test looks at the machine, not at a node"
)]
fn cgroups(beginning: &str) -> Vec<String> {
    let folders = |path: &std::path::Path| {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let root = std::path::Path::new("/sys/fs/cgroup");
    let names = folders(root)
        .into_iter()
        .flat_map(|path| folders(&path))
        .chain(folders(root));
    names
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .filter(|name| name.starts_with(beginning))
        .collect()
}

#[test]
fn what_a_killed_run_leaves_is_removed_by_the_next() {
    let sleep = format!("sleep 89{}", std::process::id());
    let (folder, command) = run(&[&format!("echo up; {sleep}; exit 0")]);
    let mut running = Running::start(command);
    assert_eq!(running.line(), "up");
    wait_until("the task's process", || runs(&sleep));
    let left = names(&folder);
    assert_eq!(left.len(), 1);
    running.signal(Signal::SIGKILL);
    drop(running.end());
    if nix::unistd::geteuid().is_root() {
        assert!(!cgroups(&left[0]).is_empty());
    }
    // Of a run that lives nothing is touched.
    let (_, mut command) = run(&["echo up; sleep 8989"]);
    let mut other = Running::start({
        command.env("TMPDIR", folder.path());
        command
    });
    assert_eq!(other.line(), "up");
    assert!(!runs(&sleep));
    assert!(!names(&folder).contains(&left[0]), "{:?}", names(&folder));
    assert_eq!(cgroups(&left[0]), [""; 0]);
    let (_, mut command) = run(&["--keep", "true"]);
    command.env("TMPDIR", folder.path());
    assert_eq!(finish(command).0, 0);
    assert_eq!(
        names(&folder).len(),
        2,
        "the one that lives and the one that is kept"
    );
    let (_, mut command) = run(&["true"]);
    command.env("TMPDIR", folder.path());
    assert_eq!(finish(command).0, 0);
    assert_eq!(names(&folder).len(), 2);
    other.signal(Signal::SIGTERM);
    assert_eq!(other.end().0.code(), Some(143));
}

#[test]
fn when_nobody_reads_the_output_the_run_ends() {
    let (folder, command) = run(&["--quiet", "yes"]);
    let mut shell = Command::new("sh");
    let program = command.get_program().to_string_lossy().into_owned();
    shell.args([
        "-c",
        &format!("{{ '{program}' run --quiet yes; echo $? >&2; }} | head -n 1"),
    ]);
    shell.env("TMPDIR", folder.path());
    let (_, stdout, stderr) = finish(shell);
    assert_eq!((stdout.as_str(), stderr.as_str()), ("y\n", "141\n"));
    assert!(is_empty(&folder));
}

#[test]
fn what_cannot_be_run_is_said_and_exits_with_1() {
    let cases: [(&[&str], &str); 6] = [
        (&["--nosuch", "true"], "--nosuch"),
        (&[], "COMMAND"),
        (
            &["--cpus=100000", "true"],
            "an instance needs cpus:100000;mem:128, and an agent here",
        ),
        (&["--resources=nonsense", "true"], "--resources"),
        (&["--env=A", "true"], "'A' is not KEY=VALUE"),
        (&["--role=a b", "true"], "--role"),
    ];
    for (arguments, expected) in cases {
        let (folder, command) = run(arguments);
        let (status, stdout, stderr) = finish(command);
        assert_eq!((status, stdout.as_str()), (1, ""), "{arguments:?}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
        assert!(is_empty(&folder));
    }
}
