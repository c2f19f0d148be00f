//! Tells the crate when, by whom and from which commit it is built, for `/version` and `/state`.
//! `SOURCE_DATE_EPOCH` makes builds repeatable; without a repository nothing is said of a commit.

use std::{path::Path, process::Command, time::SystemTime};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let seconds = std::env::var("SOURCE_DATE_EPOCH").unwrap_or_else(|_| {
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        since.as_secs().to_string()
    });
    println!("cargo::rustc-env=TEPUI_BUILD_TIME={seconds}");
    println!("cargo::rustc-env=TEPUI_BUILD_USER={}", user());
    repository();
}

/// Who builds: as the environment says, or else as the system knows them, by name or number.
fn user() -> String {
    let said = std::env::var("USER").ok();
    let known = |option| {
        let answer = Command::new("id").arg(option).output().ok()?;
        let text = String::from_utf8(answer.stdout).ok()?;
        answer.status.success().then(|| text.trim().to_owned())
    };
    let named = said.filter(|name| !name.is_empty());
    let named = named.or_else(|| known("-un")).or_else(|| known("-u"));
    named.unwrap_or_else(|| "unknown".to_owned())
}

fn repository() {
    // Changes with each commit and each change of the branch.
    let log = Path::new("../../.git/logs/HEAD");
    if !log.exists() {
        return;
    }
    println!("cargo::rerun-if-changed={}", log.display());
    let asked: [(&str, &[&str]); 3] = [
        ("TEPUI_GIT_SHA", &["rev-parse", "HEAD"]),
        ("TEPUI_GIT_BRANCH", &["symbolic-ref", "HEAD"]),
        ("TEPUI_GIT_TAG", &["describe", "--exact-match", "--tags"]),
    ];
    for (name, arguments) in asked {
        let answer = Command::new("git").args(arguments).output();
        let answer = answer.ok().filter(|output| output.status.success());
        if let Some(text) = answer.and_then(|output| String::from_utf8(output.stdout).ok()) {
            println!("cargo::rustc-env={name}={}", text.trim());
        }
    }
}
