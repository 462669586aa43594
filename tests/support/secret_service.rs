//! A keyring that does what a test says: every misfortune that real ones have, on demand.

#![allow(dead_code, unreachable_pub)] // each test crate uses a part
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use zbus::export::ordered_stream::OrderedStreamExt;
use zbus::message::{Header, Type};
use zbus::{
    Connection, Message, MessageStream, ObjectPath, OwnedObjectPath, OwnedVariant, Variant,
};

use super::PrivateBus;

const NAME: &str = "org.freedesktop.secrets";
const ROOT: &str = "/org/freedesktop/secrets";
/// The default collection; not called `login`, as `KeePassXC`'s is not.
pub const COLLECTION: &str = "/org/freedesktop/secrets/collection/people";
/// Another one.
pub const OTHER: &str = "/org/freedesktop/secrets/collection/other";
const PROMPT: &str = "/org/freedesktop/secrets/prompt/p";

/// What a person does with a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Person {
    #[default]
    Agrees,
    Refuses,
    /// Is not there.
    Away,
}

/// An item as it was stored.
#[derive(Clone, Debug)]
pub struct Item {
    pub label: String,
    pub attributes: HashMap<String, String>,
    pub value: Vec<u8>,
    pub content_type: String,
}

/// An account's item as the daemon makes it.
pub fn item(value: Vec<u8>) -> Item {
    Item {
        label: "Plex account token".into(),
        attributes: HashMap::from(
            [("xdg:schema", "org.plexaccountd.Account1"), ("application", "plex-accountd")]
                .map(|(key, value)| (key.to_owned(), value.to_owned())),
        ),
        value,
        content_type: "application/json".into(),
    }
}

type Secret = (OwnedObjectPath, Vec<u8>, Vec<u8>, String);

/// All that can be set and seen.
#[allow(clippy::struct_excessive_bools)] // each is a misfortune of its own
#[derive(Debug, Default)]
pub struct State {
    /// The alias `default` names nothing.
    pub no_default: bool,
    pub locked: bool,
    /// There is another collection, open and empty, which is the default while the first is locked:
    /// as in `KeePassXC` with two databases.
    pub has_other: bool,
    /// There is only that other one.
    pub is_other: bool,
    /// While locked it lists nothing, as `KeePassXC`.
    pub hides: bool,
    /// Is locked when it is searched next.
    pub locks_before_search: bool,
    /// Shows its items as locked though it is open, as `KeePassXC` to a client that it has not
    /// asked the person about. That they agree is told to nobody else.
    pub confirms: bool,
    pub person: Person,
    /// Asks before it creates or deletes an item.
    pub asks: bool,
    /// Never answers calls of this name.
    pub hangs: Option<&'static str>,
    /// Answers calls of this name with this error.
    pub refuses: Option<(&'static str, &'static str)>,
    /// Gives out something else than it was given.
    pub corrupts: bool,
    /// Calls for the first item keep the second.
    pub keeps_older: bool,
    pub items: BTreeMap<u32, Item>,
    /// Members called, in order.
    pub calls: Vec<String>,
    pub waiting: Option<Waiting>,
    /// Sessions opened and not closed.
    pub sessions: u32,
    pub next: u32,
}

/// What a prompt is about.
#[derive(Debug)]
pub enum Waiting {
    Unlock,
    UnlockItem,
    Create(Item),
    Delete(u32),
}

impl State {
    fn path(id: u32) -> OwnedObjectPath {
        format!("{COLLECTION}/{id}").try_into().unwrap()
    }

    fn default(&self) -> &'static str {
        match self {
            Self { no_default: true, .. } => "/",
            Self { is_other: true, .. } | Self { has_other: true, locked: true, .. } => OTHER,
            _ => COLLECTION,
        }
    }

    /// `None`: there is no such collection.
    fn is_locked(&self, collection: &str) -> Option<bool> {
        match collection {
            COLLECTION => (!self.is_other).then_some(self.locked),
            OTHER => (self.is_other || self.has_other).then_some(false),
            _ => None,
        }
    }

    fn create(&mut self, item: Item) -> OwnedObjectPath {
        let same = |other: &Item| other.attributes == item.attributes && !self.keeps_older;
        let id = self.items.iter().find(|(_, o)| same(o)).map(|(id, _)| *id);
        let id = id.unwrap_or_else(|| {
            self.next += 1;
            self.next
        });
        self.items.insert(id, item);
        Self::path(id)
    }
}

/// A keyring on a bus. Leaves the bus by [`vanish`](Self::vanish) or with this value.
pub struct Keyring {
    connection: Connection,
    state: Arc<Mutex<State>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Keyring {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Keyring {
    /// Brings a keyring up.
    pub async fn start(bus: &PrivateBus, state: State) -> Self {
        let connection = bus.connect().await;
        let state = Arc::new(Mutex::new(state));
        let calls = MessageStream::from(&connection);
        let task = tokio::spawn(serve(connection.clone(), calls, Arc::clone(&state)));
        connection.request_name(NAME).await.expect("the name");
        Self { connection, state, task }
    }

    /// Its name on the bus.
    pub fn unique_name(&self) -> String {
        self.connection.unique_name().unwrap().to_string()
    }

    /// To look at and to change. Not to be held across an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Locks or unlocks, and tells.
    pub async fn set_locked(&self, locked: bool) {
        self.state().locked = locked;
        say_locked(&self.connection, locked).await;
    }

    /// A person deletes all items.
    pub async fn delete_all(&self) {
        let gone = std::mem::take(&mut self.state().items);
        for id in gone.keys() {
            self.signal(
                COLLECTION,
                "org.freedesktop.Secret.Collection",
                "ItemDeleted",
                &(State::path(*id),),
            )
            .await;
        }
    }

    /// Says something.
    pub async fn signal<B>(&self, path: &str, interface: &str, member: &str, body: &B)
    where
        B: serde::Serialize + zbus::DynamicType,
    {
        self.connection
            .emit_signal(None::<&str>, path, interface, member, body)
            .await
            .expect("the bus takes a signal");
    }

    /// From now on calls of this name are never answered.
    pub fn hang(&self, member: &'static str) {
        let mut state = self.state();
        state.calls.clear();
        state.hangs = Some(member);
    }

    /// Whether something was called.
    pub fn was_asked(&self, member: &str) -> bool {
        self.state().calls.iter().any(|call| call == member)
    }

    /// Leaves the bus without a word; the items stay with the test.
    pub async fn vanish(self) -> BTreeMap<u32, Item> {
        let items = std::mem::take(&mut self.state().items);
        let connection = self.connection.clone();
        drop(self);
        connection.close().await.expect("closed");
        items
    }
}

async fn say_locked(connection: &Connection, locked: bool) {
    let changed = HashMap::from([("Locked", Variant::from(locked))]);
    let body = ("org.freedesktop.Secret.Collection", changed, Vec::<&str>::new());
    connection
        .emit_signal(
            None::<&str>,
            COLLECTION,
            "org.freedesktop.DBus.Properties",
            "PropertiesChanged",
            &body,
        )
        .await
        .expect("the bus takes a signal");
}

async fn serve(connection: Connection, mut calls: MessageStream, state: Arc<Mutex<State>>) {
    while let Some(Ok(call)) = calls.next().await {
        if call.message_type() == Type::MethodCall {
            answer(&connection, &call, &state).await;
        }
    }
}

async fn error(connection: &Connection, header: &Header<'_>, name: &str) {
    let text = "planted-in-an-error-text";
    let _ = connection.reply_error(header, name, &text).await;
}

#[allow(clippy::too_many_lines)] // one arm for each call
async fn answer(c: &Connection, call: &Message, state: &Mutex<State>) {
    let header = call.header();
    let h = &header;
    let member = header.member().unwrap().to_string();
    let body = call.body();
    {
        let mut state = state.lock().unwrap();
        state.calls.push(member.clone());
        if state.hangs == Some(member.as_str()) {
            return;
        }
    }
    let refused = state.lock().unwrap().refuses;
    if let Some((_, name)) = refused.filter(|(of, _)| *of == member) {
        return error(c, h, name).await;
    }
    let path = header.path().unwrap().to_string();
    let id = path.rsplit('/').next().unwrap().parse::<u32>().ok();
    let none = || OwnedObjectPath::try_from("/").unwrap();
    let prompt = || OwnedObjectPath::try_from(PROMPT).unwrap();
    let said = match member.as_str() {
        "OpenSession" => {
            let session = ObjectPath::try_from(format!("{ROOT}/session/s")).unwrap();
            state.lock().unwrap().sessions += 1;
            c.reply(h, &(Variant::from(""), session)).await
        }
        "Close" => {
            state.lock().unwrap().sessions -= 1;
            Ok(())
        }
        "Dismiss" => Ok(()),
        "ReadAlias" => {
            let path = state.lock().unwrap().default();
            c.reply(h, &ObjectPath::try_from(path).unwrap()).await
        }
        "Get" => {
            let locked = state.lock().unwrap().is_locked(&path);
            match locked {
                Some(locked) => c.reply(h, &Variant::from(locked)).await,
                None => return error(c, h, "org.freedesktop.DBus.Error.UnknownObject").await,
            }
        }
        "SearchItems" => {
            let wanted: HashMap<String, String> = body.deserialize().unwrap();
            {
                let mut state = state.lock().unwrap();
                state.locked |= std::mem::take(&mut state.locks_before_search);
            }
            let (open, shut) = {
                let state = state.lock().unwrap();
                let fits =
                    |item: &Item| wanted.iter().all(|(k, v)| item.attributes.get(k) == Some(v));
                let found: Vec<_> = state
                    .items
                    .iter()
                    .filter(|(_, item)| fits(item))
                    .map(|(id, _)| State::path(*id))
                    .collect();
                match (state.locked || state.confirms, state.locked && state.hides) {
                    (false, _) => (found, vec![]),
                    (true, false) => (vec![], found),
                    (true, true) => (vec![], vec![]),
                }
            };
            c.reply(h, &(open, shut)).await
        }
        "Unlock" => {
            let objects: Vec<OwnedObjectPath> = body.deserialize().unwrap();
            let asks = {
                let mut state = state.lock().unwrap();
                state.waiting = match (state.locked, state.confirms) {
                    (true, _) => Some(Waiting::Unlock),
                    (false, true) => Some(Waiting::UnlockItem),
                    (false, false) => None,
                };
                state.waiting.is_some()
            };
            if asks {
                c.reply(h, &(Vec::<OwnedObjectPath>::new(), prompt())).await
            } else {
                c.reply(h, &(objects, none())).await
            }
        }
        "GetSecrets" => {
            let (items, session): (Vec<OwnedObjectPath>, OwnedObjectPath) =
                body.deserialize().unwrap();
            let secrets: HashMap<OwnedObjectPath, Secret> = {
                let state = state.lock().unwrap();
                items
                    .into_iter()
                    .filter_map(|path| {
                        let id = path.as_str().rsplit('/').next()?.parse().ok()?;
                        let shut = state.locked || state.confirms;
                        let item = state.items.get(&id).filter(|_| !shut)?;
                        let mut value = item.value.clone();
                        if state.corrupts {
                            value.truncate(value.len() / 2);
                        }
                        let kind = item.content_type.clone();
                        Some((path, (session.clone(), vec![], value, kind)))
                    })
                    .collect()
            };
            c.reply(h, &secrets).await
        }
        "CreateItem" => {
            let (properties, secret, replace): (HashMap<String, OwnedVariant>, Secret, bool) =
                body.deserialize().unwrap();
            assert!(replace, "else items pile up");
            let get = |name: &str| {
                let name = format!("org.freedesktop.Secret.Item.{name}");
                properties[&name].try_clone().unwrap()
            };
            let item = Item {
                label: get("Label").try_into().unwrap(),
                attributes: get("Attributes").try_into().unwrap(),
                value: secret.2,
                content_type: secret.3,
            };
            let answer = {
                let mut state = state.lock().unwrap();
                if state.locked {
                    None
                } else if state.asks {
                    state.waiting = Some(Waiting::Create(item));
                    Some((none(), prompt()))
                } else {
                    Some((state.create(item), none()))
                }
            };
            match answer {
                None => return error(c, h, "org.freedesktop.Secret.Error.IsLocked").await,
                Some(answer) => c.reply(h, &answer).await,
            }
        }
        "Delete" => {
            let asks = {
                let mut state = state.lock().unwrap();
                let id = id.unwrap();
                if state.asks {
                    state.waiting = Some(Waiting::Delete(id));
                } else {
                    state.items.remove(&id);
                }
                state.asks
            };
            c.reply(h, &if asks { prompt() } else { none() }).await
        }
        "Prompt" => {
            let _ = c.reply(h, &()).await;
            return prompted(c, state).await;
        }
        _ => return error(c, h, "org.freedesktop.DBus.Error.UnknownMethod").await,
    };
    said.expect("the bus takes an answer");
}

async fn prompted(c: &Connection, state: &Mutex<State>) {
    let (dismissed, result, unlocked) = {
        let mut state = state.lock().unwrap();
        match (state.person, state.waiting.take()) {
            (Person::Away, _) => return,
            (Person::Refuses, _) | (_, None) => (true, Variant::from(""), false),
            // The secret is read in its session, and only now.
            (_, Some(Waiting::Create(_))) if state.sessions == 0 => {
                (true, Variant::from(""), false)
            }
            (Person::Agrees, Some(Waiting::Unlock)) => {
                state.locked = false;
                let path = ObjectPath::try_from(COLLECTION).unwrap();
                (false, Variant::from(vec![path]), true)
            }
            (Person::Agrees, Some(Waiting::UnlockItem)) => {
                state.confirms = false;
                (false, Variant::from(Vec::<ObjectPath<'_>>::new()), false)
            }
            (Person::Agrees, Some(Waiting::Create(item))) => {
                let path = state.create(item);
                (false, Variant::from(path.into_inner()), false)
            }
            (Person::Agrees, Some(Waiting::Delete(id))) => {
                state.items.remove(&id);
                (false, Variant::from(""), false)
            }
        }
    };
    let body = (dismissed, result);
    c.emit_signal(None::<&str>, PROMPT, "org.freedesktop.Secret.Prompt", "Completed", &body)
        .await
        .expect("the bus takes a signal");
    if unlocked {
        say_locked(c, false).await;
    }
}
