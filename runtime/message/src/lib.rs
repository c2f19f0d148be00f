//! What travels between processes: a typed message with a stable name, and its encodings.
//!
//! A crate of its own, below the runtime, which hands all of it on: so the schema with its hundreds
//! of types hangs on this page alone and is not compiled again for each change of the runtime.
//! Not here: the messages themselves. The schema's are generated in `actors/protocol`; an author's
//! own serde type becomes one with [`serde_message!`].

use std::any::Any;
use std::fmt;
use std::io::Cursor;

pub use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How a message is written on a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    /// MessagePack, with the names of the fields.
    MessagePack,
    /// JSON.
    Json,
    /// Protocol buffers; also what a message without a content type is, as from Mesos' libprocess.
    Protobuf,
}

impl Encoding {
    /// The content type which names this encoding.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Encoding::MessagePack => "application/msgpack",
            Encoding::Json => "application/json",
            Encoding::Protobuf => "application/x-protobuf",
        }
    }

    /// The encoding which a content type names: without one it is protobuf, and `None` answers a
    /// type that names no encoding. Parameters behind a `;` do not count.
    #[must_use]
    pub fn from_content_type(content_type: Option<&str>) -> Option<Encoding> {
        let Some(text) = content_type else {
            return Some(Encoding::Protobuf);
        };
        let media = text.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| media.eq_ignore_ascii_case(name);
        if media.is_empty() || is("application/x-protobuf") || is("application/octet-stream") {
            Some(Encoding::Protobuf)
        } else if is("application/msgpack") || is("application/x-msgpack") {
            Some(Encoding::MessagePack)
        } else if is("application/json") {
            Some(Encoding::Json)
        } else {
            None
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.content_type())
    }
}

/// Why a message could not be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The message has no form in this encoding.
    #[error("{message} has no form in {encoding}")]
    Unsupported {
        /// The message's name.
        message: String,
        /// The encoding asked for.
        encoding: Encoding,
    },
    /// The body is not this message.
    #[error("{message} does not decode: {}{problem}", at(path))]
    Decode {
        /// The message's name.
        message: String,
        /// The field at fault, as a path such as `task.resources[2].name`; empty for the whole.
        path: String,
        /// What is wrong there.
        problem: String,
    },
    /// The message cannot be written.
    #[error("{message} does not encode: {problem}")]
    Encode {
        /// The message's name.
        message: String,
        /// What is wrong.
        problem: String,
    },
}

fn at(path: &str) -> String {
    if path.is_empty() {
        String::new()
    } else {
        format!("at {path}: ")
    }
}

/// A message that a process can be sent.
pub trait Message: Send + Sync + Clone + fmt::Debug + 'static {
    /// The stable name on the wire, such as `mesos.internal.RegisterSlaveMessage`.
    const NAME: &'static str;

    /// The encodings it has; the first is used between nodes unless the peer chose another.
    const ENCODINGS: &'static [Encoding];

    /// Writes the message.
    ///
    /// # Errors
    /// [`CodecError::Unsupported`] or [`CodecError::Encode`].
    fn encode(&self, encoding: Encoding) -> Result<Bytes, CodecError>;

    /// Reads a message.
    ///
    /// # Errors
    /// [`CodecError::Unsupported`], or [`CodecError::Decode`] with the path of what is wrong.
    fn decode(encoding: Encoding, body: &[u8]) -> Result<Self, CodecError>;
}

/// A message on its way, whatever its type: what a mailbox holds and a transport writes.
pub trait OutboundMessage: Any + Send + Sync + fmt::Debug {
    /// [`Message::NAME`].
    fn name(&self) -> &'static str;

    /// [`Message::ENCODINGS`].
    fn encodings(&self) -> &'static [Encoding];

    /// [`Message::encode`].
    ///
    /// # Errors
    /// As [`Message::encode`].
    fn encode(&self, encoding: Encoding) -> Result<Bytes, CodecError>;

    /// A copy of its own, of the same type.
    fn duplicate(&self) -> Box<dyn OutboundMessage>;
}

impl<M: Message> OutboundMessage for M {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn encodings(&self) -> &'static [Encoding] {
        M::ENCODINGS
    }

    fn encode(&self, encoding: Encoding) -> Result<Bytes, CodecError> {
        Message::encode(self, encoding)
    }

    fn duplicate(&self) -> Box<dyn OutboundMessage> {
        Box::new(self.clone())
    }
}

/// Makes a type with serde's two derives a [`Message`] of a name, in MessagePack and JSON:
/// `serde_message!(Tick, "example.Tick");`
#[macro_export]
macro_rules! serde_message {
    ($type:ty, $name:expr) => {
        impl $crate::Message for $type {
            const NAME: &'static str = $name;
            const ENCODINGS: &'static [$crate::Encoding] = $crate::SERDE_ENCODINGS;

            fn encode(
                &self,
                encoding: $crate::Encoding,
            ) -> ::core::result::Result<$crate::Bytes, $crate::CodecError> {
                $crate::encode_serde(self, $name, encoding)
            }

            fn decode(
                encoding: $crate::Encoding,
                body: &[u8],
            ) -> ::core::result::Result<Self, $crate::CodecError> {
                $crate::decode_serde($name, encoding, body)
            }
        }
    };
}

/// The encodings of a serde message.
pub const SERDE_ENCODINGS: &[Encoding] = &[Encoding::MessagePack, Encoding::Json];

/// Writes a serde value: MessagePack as maps with names, or JSON.
///
/// # Errors
/// [`CodecError::Encode`]; [`CodecError::Unsupported`] for protobuf.
pub fn encode_serde<T: Serialize>(
    value: &T,
    name: &str,
    encoding: Encoding,
) -> Result<Bytes, CodecError> {
    let written = match encoding {
        Encoding::MessagePack => rmp_serde::to_vec_named(value).map_err(|e| e.to_string()),
        Encoding::Json => serde_json::to_vec(value).map_err(|e| e.to_string()),
        Encoding::Protobuf => {
            return Err(CodecError::Unsupported {
                message: name.to_owned(),
                encoding,
            });
        }
    };
    written
        .map(Bytes::from)
        .map_err(|problem| CodecError::Encode {
            message: name.to_owned(),
            problem,
        })
}

/// Reads a serde value written by [`encode_serde`].
///
/// # Errors
/// [`CodecError::Decode`] with the path of what is wrong, also for bytes after the value;
/// [`CodecError::Unsupported`] for protobuf.
pub fn decode_serde<T: DeserializeOwned>(
    name: &str,
    encoding: Encoding,
    body: &[u8],
) -> Result<T, CodecError> {
    let failed = |path: String, problem: String| CodecError::Decode {
        message: name.to_owned(),
        path: if path == "." { String::new() } else { path },
        problem,
    };
    match encoding {
        Encoding::MessagePack => {
            let mut deserializer = rmp_serde::Deserializer::new(Cursor::new(body));
            let value = serde_path_to_error::deserialize(&mut deserializer)
                .map_err(|e| failed(e.path().to_string(), e.inner().to_string()))?;
            let rest = body.len() as u64 - deserializer.position();
            if rest > 0 {
                return Err(failed(
                    String::new(),
                    format!("{rest} bytes after the message"),
                ));
            }
            Ok(value)
        }
        Encoding::Json => {
            let mut deserializer = serde_json::Deserializer::from_slice(body);
            let value = serde_path_to_error::deserialize(&mut deserializer)
                .map_err(|e| failed(e.path().to_string(), e.inner().to_string()))?;
            deserializer
                .end()
                .map_err(|e| failed(String::new(), e.to_string()))?;
            Ok(value)
        }
        Encoding::Protobuf => Err(CodecError::Unsupported {
            message: name.to_owned(),
            encoding,
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Count {
        number: u32,
        tags: Vec<String>,
    }
    serde_message!(Count, "example.Count");

    #[test]
    fn a_serde_message_travels_in_both_its_encodings() {
        let count = Count {
            number: 7,
            tags: vec!["a".into()],
        };
        for encoding in [Encoding::MessagePack, Encoding::Json] {
            let body = Message::encode(&count, encoding).unwrap();
            assert_eq!(Count::decode(encoding, &body).unwrap(), count);
        }
        let json = Message::encode(&count, Encoding::Json).unwrap();
        assert_eq!(&json[..], br#"{"number":7,"tags":["a"]}"#);
        let error = Message::encode(&count, Encoding::Protobuf).unwrap_err();
        assert_eq!(
            error.to_string(),
            "example.Count has no form in application/x-protobuf"
        );
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        let error = Count::decode(Encoding::Json, br#"{"number":1,"tags":["a",2]}"#).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("example.Count does not decode: at tags[1]: invalid type"),
            "{text}"
        );
        let error = Count::decode(Encoding::Json, br#"{"number":1,"tags":[]} x"#).unwrap_err();
        assert!(error.to_string().contains("trailing characters"), "{error}");
        let mut body = Message::encode(
            &Count {
                number: 1,
                tags: vec![],
            },
            Encoding::MessagePack,
        )
        .unwrap()
        .to_vec();
        body.push(1);
        let error = Count::decode(Encoding::MessagePack, &body).unwrap_err();
        assert_eq!(
            error.to_string(),
            "example.Count does not decode: 1 bytes after the message"
        );
    }

    #[test]
    fn a_content_type_names_an_encoding() {
        let named = Encoding::from_content_type;
        assert_eq!(named(None), Some(Encoding::Protobuf));
        assert_eq!(
            named(Some("application/json; charset=utf-8")),
            Some(Encoding::Json)
        );
        assert_eq!(
            named(Some("Application/MsgPack")),
            Some(Encoding::MessagePack)
        );
        assert_eq!(
            named(Some("application/x-protobuf")),
            Some(Encoding::Protobuf)
        );
        assert_eq!(named(Some("text/plain")), None);
    }
}
