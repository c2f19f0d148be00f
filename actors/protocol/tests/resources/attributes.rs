//! Attributes: text, JSON, comparison.

use tepui_protocol::attributes::{equal, extends, parse, parse_text, to_text};
use tepui_protocol::mesos::v1::value;

#[test]
fn text_is_read_and_written() {
    let all = parse("rack:2;zone:[1-3, 7-9];os:centos 7\nurl:http://a:80").unwrap();
    assert_eq!(all.len(), 4);
    assert_eq!(all[0].r#type(), value::Type::Scalar);
    assert_eq!(all[1].r#type(), value::Type::Ranges);
    assert_eq!(
        all[2].text.as_ref().unwrap().value,
        "centos7",
        "blanks vanish, as in Mesos"
    );
    assert_eq!(all[3].text.as_ref().unwrap().value, "http://a:80");
    assert_eq!(
        to_text(&all),
        "rack:2;zone:[1-3,7-9];os:centos7;url:http://a:80"
    );
    assert!(equal(&parse_text(&to_text(&all)).unwrap(), &all));
}

#[test]
fn a_negative_number_is_text() {
    assert_eq!(parse("n:-1").unwrap()[0].r#type(), value::Type::Text);
}

#[test]
fn wrong_text_is_told_apart() {
    for (wrong, problem) in [
        ("rack", "expected 'name:value'"),
        (":x", "expected 'name:value'"),
        ("rack:", "expected 'name:value'"),
        ("rack:{a,b}", "cannot be a set"),
        ("rack:[1-2", "do not match"),
        ("rack:a[1-2]", "unexpected '['"),
    ] {
        let error = parse(wrong).unwrap_err().to_string();
        assert!(error.contains(problem), "'{wrong}' gave: {error}");
    }
}

#[test]
fn json_is_an_array_of_attributes() {
    let json = r#"[{"name": "os", "type": "TEXT", "text": {"value": "centos 7"}}]"#;
    assert_eq!(
        parse(json).unwrap()[0].text.as_ref().unwrap().value,
        "centos 7"
    );
    for wrong in [
        r#"[{"name": "os", "type": "TEXT"}]"#,
        r#"[{"name": "", "type": "TEXT", "text": {"value": "x"}}]"#,
        r#"[{"name": "os", "type": "SET", "set": {"item": ["a"]}}]"#,
        r#"[{"name": "os"}]"#,
        r#"[{"name": "os"}"#,
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_changed_set_may_say_more() {
    let all = |text| parse(text).unwrap();
    assert!(equal(&all("a:1;b:x"), &all("b:x;a:1.0001")));
    assert!(!equal(&all("a:1"), &all("a:1;b:x")));
    assert!(extends(&all("a:1;z:[1-3]"), &all("z:[0-9];a:1;new:yes")));
    assert!(!extends(&all("a:1"), &all("a:2")));
    assert!(!extends(&all("a:1"), &all("a:x")));
    assert!(!extends(&all("z:[1-3]"), &all("z:[2-3]")));
    assert!(!extends(&all("a:1"), &all("")));
}
