//! Random messages of any type, drawn from its descriptor. The same seed draws the same ones.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};

/// A small random source (splitmix64).
pub(crate) struct Dice(u64);

impl Dice {
    /// Dice that fall the same way for the same seed and text.
    pub(crate) fn new(seed: u64, text: &str) -> Dice {
        let mix = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Dice(text.bytes().fold(seed, mix))
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }
}

/// Draws the message of a round: in round 0 only what is required, in rounds 1 and 2 every field
/// (lists of 1, of 3), then enum values one after the other, and all else by chance.
pub(crate) fn draw(
    descriptor: &MessageDescriptor,
    round: usize,
    dice: &mut Dice,
) -> DynamicMessage {
    let mut fields_left = 40;
    fill(descriptor, round, 0, &mut fields_left, dice)
}

fn fill(
    descriptor: &MessageDescriptor,
    round: usize,
    level: usize,
    fields_left: &mut usize,
    dice: &mut Dice,
) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    for field in descriptor.fields() {
        let wanted = count(&field, round, level, *fields_left, dice);
        if wanted == 0 && !field.is_list() && !field.is_map() {
            continue;
        }
        *fields_left = fields_left.saturating_sub(wanted);
        let mut one = |dice: &mut Dice, index: usize| {
            value(&field.kind(), round + index, level, fields_left, dice)
        };
        let value = if field.is_map() {
            let Kind::Message(entry) = field.kind() else {
                panic!("a map of no entries")
            };
            let kind = entry.map_entry_value_field().kind();
            let keys = ["", "cpus", "a key with é, \" and .", "mem"];
            let entry = |index: usize| {
                let key = MapKey::String(keys[(round + index) % keys.len()].to_owned());
                (key, value(&kind, round + index, level, fields_left, dice))
            };
            Value::Map((0..wanted).map(entry).collect())
        } else if field.is_list() {
            Value::List((0..wanted).map(|index| one(dice, index)).collect())
        } else {
            one(dice, 0)
        };
        message.set_field(&field, value);
    }
    message
}

/// How many values a field gets.
fn count(
    field: &FieldDescriptor,
    round: usize,
    level: usize,
    fields_left: usize,
    dice: &mut Dice,
) -> usize {
    if field.is_required() {
        return 1;
    }
    if let Some(oneof) = field.containing_oneof() {
        let members = oneof.fields().count();
        let member = oneof
            .fields()
            .position(|member| &member == field)
            .unwrap_or_default();
        return usize::from(round > 0 && round % (members + 1) == member);
    }
    let many = if field.is_list() || field.is_map() {
        3
    } else {
        1
    };
    let values = match field.kind() {
        Kind::Enum(values) => values.values().count(),
        _ => 0,
    };
    match (level, round) {
        (0, 0) => 0,
        (0, 1) => 1,
        (0, 2) => many,
        (0, _) if round < 3 + values => 1,
        _ if level > 6 || fields_left == 0 => 0,
        _ if dice.below(2 + level) > 0 => dice.one_of(&[0, 0, 0, 1]),
        _ => dice.one_of(&[1, many]),
    }
}

fn value(
    kind: &Kind,
    round: usize,
    level: usize,
    fields_left: &mut usize,
    dice: &mut Dice,
) -> Value {
    match kind {
        Kind::Bool => Value::Bool(dice.below(2) == 0),
        Kind::Int32 => {
            let random = dice.next() as i32;
            Value::I32(dice.one_of(&[0, 1, -1, i32::MIN, i32::MAX, random]))
        }
        Kind::Uint32 => {
            let random = dice.next() as u32;
            Value::U32(dice.one_of(&[0, 1, 127, 128, u32::MAX, random]))
        }
        Kind::Int64 => {
            let random = dice.next() as i64;
            Value::I64(dice.one_of(&[0, 1, -1, i64::MIN, i64::MAX, random]))
        }
        Kind::Uint64 => {
            let random = dice.next();
            Value::U64(dice.one_of(&[0, 1, (1 << 53) + 1, u64::MAX, random]))
        }
        Kind::Double => Value::F64(double(dice)),
        Kind::String => Value::String(dice.one_of(&[
            String::new(),
            "a".to_owned(),
            "Tepui ⛰ \"quoted\" \\ \n \u{1} é".to_owned(),
            format!("{:x}", dice.0),
        ])),
        Kind::Bytes => {
            let all: Vec<u8> = (0..=255).collect();
            let some = dice.next().to_le_bytes()[..dice.below(8)].to_vec();
            Value::Bytes(dice.one_of(&[Vec::new(), vec![0xff], all, some]).into())
        }
        Kind::Enum(values) => {
            let values: Vec<i32> = values.values().map(|value| value.number()).collect();
            Value::EnumNumber(values[round % values.len()])
        }
        Kind::Message(inner) => Value::Message(fill(inner, round, level + 1, fields_left, dice)),
        other => panic!("the schema has no fields of {other:?}"),
    }
}

/// A double, but not -0: in a map's value `prost` takes it for 0.
fn double(dice: &mut Dice) -> f64 {
    let random = dice.next() as f64 / 1000.0;
    dice.one_of(&[
        0.0,
        1.0,
        0.1,
        -2.5,
        1e300,
        5e-324,
        f64::MAX,
        f64::MIN_POSITIVE,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        random,
    ])
}
