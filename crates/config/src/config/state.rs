//! Where state is kept: what is durable, and what replicas share.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::secret::SecretRef;
use crate::value::{Count, Name, SharedStateUrl, StorageUrl};

/// Where durable state is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Storage {
    /// `sqlite:FILE`, relative to the working directory; `memory:` to keep nothing; or a PostgreSQL
    /// server for any number of replicas, `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with
    /// `?sslmode=require` at its end where the connection has to be encrypted.
    pub url: StorageUrl,
    /// The password of the server, where it does not stand in the URL.
    pub password: Option<SecretRef>,
    /// A file of certificates in PEM format that are trusted in place of the system's, for
    /// encrypted connections.
    pub ca_file: Option<PathBuf>,
    /// The folder in which a replica that uses a server writes down its open calls as well. With
    /// SQLite they lie beside the database.
    pub journal: PathBuf,
    /// What to do while a server is lost: `local` goes on with what this replica knows and writes
    /// on its own disk, `reject` refuses model calls. A file or memory cannot be lost.
    pub on_loss: OnLoss,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            url: StorageUrl::Sqlite("seaworthy.db".into()),
            password: None,
            ca_file: None,
            journal: "seaworthy-calls".into(),
            on_loss: OnLoss::Local,
        }
    }
}

/// Where shared state is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SharedState {
    /// `memory:`, in the process, for a single replica; or a Redis server for any number of them,
    /// `redis://USER:PASSWORD@HOST:PORT/DATABASE`, or `rediss://` where the connection is encrypted.
    pub url: SharedStateUrl,
    /// The password of the server, where it does not stand in the URL.
    pub password: Option<SecretRef>,
    /// A file of certificates in PEM format that are trusted in place of the system's, for
    /// `rediss://`.
    pub ca_file: Option<PathBuf>,
    /// Names this deployment, so that several of them can share one server.
    pub deployment: Name,
    /// What to do while the shared state is lost: `local` goes on with this replica's part of
    /// limits, and of budgets with what was set aside for it; `reject` refuses requests. `memory:` cannot be lost.
    pub on_loss: OnLoss,
    /// The least number of replicas that limits are divided by while the shared state is lost. More
    /// are counted if more were seen before.
    pub replicas: Count,
}

impl Default for SharedState {
    fn default() -> Self {
        Self {
            url: SharedStateUrl::Memory,
            password: None,
            ca_file: None,
            deployment: Name::main(),
            on_loss: OnLoss::Local,
            replicas: Count::ONE,
        }
    }
}

/// What to do while a server of state is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnLoss {
    /// Go on with what this replica has.
    Local,
    /// Refuse requests.
    Reject,
}
