//! Tokens of accounts and of servers: who gets which, and when each of them dies.
//!
//! An account has one row and one token for each client identifier, as `/devices.xml` shows it. A server accepts the
//! access token that the lists name, and the transient tokens that it minted for it.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::model::{Account, unix_now};
use crate::pins::Device;
use crate::state::{State, random_text, random_u64};

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// A transient token lives so long at most.
const MINTED_LIFETIME: Duration = Duration::from_secs(48 * 3_600);

/// An account token that was issued.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Token {
    /// Whose it is.
    pub(crate) account_id: u64,
    /// Whom it was issued to.
    pub(crate) device: Device,
    /// Refused until restored.
    pub(crate) revoked: bool,
    /// With this status: 401, or 498 or 422 as a JWT.
    pub(crate) refused_with: u16,
    /// The number of its row in the list of devices.
    pub(crate) row: u64,
    /// Unix seconds.
    pub(crate) created_at: u64,
}

/// What a client gets that signs in to an account for the second time.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Repeat {
    /// The token that it has.
    #[default]
    Same,
    /// A new one; the one that it had is gone.
    New,
}

/// A transient token of a server.
#[derive(Clone, Debug)]
pub(crate) struct Minted {
    pub(crate) server: String,
    /// `X-Plex-Client-Identifier` of the request, or `""`.
    pub(crate) client_id: String,
    pub(crate) expires: Instant,
}

impl State {
    /// The token of this account for this client.
    pub(crate) fn issue(&mut self, account_id: u64, device: Device) -> String {
        let held = self
            .tokens
            .iter()
            .find(|(_, held)| {
                held.account_id == account_id && held.device.client_id == device.client_id
            })
            .map(|(token, held)| (token.clone(), held.clone()));
        let mut row = Token {
            account_id,
            device,
            revoked: false,
            refused_with: 401,
            row: 0,
            created_at: unix_now(),
        };
        let mut token = random_text(ALPHABET, 20);
        if let Some((old, held)) = held {
            self.tokens.remove(&old);
            (row.row, row.created_at) = (held.row, held.created_at);
            if self.repeat == Repeat::Same && !held.revoked {
                token = old;
            }
        } else {
            row.row = self.new_row();
        }
        self.tokens.insert(token.clone(), row);
        token
    }

    /// A number for a row in the list of devices.
    pub(crate) fn new_row(&mut self) -> u64 {
        self.last_row = self.last_row.max(200_000) + 1;
        self.last_row
    }

    /// Whose token this is, if it is valid; else the status to refuse it with.
    pub(crate) fn account_of(&self, token: &str) -> Result<&Account, u16> {
        let held = self.tokens.get(token).ok_or(401_u16)?;
        if held.revoked {
            return Err(held.refused_with);
        }
        self.accounts.get(&held.account_id).ok_or(401)
    }

    /// Whether a server lets this token in.
    pub(crate) fn opens(&self, server: &str, token: &str) -> bool {
        let own = || self.server(server).and_then(crate::model::Server::token);
        let minted = || {
            self.minted
                .get(token)
                .is_some_and(|minted| minted.server == server && minted.expires > Instant::now())
        };
        !token.is_empty() && (own().as_deref() == Some(token) || minted())
    }

    /// A transient token for what `access` opens; only the server's own access token can have one.
    pub(crate) fn mint(&mut self, server: &str, access: &str, client_id: String) -> Option<String> {
        if self.server(server)?.token().as_deref() != Some(access) {
            return None;
        }
        let lifetime = self.minted_lifetime.unwrap_or(MINTED_LIFETIME).min(MINTED_LIFETIME);
        let token = format!("transient-{}", random_text(ALPHABET, 26));
        let minted =
            Minted { server: server.to_owned(), client_id, expires: Instant::now() + lifetime };
        self.minted.insert(token.clone(), minted);
        Some(token)
    }

    /// Forgets what a server minted, as its restart does.
    pub(crate) fn restarted(&mut self, server: &str) {
        self.minted.retain(|_, minted| minted.server != server);
    }

    /// Gives a server another access token and answers it: the old one and all that was minted with it are dead.
    pub(crate) fn rotate(&mut self, server: &str, token: Option<String>) -> Option<String> {
        let token = token.unwrap_or_else(|| random_text(ALPHABET, 20));
        self.server_mut(server)?.access_token = Some(token.clone());
        self.restarted(server);
        Some(token)
    }

    /// `claim-` and what stands for a server's permission to join the account.
    pub(crate) fn claim_token() -> String {
        format!("claim-{}", random_text(ALPHABET, 20))
    }

    /// Random, for identifiers of the stand-in's own.
    pub(crate) fn uuid() -> String {
        let (a, b) = (random_u64(), random_u64());
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xfff,
            b >> 48 & 0xfff,
            b & 0xffff_ffff_ffff
        )
    }
}
