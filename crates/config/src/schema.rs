//! The JSON Schema of the configuration.

mod reference;

pub use self::reference::reference;
use crate::config::Config;

/// JSON Schema 2020-12 of a configuration file, for editors and other tools.
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Config);
    schema.insert("title".to_owned(), "Seaworthy configuration".into());
    schema.to_value()
}
