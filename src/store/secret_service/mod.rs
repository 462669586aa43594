//! The token in the desktop's keyring: whatever owns `org.freedesktop.secrets` (gnome-keyring,
//! KWallet, KeePassXC, …).
//!
//! A keyring may be missing, locked, slow, or asking a person something that nobody answers. Each
//! of these is an answer here, never an error that is passed on: every operation ends within its
//! time, and only [`SecretService::unlock`] and [`SecretService::unlock_item`] ask a person on
//! their own account. No collection is ever created.
//!
//! Keyrings have several collections, of which another may be the default tomorrow: an item counts
//! as deleted only if the collection that it was last seen in is there, open, and without it.
//!
//! The secret is the record of `token.json`, as `application/json`, in the default collection. It
//! crosses the bus as it is (algorithm "plain"): the session bus is a socket of the same user's,
//! and whoever may listen on it may as well ask the keyring. Its copies on our side are zeroed,
//! but for the bus library's message buffers.
//!
//! `KeePassXC` shows items that it has not yet granted this connection as locked. While its database
//! is locked it lists none, and asks a person for the password when it is searched. It answers
//! `CreateItem` and `Delete` by a prompt, whether that asks anything or not.

mod item_lookup;
mod keyring_error;
mod prompt;
mod proxies;
mod signal_listener;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex as BlockingMutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Mutex, Notify},
    time::{Instant, timeout},
};
use zbus::{Connection, ObjectPath, OwnedObjectPath, Variant, fdo::DBusProxy};

use self::{
    item_lookup::{ItemLookup, collection, collection_of, default_collection, is_locked, some},
    prompt::Ended,
    proxies::{ItemProxy, ServiceProxy, SessionProxy},
    signal_listener::{Deletions, Ear},
};
use super::schema::{self, Bad};
pub use keyring_error::KeyringError;
use plex_account_core::account::{Record, SignInId};

const NAME: &str = "org.freedesktop.secrets";
const ROOT: &str = "/org/freedesktop/secrets";

/// What people see in Seahorse, `KWalletManager` or `KeePassXC`.
const LABEL: &str = "Plex account token";
const CONTENT_TYPE: &str = "application/json";
/// By these an item is ours.
const ATTRIBUTES: [(&str, &str); 2] =
    [("xdg:schema", "org.plexaccountd.Account1"), ("application", "plex-accountd")];

/// For all that an operation asks the keyring.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// For a person to answer a prompt.
pub const PROMPT_TIMEOUT: Duration = Duration::from_secs(60);

/// A person has this much less for a prompt than there is for the whole of a deletion, so that it
/// is known whether they or the keyring did not answer.
const PROMPT_MARGIN: Duration = Duration::from_millis(100);

/// Largest secret read, in bytes: a token has at most 4 KiB.
const LARGEST: usize = 64 * 1024;

/// Whether there is a keyring in the sense of `token.store`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Availability {
    /// There is one, and it has a default collection, locked or not.
    Yes,
    /// There is none to be had, or it has no default collection.
    No,
    /// There seems to be one, but it does not answer; the sentence says what to do.
    Silent(String),
}

/// What the keyring says when it is asked for the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It has none, and that is certain.
    Nothing,
    /// It has this.
    Account(Record),
    /// It has one or may have one, behind a lock.
    Locked,
    /// It is open and has one, which the person has not let us at.
    ItemLocked,
    /// It has an item of ours that makes no sense; the sentence says what to do.
    Damaged(String),
    /// There is no keyring now, or it has no default collection.
    Absent(String),
    /// It does not tell; the sentence says what to do.
    Silent(String),
}

/// How [`SecretService::unlock`] or [`SecretService::unlock_item`] ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unlocked {
    /// What is ours is unlocked, or was.
    Done,
    /// The person said no, or nothing within [`PROMPT_TIMEOUT`].
    Dismissed,
    /// The keyring can't be asked; the sentence says what to do.
    Failed(KeyringError),
}

/// The keyring, over a connection of our own that is opened when it is first needed.
///
/// Every method may be called while another is under way; one that is dropped has no effect but
/// what the keyring did already, and a prompt that it showed is taken back.
pub struct SecretService {
    /// `None`: the session bus.
    address: Option<String>,
    link: Mutex<Option<Link>>,
    worth: Arc<Notify>,
    owners: Arc<AtomicU32>,
    /// The collection that our item was last seen in.
    collection: BlockingMutex<Option<String>>,
    /// The sign-in that it is of.
    sign_in: BlockingMutex<SignInId>,
    deletions: Arc<Deletions>,
    /// Nobody wants kept any longer what a person is asked about.
    unwanted: Notify,
}

struct Link {
    connection: Connection,
    _ear: Ear,
}

impl fmt::Debug for SecretService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretService").finish_non_exhaustive()
    }
}

impl Default for SecretService {
    fn default() -> Self {
        Self::new()
    }
}

impl SecretService {
    /// The keyring of the session bus. Nothing is asked yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            address: None,
            link: Mutex::new(None),
            worth: Arc::default(),
            owners: Arc::default(),
            collection: BlockingMutex::default(),
            sign_in: BlockingMutex::default(),
            deletions: Arc::default(),
            unwanted: Notify::new(),
        }
    }

    /// The keyring of another bus.
    #[must_use]
    pub fn at(address: &str) -> Self {
        Self { address: Some(address.to_owned()), ..Self::new() }
    }

    /// Whether there is a keyring that could keep the token: the name is owned or activatable, and
    /// the alias `default` names a collection. May start it; takes [`TIMEOUT`] at most.
    pub async fn there(&self) -> Availability {
        let asked = within(TIMEOUT, async {
            let connection = self.connection().await?;
            let bus = DBusProxy::new(&connection).await?;
            let known = bus.name_has_owner(NAME.try_into()?).await?
                || bus.list_activatable_names().await?.iter().any(|name| name.as_str() == NAME);
            if !known {
                return Err(KeyringError::nobody());
            }
            default_collection(&ServiceProxy::new(&connection).await?).await
        });
        match asked.await {
            Ok(_) | Err(KeyringError::Locked) => Availability::Yes,
            Err(KeyringError::Absent(_)) => Availability::No,
            Err(
                KeyringError::Declined(why)
                | KeyringError::Refused(why)
                | KeyringError::Silent(why),
            ) => Availability::Silent(why),
        }
    }

    /// Looks for the account. Asks nobody anything; takes [`TIMEOUT`] at most.
    pub async fn look(&self) -> Lookup {
        let looked = within(TIMEOUT, async {
            let connection = self.connection().await?;
            let sign_in = *self.sign_in.lock().unwrap_or_else(PoisonError::into_inner);
            look(&connection, self.collection(), sign_in).await
        });
        match looked.await {
            Ok((looked, collection)) => {
                if collection.is_some() {
                    self.set_collection(collection);
                }
                looked
            }
            Err(KeyringError::Locked) => Lookup::Locked,
            Err(KeyringError::Absent(why)) => Lookup::Absent(why),
            Err(
                KeyringError::Declined(why)
                | KeyringError::Refused(why)
                | KeyringError::Silent(why),
            ) => Lookup::Silent(why),
        }
    }

    /// Keeps an account in the default collection, in the place of any other, and reads it back
    /// before it says so. Takes [`TIMEOUT`] at most for each of writing, reading back and deleting
    /// older items, and [`PROMPT_TIMEOUT`] more where the keyring wants to ask the person first.
    ///
    /// After [`KeyringError::Silent`] the account may be kept or not; the one before may be, too.
    pub async fn store(&self, record: &Record) -> Result<(), KeyringError> {
        let (connection, before, session, item, prompt) = within(TIMEOUT, async {
            let connection = self.connection().await?;
            let service = ServiceProxy::new(&connection).await?;
            let default = ItemLookup::of(&connection, &service, None).await?;
            let (before, _) = default.search(&connection, &service).await?;
            let (session, item, prompt) = create(&connection, &service, record).await?;
            Ok((connection, before, session, item, prompt))
        })
        .await?;
        let item = match some(prompt) {
            None => item,
            Some(prompt) => match self.ask_wanted(&connection, prompt).await? {
                Ended::Agreed(item) => item.try_into()?,
                Ended::Dismissed => {
                    return Err(KeyringError::Declined(
                        "The keyring was not allowed to keep the Plex sign-in: answer its \
                         question with yes when it is next unlocked, or sign in again"
                            .into(),
                    ));
                }
            },
        };
        drop(session);
        let is_new = !before.contains(&item);
        let (is_right, is_there) = within(TIMEOUT, read_back(&connection, &item, record)).await?;
        if !is_right {
            // One that was there before may be the account's, and be read better another time.
            if is_new && is_there {
                // It must not be found by the next start in the place of a good one elsewhere.
                let latest = Instant::now() + TIMEOUT - PROMPT_MARGIN;
                within(TIMEOUT, delete(&connection, &self.deletions, item, latest)).await?;
            }
            return Err(KeyringError::unlike());
        }
        self.set_seen(collection_of(&item), record.sign_in);
        // The others are older, so they do no harm for now.
        if let Err(trouble) =
            within(TIMEOUT, delete_others(&connection, &self.deletions, &item)).await
        {
            tracing::debug!(%trouble, "an older item stays in the keyring");
        }
        Ok(())
    }

    async fn ask_wanted(
        &self,
        connection: &Connection,
        prompt: OwnedObjectPath,
    ) -> Result<Ended, KeyringError> {
        tokio::select! {
            ended = prompt::answer(connection, prompt, PROMPT_TIMEOUT) => ended,
            () = self.unwanted.notified() => Ok(Ended::Dismissed),
        }
    }

    /// Takes back the prompt of a [`store`](Self::store) under way, which fails then: what it
    /// would keep is to be forgotten.
    pub fn withdraw_prompt(&self) {
        self.unwanted.notify_waiters();
    }

    /// Asks the person to unlock the default collection. Takes [`TIMEOUT`] at most, and
    /// [`PROMPT_TIMEOUT`] more where there is a person to be asked.
    pub async fn unlock(&self) -> Unlocked {
        let shut = async |connection: &Connection, service: &ServiceProxy<'_>| {
            let collection = default_collection(service).await?;
            let is_locked = is_locked(connection, &collection).await?;
            Ok(is_locked.then_some(collection).into_iter().collect())
        };
        self.try_unlock(shut).await.unwrap_or_else(Unlocked::Failed)
    }

    /// Asks the person to let us at our item, after [`Lookup::ItemLocked`]; not where its
    /// collection is locked by now. Takes as long as [`unlock`](Self::unlock).
    pub async fn unlock_item(&self) -> Unlocked {
        let shut = async |connection: &Connection, service: &ServiceProxy<'_>| {
            let place = ItemLookup::of(connection, service, self.collection()).await?;
            let (_, shut) = place.search(connection, service).await?;
            Ok(shut.into_iter().filter(|item| place.is_of(item)).collect())
        };
        let unlocked = self.try_unlock(shut).await.unwrap_or_else(Unlocked::Failed);
        if unlocked == Unlocked::Done {
            self.worth.notify_one(); // keyrings don't tell what one client may see
        }
        unlocked
    }

    async fn try_unlock(
        &self,
        shut: impl AsyncFnOnce(
            &Connection,
            &ServiceProxy<'_>,
        ) -> Result<Vec<OwnedObjectPath>, KeyringError>,
    ) -> Result<Unlocked, KeyringError> {
        let asked = within(TIMEOUT, async {
            let connection = self.connection().await?;
            let service = ServiceProxy::new(&connection).await?;
            let shut = shut(&connection, &service).await?;
            if shut.is_empty() {
                return Ok(None);
            }
            let (_, prompt) = service.unlock(&shut).await?;
            Ok(some(prompt).map(|prompt| (connection, prompt)))
        });
        let Some((connection, prompt)) = asked.await? else {
            return Ok(Unlocked::Done);
        };
        Ok(match prompt::answer(&connection, prompt, PROMPT_TIMEOUT).await? {
            Ended::Agreed(_) => Unlocked::Done,
            Ended::Dismissed => Unlocked::Dismissed,
        })
    }

    /// Deletes every item of ours; none is no error. Takes `patience` at most; a person who is asked
    /// and does not answer until then has declined.
    ///
    /// Nothing was changed after [`KeyringError::Locked`] and [`KeyringError::Absent`]. After the others
    /// [`look`](Self::look) tells what is left.
    pub async fn forget(&self, patience: Duration) -> Result<(), KeyringError> {
        let latest = Instant::now() + patience.saturating_sub(PROMPT_MARGIN);
        within(patience, async {
            let connection = self.connection().await?;
            let service = ServiceProxy::new(&connection).await?;
            let place = ItemLookup::of(&connection, &service, self.collection()).await?;
            let (open, shut) = place.search(&connection, &service).await?;
            if !shut.is_empty() {
                return Err(KeyringError::Locked);
            }
            if open.is_empty() {
                place.has_nothing()?;
            }
            for item in open {
                delete(&connection, &self.deletions, item, latest).await?;
            }
            Ok(())
        })
        .await
    }

    /// Waits until it is worth to [`look`](Self::look) again: the keyring was unlocked or locked,
    /// came, went or was replaced, or items came or went. What happened since the last time counts,
    /// once. Silent while there is no session bus.
    pub async fn changed(&self) {
        if let Err(trouble) = self.connection().await {
            tracing::debug!(%trouble, "nobody listens to the keyring");
        }
        self.worth.notified().await;
    }

    /// How often the keyring came, went or was replaced since we listen.
    pub fn owners(&self) -> u32 {
        self.owners.load(Ordering::Relaxed)
    }

    /// The collection that our item was last stored or found in, as far as is known.
    pub fn collection(&self) -> Option<String> {
        self.collection.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says where our item is, if anywhere, and of which sign-in it is.
    pub fn set_seen(&self, collection: Option<String>, sign_in: SignInId) {
        self.set_collection(collection);
        *self.sign_in.lock().unwrap_or_else(PoisonError::into_inner) = sign_in;
    }

    fn set_collection(&self, collection: Option<String>) {
        *self.collection.lock().unwrap_or_else(PoisonError::into_inner) = collection;
    }

    /// Whether somebody else than us was seen to delete our item, from a collection that stayed.
    pub fn was_deleted(&self) -> bool {
        self.collection().is_some_and(|collection| self.deletions.was_deleted_in(&collection))
    }

    /// Whether the keyring would let us delete our item now; reads no secret. Takes [`TIMEOUT`] at
    /// most.
    pub async fn open(&self) -> Result<(), KeyringError> {
        within(TIMEOUT, async {
            let connection = self.connection().await?;
            let service = ServiceProxy::new(&connection).await?;
            let place = ItemLookup::of(&connection, &service, self.collection()).await?;
            let (open, shut) = place.search(&connection, &service).await?;
            if !shut.is_empty() {
                return Err(KeyringError::Locked);
            }
            if open.is_empty() { place.has_nothing() } else { Ok(()) }
        })
        .await
    }

    /// Our connection, opened if need be.
    async fn connection(&self) -> Result<Connection, KeyringError> {
        let mut link = self.link.lock().await;
        if let Some(link) = link.as_ref().filter(|link| !link.connection.is_closed()) {
            return Ok(link.connection.clone());
        }
        let connection = match &self.address {
            Some(address) => zbus::connection::Builder::address(address.as_str()),
            None => zbus::connection::Builder::session(),
        }
        .build()
        .await?;
        let ear = Ear::open(
            &connection,
            Arc::clone(&self.worth),
            Arc::clone(&self.owners),
            Arc::clone(&self.deletions),
        )
        .await?;
        *link = Some(Link { connection: connection.clone(), _ear: ear });
        Ok(connection)
    }
}

/// Gives up in time.
async fn within<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, KeyringError>>,
) -> Result<T, KeyringError> {
    timeout(patience, work).await.unwrap_or_else(|_| Err(KeyringError::slow(patience)))
}

/// For a last word to the keyring from a `drop`; there may be no runtime left to say it.
fn afterwards(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(work);
    }
}

/// Also returns the collection that the account is in.
async fn look(
    connection: &Connection,
    seen_in: Option<String>,
    sign_in: SignInId,
) -> Result<(Lookup, Option<String>), KeyringError> {
    let service = ServiceProxy::new(connection).await?;
    let place = ItemLookup::of(connection, &service, seen_in).await?;
    let (open, shut) = place.search(connection, &service).await?;
    let only_item = shut.iter().any(|item| place.is_of(item));
    let behind = if only_item { Lookup::ItemLocked } else { Lookup::Locked };
    if open.is_empty() {
        if !shut.is_empty() {
            return Ok((behind, None));
        }
        place.has_nothing()?;
        return Ok((Lookup::Nothing, None));
    }
    let mut best: Option<(Record, Option<String>)> = None;
    let (mut damaged, mut newer) = (0, false);
    for (item, read) in secrets(connection, &service, &open).await? {
        match read {
            Ok(record) => {
                // The one that is known goes before all others.
                if best.is_none() || record.sign_in == sign_in {
                    best = Some((record, collection_of(&item)));
                }
            }
            Err(Bad::Damaged) => damaged += 1,
            Err(Bad::Newer) => newer = true,
        }
    }
    let (best, collection) = best.unzip();
    let looked = match best {
        Some(record) => Lookup::Account(record),
        None if newer => Lookup::Silent(format!(
            "The item \"{LABEL}\" in the keyring was written by a newer plex-accountd: use that \
             version"
        )),
        None if damaged > 0 => Lookup::Damaged(format!(
            "The item \"{LABEL}\" in the keyring is damaged: sign in again"
        )),
        // Locked or deleted since we searched; a signal of it is on its way.
        None if shut.is_empty() => Lookup::Silent(format!(
            "The keyring lists the item \"{LABEL}\", but does not give it out: look at it in your \
             password manager"
        )),
        None => behind,
    };
    Ok((looked, collection.flatten()))
}

/// What is in these items, as far as the keyring gives it out.
async fn secrets(
    connection: &Connection,
    service: &ServiceProxy<'_>,
    items: &[OwnedObjectPath],
) -> Result<Vec<(OwnedObjectPath, Result<Record, Bad>)>, KeyringError> {
    type Secret<'a> = (ObjectPath<'a>, &'a [u8], &'a [u8], &'a str);

    let session = KeyringSession::open(connection, service).await?;
    let reply = service.inner().call_method("GetSecrets", &(items, &session.path)).await?;
    let body = reply.body();
    let secrets: HashMap<ObjectPath<'_>, Secret<'_>> = body.deserialize()?;
    Ok(secrets
        .iter()
        .map(|(item, (_, _, value, _))| {
            let read =
                if value.len() > LARGEST { Err(Bad::Damaged) } else { schema::read_token(value) };
            (item.to_owned().into(), read)
        })
        .collect())
}

/// Asks for a new item; the answer is the item, or a prompt to be answered first. `KeePassXC` reads
/// the secret only after its prompt, for which the session must still be open.
async fn create(
    connection: &Connection,
    service: &ServiceProxy<'_>,
    record: &Record,
) -> Result<(KeyringSession, OwnedObjectPath, OwnedObjectPath), KeyringError> {
    let path = default_collection(service).await?;
    let collection = collection(connection, &path).await?;
    if collection.locked().await? {
        return Err(KeyringError::Locked);
    }
    let session = KeyringSession::open(connection, service).await?;
    let properties = HashMap::from([
        ("org.freedesktop.Secret.Item.Label", Variant::from(LABEL)),
        ("org.freedesktop.Secret.Item.Attributes", Variant::from(HashMap::from(ATTRIBUTES))),
    ]);
    let value = schema::write_token(record);
    let secret = (session.path.as_ref(), &[][..], &value[..], CONTENT_TYPE);
    let (item, prompt) = collection.create_item(&properties, &secret, true).await?;
    Ok((session, item, prompt))
}

/// Whether an item is what it was to be, and whether it is there at all.
async fn read_back(
    connection: &Connection,
    item: &OwnedObjectPath,
    record: &Record,
) -> Result<(bool, bool), KeyringError> {
    let service = ServiceProxy::new(connection).await?;
    let stored = Record { user: None, ..record.clone() };
    let read = secrets(connection, &service, std::slice::from_ref(item)).await?;
    let is_right = matches!(&read[..], [(_, Ok(read))] if *read == stored);
    Ok((is_right, !read.is_empty()))
}

/// Makes an item the only one of ours.
async fn delete_others(
    connection: &Connection,
    deletions: &Deletions,
    item: &OwnedObjectPath,
) -> Result<(), KeyringError> {
    let service = ServiceProxy::new(connection).await?;
    let (open, _) = service.search_items(&HashMap::from(ATTRIBUTES)).await?;
    for other in open.into_iter().filter(|other| other != item) {
        delete(connection, deletions, other, Instant::now() + TIMEOUT).await?;
    }
    Ok(())
}

async fn delete(
    connection: &Connection,
    deletions: &Deletions,
    item: OwnedObjectPath,
    latest: Instant,
) -> Result<(), KeyringError> {
    deletions.ours(&item);
    let item = ItemProxy::builder(connection).path(item).build().await?;
    match some(item.delete().await?) {
        None => Ok(()),
        Some(prompt) => match prompt::answer(
            connection,
            prompt,
            latest.saturating_duration_since(Instant::now()),
        )
        .await?
        {
            Ended::Agreed(_) => Ok(()),
            Ended::Dismissed => Err(KeyringError::Declined(format!(
                "The keyring was not allowed to delete the item \"{LABEL}\": answer its question \
                 with yes, or delete it in your password manager"
            ))),
        },
    }
}

/// A session of the keyring's, closed with this value.
struct KeyringSession {
    path: OwnedObjectPath,
    proxy: SessionProxy<'static>,
}

impl KeyringSession {
    async fn open(
        connection: &Connection,
        service: &ServiceProxy<'_>,
    ) -> Result<Self, KeyringError> {
        let (_, path) = service.open_session("plain", &Variant::from("")).await?;
        let proxy = SessionProxy::builder(connection).path(path.clone()).build().await?;
        Ok(Self { path, proxy })
    }
}

impl Drop for KeyringSession {
    fn drop(&mut self) {
        let proxy = self.proxy.clone();
        afterwards(async move {
            // A keyring that is gone has no sessions either.
            let _ = proxy.close().await;
        });
    }
}
