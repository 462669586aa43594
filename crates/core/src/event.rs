//! What happens to the domain and what it wants done about it. [`Event`]s come in from the edge
//! with the time; [`Effect`]s go out and are performed in their order.

use std::time::Duration;

use crate::{
    account::{Pin, PinHost, PinId, PinKind, Record, Revocation, SavedLogin, User},
    clock::Now,
    error::CallError,
    grants,
    network::Connectivity,
    notification::{Notification, ServerNews},
    plextv_error::PlexTvError,
    presence::CachedServers,
    probe::{AddressReport, ProbeRequest, ProbeScope, Probed},
    server::Lists,
    state_snapshot::LoginOffer,
    token::Token,
    words::{ErrorName, Outcome, Storage},
};

/// Names a call that waits for an [`Effect::Reply`].
pub type CallId = u64;

/// Why a store did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StoreFault {
    /// What failed.
    pub of: FaultOf,
    /// One sentence: what the trouble is and what to do about it.
    pub message: String,
}

/// What failed of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultOf {
    /// The state directory.
    Disk,
    /// The keyring: absent, silent, or it refused.
    Keyring,
    /// The keyring is there, and locked: that it is unlocked will be told.
    LockedKeyring,
    /// The person did not let the keyring do it, and is not asked again before it was unlocked
    /// anew, or is another.
    Declined,
}

impl StoreFault {
    /// The disk's.
    pub fn disk(message: impl Into<String>) -> Self {
        Self { of: FaultOf::Disk, message: message.into() }
    }

    /// The keyring's.
    pub fn keyring(message: impl Into<String>) -> Self {
        Self { of: FaultOf::Keyring, message: message.into() }
    }

    /// The lock's.
    pub fn locked(message: impl Into<String>) -> Self {
        Self { of: FaultOf::LockedKeyring, message: message.into() }
    }

    /// The person's.
    pub fn declined(message: impl Into<String>) -> Self {
        Self { of: FaultOf::Declined, message: message.into() }
    }

    /// The error that calls end with because of it.
    #[must_use]
    pub fn error_name(&self) -> ErrorName {
        match self.of {
            FaultOf::Disk => ErrorName::StorageFailed,
            FaultOf::Keyring | FaultOf::LockedKeyring | FaultOf::Declined => {
                ErrorName::KeyringLocked
            }
        }
    }
}

/// What the store holds, as far as it can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredAccount {
    /// There is no token, and that is known.
    Nothing,
    /// There is one.
    Account {
        /// The token and what belongs to it.
        record: Record,
        /// Which store it came from.
        storage: Storage,
        /// Unix seconds at which plex.tv's refusal was confirmed.
        rejected_since: Option<u64>,
    },
    /// There was one, but what is left of it can't be used and was put aside; the sentence says so.
    Damaged(String),
    /// The keyring that should hold it is open and does not, and nobody was seen to remove it. The
    /// sentence says where it was last seen.
    Missing(String),
    /// The store does not answer, so nothing is known.
    Unreadable(StoreFault),
    /// The keyring holds it, and was not asked yet.
    InKeyring,
    /// The keyring holds it, and is locked.
    Locked,
    /// The keyring is open, and keeps only our item from us until the person allows it.
    ItemLocked {
        /// It was seen locked before, or is another than when this was last found.
        opened: bool,
    },
}

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// `StartLogin` was called.
    StartLogin(CallId),
    /// `CancelLogin` was called.
    CancelLogin(CallId),
    /// `SignOut` was called.
    SignOut(CallId),
    /// `Refresh` was called.
    Refresh(CallId),
    /// `MuteServer` was called, or `UnmuteServer` (`until` 0).
    Mute {
        /// The call.
        call: CallId,
        /// The server.
        id: String,
        /// Unix seconds.
        until: u64,
    },
    /// The answer to [`PlexTvRequest::AskPin`].
    PinAnswered {
        /// The login that asked.
        login: u64,
        /// Which of its PINs.
        kind: PinKind,
        /// What plex.tv said.
        result: Result<Pin, PlexTvError>,
    },
    /// The answer to [`PlexTvRequest::PollPin`]: the token once the PIN is claimed.
    PinPolled {
        /// The login that asked.
        login: u64,
        /// Which of its PINs.
        kind: PinKind,
        /// What plex.tv said.
        result: Result<Option<Token>, PlexTvError>,
    },
    /// A browser has come back to this login's page, and waits for the answer to this call.
    CallbackArrived {
        /// The login that the page is of.
        login: u64,
        /// The call.
        call: CallId,
    },
    /// The answer to [`PlexTvRequest::AskUser`].
    UserAnswered {
        /// The session that asked.
        session: u64,
        /// What plex.tv said.
        result: Result<User, PlexTvError>,
    },
    /// `SignInWith` was called.
    SignInWith {
        /// The call.
        call: CallId,
        /// A token that exists.
        token: Token,
        /// The identifier that it was issued to.
        client_id: String,
    },
    /// The answer to [`PlexTvRequest::AskOwner`].
    OwnerAnswered {
        /// Which token.
        number: u64,
        /// What plex.tv said.
        result: Result<User, PlexTvError>,
    },
    /// The answer to [`PlexTvRequest::AskLists`].
    ListsAnswered {
        /// The refresh that asked.
        refresh: u64,
        /// What plex.tv said.
        lists: Lists,
        /// Nothing could be reached, and the machine has no default route.
        no_route: bool,
    },
    /// The answer to [`Effect::Probe`].
    Probed {
        /// The server that was asked.
        id: String,
        /// The probe.
        number: u64,
        /// What it said.
        probed: Probed,
    },
    /// `ProbeServer` was called.
    ProbeServer {
        /// The call.
        call: CallId,
        /// The server.
        id: String,
    },
    /// The answer to [`Effect::ProbeAddresses`].
    AddressesProbed {
        /// The server that was asked.
        id: String,
        /// The look.
        number: u64,
        /// What came of each address, the better ones first.
        reports: Vec<AddressReport>,
    },
    /// The answer to [`PlexTvRequest::Revoke`].
    RevokeAnswered {
        /// The revocation.
        number: u64,
        /// What plex.tv said.
        result: Result<(), PlexTvError>,
    },
    /// The answer to [`StoreCommand::Save`].
    Stored(Result<Storage, StoreFault>),
    /// The answer to [`StoreCommand::NoteSignOut`]: the note is written, and this is the token that
    /// the store still has.
    SignOutNoted {
        /// The sign-out.
        number: u64,
        /// Nothing was changed where it failed.
        result: Result<Option<Record>, StoreFault>,
    },
    /// The answer to [`StoreCommand::Forget`].
    Forgotten(Result<(), StoreFault>),
    /// A sign-out was under way when the daemon ended: the token may still be there.
    ResumeSignOut,
    /// What the last sign-out came to, before this start.
    SignedOutBefore(Revocation),
    /// The answer to [`StoreCommand::Read`].
    StoreRead(StoredAccount),
    /// The account that is held was moved from one store to another.
    Moved(Storage),
    /// The account was to be moved to another store, and its disk did not take that.
    NotMoved,
    /// The person removed the account that is held from its store; the sentence says what to do.
    Removed(String),
    /// The store no longer has the account that is held, and nobody was seen to remove it; the
    /// sentence says so.
    Lost(String),
    /// The keyring said so once. It is to be asked again.
    Doubted,
    /// The keyring was unlocked or locked, came or went.
    KeyringChanged,
    /// The machine says how far its network leads.
    Network {
        /// How far.
        connectivity: Connectivity,
        /// It leads over another connection than before.
        moved: bool,
    },
    /// The machine has slept.
    Woke,
    /// `LoginStatus` was called while the first answer of the keyring was pending.
    AwaitStore(CallId),
    /// A login was waiting when the daemon ended.
    Resume(SavedLogin),
    /// Something about tokens for other programs.
    Grants(grants::Event),
    /// What was told of a server is on the screen.
    Shown {
        /// The server.
        id: String,
        /// The number of what was told.
        number: u64,
    },
    /// The settings were read again.
    Configured(Settings),
    /// The daemon is about to stop: calls of `SignOut` are answered with what is so by now.
    Stopping,
    /// The time that [`Domain::next_wakeup`](crate::domain::Domain::next_wakeup) named has come.
    Tick,
}

/// Something to be done, grouped by who does it.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Answer a call.
    Reply(CallId, Result<Answer, CallError>),
    /// Answer a call with success once all that the store was asked for before is on disk.
    ReplyOnceKept(CallId),
    /// Ask plex.tv.
    PlexTv(PlexTvRequest),
    /// Ask a server itself.
    Probe {
        /// Comes back with the answer.
        number: u64,
        /// Which server, and at which addresses.
        request: ProbeRequest,
        /// Which of its addresses are left out.
        scope: ProbeScope,
    },
    /// Ask a server at each of its addresses, for a person who waits.
    ProbeAddresses {
        /// Comes back with the answer.
        number: u64,
        /// Whom, and where.
        request: ProbeRequest,
    },
    /// Read or write the account at rest.
    Store(StoreCommand),
    /// Change what people see on their screen.
    Notify(NotifyCommand),
    /// Ask the desktop for something.
    System(SystemRequest),
    /// Raise the signal `LoginFinished`.
    LoginFinished(Outcome, String),
    /// The login is over, with what its page says from now on: put away what was there for it.
    LoginOver(CallbackOutcome),
    /// Something about tokens for other programs.
    Grants(grants::Effect),
}

/// A request to plex.tv.
#[derive(Debug, PartialEq)]
pub enum PlexTvRequest {
    /// For a PIN.
    AskPin {
        /// The login that asks.
        login: u64,
        /// Which PIN.
        kind: PinKind,
    },
    /// Whether a PIN is claimed.
    PollPin {
        /// The login that asks.
        login: u64,
        /// Which of its PINs.
        kind: PinKind,
        /// The PIN.
        id: PinId,
        /// Where it was made.
        host: PinHost,
    },
    /// Whose token this is.
    AskUser {
        /// Comes back with the answer.
        session: u64,
        /// The token to ask with.
        token: Token,
    },
    /// Whose a token is that somebody brings, under the identifier that it was issued
    /// to.
    AskOwner {
        /// Comes back with the answer.
        number: u64,
        /// The token.
        token: Token,
        /// The identifier.
        client_id: String,
    },
    /// For the server lists.
    AskLists {
        /// Comes back with the answer.
        refresh: u64,
        /// The token to ask with.
        token: Token,
    },
    /// To revoke a token.
    Revoke {
        /// Comes back with the answer.
        number: u64,
        /// The token.
        token: Token,
        /// The client identifier that it was issued to.
        client_id: String,
    },
}

/// A read or a write of the account at rest. They are done one after the other, in their order.
#[derive(Debug, PartialEq)]
pub enum StoreCommand {
    /// Keep this account, in place of any other.
    Save(Record),
    /// Note durably that the account is signed out, if its store is open. From then on a start
    /// goes on with the sign-out.
    NoteSignOut {
        /// Comes back with the answer.
        number: u64,
        /// No token is held here: the answer is to give out what the store has.
        wants_token: bool,
    },
    /// Take that note back: nothing was changed.
    CancelSignOut,
    /// Delete the account and what belongs to it, keep what is to be said of the sign-out, and
    /// remove the note.
    Forget(Option<Revocation>),
    /// Delete once more what could not be deleted, but do not ask a person who declined it.
    ForgetAgain,
    /// Keep since when plex.tv refuses the token, or that it no longer does.
    SaveRejected(Option<u64>),
    /// Keep the server list.
    Remember {
        /// The list.
        list: CachedServers,
        /// People were told something that must not be told again: sync it to the disk.
        durable: bool,
    },
    /// Read (again) what the store holds.
    Read,
    /// Move the account to the store where it is to be kept.
    Relocate,
    /// Keep the login that waits, or that none does.
    SaveLogin(Option<SavedLogin>),
    /// Keep what was decided about other programs.
    SaveGrants {
        /// All of it.
        book: grants::Book,
        /// Somebody relies on it: sync it to the disk.
        durable: bool,
    },
}

/// Something that the desktop does with the person. Nothing waits for the answer.
#[derive(Debug, PartialEq)]
pub enum SystemRequest {
    /// Open the page of a login that has begun in the browser.
    Browse(LoginOffer),
    /// Ask the person to unlock the keyring, once.
    UnlockKeyring,
    /// Ask the person to let us at our item in the open keyring, once.
    UnlockItem,
}

/// A change of what people see on their screen.
#[derive(Debug, PartialEq)]
pub enum NotifyCommand {
    /// Show a notification.
    Tell(Notification),
    /// Take back the code of the login: it is over.
    WithdrawLogin,
    /// Take back what was shown of the account: it is no longer true.
    WithdrawAccount,
    /// What was shown of a server is no longer so: show this instead, and disturb nobody.
    CorrectServer(ServerNews),
    /// Take back what was shown of one server, by id.
    WithdrawServer(String),
    /// Take back what was shown of servers: the account they belong to is gone.
    WithdrawServers,
}

/// What a call returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing but success.
    Done,
    /// `StartLogin`'s.
    Offer(LoginOffer),
    /// What a browser is told that came back to the login's page.
    CallbackOutcome(CallbackOutcome),
    /// What is answered about tokens for other programs.
    Grants(grants::Answer),
    /// `ProbeServer`'s.
    Addresses(Vec<AddressReport>),
}

/// How a login stands when a browser comes back from plex.tv.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackOutcome {
    /// The token has come.
    Done,
    /// It has not, so far.
    NotYet,
    /// The login ended without one.
    Over,
}

/// The settings that the domain goes by.
#[allow(clippy::struct_excessive_bools)] // each is a setting of its own
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Time between two polls of a PIN, in the first minute.
    pub poll_interval: Duration,
    /// Open the sign-in page when a login begins.
    pub open_browser: bool,
    /// Time between two refreshes.
    pub refresh_interval: Duration,
    /// How long an absence must hold.
    pub grace: Duration,
    /// Ask the servers themselves.
    pub probe: bool,
    /// How often a server on a directly connected network is asked; zero = never.
    pub local_interval: Duration,
    /// plex.tv is on this machine, whatever its network does.
    pub plex_tv_is_local: bool,
    /// Tell when plex.tv can't be reached for long.
    pub notify_plex_tv: bool,
    /// Tell when a login ends.
    pub notify_login: bool,
    /// Tell when a server goes offline.
    pub notify_offline: bool,
    /// Tell when it is back.
    pub notify_online: bool,
    /// Tell of shared servers too.
    pub notify_shared: bool,
    /// Servers that nobody wants to hear of, by id.
    pub silent_servers: Vec<String>,
    /// Tokens for other programs.
    pub tokens: grants::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_secs(2),
            open_browser: false,
            refresh_interval: Duration::from_secs(300),
            grace: Duration::from_secs(60),
            probe: true,
            local_interval: Duration::from_secs(60),
            plex_tv_is_local: false,
            notify_plex_tv: false,
            notify_login: true,
            notify_offline: true,
            notify_online: true,
            notify_shared: false,
            silent_servers: Vec::new(),
            tokens: grants::Settings::default(),
        }
    }
}

/// One event on its way through the domain: the time, the settings, and what is to be done.
#[derive(Debug)]
pub struct Context<'a> {
    /// When it happens.
    pub now: Now,
    /// What to go by.
    pub settings: &'a Settings,
    /// What is to be done, in this order.
    pub effects: &'a mut Vec<Effect>,
}

impl Context<'_> {
    /// Adds something to be done.
    pub fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Answers a call with success.
    pub fn done(&mut self, call: CallId) {
        self.push(Effect::Reply(call, Ok(Answer::Done)));
    }

    /// Answers a call with an error.
    pub fn fail(&mut self, call: CallId, name: ErrorName, message: impl Into<String>) {
        self.push(Effect::Reply(call, Err(CallError::Account(name, message.into()))));
    }
}
