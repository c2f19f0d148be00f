//! Mesos' conventions for JSON, one by one, as they are seen from outside.

#![cfg(test)]

use bytes::Bytes;
use tepui_message::{Encoding, Message};
use tepui_protocol::google::protobuf::Duration;
use tepui_protocol::json;
use tepui_protocol::mesos::internal::{RegisterAgent, StatusUpdateMessage};
use tepui_protocol::mesos::v1::scheduler::{AttributeConstraint, Call};
use tepui_protocol::mesos::v1::{
    self, CommandInfo, FrameworkInfo, IpStatistics, TaskStatus, TimeInfo, master,
};

fn read<M: tepui_protocol::Schema>(text: &str) -> M {
    json::from_slice(text.as_bytes()).unwrap()
}

fn problem<M: tepui_protocol::Schema + std::fmt::Debug>(text: &str) -> String {
    json::from_slice::<M>(text.as_bytes())
        .unwrap_err()
        .to_string()
}

#[test]
fn keys_are_those_of_the_schema_whatever_the_field_is_called_in_rust() {
    let statistics = IpStatistics {
        default_ttl: Some(64),
        reasm_o_ks: Some(1),
        ..Default::default()
    };
    assert_eq!(
        json::to_string(&statistics).unwrap(),
        r#"{"DefaultTTL":64,"ReasmOKs":1}"#
    );
    assert_eq!(
        read::<IpStatistics>(r#"{"DefaultTTL":64,"ReasmOKs":1}"#),
        statistics
    );
    let agent = r#"{"slave":{"hostname":"h"},"version":"1.12.0"}"#;
    let register: RegisterAgent = read(agent);
    assert_eq!(register.agent.hostname, "h");
    assert_eq!(json::to_string(&register).unwrap(), agent);
    assert_eq!(RegisterAgent::NAME, "mesos.internal.RegisterSlaveMessage");
    assert_eq!(
        StatusUpdateMessage::NAME,
        "mesos.internal.StatusUpdateMessage"
    );
}

#[test]
fn unknown_keys_are_ignored_and_there_are_no_aliases() {
    let status = r#"{"task_id":{"value":"t"},"state":"TASK_RUNNING",
        "slave_id":{"value":"old"},"agent_id":{"value":"a"},"x":[{"y":null}]}"#;
    assert_eq!(read::<TaskStatus>(status).agent_id, Some("a".into()));
    let problem = problem::<RegisterAgent>(r#"{"agent":{"hostname":"h"}}"#);
    assert!(
        problem.ends_with("at slave: missing required field"),
        "{problem}"
    );
}

#[test]
fn enums_are_names_and_unknown_names_are_dropped_unless_required() {
    let call: Call = read(r#"{"type":"SUBSCRIBE"}"#);
    assert_eq!(call.r#type(), v1::scheduler::call::Type::Subscribe);
    assert_eq!(json::to_string(&call).unwrap(), r#"{"type":"SUBSCRIBE"}"#);
    assert_eq!(read::<Call>(r#"{"type":1}"#), call);
    assert_eq!(
        read::<Call>(r#"{"type":"LAUNCH_MISSILES"}"#),
        Call::default()
    );
    assert_eq!(read::<Call>(r#"{"type":null}"#), Call::default());
    let known = read::<FrameworkInfo>(
        r#"{"user":"u","name":"n","capabilities":[{"type":"FLIES"},{"type":"MULTI_ROLE"}]}"#,
    );
    assert_eq!(known.capabilities.len(), 2);
    assert_eq!(known.capabilities[0].r#type, None);
    let problem = problem::<TaskStatus>(r#"{"task_id":{"value":"t"},"state":"TASK_LAZY"}"#);
    assert!(
        problem.contains("at state: unknown value TASK_LAZY of enum mesos.v1.TaskState"),
        "{problem}"
    );
    let lists: v1::CapabilityInfo = read(r#"{"capabilities":["NET_RAW","FLY","CHOWN"]}"#);
    assert_eq!(
        json::to_string(&lists).unwrap(),
        r#"{"capabilities":["NET_RAW","CHOWN"]}"#
    );
}

#[test]
fn numbers_are_numbers_and_may_be_read_from_texts() {
    for text in ["1795329490553294848", r#""1795329490553294848""#] {
        let time: TimeInfo = read(&format!(r#"{{"nanoseconds":{text}}}"#));
        assert_eq!(time.nanoseconds, 1_795_329_490_553_294_848);
        assert_eq!(
            json::to_string(&time).unwrap(),
            r#"{"nanoseconds":1795329490553294848}"#
        );
    }
    assert_eq!(read::<TimeInfo>(r#"{"nanoseconds":-2.0}"#).nanoseconds, -2);
    for bad in [
        "1.5",
        "1e300",
        r#""x""#,
        r#""""#,
        "18446744073709551615",
        "true",
        "[1]",
    ] {
        let problem = problem::<TimeInfo>(&format!(r#"{{"nanoseconds":{bad}}}"#));
        assert!(
            problem.contains("at nanoseconds: invalid"),
            "{bad}: {problem}"
        );
    }
    let problem = problem::<v1::Address>(r#"{"port":2147483648}"#);
    assert!(
        problem.contains("expected a signed number of 32 bits"),
        "{problem}"
    );
}

#[test]
fn doubles_are_written_so_that_they_can_be_read() {
    for (value, text) in [
        (15.0, "15.0"),
        (0.1, "0.1"),
        (-0.0, "-0.0"),
        (f64::INFINITY, r#""Infinity""#),
        (f64::NEG_INFINITY, r#""-Infinity""#),
        (f64::NAN, r#""NaN""#),
    ] {
        let scalar = v1::value::Scalar { value };
        let written = json::to_string(&scalar).unwrap();
        assert_eq!(written, format!(r#"{{"value":{text}}}"#));
        for encoding in [Encoding::Json, Encoding::MessagePack, Encoding::Protobuf] {
            let body = scalar.encode(encoding).unwrap();
            let again = v1::value::Scalar::decode(encoding, &body).unwrap();
            assert_eq!(again.value.to_bits(), value.to_bits(), "{encoding}");
        }
    }
    for (text, value) in [
        ("3", 3.0),
        (r#""2.5""#, 2.5),
        ("1e3", 1000.0),
        (r#""-Infinity""#, f64::NEG_INFINITY),
    ] {
        assert_eq!(
            read::<v1::value::Scalar>(&format!(r#"{{"value":{text}}}"#)).value,
            value
        );
    }
}

#[test]
fn bytes_are_base64() {
    let text = r#"{"type":"MESSAGE","message":{"agent_id":{"value":"a"},"executor_id":{"value":"e"},"data":"AP8="}}"#;
    let call: Call = read(text);
    assert_eq!(
        call.message.as_ref().unwrap().data,
        Bytes::from_static(&[0, 255])
    );
    assert_eq!(json::to_string(&call).unwrap(), text);
    let problem = problem::<Call>(&text.replace("AP8=", "%"));
    assert!(
        problem.contains("at message.data: invalid value"),
        "{problem}"
    );
}

#[test]
fn null_is_absent() {
    let command: CommandInfo = read(
        r#"{"value":null,"uris":null,"environment":null,"shell":null,"arguments":null,"user":null}"#,
    );
    assert_eq!(command, CommandInfo::default());
    let task: v1::TaskInfo =
        read(r#"{"name":"t","task_id":{"value":"t"},"agent_id":{"value":"a"},"limits":null}"#);
    assert!(task.limits.is_empty());
    let problem = problem::<CommandInfo>(r#"{"arguments":["a",null]}"#);
    assert!(
        problem.contains("at arguments[1]: invalid type: null, expected an element of a list"),
        "{problem}"
    );
}

#[test]
fn one_value_where_a_list_belongs_is_its_only_one() {
    let listed: Call = read(r#"{"accept":{"offer_ids":[{"value":"o"}],"operations":[]}}"#);
    assert_eq!(
        read::<Call>(r#"{"accept":{"offer_ids":{"value":"o"}}}"#),
        listed
    );
    let lists: v1::CapabilityInfo = read(r#"{"capabilities":"CHOWN"}"#);
    assert_eq!(
        json::to_string(&lists).unwrap(),
        r#"{"capabilities":["CHOWN"]}"#
    );
    let roles: FrameworkInfo = read(r#"{"user":"u","name":"n","roles":"r"}"#);
    assert_eq!(roles.roles, ["r"]);
    // The other way round, a list is no value, and the one value is judged as any.
    let several = problem::<Call>(r#"{"framework_id":[{"value":"f"}]}"#);
    assert!(
        several.contains("at framework_id: invalid type"),
        "{several}"
    );
    let wrong = problem::<Call>(r#"{"accept":{"offer_ids":{"value":["o"]}}}"#);
    assert!(
        wrong.contains("at accept.offer_ids[0].value: invalid type"),
        "{wrong}"
    );
}

#[test]
fn what_is_unset_is_left_out_and_defaults_are_for_who_asks() {
    let command = CommandInfo::default();
    assert!(command.shell());
    assert_eq!(json::to_string(&command).unwrap(), "{}");
    let framework: FrameworkInfo = read(r#"{"user":"u","name":"n"}"#);
    assert_eq!(framework.role(), "*");
    assert_eq!(framework.role, None);
    assert!((v1::Filters::default().refuse_seconds() - 5.0).abs() < f64::EPSILON);
}

#[test]
fn members_of_a_oneof_are_plain_fields() {
    let text =
        r#"{"selector":{"attribute_name":"rack"},"predicate":{"text_equals":{"value":"r1"}}}"#;
    let constraint: AttributeConstraint = read(text);
    assert_eq!(constraint.selector.attribute_name.as_deref(), Some("rack"));
    assert_eq!(json::to_string(&constraint).unwrap(), text);
}

#[test]
fn a_duration_is_seconds_and_nanos() {
    let text = r#"{"type":"DRAIN_AGENT","drain_agent":{"agent_id":{"value":"a"},"max_grace_period":{"seconds":10,"nanos":0}}}"#;
    let call: master::Call = read(text);
    let drain = call.drain_agent.as_ref().unwrap();
    assert_eq!(
        drain.max_grace_period,
        Some(Duration {
            seconds: 10,
            nanos: 0
        })
    );
    assert_eq!(json::to_string(&call).unwrap(), text);
    assert_eq!(read::<Duration>("{}"), Duration::default());
}

#[test]
fn what_is_no_json_or_more_than_one_message_is_an_error() {
    for (text, said) in [
        ("", "EOF while parsing a value"),
        ("{", "EOF while parsing an object"),
        (r#"{"nanoseconds":1} {}"#, "trailing characters"),
        ("[]", "invalid type: sequence, expected a message"),
        ("null", "invalid type: null, expected a message"),
        ("7", "invalid type: integer `7`, expected a message"),
    ] {
        let problem = problem::<TimeInfo>(text);
        assert!(problem.contains(said), "{text:?}: {problem}");
    }
}
