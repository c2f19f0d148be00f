//! Tells the crate when and by whom it is built, for `/version`. `SOURCE_DATE_EPOCH` makes builds
//! repeatable.

use std::time::SystemTime;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let seconds = std::env::var("SOURCE_DATE_EPOCH").unwrap_or_else(|_| {
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        since.as_secs().to_string()
    });
    println!("cargo::rustc-env=TEPUI_BUILD_TIME={seconds}");
    let user = std::env::var("USER").unwrap_or_default();
    println!("cargo::rustc-env=TEPUI_BUILD_USER={user}");
}
