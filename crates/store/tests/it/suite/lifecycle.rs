//! How every back end ends.

use seaworthy_core::store::{Error, Stores};

use crate::fixtures::key;

pub(crate) async fn closing_again_does_nothing(stores: &Stores) {
    stores.keys.insert(key("ada")).await.unwrap();
    tokio::join!(stores.lifecycle.close(), stores.lifecycle.close());
    stores.lifecycle.close().await;
}

pub(crate) async fn everyone_is_answered_while_it_closes(stores: &Stores) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..100 {
        let keys = stores.keys.clone();
        tasks.spawn(async move { keys.insert(key(&format!("{number}"))).await });
        let lifecycle = stores.lifecycle.clone();
        if number == 50 {
            tasks.spawn(async move {
                lifecycle.close().await;
                Ok(())
            });
        }
    }
    for result in tasks.join_all().await {
        assert!(
            matches!(result, Ok(()) | Err(Error::Unavailable { .. })),
            "{result:?}"
        );
    }
}
