//! What protobuf's rules say beyond the layout of fields: unknown fields and enum values, merging,
//! packing, and maps.

#![cfg(test)]

use std::collections::BTreeMap;

use tepui_message::Message as _;
use tepui_protocol::mesos::internal::RunTask;
use tepui_protocol::mesos::v1::quota::QuotaConfig;
use tepui_protocol::mesos::v1::scheduler::{Call, call};
use tepui_protocol::mesos::v1::value::Scalar;
use tepui_protocol::mesos::v1::{CapabilityInfo, MasterInfo, TaskStatus, capability_info};
use tepui_protocol::protobuf;

/// `task_id { value: "t" }` and the tail.
fn status(tail: &[u8]) -> Result<TaskStatus, String> {
    let bytes = [&[0x0a, 0x03, 0x0a, 0x01, b't'], tail].concat();
    protobuf::decode(&bytes).map_err(|error| error.to_string())
}

#[test]
fn an_unknown_enum_value_is_as_if_absent_unless_required() {
    // state: TASK_RUNNING, source: 99
    let read = status(&[0x10, 0x01, 0x48, 0x63]).unwrap();
    assert_eq!(read.source, None);
    // source: SOURCE_MASTER, then 99: the last one known counts.
    assert_eq!(
        status(&[0x10, 0x01, 0x48, 0x00, 0x48, 0x63])
            .unwrap()
            .source,
        Some(0)
    );
    // state: 99, and -1 as Mesos would write it
    let expected =
        "mesos.v1.TaskStatus does not decode: at state: unknown value of enum mesos.v1.TaskState";
    assert_eq!(status(&[0x10, 0x63]).unwrap_err(), expected);
    let negative = [
        0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
    ];
    assert_eq!(status(&negative).unwrap_err(), expected);
}

#[test]
fn unknown_enum_values_of_a_list_are_dropped_packed_or_not() {
    let chown = capability_info::Capability::Chown as i32;
    let wire = [0x08, chown as u8 | 0x80, (chown >> 7) as u8, 0x08, 0x63];
    let read: CapabilityInfo = protobuf::decode(&wire).unwrap();
    assert_eq!(read.capabilities, [chown]);
    let packed = [0x0a, 0x03, 0x63, chown as u8 | 0x80, (chown >> 7) as u8];
    let read: CapabilityInfo = protobuf::decode(&packed).unwrap();
    assert_eq!(read.capabilities, [chown]);
}

#[test]
fn an_unknown_enum_value_deep_inside_leaves_the_rest_as_it_is() {
    let mut call = Call {
        r#type: Some(call::Type::Accept as i32),
        ..Default::default()
    };
    let mut accept = call::Accept {
        offer_ids: vec!["o".into()],
        ..Default::default()
    };
    accept.operations.push(Default::default());
    accept.operations[0].r#type = Some(99);
    call.accept = Some(accept);
    let mut expected = call.clone();
    expected.accept.as_mut().unwrap().operations[0].r#type = None;
    assert_eq!(
        protobuf::decode::<Call>(&protobuf::encode(&call)).unwrap(),
        expected
    );
}

#[test]
fn unknown_fields_are_passed_over() {
    // Field 100 as a number, as 64 and as 32 bits, as bytes, and as a group that holds one.
    let tail = [
        0x10, 0x01, 0xa0, 0x06, 0x05, 0xa1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8, 0xa5, 0x06, 1, 2, 3, 4,
        0xa2, 0x06, 0x01, 0xff, 0xa3, 0x06, 0x08, 0x01, 0xa4, 0x06,
    ];
    assert_eq!(status(&tail).unwrap(), status(&[0x10, 0x01]).unwrap());
    let unclosed = [0x10, 0x01, 0xa3, 0x06, 0x08, 0x01];
    assert!(status(&unclosed).unwrap_err().contains("cut off"));
}

#[test]
fn a_message_in_two_pieces_is_merged_before_anything_is_missed() {
    // framework_id {}, then framework_id { value: "f" }
    let call: Call = protobuf::decode(&[0x0a, 0x00, 0x0a, 0x03, 0x0a, 0x01, b'f']).unwrap();
    assert_eq!(call.framework_id, Some("f".into()));
    let error = protobuf::decode::<Call>(&[0x0a, 0x00, 0x0a, 0x00])
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("at framework_id.value: missing required field"),
        "{error}"
    );
}

#[test]
fn entries_of_maps_are_written_whole() {
    let limits = BTreeMap::from([
        (String::new(), Scalar { value: 1.0 }),
        ("cpus".to_owned(), Scalar { value: 0.0 }),
    ]);
    let config = QuotaConfig {
        role: "r".into(),
        guarantees: BTreeMap::new(),
        limits,
    };
    let mut expected = vec![0x0a, 0x01, b'r'];
    expected.extend([
        0x1a, 13, 0x0a, 0, 0x12, 9, 0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f,
    ]);
    expected.extend([0x1a, 17, 0x0a, 4, b'c', b'p', b'u', b's', 0x12, 9, 0x09]);
    expected.extend([0; 8]);
    assert_eq!(protobuf::encode(&config), expected);
    assert_eq!(protobuf::decode::<QuotaConfig>(&expected).unwrap(), config);
    // limits { key: "cpus" }, as it would be without its value
    let bare = [0x0a, 0x01, b'r', 0x1a, 6, 0x0a, 4, b'c', b'p', b'u', b's'];
    let error = protobuf::decode::<QuotaConfig>(&bare)
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("at limits.cpus.value: missing required field"),
        "{error}"
    );
}

#[test]
fn names_on_the_wire_are_mesos_own() {
    assert_eq!(Call::NAME, "mesos.v1.scheduler.Call");
    assert_eq!(
        tepui_protocol::mesos::scheduler::Call::NAME,
        "mesos.scheduler.Call"
    );
    assert_eq!(RunTask::NAME, "mesos.internal.RunTaskMessage");
    assert_eq!(MasterInfo::NAME, "mesos.v1.MasterInfo");
    assert_eq!(MasterInfo::default().port, 5050);
}
