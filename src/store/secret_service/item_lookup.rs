//! In which collection our item is, and whether it is to be searched for there.

use std::collections::HashMap;

use zbus::{Connection, OwnedObjectPath, proxy};

use super::{
    ATTRIBUTES, KeyringError,
    proxies::{CollectionProxy, ServiceProxy},
};

/// `/` stands for "none".
pub(super) fn some(path: OwnedObjectPath) -> Option<OwnedObjectPath> {
    (path.as_str() != "/").then_some(path)
}

pub(super) async fn default_collection(
    service: &ServiceProxy<'_>,
) -> Result<OwnedObjectPath, KeyringError> {
    some(service.read_alias("default").await?).ok_or_else(KeyringError::no_default)
}

pub(super) async fn collection(
    connection: &Connection,
    path: &OwnedObjectPath,
) -> zbus::Result<CollectionProxy<'static>> {
    CollectionProxy::builder(connection)
        .path(path.clone())
        .cache_properties(proxy::CacheProperties::No)
        .build()
        .await
}

pub(super) async fn is_locked(
    connection: &Connection,
    path: &OwnedObjectPath,
) -> Result<bool, KeyringError> {
    Ok(collection(connection, path).await?.locked().await?)
}

/// The path of the collection that an item is in: by the specification, all but the last part.
pub(super) fn collection_of(item: &OwnedObjectPath) -> Option<String> {
    let (collection, _) = item.as_str().rsplit_once('/')?;
    (!collection.is_empty()).then(|| collection.to_owned())
}

/// Where our item is to be found, if it is not deleted.
pub(super) struct ItemLookup {
    /// The collection that it was last seen in, else the default one; `None`: there is none.
    collection: Option<OwnedObjectPath>,
    is_locked: bool,
    /// It was seen in a collection that is not there now.
    is_away: bool,
}

impl ItemLookup {
    pub(super) async fn of(
        connection: &Connection,
        service: &ServiceProxy<'_>,
        seen_in: Option<String>,
    ) -> Result<Self, KeyringError> {
        let is_away = seen_in.is_some();
        if let Some(Ok(path)) = seen_in.map(OwnedObjectPath::try_from) {
            match is_locked(connection, &path).await {
                Ok(is_locked) => {
                    return Ok(Self { collection: Some(path), is_locked, is_away: false });
                }
                Err(KeyringError::Refused(_)) => {} // no such object
                Err(trouble) => return Err(trouble),
            }
        }
        let collection = some(service.read_alias("default").await?);
        let is_locked = match &collection {
            Some(path) => is_locked(connection, path).await?,
            None => false,
        };
        Ok(Self { collection, is_locked, is_away })
    }

    /// No item was found: whether that is certain.
    pub(super) fn has_nothing(&self) -> Result<(), KeyringError> {
        if self.is_away {
            return Err(KeyringError::elsewhere());
        }
        self.collection.as_ref().map(drop).ok_or_else(KeyringError::no_default)
    }

    /// Whether an item is in this collection.
    pub(super) fn is_of(&self, item: &OwnedObjectPath) -> bool {
        let collection = self.collection.as_ref().map(|path| path.as_str());
        collection_of(item).as_deref() == collection
    }

    /// Our items, unlocked ones and locked ones. Not searched for while the collection that they
    /// should be in is locked: `KeePassXC` would ask the person for its password then, or list
    /// none. Nothing is nothing only where it was open before and after: a lock that came between may
    /// hide the item.
    pub(super) async fn search(
        &self,
        connection: &Connection,
        service: &ServiceProxy<'_>,
    ) -> Result<(Vec<OwnedObjectPath>, Vec<OwnedObjectPath>), KeyringError> {
        if self.is_locked {
            return Err(KeyringError::Locked);
        }
        let (open, shut) = service.search_items(&HashMap::from(ATTRIBUTES)).await?;
        if let Some(collection) = &self.collection
            && open.is_empty()
            && shut.is_empty()
            && is_locked(connection, collection).await?
        {
            return Err(KeyringError::Locked);
        }
        Ok((open, shut))
    }
}
