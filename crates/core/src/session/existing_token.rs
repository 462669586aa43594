//! `SignInWith`: a token that exists already takes the way of one that a login has brought.

use super::{
    SignIn,
    sign_in::{Arriving, CANCELLED},
};
use crate::{
    account::{Record, SignInId, User},
    error::CallError,
    event::{CallId, Context, Effect, PlexTvRequest},
    plextv_error::PlexTvError,
    state_snapshot::LoginOffer,
    token::Token,
    words::{ErrorName, Outcome},
};

/// A token of which plex.tv is to say whose it is.
#[derive(Debug)]
pub(super) struct BroughtToken {
    number: u64,
    call: CallId,
    token: Token,
    client_id: String,
}

impl SignIn {
    /// `SignInWith`
    pub fn sign_in_with(
        &mut self,
        call: CallId,
        token: Token,
        client_id: String,
        context: &mut Context<'_>,
    ) {
        if self.is_given() {
            return context.push(Effect::Reply(call, Err(self.given_by_unit())));
        }
        if self.arriving.is_some() || self.brought.is_some() {
            let message = "Another sign-in is just being finished; call again in a moment.";
            return context.fail(call, ErrorName::Cancelled, message);
        }
        let number = self.next_number();
        let brought = BroughtToken { number, call, token, client_id };
        let (token, client_id) = (brought.token.clone(), brought.client_id.clone());
        self.brought = Some(brought);
        context.push(Effect::PlexTv(PlexTvRequest::AskOwner { number, token, client_id }));
    }

    /// plex.tv said whose the token is, or did not.
    pub fn owner_answered(
        &mut self,
        number: u64,
        result: Result<User, PlexTvError>,
        context: &mut Context<'_>,
    ) {
        let Some(brought) = self.brought.take_if(|brought| brought.number == number) else {
            return;
        };
        let BroughtToken { call, token, client_id, .. } = brought;
        let user = match result {
            Ok(user) => user,
            Err(error) => return context.push(Effect::Reply(call, Err(refused(&error)))),
        };
        if self.arriving.is_some() {
            let message = "Another sign-in came first.";
            return context.fail(call, ErrorName::Cancelled, message);
        }
        self.end_login(Outcome::Cancelled, CANCELLED, context);
        let signed_in_at = context.now.unix;
        let sign_in = SignInId(context.now.random);
        let record = Record { token, client_id, user: Some(user), signed_in_at, sign_in };
        self.newest = self.next_number();
        self.arriving = Some(Arriving {
            record,
            offer: LoginOffer::default(),
            asking_whose: None,
            stored: None,
            until: None,
            sign_outs: Vec::new(),
            caller: Some(call),
        });
        if !self.is_forgetting() {
            self.store_arriving(context);
        }
    }

    /// A sign-out wants no token.
    pub(super) fn drop_brought(&mut self, context: &mut Context<'_>) {
        if let Some(brought) = self.brought.take() {
            let message = "The account was signed out meanwhile; call again.";
            context.fail(brought.call, ErrorName::Cancelled, message);
        }
    }
}

fn refused(error: &PlexTvError) -> CallError {
    let (name, message) = match error {
        PlexTvError::RateLimited { retry_after: Some(wait) } => {
            return CallError::rate_limited(*wait);
        }
        _ if error.says_bad_token() => (
            ErrorName::TokenRejected,
            "plex.tv does not accept this token; look whether it belongs to this client identifier."
                .to_owned(),
        ),
        PlexTvError::RateLimited { retry_after: None } => {
            (ErrorName::RateLimited, "plex.tv asks for fewer requests; try again later.".to_owned())
        }
        PlexTvError::Refused { .. } | PlexTvError::PinGone => {
            (ErrorName::PlexTvRefused, format!("The token was not taken, since {error}."))
        }
        PlexTvError::ServerError { .. }
        | PlexTvError::Unreachable(_)
        | PlexTvError::NotPlexTv(_) => (
            ErrorName::PlexTvUnreachable,
            format!("The token was not taken, since {error}; try again."),
        ),
    };
    CallError::Account(name, message)
}
