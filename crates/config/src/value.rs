//! The kinds of values that options have: texts with a meaning, such as `"30s"` or `"10MB"`.

mod action;
mod address;
mod condition;
mod duration;
mod name;
mod network;
mod number;
mod pem;
mod permission;
mod server_url;
mod size;
mod target;
mod zone;

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, Unexpected, Visitor};

pub use self::action::{Actions, TierAction};
pub use self::address::{BaseUrl, Listen, SharedStateUrl, StorageUrl};
pub use self::condition::Condition;
pub use self::duration::{Duration, Interval, Within};
pub use self::name::Name;
pub use self::network::Network;
pub use self::number::{Count, Factor, Share, Usd};
pub use self::pem::Pem;
pub use self::permission::Permission;
pub use self::server_url::ServerUrl;
pub use self::size::ByteSize;
pub use self::target::Target;
pub use self::zone::TimeZone;

/// A value that is written as a text and shown in one canonical way.
pub(crate) trait Text: Sized + fmt::Display {
    /// The kind, in one word, for the reference.
    const KIND: &'static str;
    /// What was expected, for errors: "a duration such as ...".
    const EXPECTED: &'static str;

    /// Reads the text.
    fn parse(text: &str) -> Result<Self, Refusal>;

    /// Reads a bare number, where that means something.
    fn from_number(_number: u64) -> Result<Self, Refusal> {
        Err(Refusal::Unlike)
    }

    /// Reads a number with decimals, where that means something.
    fn from_decimal(_number: f64) -> Result<Self, Refusal> {
        Err(Refusal::Unlike)
    }
}

/// Why a text is not the value that it should be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is not what is expected here.
    Unlike,
    /// It is understood but not acceptable. The sentence must not contain the text, which may be a
    /// secret.
    Because(String),
}

impl Refusal {
    pub(crate) fn because<T>(reason: impl Into<String>) -> Result<T, Self> {
        Err(Self::Because(reason.into()))
    }

    fn into_error<T: Text, E: Error>(self) -> E {
        match self {
            Self::Unlike => E::invalid_value(Unexpected::Other("value"), &T::EXPECTED),
            Self::Because(reason) => E::custom(reason),
        }
    }
}

/// Decodes a [`Text`].
pub(crate) struct TextVisitor<T>(pub PhantomData<T>);

impl<T: Text> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::parse(text.trim()).map_err(Refusal::into_error::<T, E>)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        T::from_number(number).map_err(Refusal::into_error::<T, E>)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        T::from_decimal(number).map_err(Refusal::into_error::<T, E>)
    }
}

/// Decodes, encodes and describes a [`Text`] as serde and schemars want it.
macro_rules! text_value {
    ($name:ident) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any($crate::value::TextVisitor(std::marker::PhantomData))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                use $crate::value::Text;
                let types: &[&str] = if <$name as Text>::from_decimal(0.5).is_ok() {
                    &["string", "number"]
                } else if <$name as Text>::from_number(1).is_ok() {
                    &["string", "integer"]
                } else {
                    &["string"]
                };
                schemars::json_schema!({
                    "title": <$name as Text>::KIND,
                    "description": <$name as Text>::EXPECTED,
                    "type": if let [only] = types {
                        serde_json::Value::from(*only)
                    } else {
                        serde_json::Value::from(types)
                    },
                })
            }
        }
    };
}
pub(crate) use text_value;

#[cfg(test)]
mod tests;
