//! A fresh, empty instance of every back end.

use seaworthy_core::store::Stores;
use seaworthy_store::open;
use seaworthy_test_servers::Postgres;
use tempfile::TempDir;

/// An empty back end, gone when dropped.
pub(crate) struct Fresh {
    pub(crate) stores: Stores,
    /// The folder of the files, if there are any.
    _folder: Option<TempDir>,
}

pub(crate) async fn memory() -> Fresh {
    Fresh {
        stores: open("memory:").unwrap(),
        _folder: None,
    }
}

pub(crate) async fn sqlite() -> Fresh {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("s.db").display());
    Fresh {
        stores: open(&url).unwrap(),
        _folder: Some(folder),
    }
}

/// An empty database of a server.
pub(crate) async fn postgres(server: &Postgres) -> Fresh {
    Fresh {
        stores: open(&server.create_database()).unwrap(),
        _folder: None,
    }
}
