//! How a token comes: the login up to its PIN, then the store, then the name.

use std::time::Duration;

use super::{
    Change, HeldToken, SignIn,
    revocation::{Of, earlier_not_revoked, whose_is_not_known},
};
use crate::{
    account::{Pin, PinKind, Record, SavedLogin, SignInId, User},
    clock::Boot,
    error::CallError,
    event::{
        Answer, CallId, CallbackOutcome, Context, Effect, NotifyCommand, PlexTvRequest,
        StoreCommand, StoreFault, SystemRequest,
    },
    login::{EXPIRED, Login, Progress},
    notification::Notification,
    plextv_error::PlexTvError,
    state_snapshot::LoginOffer,
    token::Token,
    words::{ErrorName, Outcome, Storage},
};

/// So many logins that end without a token within this time, and no more are begun.
const FRUITLESS: (usize, Duration) = (6, Duration::from_secs(600));
/// How long a login waits for the store, and then for the account's name.
pub(super) const STORE_TIMEOUT: Duration = Duration::from_secs(3);
pub(super) const NO_WORD_OF_STORE: &str = "The token's store has not answered within 3 s and is \
                                           asked again: look whether the keyring is waiting for you";
pub(super) const NAME_TIMEOUT: Duration = Duration::from_secs(3);

pub(super) const CANCELLED: &str =
    "The login was cancelled; start a new one when you want to sign in.";
const TAKEN_BACK: &str = "plex.tv granted a code and took it back; start a new login.";

/// So many logins that are over are remembered.
const ENDED: usize = 4;

/// A token that a login has brought, on its way to being held.
#[derive(Debug)]
pub(super) struct Arriving {
    pub(super) record: Record,
    pub(super) offer: LoginOffer,
    /// While another token is held, plex.tv is asked first whose this is; the session that asks.
    pub(super) asking_whose: Option<u64>,
    /// Where it is stored, once it is; then its name is asked.
    pub(super) stored: Option<Storage>,
    /// How long it waits for the store or the name; `None` before the store was asked.
    pub(super) until: Option<Boot>,
    /// Sign-outs that came meanwhile.
    pub(super) sign_outs: Vec<CallId>,
    /// `SignInWith`, if that brought it.
    pub(super) caller: Option<CallId>,
}

impl Arriving {
    pub(super) fn is_asking_whose(&self) -> bool {
        self.asking_whose.is_some()
    }
}

impl SignIn {
    /// `StartLogin`
    pub fn start_login(&mut self, call: CallId, context: &mut Context<'_>) {
        if let Some(arriving) = &self.arriving {
            context.push(Effect::Reply(call, Ok(Answer::Offer(arriving.offer.clone()))));
        } else if let Some(login) = &mut self.login {
            if let Some(offer) = login.join(call) {
                context.push(Effect::Reply(call, Ok(Answer::Offer(offer))));
            }
        } else if let Some(error) = self.no_login_now(context) {
            context.push(Effect::Reply(call, Err(error)));
        } else {
            self.login = Some(Login::start(self.next_number(), call, context));
        }
    }

    /// A login was waiting when the daemon ended: it goes on, or has expired meanwhile.
    pub fn resume(&mut self, kept: SavedLogin, context: &mut Context<'_>) {
        let ours = kept.client_id == self.client_id
            && !matches!(self.held, HeldToken::Token { storage: Storage::Credential, .. });
        let arrived = ours && self.has_brought(kept.sign_in);
        let number = self.next_number();
        self.login = Login::resume(number, kept, context.now).filter(|_| ours);
        if arrived {
            self.had_arrived(context);
        } else if self.login.is_none() {
            self.last_login = Some((Outcome::Expired, EXPIRED.into()));
            self.login_over(CallbackOutcome::Over, context);
        } else if context.settings.open_browser
            && let Some(offer) = self.login.as_ref().and_then(Login::offer)
        {
            // The browser has its page from before; the notice went with the daemon.
            show_code(offer, context);
        }
    }

    /// Whether the token held is of this sign-in.
    pub(super) fn has_brought(&self, sign_in: SignInId) -> bool {
        matches!(&self.held, HeldToken::Token { record, .. } if record.sign_in == sign_in)
            && sign_in != SignInId::default()
    }

    /// The login had brought its token before the restart, which came before its end. plex.tv may
    /// not know its PINs any more.
    pub(super) fn had_arrived(&mut self, context: &mut Context<'_>) {
        for call in self.login.take().map(|mut login| login.take_callers()).unwrap_or_default() {
            context.fail(call, ErrorName::Cancelled, CANCELLED);
        }
        self.last_login = Some((Outcome::Succeeded, String::new()));
        self.login_over(CallbackOutcome::Done, context);
    }

    fn no_login_now(&mut self, context: &Context<'_>) -> Option<CallError> {
        if self.is_given() {
            return Some(self.given_by_unit());
        }
        let (most, span) = FRUITLESS;
        self.fruitless.retain(|at| context.now.boot.since(*at) < span);
        if let Some(until) = self.pins_wait_until
            && until > context.now.boot
        {
            return Some(CallError::rate_limited(until.since(context.now.boot)));
        }
        (self.fruitless.len() >= most).then(|| {
            let wait = (self.fruitless[0] + span).since(context.now.boot);
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
    pub fn cancel_login(&mut self, call: CallId, context: &mut Context<'_>) -> Change {
        self.end_login(Outcome::Cancelled, CANCELLED, context);
        let change = match self.arriving {
            Some(Arriving { stored: Some(_), .. }) => self.arrive(None, context),
            _ => Change::None,
        };
        context.done(call);
        change
    }

    /// plex.tv granted a PIN, or did not.
    pub fn pin_answered(
        &mut self,
        number: u64,
        kind: PinKind,
        result: Result<Pin, PlexTvError>,
        context: &mut Context<'_>,
    ) {
        self.advance(Some(number), context, |login, context| {
            login.pin_answered(kind, result, context)
        });
    }

    /// plex.tv told of a PIN.
    pub fn pin_polled(
        &mut self,
        number: u64,
        kind: PinKind,
        result: Result<Option<Token>, PlexTvError>,
        context: &mut Context<'_>,
    ) {
        if self.login() != Some(number)
            && let Ok(Some(token)) = result
        {
            return self.late_token(number, token, context);
        }
        let mut word = None;
        self.advance(Some(number), context, |login, context| {
            let (progress, heard) = login.pin_polled(kind, result, context);
            word = heard;
            progress
        });
        self.plex_tv = word.unwrap_or(self.plex_tv);
    }

    /// A login that is over brings a token after all; it may be one that came before, asked for
    /// twice.
    fn late_token(&mut self, number: u64, token: Token, context: &mut Context<'_>) {
        let arriving = self.arriving.as_ref().map(|arriving| &arriving.record.token);
        if arriving == Some(&token) || self.token() == Some(&token) {
            return;
        }
        let ended = self.ended.iter().find(|(ended, _)| *ended == number);
        let client_id = ended.map_or(&self.client_id, |(_, client_id)| client_id).clone();
        self.token_came_late(token, client_id, context);
    }

    fn note_ended(&mut self, number: u64) {
        self.ended.push_back((number, self.client_id.clone()));
        if self.ended.len() > ENDED {
            self.ended.pop_front();
        }
    }

    /// Lets something happen to the login (to the one of this number only) and draws the
    /// consequences.
    pub(super) fn advance(
        &mut self,
        number: Option<u64>,
        context: &mut Context<'_>,
        step: impl FnOnce(&mut Login, &mut Context<'_>) -> Progress,
    ) {
        let Some(login) = &mut self.login else { return };
        if number.is_some_and(|number| number != login.number()) {
            return;
        }
        let was_asking = login.still_asking();
        let pins_before = login.pins();
        let progress = step(login, context);
        if was_asking && let Some(word) = login.word_at_start() {
            self.plex_tv = word;
            if let Some(wait) = login.asked_to_wait() {
                self.pins_wait_until = Some(context.now.boot + wait);
            }
        }
        if progress == Progress::Open
            && !login.still_asking()
            && let Some(offer) = login.offer()
        {
            if was_asking || pins_before != login.pins() {
                context.push(Effect::Store(StoreCommand::SaveLogin(Some(
                    login.kept(&self.client_id),
                ))));
            }
            for call in login.take_callers() {
                context.push(Effect::Reply(call, Ok(Answer::Offer(offer.clone()))));
            }
            if was_asking && context.settings.open_browser {
                login.set_opened();
                show_code(offer.clone(), context);
                context.push(Effect::System(SystemRequest::Browse(offer)));
            }
        }
        match progress {
            Progress::Open => {}
            Progress::NotStarted(error) => {
                for call in login.take_callers() {
                    context.push(Effect::Reply(call, Err(error.clone())));
                }
                self.login = None;
                self.adopt_client_id();
                self.login_over(CallbackOutcome::Over, context);
            }
            Progress::Claimed(token) => self.claimed(token, context),
            Progress::Ended(outcome, message) => {
                for call in login.take_callers() {
                    context.fail(call, ErrorName::PlexTvRefused, TAKEN_BACK);
                }
                if context.settings.notify_login {
                    context.push(Effect::Notify(NotifyCommand::Tell(Notification::LoginFailed {
                        expired: outcome == Outcome::Expired,
                        message: String::new(),
                    })));
                }
                self.end_login(outcome, message, context);
            }
        }
    }

    /// A PIN brought a token: store it, before anybody hears of it.
    fn claimed(&mut self, token: Token, context: &mut Context<'_>) {
        let Some(mut login) = self.login.take() else {
            return;
        };
        self.note_ended(login.number());
        let offer = login.offer().unwrap_or_default();
        for call in login.take_callers() {
            context.push(Effect::Reply(call, Ok(Answer::Offer(offer.clone()))));
        }
        let record = Record {
            token,
            client_id: self.client_id.clone(),
            user: None,
            signed_in_at: context.now.unix,
            sign_in: login.sign_in(),
        };
        self.newest = self.next_number();
        self.notice = None; // what is said from here on is of this token
        let mut arriving = Arriving {
            record,
            offer,
            asking_whose: None,
            stored: None,
            until: None,
            sign_outs: Vec::new(),
            caller: None,
        };
        if self.token().is_some() {
            // The token held is revoked if it is of another account.
            let session = self.next_number();
            arriving.asking_whose = Some(session);
            arriving.until = Some(context.now.boot + NAME_TIMEOUT);
            context.push(Effect::PlexTv(PlexTvRequest::AskUser {
                session,
                token: arriving.record.token.clone(),
            }));
        }
        self.arriving = Some(arriving);
        if !self.is_forgetting() {
            self.store_arriving(context);
        }
    }

    /// plex.tv said whose the new token is, or did not in time.
    pub(super) fn whose_arrives(&mut self, user: Option<User>, context: &mut Context<'_>) {
        let Some(arriving) = &mut self.arriving else { return };
        arriving.asking_whose = None;
        arriving.until = None;
        arriving.record.user = user;
        if !self.is_forgetting() {
            self.store_arriving(context);
        }
    }

    /// Hands the new token to the store. Not while the store is forgetting the old one: the
    /// sign-out that asked for it ends this login as well, unless it fails.
    pub(super) fn store_arriving(&mut self, context: &mut Context<'_>) {
        if let Some(arriving) = &mut self.arriving
            && !arriving.is_asking_whose()
        {
            arriving.until = Some(context.now.boot + STORE_TIMEOUT);
            let record = arriving.record.clone();
            self.residue = false;
            self.store.removed = false;
            // What is left of an earlier sign-out goes with what the new record replaces.
            self.give_up_resuming();
            self.hand_over(record, context);
        }
    }

    /// Ends a login without a token.
    pub(super) fn end_login(&mut self, outcome: Outcome, message: &str, context: &mut Context<'_>) {
        let Some(mut login) = self.login.take() else {
            return;
        };
        self.note_ended(login.number());
        for call in login.take_callers() {
            context.fail(call, ErrorName::Cancelled, CANCELLED);
        }
        self.fruitless.push(context.now.boot);
        if login.is_waiting() {
            self.last_login = Some((outcome, message.into()));
            context.push(Effect::LoginFinished(outcome, message.into()));
        }
        self.adopt_client_id();
        self.login_over(CallbackOutcome::Over, context);
    }

    /// The token held may have been found while the login's PINs were out, which are bound to the
    /// identifier that they were asked for with.
    fn adopt_client_id(&mut self) {
        if let HeldToken::Token { record, .. } = &self.held {
            self.client_id.clone_from(&record.client_id);
        }
    }

    /// The token is stored, or nothing would store it: ask whose it is.
    pub(super) fn ask_name(&mut self, storage: Storage, context: &mut Context<'_>) -> Change {
        self.session = self.next_number();
        let Some(arriving) = &mut self.arriving else {
            return Change::None;
        };
        arriving.stored = Some(storage);
        if arriving.record.user.is_some() {
            return self.arrive(None, context);
        }
        arriving.until = Some(context.now.boot + NAME_TIMEOUT);
        if arriving.record.user.is_some() {
            return self.arrive(None, context);
        }
        let token = arriving.record.token.clone();
        context.push(Effect::PlexTv(PlexTvRequest::AskUser { session: self.session, token }));
        if arriving.sign_outs.is_empty() { Change::None } else { self.arrive(None, context) }
    }

    /// plex.tv told whose token it is, or did not.
    pub fn user_answered(
        &mut self,
        session: u64,
        result: Result<User, PlexTvError>,
        context: &mut Context<'_>,
    ) -> Change {
        if self.arriving.as_ref().is_some_and(|a| a.asking_whose == Some(session)) {
            self.whose_arrives(result.ok(), context);
            return Change::None;
        }
        if self.revoking_user_answered(session, &result, context) || session != self.session {
            return Change::None;
        }
        if matches!(self.arriving, Some(Arriving { stored: Some(_), .. })) {
            return self.arrive(result.ok(), context);
        }
        let (HeldToken::Token { record, .. }, Ok(user)) = (&mut self.held, result) else {
            return Change::None;
        };
        if record.user.as_ref() == Some(&user) {
            return Change::None;
        }
        record.user = Some(user);
        self.store_held(context);
        self.judge_replaced(context);
        if self.is_another_account() { Change::OtherAccount } else { Change::None }
    }

    /// Asks for the account's name once more, where it is not known yet.
    pub fn ask_missing_name(&self, context: &mut Context<'_>) {
        if let HeldToken::Token { record: record @ Record { user: None, .. }, .. } = &self.held
            && self.arriving.is_none()
        {
            context.push(Effect::PlexTv(PlexTvRequest::AskUser {
                session: self.session,
                token: record.token.clone(),
            }));
        }
    }

    /// The login ends in success: the new token takes the place of any other.
    pub(super) fn arrive(&mut self, user: Option<User>, context: &mut Context<'_>) -> Change {
        let Some(Arriving { mut record, stored, sign_outs, caller, .. }) = self.arriving.take()
        else {
            return Change::None;
        };
        let storage = stored.unwrap_or(Storage::Memory);
        let kept = storage != Storage::Memory;
        let name_to_store = user.is_some() && kept;
        record.user = user.or(record.user);
        let name = record.user.as_ref().map(|user| user.username.clone()).unwrap_or_default();
        let held = HeldToken::Token { record, storage, rejected_since: None };
        let before = std::mem::replace(&mut self.held, held);
        let unseen = !matches!(before, HeldToken::Token { .. } | HeldToken::Nothing);
        if let HeldToken::Token { record, .. } = before {
            self.replaced.push(record);
        }
        self.adopt_client_id();
        if name_to_store {
            self.store_held(context);
        }
        self.fruitless.clear();
        self.revoked = None;
        if std::mem::take(&mut self.unrevoked) {
            self.notice = Some(earlier_not_revoked());
        }
        if unseen && self.notice.is_none() {
            self.notice = Some(whose_is_not_known());
        }
        self.refusal = None;
        self.judge_replaced(context);
        let why = |fault: &StoreFault| fault.message.clone();
        let unsaved = (!kept).then(|| self.store.fault.as_ref().map(why).unwrap_or_default());
        let message = unsaved.as_ref().map(|why| {
            format!(
                "Signed in to Plex, but nothing would store the token, so the sign-in will not \
                 outlive a restart: {why}"
            )
        });
        let message = message.unwrap_or_default();
        match caller {
            Some(call) if kept => context.done(call),
            Some(call) => context.fail(call, ErrorName::StorageFailed, message.clone()),
            None => {}
        }
        self.last_login = Some((Outcome::Succeeded, message.clone()));
        context.push(Effect::LoginFinished(Outcome::Succeeded, message));
        self.login_over(CallbackOutcome::Done, context);
        context.push(Effect::Notify(NotifyCommand::WithdrawAccount));
        if context.settings.notify_login {
            context.push(Effect::Notify(NotifyCommand::Tell(Notification::LoginSucceeded {
                name,
                unsaved,
            })));
        }
        let change = Change::SignedIn { other_account: self.is_another_account() };
        for call in sign_outs {
            self.sign_out(call, context);
        }
        change
    }

    /// The new token is stored in the place of others: those of another account are revoked.
    pub(super) fn judge_replaced(&mut self, context: &mut Context<'_>) {
        let HeldToken::Token { record, storage, .. } = &self.held else { return };
        if *storage == Storage::Memory || self.replaced.is_empty() {
            return;
        }
        let id = |record: &Record| record.user.as_ref().map(|user| user.id);
        let Some(now) = id(record) else {
            self.notice = Some(whose_is_not_known());
            return;
        };
        self.notice.take_if(|notice| *notice == whose_is_not_known());
        for old in std::mem::take(&mut self.replaced) {
            match id(&old) {
                Some(before) if before != now => self.revoke(&old, Of::Replaced, context),
                Some(_) => {}
                None => self.notice = Some(whose_is_not_known()),
            }
        }
    }

    /// Whether the servers known so far belong to another account than the token's.
    pub(super) fn is_another_account(&mut self) -> bool {
        let HeldToken::Token { record: Record { user: Some(user), .. }, .. } = &self.held else {
            return false;
        };
        self.list_owner.replace(user.id).is_some_and(|owner| owner != user.id)
    }

    /// Why there is nothing to sign in to or out of.
    pub(super) fn given_by_unit(&self) -> CallError {
        let message = match &self.store.fault {
            Some(fault) => fault.message.clone(),
            None => {
                "The token is given by the unit's credential plex-token; change it there.".into()
            }
        };
        CallError::Account(ErrorName::StorageFailed, message)
    }
}

/// Shows the code of a login that was not begun in a terminal.
fn show_code(offer: LoginOffer, context: &mut Context<'_>) {
    if context.settings.notify_login && !offer.code.is_empty() {
        context.push(Effect::Notify(NotifyCommand::Tell(Notification::LoginWaiting(offer))));
    }
}
