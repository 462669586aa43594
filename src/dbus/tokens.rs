//! `org.plexaccountd.Tokens1` and `org.plexaccountd.Grants1`: tokens for other programs, and the
//! person's verdicts about them.
//!
//! Each has a connection of its own: a sandbox's proxy joins the policies of all names that one
//! connection owns, so who may talk to one of them could talk to all.

use std::collections::HashMap;

use plex_account_client::names::{GRANTS_NAME, GRANTS_PATH, TOKENS_NAME, TOKENS_PATH};
use plex_account_core::grants::{self, Answer, Given, Grant, Request, Verdict};
use plex_account_core::server::NAME_LIMIT;
use plex_account_core::server::clean;
use plex_account_core::token::Token;
use plex_account_core::words::ErrorName;
use tokio::sync::mpsc;
use tracing::debug;
use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, ObjectPath, OwnedVariant, SerializeDict, Type};

use super::command::{CallError, Command, Reply, send};
use super::error::MethodError;
use super::service::{NameError, own_name};
use super::wire::without_nul;
use crate::grants::{Callers, Found, LookUpError, name_of_program};

/// The services for tokens, each on its connection.
pub struct TokenServices {
    /// Dropped, the name goes.
    _tokens: Option<Connection>,
    grants: Option<Connection>,
}

impl TokenServices {
    /// Serves both, each on the connection that `open` gives. What can't be had, since another
    /// process owns the name or the bus fails, is left out, and said.
    pub async fn start<F>(open: impl Fn() -> F, commands: &mpsc::Sender<Command>) -> Self
    where
        F: Future<Output = zbus::Result<Connection>>,
    {
        let tokens = async {
            let bus = open().await?;
            let callers = Callers::new(bus.clone());
            let tokens = Tokens(Broker { callers, commands: commands.clone() });
            bus.object_server().at(TOKENS_PATH, tokens).await?;
            own_name(&bus, TOKENS_NAME).await.map(|()| bus)
        };
        let grants = async {
            let bus = open().await?;
            let callers = Callers::new(bus.clone());
            let grants = Grants(Broker { callers, commands: commands.clone() });
            bus.object_server().at(GRANTS_PATH, grants).await?;
            own_name(&bus, GRANTS_NAME).await.map(|()| bus)
        };
        let (tokens, grants) = tokio::join!(tokens, grants);
        let or_said = |name: &str, bus: Result<Connection, NameError>| match bus {
            Ok(bus) => Some(bus),
            Err(error) => {
                tracing::error!(name, "{name} is not served: {error}");
                None
            }
        };
        Self { _tokens: or_said(TOKENS_NAME, tokens), grants: or_said(GRANTS_NAME, grants) }
    }

    /// Emits `GrantsChanged`.
    ///
    /// # Errors
    ///
    /// Fails if the bus is gone.
    pub async fn grants_changed(&self) -> zbus::Result<()> {
        let Some(bus) = &self.grants else { return Ok(()) };
        let path = ObjectPath::from_static_str_unchecked(GRANTS_PATH);
        Grants::grants_changed(&SignalEmitter::from_parts(bus.clone(), path)).await
    }
}

impl From<LookUpError> for CallError {
    fn from(error: LookUpError) -> Self {
        let message = format!("Nobody gets a token while {error}");
        match error {
            LookUpError::Gone | LookUpError::Silent => {
                Self::Account(ErrorName::AccessDenied, message)
            }
            LookUpError::Busy => Self::LimitsExceeded(message),
        }
    }
}

/// Asks the owner of the state, for callers that are looked up.
struct Broker {
    callers: Callers,
    commands: mpsc::Sender<Command>,
}

impl Broker {
    async fn found(&self, call: &Header<'_>) -> Result<Found, CallError> {
        let sender = call.sender().ok_or(LookUpError::Gone)?;
        Ok(self.callers.look_up(sender.as_str()).await?)
    }

    async fn ask(&self, event: grants::Event) -> Result<Answer, CallError> {
        send(&self.commands, |reply: Reply<Answer>| Command::Grants(event, reply)).await
    }

    /// A secret goes only to the process that asked for it, where it still is.
    async fn is_there_still(&self, call: &Header<'_>, before: &Found) -> Result<(), CallError> {
        let now = self.found(call).await?;
        if now.is_same(before) { Ok(()) } else { Err(LookUpError::Gone.into()) }
    }

    async fn server(
        &self,
        call: &Header<'_>,
        server: String,
        options: &Options,
        by_person: bool,
    ) -> Result<Box<Given>, CallError> {
        let renew = flag(options, "renew", false)?;
        let ask = flag(options, "ask", true)?;
        let found = self.found(call).await?;
        let caller = found.caller.clone();
        let request = Request { call: 0, caller, server, renew, ask, by_person };
        match self.ask(grants::Event::Server(request)).await? {
            Answer::Server(given) => {
                self.is_there_still(call, &found).await?;
                Ok(given)
            }
            _ => Err(unexpected()),
        }
    }
}

fn unexpected() -> CallError {
    CallError::Account(ErrorName::Cancelled, "This call was answered wrongly".to_owned())
}

type Options = HashMap<String, OwnedVariant>;

fn flag(options: &Options, name: &str, usual: bool) -> Result<bool, CallError> {
    let Some(value) = options.get(name) else { return Ok(usual) };
    bool::try_from(&**value)
        .map_err(|_| CallError::InvalidArgs(format!("The option {name} is a boolean")))
}

/// The details of `GetServer`.
#[derive(Debug, SerializeDict, Type)]
#[zbus(signature = "a{sv}")]
struct Details {
    id: String,
    name: String,
    program: String,
    client_identifier: String,
    product: String,
    expires_at: u64,
    lasting: bool,
}

fn server(given: Given) -> (String, String, Details) {
    let Given { url, token, id, name, program, client_id, product, expires_at, lasting } = given;
    let text = |text: String| without_nul(&text).into_owned();
    let details = Details {
        id: text(id),
        name: text(name),
        program,
        client_identifier: client_id,
        product: text(product),
        expires_at,
        lasting,
    };
    (text(url), token.expose().to_owned(), details)
}

/// For programs.
struct Tokens(Broker);

#[zbus::interface(name = "org.plexaccountd.Tokens1", introspection_docs = false)]
impl Tokens {
    #[zbus(out_args("url", "token", "details"))]
    async fn get_server(
        &self,
        server: String,
        options: Options,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<(String, String, Details), MethodError> {
        let given = self.0.server(&call, server, &options, false).await?;
        Ok(self::server(*given))
    }

    #[zbus(out_args("token"))]
    async fn get_server_token(
        &self,
        id: String,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<String, MethodError> {
        let given = self.0.server(&call, id, &Options::new(), false).await?;
        Ok(given.token.expose().to_owned())
    }

    #[zbus(out_args("token"))]
    async fn get_account_token(
        &self,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<String, MethodError> {
        let found = self.0.found(&call).await?;
        let event = grants::Event::Account { call: 0, caller: found.caller.clone() };
        match self.0.ask(event).await? {
            Answer::Account(token) => {
                self.0.is_there_still(&call, &found).await?;
                Ok(token.expose().to_owned())
            }
            _ => Err(unexpected().into()),
        }
    }
}

/// A row of `ListGrants`.
#[derive(Debug, SerializeDict, Type)]
#[zbus(signature = "a{sv}")]
struct Row {
    program: String,
    name: String,
    scope: String,
    verdict: &'static str,
    made_at: u64,
    last_used: u64,
    uses: u64,
}

impl From<Grant> for Row {
    fn from(grant: Grant) -> Self {
        Self {
            program: grant.program.to_string(),
            name: without_nul(&grant.name).into_owned(),
            scope: without_nul(&grant.scope.to_string()).into_owned(),
            verdict: grant.verdict.word(),
            made_at: grant.made_at,
            last_used: grant.last_used,
            uses: grant.uses,
        }
    }
}

/// For the person's own tools.
struct Grants(Broker);

#[zbus::interface(name = "org.plexaccountd.Grants1", introspection_docs = false)]
impl Grants {
    #[zbus(out_args("grants"))]
    async fn list_grants(&self, #[zbus(header)] call: Header<'_>) -> Result<Vec<Row>, MethodError> {
        let caller = self.0.found(&call).await?.caller;
        match self.0.ask(grants::Event::List { call: 0, caller }).await? {
            Answer::Grants(grants) => Ok(grants.into_iter().map(Row::from).collect()),
            _ => Err(unexpected().into()),
        }
    }

    async fn decide(
        &self,
        program: &str,
        scope: &str,
        verdict: &str,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<(), MethodError> {
        let invalid = |error: &dyn std::fmt::Display| CallError::InvalidArgs(format!("{error}"));
        let program = program.parse().map_err(|error| invalid(&error))?;
        let scope = scope.parse().map_err(|error| invalid(&error))?;
        let verdict = match verdict {
            "allow" => Some(Verdict::Allow),
            "deny" => Some(Verdict::Deny),
            "forget" => None,
            _ => return Err(invalid(&"a verdict is allow, deny or forget").into()),
        };
        let caller = self.0.found(&call).await?.caller;
        let name = clean(&name_of_program(&program).await, NAME_LIMIT);
        let event = grants::Event::Decide { call: 0, caller, program, name, scope, verdict };
        self.0.ask(event).await?;
        Ok(())
    }

    #[zbus(out_args("url", "token", "details"))]
    async fn take_server(
        &self,
        server: String,
        options: Options,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<(String, String, Details), MethodError> {
        let given = self.0.server(&call, server, &options, true).await?;
        Ok(self::server(*given))
    }

    async fn sign_in_with(
        &self,
        token: String,
        client_identifier: String,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<(), MethodError> {
        if self.0.found(&call).await?.caller.is_sandboxed() {
            return Err(CallError::Account(
                ErrorName::AccessDenied,
                "This is not for sandboxed programs".to_owned(),
            )
            .into());
        }
        let token = Token::new(token).ok_or_else(|| {
            CallError::InvalidArgs("A token is visible ASCII characters, 4096 at most".to_owned())
        })?;
        let is_id = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if !(1..=128).contains(&client_identifier.len()) || !client_identifier.chars().all(is_id) {
            return Err(CallError::InvalidArgs(
                "A client identifier is letters, digits, dots, hyphens and underscores".to_owned(),
            )
            .into());
        }
        debug!("a token that exists is to be taken");
        send(&self.0.commands, |reply| Command::SignInWith {
            token,
            client_id: client_identifier,
            reply,
        })
        .await?;
        Ok(())
    }

    #[zbus(signal)]
    async fn grants_changed(emitter: &SignalEmitter<'_>) -> zbus::Result<()>;
}
