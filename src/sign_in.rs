//! Whether we are signed in, and how that changes: the store's word at start, logins, sign-outs,
//! plex.tv's refusal. A state machine without clock or I/O; the login that lies over it is
//! [`Login`].
//!
//! The rules kept here:
//! * a token already held stays in use until the new one has come;
//! * the new one is stored before anybody hears of it, and used from memory if nothing stores it;
//! * an answer to a question that no longer stands (another login, another token) changes
//!   nothing, a token in it included.

use std::time::Duration;

use crate::{
    account::{Pin, PinKind, Record, User},
    call::CallError,
    clock::Boot,
    event::{Answer, CallId, Effect, Found, StoreFault, Turn},
    failure::Failure,
    login::{Login, Progress, word_of},
    notice::Notice,
    secret::Token,
    view::{AccountDetails, Details, ErrorName, LoginOffer, LoginState, Outcome, PlexTv, Storage},
};

/// So many logins that end without a token within this time, and no more are begun.
const FRUITLESS: (usize, Duration) = (6, Duration::from_secs(600));
/// How long a login waits for the store, and then for the account's name.
const STORE_PATIENCE: Duration = Duration::from_secs(3);
const NAME_PATIENCE: Duration = Duration::from_secs(3);
/// How long a sign-out waits for plex.tv.
const REVOKE_PATIENCE: Duration = Duration::from_secs(5);
/// A store that failed is tried again after this long, doubling up to the second.
const STORE_RETRY: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(600));
/// Where a person removes a device by hand.
const AUTHORIZED_DEVICES: &str = "https://app.plex.tv/desktop/#!/settings/devices/all";

/// The account's part of the domain.
#[derive(Debug)]
pub struct SignIn {
    client_id: String,
    held: Held,
    login: Option<Login>,
    arriving: Option<Arriving>,
    signing_out: Option<SigningOut>,
    /// Numbers logins and tokens, so that a late answer is known as such.
    counter: u64,
    /// The number of the newest token.
    session: u64,
    fruitless: Vec<Boot>,
    pins_wait_until: Option<Boot>,
    last_login: Option<(Outcome, String)>,
    store_fault: Option<StoreFault>,
    store_retry: Option<Retry>,
    /// Records handed to the store and not answered yet; it answers in order.
    storing: usize,
    /// The record held could not be stored while the store was to forget it.
    unsaved: bool,
    /// A record was stored after the sign-out that took it away; the store is to forget it again.
    residue: bool,
    revoked: Option<(bool, String)>,
    plex_tv: PlexTv,
    /// Whose servers the list holds, while that is known.
    list_owner: Option<u64>,
}

/// What is known of the token.
#[derive(Debug)]
enum Held {
    /// The store has not said.
    Unknown,
    /// The keyring holds it, and is locked.
    Locked,
    /// There is none.
    Nothing,
    /// There is this one.
    Token { record: Record, storage: Storage, rejected_since: Option<u64> },
}

/// A token that a login has brought, on its way to being held.
#[derive(Debug)]
struct Arriving {
    record: Record,
    offer: LoginOffer,
    /// Where it is stored, once it is; then its name is asked.
    stored: Option<Storage>,
    /// How long it waits for the store or the name; `None` before the store was asked.
    until: Option<Boot>,
    /// Answers of the store that are about earlier records.
    ahead: usize,
    /// Sign-outs that came meanwhile.
    sign_outs: Vec<CallId>,
}

#[derive(Debug)]
struct SigningOut {
    callers: Vec<CallId>,
    until: Boot,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The store is to forget.
    Forgetting,
    /// The store did not answer in time: if it forgets after all, it gets the token again.
    GivenUp,
    /// plex.tv is to forget.
    Revoking,
}

#[derive(Clone, Copy, Debug)]
struct Retry {
    at: Boot,
    delay: Duration,
}

/// What a change of the account means for the rest of the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
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
    /// Begins with what the store holds.
    pub fn new(client_id: String, found: Found, turn: &mut Turn<'_>) -> Self {
        let mut this = Self {
            client_id,
            held: Held::Unknown,
            login: None,
            arriving: None,
            signing_out: None,
            counter: 0,
            session: 0,
            fruitless: Vec::new(),
            pins_wait_until: None,
            last_login: None,
            store_fault: None,
            store_retry: None,
            storing: 0,
            unsaved: false,
            residue: false,
            revoked: None,
            plex_tv: PlexTv::Unknown,
            list_owner: None,
        };
        this.store_read(found, turn);
        this
    }

    /// The token, while one is held.
    #[must_use]
    pub fn token(&self) -> Option<&Token> {
        match &self.held {
            Held::Token { record, .. } => Some(&record.token),
            Held::Unknown | Held::Locked | Held::Nothing => None,
        }
    }

    /// Since when plex.tv refuses the token, in unix seconds.
    #[must_use]
    pub fn rejected_since(&self) -> Option<u64> {
        match self.held {
            Held::Token { rejected_since, .. } => rejected_since,
            Held::Unknown | Held::Locked | Held::Nothing => None,
        }
    }

    /// Why there is no token to refresh with; `None` if there is one.
    #[must_use]
    pub fn no_token(&self) -> Option<CallError> {
        match &self.held {
            Held::Token { .. } => None,
            Held::Nothing => Some(CallError::Account(
                ErrorName::NotSignedIn,
                "Nobody is signed in; start a login first.".into(),
            )),
            Held::Unknown | Held::Locked => {
                Some(self.store_silent("There is nothing to refresh with"))
            }
        }
    }

    /// What plex.tv was like is known from a refresh, too.
    pub fn set_plex_tv(&mut self, word: PlexTv) {
        self.plex_tv = word;
    }

    /// The store said what it holds.
    pub fn store_read(&mut self, found: Found, turn: &mut Turn<'_>) -> Change {
        if !matches!(self.held, Held::Unknown | Held::Locked) || self.arriving.is_some() {
            return Change::None; // a login has brought a token meanwhile
        }
        match found {
            Found::Nothing => {
                self.held = Held::Nothing;
                self.store_works();
                Change::SignedOut
            }
            Found::Account { record, storage, rejected_since } => {
                self.session = self.next_number();
                self.list_owner = record.user.as_ref().map(|user| user.id);
                self.held = Held::Token { record, storage, rejected_since };
                self.store_works();
                Change::SignedIn { other_account: false }
            }
            Found::Damaged(message) => {
                self.held = Held::Nothing;
                self.store_works();
                turn.push(Effect::Tell(Notice::AccountDamaged { message: message.clone() }));
                self.store_fault = Some(StoreFault::disk(message));
                Change::SignedOut
            }
            Found::Unreadable(fault) => {
                self.store_fails(fault, turn);
                Change::None
            }
            Found::InKeyring => {
                turn.push(Effect::ReadStore);
                Change::None
            }
            Found::Locked => {
                self.held = Held::Locked;
                self.store_works();
                Change::None
            }
        }
    }

    /// `StartLogin`
    pub fn start_login(&mut self, call: CallId, turn: &mut Turn<'_>) {
        if let Some(arriving) = &self.arriving {
            turn.push(Effect::Reply(call, Ok(Answer::Offer(arriving.offer.clone()))));
        } else if let Some(login) = &mut self.login {
            if let Some(offer) = login.join(call) {
                turn.push(Effect::Reply(call, Ok(Answer::Offer(offer))));
            }
        } else if let Some(error) = self.no_login_now(turn) {
            turn.push(Effect::Reply(call, Err(error)));
        } else {
            self.login = Some(Login::start(self.next_number(), call, turn));
        }
    }

    fn no_login_now(&mut self, turn: &Turn<'_>) -> Option<CallError> {
        if let Held::Token { storage: Storage::Credential, .. } = self.held {
            return Some(given_by_unit());
        }
        let (most, span) = FRUITLESS;
        self.fruitless.retain(|at| turn.now.boot.since(*at) < span);
        if let Some(until) = self.pins_wait_until
            && until > turn.now.boot
        {
            return Some(CallError::rate_limited(until.since(turn.now.boot)));
        }
        (self.fruitless.len() >= most).then(|| {
            let wait = (self.fruitless[0] + span).since(turn.now.boot);
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            CallError::Account(
                ErrorName::RateLimited,
                format!(
                    "{most} logins in {} minutes ended without a sign-in; try again in {seconds} s.",
                    span.as_secs() / 60
                ),
            )
        })
    }

    /// `CancelLogin`. A token that has come already is not thrown away: the login then ends at
    /// once, in success.
    pub fn cancel_login(&mut self, call: CallId, turn: &mut Turn<'_>) -> Change {
        self.end_login(Outcome::Cancelled, CANCELLED, turn);
        let change = match self.arriving {
            Some(Arriving { stored: Some(_), .. }) => self.arrive(None, turn),
            _ => Change::None,
        };
        turn.done(call);
        change
    }

    /// plex.tv granted a PIN, or did not.
    pub fn pin_answered(
        &mut self,
        number: u64,
        kind: PinKind,
        result: Result<Pin, Failure>,
        turn: &mut Turn<'_>,
    ) {
        self.advance(Some(number), turn, |login, turn| login.pin_answered(kind, result, turn));
    }

    /// plex.tv told of a PIN.
    pub fn pin_polled(
        &mut self,
        number: u64,
        kind: PinKind,
        result: Result<Option<Token>, Failure>,
        turn: &mut Turn<'_>,
    ) {
        let mut word = None;
        self.advance(Some(number), turn, |login, turn| {
            let (progress, heard) = login.pin_polled(kind, result, turn);
            word = heard;
            progress
        });
        self.plex_tv = word.unwrap_or(self.plex_tv);
    }

    /// Lets something happen to the login (to the one of this number only) and draws the
    /// consequences.
    fn advance(
        &mut self,
        number: Option<u64>,
        turn: &mut Turn<'_>,
        step: impl FnOnce(&mut Login, &mut Turn<'_>) -> Progress,
    ) {
        let Some(login) = &mut self.login else { return };
        if number.is_some_and(|number| number != login.number()) {
            return;
        }
        let was_asking = login.still_asking();
        let progress = step(login, turn);
        if was_asking && let Some(word) = login.word_at_start() {
            self.plex_tv = word;
            if let Some(wait) = login.asked_to_wait() {
                self.pins_wait_until = Some(turn.now.boot + wait);
            }
        }
        if progress == Progress::Open
            && !login.still_asking()
            && let Some(offer) = login.offer()
        {
            for call in login.take_callers() {
                turn.push(Effect::Reply(call, Ok(Answer::Offer(offer.clone()))));
            }
        }
        match progress {
            Progress::Open => {}
            Progress::NotStarted(error) => {
                for call in login.take_callers() {
                    turn.push(Effect::Reply(call, Err(error.clone())));
                }
                self.login = None;
            }
            Progress::Claimed(token) => self.claimed(token, turn),
            Progress::Ended(outcome, message) => {
                for call in login.take_callers() {
                    turn.fail(call, ErrorName::PlexTvRefused, TAKEN_BACK);
                }
                if turn.settings.notify_login {
                    turn.push(Effect::Tell(Notice::LoginFailed {
                        expired: outcome == Outcome::Expired,
                        message: String::new(),
                    }));
                }
                self.end_login(outcome, message, turn);
            }
        }
    }

    /// A PIN brought a token: store it, before anybody hears of it.
    fn claimed(&mut self, token: Token, turn: &mut Turn<'_>) {
        let Some(mut login) = self.login.take() else {
            return;
        };
        let offer = login.offer().unwrap_or_default();
        for call in login.take_callers() {
            turn.push(Effect::Reply(call, Ok(Answer::Offer(offer.clone()))));
        }
        let record = Record {
            token,
            client_id: self.client_id.clone(),
            user: None,
            signed_in_at: turn.now.unix,
        };
        self.arriving = Some(Arriving {
            record,
            offer,
            stored: None,
            until: None,
            ahead: 0,
            sign_outs: Vec::new(),
        });
        if !self.is_forgetting() {
            self.store_arriving(turn);
        }
    }

    /// Hands the new token to the store. Not while the store is forgetting the old one: the
    /// sign-out that asked for it ends this login as well, unless it fails.
    fn store_arriving(&mut self, turn: &mut Turn<'_>) {
        if let Some(arriving) = &mut self.arriving {
            arriving.until = Some(turn.now.boot + STORE_PATIENCE);
            arriving.ahead = self.storing;
            self.residue = false;
            self.storing += 1;
            turn.push(Effect::Store(arriving.record.clone()));
        }
    }

    /// Hands the record held to the store. Not while the store is to forget it, or a token that a
    /// sign-out took away would come back; and not while a new one is on its way there, or the
    /// old one would be written over it.
    fn store_held(&mut self, turn: &mut Turn<'_>) {
        if self.arriving.is_some() {
            return;
        }
        self.unsaved = self.is_forgetting();
        if let (Held::Token { record, .. }, false) = (&self.held, self.unsaved) {
            self.storing += 1;
            turn.push(Effect::Store(record.clone()));
        }
    }

    /// The store did not forget after all: what waited for that is stored now.
    fn store_what_waited(&mut self, turn: &mut Turn<'_>) {
        self.store_arriving(turn);
        if std::mem::take(&mut self.unsaved) {
            self.store_held(turn);
        }
    }

    fn is_forgetting(&self) -> bool {
        matches!(self.signing_out, Some(SigningOut { stage: Stage::Forgetting, .. }))
    }

    /// Ends a login without a token.
    fn end_login(&mut self, outcome: Outcome, message: &str, turn: &mut Turn<'_>) {
        let Some(mut login) = self.login.take() else {
            return;
        };
        for call in login.take_callers() {
            turn.fail(call, ErrorName::Cancelled, CANCELLED);
        }
        self.fruitless.push(turn.now.boot);
        if login.is_waiting() {
            self.last_login = Some((outcome, message.into()));
            turn.push(Effect::LoginFinished(outcome, message.into()));
        }
    }

    /// The store has taken a record, or has not.
    pub fn stored(&mut self, result: Result<Storage, StoreFault>, turn: &mut Turn<'_>) -> Change {
        let storage = match result {
            Ok(storage) => {
                self.store_works();
                Some(storage)
            }
            Err(fault) => {
                self.store_fails(fault, turn);
                None
            }
        };
        self.storing = self.storing.saturating_sub(1);
        let about_earlier = match &mut self.arriving {
            Some(Arriving { until: None, .. }) => true,
            Some(Arriving { ahead, .. }) if *ahead > 0 => {
                *ahead -= 1;
                true
            }
            _ => false,
        };
        if !about_earlier && matches!(self.arriving, Some(Arriving { stored: None, .. })) {
            return self.ask_name(storage.unwrap_or(Storage::Memory), turn);
        }
        match (&mut self.arriving, &mut self.held, storage) {
            // Later than we waited for.
            (Some(arriving), _, Some(storage)) if !about_earlier => arriving.stored = Some(storage),
            // A late answer, one more try, or the name added: what failed leaves the old copy.
            (_, Held::Token { storage: held, .. }, Some(storage)) => *held = storage,
            // The sign-out overtook a record that was waiting for a slow store.
            (None, Held::Nothing, Some(_)) => {
                self.residue = true;
                turn.push(Effect::Forget);
            }
            _ => {}
        }
        Change::None
    }

    /// The token is stored, or nothing would store it: ask whose it is.
    fn ask_name(&mut self, storage: Storage, turn: &mut Turn<'_>) -> Change {
        self.session = self.next_number();
        let Some(arriving) = &mut self.arriving else {
            return Change::None;
        };
        arriving.stored = Some(storage);
        arriving.until = Some(turn.now.boot + NAME_PATIENCE);
        let token = arriving.record.token.clone();
        turn.push(Effect::AskUser { session: self.session, token });
        if arriving.sign_outs.is_empty() { Change::None } else { self.arrive(None, turn) }
    }

    /// plex.tv told whose token it is, or did not.
    pub fn user_answered(
        &mut self,
        session: u64,
        result: Result<User, Failure>,
        turn: &mut Turn<'_>,
    ) -> Change {
        if session != self.session {
            return Change::None;
        }
        if matches!(self.arriving, Some(Arriving { stored: Some(_), .. })) {
            return self.arrive(result.ok(), turn);
        }
        let (Held::Token { record, .. }, Ok(user)) = (&mut self.held, result) else {
            return Change::None;
        };
        if record.user.as_ref() == Some(&user) {
            return Change::None;
        }
        record.user = Some(user);
        self.store_held(turn);
        if self.is_another_account() { Change::OtherAccount } else { Change::None }
    }

    /// Asks for the account's name once more, where it is not known yet.
    pub fn ask_missing_name(&self, turn: &mut Turn<'_>) {
        if let Held::Token { record: record @ Record { user: None, .. }, .. } = &self.held
            && self.arriving.is_none()
        {
            turn.push(Effect::AskUser { session: self.session, token: record.token.clone() });
        }
    }

    /// The login ends in success: the new token takes the place of any other.
    fn arrive(&mut self, user: Option<User>, turn: &mut Turn<'_>) -> Change {
        let Some(Arriving { mut record, stored, sign_outs, .. }) = self.arriving.take() else {
            return Change::None;
        };
        let storage = stored.unwrap_or(Storage::Memory);
        let kept = storage != Storage::Memory;
        record.user = user;
        let name_to_store = record.user.is_some() && kept;
        let name = record.user.as_ref().map(|user| user.username.clone()).unwrap_or_default();
        self.held = Held::Token { record, storage, rejected_since: None };
        if name_to_store {
            self.store_held(turn);
        }
        if let Some(earlier) = self.signing_out.take_if(|s| s.stage == Stage::Revoking) {
            // Its token is forgotten here, and this is about another one.
            turn.push(Effect::EndSignOut);
            earlier.callers.into_iter().for_each(|call| turn.done(call));
        }
        self.fruitless.clear();
        self.revoked = None;
        let message = if kept { "" } else { SIGNED_IN_UNTIL_RESTART };
        self.last_login = Some((Outcome::Succeeded, message.into()));
        turn.push(Effect::LoginFinished(Outcome::Succeeded, message.into()));
        turn.push(Effect::WithdrawAccountNotices);
        if turn.settings.notify_login {
            turn.push(Effect::Tell(Notice::LoginSucceeded { name, kept }));
        }
        let change = Change::SignedIn { other_account: self.is_another_account() };
        for call in sign_outs {
            self.sign_out(call, turn);
        }
        change
    }

    /// Whether the servers known so far belong to another account than the token's.
    fn is_another_account(&mut self) -> bool {
        let Held::Token { record: Record { user: Some(user), .. }, .. } = &self.held else {
            return false;
        };
        self.list_owner.replace(user.id).is_some_and(|owner| owner != user.id)
    }

    /// `SignOut`
    pub fn sign_out(&mut self, call: CallId, turn: &mut Turn<'_>) -> Change {
        if let Some(arriving) = &mut self.arriving {
            arriving.sign_outs.push(call);
            let named = arriving.stored.is_some();
            return if named { self.arrive(None, turn) } else { Change::None };
        }
        if let Some(SigningOut { callers, stage, .. }) = &mut self.signing_out
            && *stage != Stage::GivenUp
        {
            callers.push(call);
            if *stage == Stage::Revoking {
                self.end_login(Outcome::Cancelled, CANCELLED, turn);
            }
            return Change::None;
        }
        match self.held {
            Held::Unknown | Held::Locked => {
                let error = self.store_silent("Nothing was changed");
                turn.push(Effect::Reply(call, Err(error)));
            }
            Held::Token { storage: Storage::Credential, .. } => {
                turn.push(Effect::Reply(call, Err(given_by_unit())));
            }
            Held::Nothing => {
                self.end_login(Outcome::Cancelled, CANCELLED, turn);
                turn.done(call);
            }
            Held::Token { .. } => {
                turn.push(Effect::Forget);
                let until = turn.now.boot + STORE_PATIENCE;
                self.signing_out =
                    Some(SigningOut { callers: vec![call], until, stage: Stage::Forgetting });
            }
        }
        Change::None
    }

    /// The store has forgotten the account, or has not.
    pub fn forgotten(&mut self, result: Result<(), StoreFault>, turn: &mut Turn<'_>) -> Change {
        if self.residue && matches!(self.held, Held::Nothing) {
            match result {
                Ok(()) => {
                    self.residue = false;
                    self.store_works();
                    turn.push(Effect::EndSignOut);
                }
                Err(fault) => self.store_fails(fault, turn),
            }
            return Change::None;
        }
        let Some(signing_out) = &mut self.signing_out else {
            if result.is_ok() {
                self.store_held(turn); // forgotten after all, when that was told to have failed
            }
            return Change::None;
        };
        match (signing_out.stage, result) {
            (Stage::Forgetting, Ok(())) => {
                let Held::Token { record, rejected_since, .. } =
                    std::mem::replace(&mut self.held, Held::Nothing)
                else {
                    return Change::None;
                };
                self.list_owner = None;
                self.unsaved = false;
                self.counter += 1;
                self.session = self.counter;
                if rejected_since.is_none() {
                    signing_out.stage = Stage::Revoking;
                    signing_out.until = turn.now.boot + REVOKE_PATIENCE;
                    turn.push(Effect::Revoke(record.token));
                }
                self.drop_login(turn);
                self.store_works();
                turn.push(Effect::WithdrawAccountNotices);
                if rejected_since.is_some() {
                    self.signed_out(None, turn);
                }
                Change::SignedOut
            }
            (Stage::Forgetting, Err(fault)) => {
                for call in std::mem::take(&mut signing_out.callers) {
                    turn.fail(call, fault.error_name(), fault.message.clone());
                }
                self.signing_out = None;
                self.store_what_waited(turn);
                Change::None
            }
            (Stage::GivenUp, result) => {
                self.signing_out = None;
                if result.is_ok() {
                    self.store_held(turn);
                }
                Change::None
            }
            (Stage::Revoking, _) => Change::None,
        }
    }

    /// A sign-out ends whatever login there is, even one whose token has come.
    fn drop_login(&mut self, turn: &mut Turn<'_>) {
        self.end_login(Outcome::Cancelled, CANCELLED, turn);
        if let Some(arriving) = self.arriving.take() {
            self.last_login = Some((Outcome::Cancelled, CANCELLED.into()));
            turn.push(Effect::LoginFinished(Outcome::Cancelled, CANCELLED.into()));
            if let Some(signing_out) = &mut self.signing_out {
                signing_out.callers.extend(arriving.sign_outs);
            }
        }
    }

    /// plex.tv has revoked the token, or has not.
    pub fn revoke_answered(&mut self, result: Result<(), Failure>, turn: &mut Turn<'_>) {
        if matches!(self.signing_out, Some(SigningOut { stage: Stage::Revoking, .. })) {
            self.plex_tv = word_of(&result);
            self.signed_out(Some(result), turn);
        }
    }

    /// The sign-out is over.
    fn signed_out(&mut self, revocation: Option<Result<(), Failure>>, turn: &mut Turn<'_>) {
        self.revoked = revocation.map(|result| match result {
            Ok(()) => (true, "Signed out here and at plex.tv.".into()),
            Err(failure) if failure.says_bad_token() => {
                (true, "Signed out; plex.tv did not accept the token any more.".into())
            }
            Err(failure) => (
                false,
                format!(
                    "Signed out here, but plex.tv could not be told, since {failure}; \
                     remove the device at {AUTHORIZED_DEVICES}."
                ),
            ),
        });
        turn.push(Effect::EndSignOut);
        for call in self.signing_out.take().map(|s| s.callers).unwrap_or_default() {
            turn.done(call);
        }
    }

    /// plex.tv refuses the token, on evidence.
    pub fn reject(&mut self, turn: &mut Turn<'_>) {
        if let Held::Token { rejected_since: since @ None, .. } = &mut self.held {
            *since = Some(turn.now.unix);
            // The store may hold a newer token already, of which this would be kept.
            if self.arriving.is_none() {
                turn.push(Effect::KeepRejected(*since));
                turn.push(Effect::Tell(Notice::Rejected));
            }
        }
    }

    /// plex.tv takes the token (again).
    pub fn accept(&mut self, turn: &mut Turn<'_>) {
        if let Held::Token { rejected_since: since @ Some(_), .. } = &mut self.held {
            *since = None;
            turn.push(Effect::KeepRejected(None));
            turn.push(Effect::WithdrawAccountNotices);
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, turn: &mut Turn<'_>) -> Change {
        self.advance(None, turn, Login::tick);
        let now = turn.now.boot;
        if let Some(Retry { at, .. }) = self.store_retry
            && at <= now
        {
            self.retry_store(turn);
        }
        if let Some(signing_out) = &mut self.signing_out
            && signing_out.until <= now
        {
            match signing_out.stage {
                Stage::Forgetting => {
                    signing_out.stage = Stage::GivenUp;
                    for call in std::mem::take(&mut signing_out.callers) {
                        turn.fail(call, ErrorName::StorageFailed, STORE_SLOW);
                    }
                    self.store_what_waited(turn);
                }
                Stage::Revoking => {
                    let silence = Failure::Unreachable("no answer within 5 s".into());
                    self.signed_out(Some(Err(silence)), turn);
                }
                Stage::GivenUp => {}
            }
        }
        match &self.arriving {
            Some(Arriving { until: Some(until), stored, .. }) if *until <= now => match stored {
                None => {
                    self.store_fails(
                        StoreFault::disk("The state directory does not answer."),
                        turn,
                    );
                    self.storing = 0;
                    self.ask_name(Storage::Memory, turn)
                }
                Some(_) => self.arrive(None, turn),
            },
            _ => Change::None,
        }
    }

    /// The next moment at which [`tick`](Self::tick) has something to do.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Boot> {
        let login = self.login.as_ref().and_then(Login::next_wakeup);
        let arriving = self.arriving.as_ref().and_then(|arriving| arriving.until);
        let signing_out = self.signing_out.as_ref().filter(|s| s.stage != Stage::GivenUp);
        let retry = self.store_retry.map(|retry| retry.at);
        [login, arriving, signing_out.map(|s| s.until), retry].into_iter().flatten().min()
    }

    fn retry_store(&mut self, turn: &mut Turn<'_>) {
        let (_, longest) = STORE_RETRY;
        if let Some(retry) = &mut self.store_retry {
            retry.delay = (retry.delay * 2).min(longest);
            retry.at = turn.now.boot + retry.delay;
        }
        match &self.held {
            _ if self.arriving.is_some() => {} // it takes the place of what is held
            Held::Unknown | Held::Locked => turn.push(Effect::ReadStore),
            Held::Token { .. } if self.signing_out.is_none() => self.store_held(turn),
            Held::Token { .. } => {}
            Held::Nothing if self.residue => turn.push(Effect::Forget),
            Held::Nothing => self.store_retry = None,
        }
    }

    fn store_fails(&mut self, fault: StoreFault, turn: &Turn<'_>) {
        self.store_fault = Some(fault);
        let (first, _) = STORE_RETRY;
        self.store_retry.get_or_insert(Retry { at: turn.now.boot + first, delay: first });
    }

    fn store_works(&mut self) {
        self.store_fault = None;
        self.store_retry = None;
    }

    fn store_silent(&self, consequence: &str) -> CallError {
        if matches!(self.held, Held::Locked) {
            let message = format!("{consequence}: the keyring is locked; unlock it.");
            return CallError::Account(ErrorName::KeyringLocked, message);
        }
        let (name, why) = match &self.store_fault {
            Some(fault) => (fault.error_name(), fault.message.as_str()),
            None => (ErrorName::KeyringLocked, "the keyring has not answered yet"),
        };
        CallError::Account(name, format!("{consequence}: {why}"))
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
            Held::Unknown => LoginState::Unknown,
            Held::Locked => LoginState::Locked,
            Held::Nothing => LoginState::SignedOut,
            Held::Token { rejected_since: Some(_), .. } => LoginState::Rejected,
            Held::Token { .. } => LoginState::SignedIn,
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
            Held::Token { record, storage, .. } => {
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
            Held::Unknown | Held::Locked | Held::Nothing => None,
        };
        if self.state() == LoginState::Waiting {
            let arriving = self.arriving.as_ref().map(|arriving| arriving.offer.clone());
            let login = arriving.or_else(|| self.login.as_ref().and_then(Login::offer));
            return Details { login, account, ..Details::default() };
        }
        let login_fault = || match &self.last_login {
            Some((Outcome::Failed, message)) => Some((ErrorName::PlexTvRefused, message.clone())),
            _ => None,
        };
        let store_fault =
            self.store_fault.as_ref().map(|fault| (fault.error_name(), fault.message.clone()));
        Details {
            login: None,
            account,
            rejected_since: self.rejected_since(),
            last_login: self.last_login.as_ref().map(|(outcome, _)| *outcome),
            fault: store_fault.or_else(login_fault),
            revoked: self.revoked.clone(),
        }
    }
}

const CANCELLED: &str = "The login was cancelled; start a new one when you want to sign in.";
const TAKEN_BACK: &str = "plex.tv granted a code and took it back; start a new login.";
const SIGNED_IN_UNTIL_RESTART: &str = "Signed in to Plex, but nothing would store the token, so the sign-in will not outlive a restart.";
const STORE_SLOW: &str =
    "The state directory did not answer within 3 s; nothing was changed, try again.";

fn given_by_unit() -> CallError {
    CallError::Account(
        ErrorName::StorageFailed,
        "The token is given by the unit's credential plex-token; change it there.".into(),
    )
}
