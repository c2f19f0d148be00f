//! The text and JSON forms of resources, and how they print.

use tepui_protocol::mesos::v1::resource::disk_info::source;
use tepui_protocol::resources::{parse, parse_json, parse_text};

use super::{disk, dynamic, labels, of, persistent, reserved, revocable, scalar, shared, text};

#[test]
fn text_is_read_and_written() {
    let all = parse_text("cpus(role):12.5;ports:[1-5, 8-8]; zone:{a,b}", "*").unwrap();
    assert_eq!(
        all.to_text().unwrap(),
        "cpus(role):12.5;ports:[1-5,8-8];zone:{a,b}"
    );
    assert_eq!(
        all.reserved_to("role").to_text().unwrap(),
        "cpus(role):12.5"
    );
}

#[test]
fn the_default_role_fills_in() {
    assert_eq!(
        parse_text("cpus:1;mem(*):2", "web").unwrap(),
        text("cpus(web):1;mem:2")
    );
    assert_eq!(
        parse_text("cpus:1", "*").unwrap().unreserved(),
        text("cpus:1")
    );
}

#[test]
fn a_name_may_come_again() {
    assert_eq!(text("cpus:1;cpus:2;;"), text("cpus:3"));
    assert_eq!(text("ports:[1-2];ports:[3-4]"), text("ports:[1-4]"));
    // Within one value, ranges may overlap.
    assert_eq!(text("ports:[1-5,3-9]"), text("ports:[1-9]"));
}

#[test]
fn blanks_within_values_vanish() {
    assert_eq!(text(" cpus ( web ) : 1 2 "), text("cpus(web):12"));
}

#[test]
fn wrong_text_is_told_apart() {
    for (wrong, problem) in [
        ("cpus", "expected 'name:value'"),
        ("cpus:1:2", "unexpected second ':'"),
        ("cpus(web:1", "'(' without ')'"),
        ("cpus)web(:1", "'(' without ')'"),
        ("cpusweb):1", "')' without '('"),
        ("cpus:", "expected a value"),
        ("cpus:-1", "expected a number that is not negative"),
        ("cpus:inf", "expected a number"),
        ("cpus:NaN", "expected a number"),
        ("cpus:abc", "expected a number"),
        ("cpus:1e-310", "subnormal"),
        ("ports:[1-", "do not match"),
        ("ports:[1,2]", "expected 'begin-end'"),
        ("ports:[5-1]", "begin > end in 5-1"),
        ("ports:x[1-2]", "unexpected '['"),
        ("zone:{a,a}", "'a' is there twice"),
        ("zone:x{a}", "unexpected '{'"),
        ("cpus:0.0004", "scalar.value: value <= 0"),
        (":1", "name: must not be empty"),
        ("cpus(a//b):1", "reservations.role: "),
        ("gpus:1.5", "gpus come in whole numbers"),
        ("x:1;x:{a}", "type: differs"),
    ] {
        let error = parse_text(wrong, "*").unwrap_err().to_string();
        assert!(error.contains(problem), "'{wrong}' gave: {error}");
    }
}

#[test]
fn json_is_an_array_of_resources() {
    let json = r#"[
        {"name": "cpus", "type": "SCALAR", "scalar": {"value": 24.5}},
        {"name": "disk", "type": "SCALAR", "scalar": {"value": 100},
         "disk": {"source": {"type": "MOUNT", "mount": {"root": "/mnt/a"}}}},
        {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 1, "end": 5}]},
         "role": "web"}
    ]"#;
    let all = parse(json, "*").unwrap();
    let mount = disk(100.0, source::Type::Mount, "/mnt/a");
    assert_eq!(all, text("cpus:24.5;ports(web):[1-5]") + of(&[mount]));
    assert_eq!(
        parse_json(json, "eng")
            .unwrap()
            .reserved_to("eng")
            .scalar("cpus")
            .to_f64(),
        24.5
    );

    let written = serde_json::to_string(&all.to_proto()).unwrap();
    assert_eq!(parse(&written, "*").unwrap(), all);
}

#[test]
fn what_only_exists_at_run_time_is_refused_as_a_flag() {
    let json = |resource| serde_json::to_string(&[resource]).unwrap();
    for (resource, field) in [
        (persistent(1.0, "id"), "disk.persistence"),
        (revocable(scalar("cpus", 1.0)), "revocable"),
        (
            reserved(scalar("cpus", 1.0), &[dynamic("web")]),
            "reservations.type",
        ),
    ] {
        let error = parse(&json(resource), "*").unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    }
    let error = parse(r#"[{"name": "cpus", "type": "SCALAR", "scalar": {}}]"#, "*").unwrap_err();
    assert!(error.to_string().contains("value"), "{error}");
}

#[test]
fn what_text_cannot_say_is_refused() {
    for resource in [
        disk(1.0, source::Type::Path, "/a"),
        revocable(scalar("cpus", 1.0)),
        reserved(scalar("cpus", 1.0), &[dynamic("web")]),
        shared(persistent(1.0, "id")),
    ] {
        assert!(of(&[resource]).to_text().is_err());
    }
    assert!(text("cpus:1").allocate("web").to_text().is_err());
}

#[test]
fn printed_as_mesos_does() {
    let mut labeled = dynamic("web");
    labeled.principal = Some("ops".to_owned());
    labeled.labels = Some(labels(&[("k", "v"), ("l", "w")]));
    for (resource, printed) in [
        (
            reserved(scalar("cpus", 1.5), &[labeled]),
            "cpus(reservations: [(DYNAMIC,web,ops,{k: v, l: w})]):1.5",
        ),
        (revocable(scalar("mem", 2.0)), "mem{REV}:2"),
        (disk(3.0, source::Type::Mount, "/a"), "disk[MOUNT:/a]:3"),
        (disk(3.0, source::Type::Raw, "r1"), "disk[RAW(,r1,)]:3"),
        (
            persistent(4.0, "id1"),
            "disk(reservations: [(DYNAMIC,web)])[id1]:4",
        ),
        (
            shared(persistent(4.0, "id1")),
            "disk(reservations: [(DYNAMIC,web)])[id1]<SHARED>:4<1>",
        ),
    ] {
        assert_eq!(of(&[resource]).to_string(), printed);
    }
    let offered = text("cpus:1;ports:[1-5,8-8];zone:{b,a}").allocate("web");
    assert_eq!(
        offered.to_string(),
        "cpus(allocated: web):1; ports(allocated: web):[1-5, 8-8]; zone(allocated: web):{a, b}"
    );
    assert_eq!(text("").to_string(), "{}");
    assert_eq!(
        text("cpus(web):1").to_string(),
        "cpus(reservations: [(STATIC,web)]):1"
    );
}
