//! Whether we are signed in, and how that changes: the store's word at start, logins, sign-outs,
//! plex.tv's refusal. A state machine without clock or I/O; the login that lies over it is
//! [`Login`].
//!
//! The rules kept here:
//! * a token already held stays in use until the new one has come;
//! * the new one is stored before anybody hears of it, and used from memory if nothing stores it;
//! * an answer to a question that no longer stands (another login, another token) changes
//!   nothing, a token in it included.

mod callback;
mod existing_token;
mod persistence;
mod revocation;
mod sign_in;
mod sign_out;

use std::collections::VecDeque;

use self::{
    callback::PendingCallback,
    existing_token::BroughtToken,
    persistence::{Retry, Store},
    revocation::Revoking,
    sign_in::{Arriving, NO_WORD_OF_STORE},
    sign_out::SigningOut,
};
use crate::{
    account::{Record, Revocation},
    clock::Boot,
    error::CallError,
    event::{Context, Effect, NotifyCommand, StoreCommand, StoreFault, StoredAccount},
    login::Login,
    notification::Notification,
    state_snapshot::{AccountDetails, Details},
    token::Token,
    words::{ErrorName, LoginState, Outcome, PlexTv, Storage},
};

/// The account's part of the domain.
#[derive(Debug)]
pub struct SignIn {
    client_id: String,
    held: HeldToken,
    login: Option<Login>,
    arriving: Option<Arriving>,
    /// A token that somebody brought.
    brought: Option<BroughtToken>,
    signing_out: Option<SigningOut>,
    /// Tokens that plex.tv is to revoke.
    revoking: Vec<Revoking>,
    /// The logins that ended last, with the client identifier that their PINs were asked for with:
    /// a poll under way may still bring a token.
    ended: VecDeque<(u64, String)>,
    /// Browsers that came back to the login's page.
    visits: Vec<PendingCallback>,
    /// Numbers logins and tokens, so that a late answer is known as such.
    counter: u64,
    /// The token is the unit's to give, even if what it gives is none.
    given: bool,
    /// The number of the newest token.
    session: u64,
    fruitless: Vec<Boot>,
    pins_wait_until: Option<Boot>,
    last_login: Option<(Outcome, String)>,
    store: Store,
    /// The token that came last, held or arriving.
    newest: u64,
    /// Whose records were handed to the store and not answered yet; it answers in order.
    storing: VecDeque<u64>,
    /// The record held could not be stored while the store was to forget it.
    unsaved: bool,
    /// A record was stored after the sign-out that took it away; the store is to forget it again.
    residue: bool,
    revoked: Option<Revocation>,
    /// Tokens that were held before this one, until it is stored and known whether they are of the
    /// same account.
    replaced: Vec<Record>,
    /// A sign-out could not go on before a login came.
    unrevoked: bool,
    /// What people are to know of the token held, though nothing is wrong with it; until the next
    /// login.
    notice: Option<String>,
    /// Why plex.tv refuses every list, since more than one refresh.
    refusal: Option<String>,
    plex_tv: PlexTv,
    /// Whose servers the list holds, while that is known.
    list_owner: Option<u64>,
}

/// What is known of the token.
#[derive(Debug)]
enum HeldToken {
    /// The keyring holds it, and has not been heard of so far.
    Pending,
    /// The store has not said.
    Unknown,
    /// The keyring holds it, and is locked.
    Locked,
    /// The keyring should hold it and does not, and nobody was seen to remove it.
    Missing,
    /// There is none.
    Nothing,
    /// There is this one.
    Token { record: Record, storage: Storage, rejected_since: Option<u64> },
}

/// What a change of the account means for the rest of the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// The keyring that holds the account is locked, or does not answer.
    KeyringSilent,
    /// The account is gone, and with it all that was known through it.
    SignedOut,
    /// A token came into use.
    SignedIn {
        /// The servers known so far are another account's.
        other_account: bool,
    },
    /// The token in use turned out to be another account's than the servers known so far.
    OtherAccount,
}

impl SignIn {
    /// Begins with what the store holds, and whose server list it kept (0 = not known).
    pub fn new(
        client_id: String,
        found: StoredAccount,
        list_of: u64,
        context: &mut Context<'_>,
    ) -> Self {
        let mut this = Self {
            client_id,
            held: HeldToken::Unknown,
            login: None,
            arriving: None,
            brought: None,
            signing_out: None,
            revoking: Vec::new(),
            ended: VecDeque::new(),
            visits: Vec::new(),
            counter: 0,
            given: false,
            session: 0,
            fruitless: Vec::new(),
            pins_wait_until: None,
            last_login: None,
            store: Store::default(),
            newest: 0,
            storing: VecDeque::new(),
            unsaved: false,
            residue: false,
            revoked: None,
            replaced: Vec::new(),
            unrevoked: false,
            notice: None,
            refusal: None,
            plex_tv: PlexTv::Unknown,
            list_owner: (list_of != 0).then_some(list_of),
        };
        this.store_read(found, context);
        this
    }

    /// The unit gives the token, whatever was found there.
    pub fn token_is_given(&mut self) {
        self.given = true;
    }

    fn is_given(&self) -> bool {
        self.given || matches!(self.held, HeldToken::Token { storage: Storage::Credential, .. })
    }

    /// The token, while one is held.
    #[must_use]
    pub fn token(&self) -> Option<&Token> {
        match &self.held {
            HeldToken::Token { record, .. } => Some(&record.token),
            _ => None,
        }
    }

    /// Since when plex.tv refuses the token, in unix seconds.
    #[must_use]
    pub fn rejected_since(&self) -> Option<u64> {
        match self.held {
            HeldToken::Token { rejected_since, .. } => rejected_since,
            _ => None,
        }
    }

    /// The number of the login under way.
    #[must_use]
    pub fn login(&self) -> Option<u64> {
        self.login.as_ref().map(Login::number)
    }

    /// The identifier of this installation towards plex.tv, which goes with the token.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Whose token is held, 0 = not known; `None` while none is.
    #[must_use]
    pub fn account_id(&self) -> Option<u64> {
        match &self.held {
            HeldToken::Token { record, .. } => Some(record.user.as_ref().map_or(0, |user| user.id)),
            HeldToken::Pending
            | HeldToken::Unknown
            | HeldToken::Missing
            | HeldToken::Locked
            | HeldToken::Nothing => None,
        }
    }

    /// There is no token, and that is known.
    #[must_use]
    pub fn is_signed_out(&self) -> bool {
        matches!(self.held, HeldToken::Nothing)
    }

    /// Why there is no token to do `what` with; `None` if there is one.
    #[must_use]
    pub fn no_token(&self, what: &str) -> Option<CallError> {
        match &self.held {
            HeldToken::Token { .. } => None,
            HeldToken::Nothing => Some(CallError::Account(
                ErrorName::NotSignedIn,
                "Nobody is signed in; start a login first.".into(),
            )),
            HeldToken::Pending | HeldToken::Unknown | HeldToken::Locked | HeldToken::Missing => {
                Some(self.store_silent(what))
            }
        }
    }

    /// What plex.tv was like is known from a refresh, too.
    pub fn set_plex_tv(&mut self, word: PlexTv) {
        self.plex_tv = word;
    }

    /// plex.tv refuses every list and has for more than one refresh, or does not.
    pub fn set_refusal(&mut self, refusal: Option<String>) {
        self.refusal = refusal;
    }

    /// plex.tv refuses the token, on evidence.
    pub fn reject(&mut self, context: &mut Context<'_>) {
        if let HeldToken::Token { rejected_since: since @ None, .. } = &mut self.held {
            *since = Some(context.now.unix);
            // The store may hold a newer token already, of which this would be kept.
            if self.arriving.is_none() {
                context.push(Effect::Store(StoreCommand::SaveRejected(*since)));
                context.push(Effect::Notify(NotifyCommand::Tell(Notification::Rejected)));
            }
        }
    }

    /// plex.tv takes the token (again).
    pub fn accept(&mut self, context: &mut Context<'_>) {
        if let HeldToken::Token { rejected_since: since @ Some(_), .. } = &mut self.held {
            *since = None;
            context.push(Effect::Store(StoreCommand::SaveRejected(None)));
            context.push(Effect::Notify(NotifyCommand::WithdrawAccount));
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, context: &mut Context<'_>) -> Change {
        self.advance(None, context, Login::tick);
        self.tick_visits(context);
        let now = context.now.boot;
        if let Some(Retry { at, .. }) = self.store.retry
            && at <= now
        {
            self.retry_store(context);
        }
        if self.store.move_at.take_if(|at| *at <= now).is_some() {
            context.push(Effect::Store(StoreCommand::Relocate));
        }
        self.tick_sign_out(context);
        self.tick_revoking(context);
        match &self.arriving {
            Some(arriving) if arriving.is_asking_whose() => {
                if arriving.until.is_some_and(|until| until <= now) {
                    self.whose_arrives(None, context);
                }
                Change::None
            }
            Some(Arriving { until: Some(until), stored, .. }) if *until <= now => match stored {
                None => {
                    self.store_fails(StoreFault::disk(NO_WORD_OF_STORE), context);
                    self.ask_name(Storage::Memory, context)
                }
                Some(_) => self.arrive(None, context),
            },
            _ => Change::None,
        }
    }

    /// The next moment at which [`tick`](Self::tick) has something to do.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Boot> {
        let login = self.login.as_ref().and_then(Login::next_wakeup);
        let arriving = self.arriving.as_ref().and_then(|arriving| arriving.until);
        let revoking = self.revoking.iter().map(|revoking| revoking.until).min();
        let retry = self.store.retry.map(|retry| retry.at);
        let visit = self.visits.iter().map(|visit| visit.until).min();
        let others = [retry, self.store.move_at, visit];
        let until = [login, arriving, self.sign_out_wakeup(), revoking];
        until.into_iter().chain(others).flatten().min()
    }

    fn next_number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// The state word.
    #[must_use]
    pub fn state(&self) -> LoginState {
        if self.arriving.is_some() || self.login.as_ref().is_some_and(Login::is_waiting) {
            return LoginState::Waiting;
        }
        match self.held {
            HeldToken::Pending | HeldToken::Unknown | HeldToken::Missing => LoginState::Unknown,
            HeldToken::Locked => LoginState::Locked,
            HeldToken::Nothing => LoginState::SignedOut,
            HeldToken::Token { rejected_since: Some(_), .. } => LoginState::Rejected,
            HeldToken::Token { .. } => LoginState::SignedIn,
        }
    }

    /// What plex.tv was like at the latest attempt.
    #[must_use]
    pub fn plex_tv(&self) -> PlexTv {
        self.plex_tv
    }

    /// The dictionary of `LoginStatus`.
    #[must_use]
    pub fn details(&self) -> Details {
        let account = match &self.held {
            HeldToken::Token { record, storage, .. } => {
                let user = record.user.clone().unwrap_or_default();
                Some(AccountDetails {
                    username: user.username,
                    email: user.email,
                    title: user.title,
                    thumb: user.thumb,
                    account_id: user.id,
                    signed_in_at: record.signed_in_at,
                    storage: *storage,
                })
            }
            _ => None,
        };
        if self.state() == LoginState::Waiting {
            let arriving = self.arriving.as_ref().map(|arriving| arriving.offer.clone());
            let login = arriving.or_else(|| self.login.as_ref().and_then(Login::offer));
            let opened = self.login.as_ref().is_some_and(Login::is_opened);
            return Details { login, opened, account, ..Details::default() };
        }
        let login_fault = || match &self.last_login {
            Some((Outcome::Failed, message)) => Some((ErrorName::PlexTvRefused, message.clone())),
            _ => None,
        };
        let refusal = || Some((ErrorName::PlexTvRefused, self.refusal.clone()?));
        let store_fault =
            self.store.fault.as_ref().map(|fault| (fault.error_name(), fault.message.clone()));
        Details {
            login: None,
            opened: false,
            account,
            rejected_since: self.rejected_since(),
            last_login: self.last_login.as_ref().map(|(outcome, _)| *outcome),
            fault: store_fault.or_else(refusal).or_else(login_fault),
            revoked: self.revoked.clone().map(|r| (r.revoked, r.message)),
            notice: self.notice.clone(),
        }
    }
}
