//! plex.tv and the servers: the requests we make, and what their answers mean.
//!
//! The answers come from the outside and may be anything. Each is read by what it is (`<` XML,
//! `[` or `{` JSON) into the types of the domain, and only when it is whole: a document that broke
//! off gives nothing. What went wrong is one [`PlexTvError`](plex_account_core::plextv_error::PlexTvError).

mod client;
pub(crate) mod document;
mod fields;
pub(crate) mod http;
mod json;
pub(crate) mod list;
mod pin;
pub(crate) mod value;
mod xml;

pub use client::Client;
pub(crate) use client::endpoint;
pub use http::{builder, cause};
pub use list::{Kind, ListReader};

use std::time::Duration;

use url::Url;

/// Where plex.tv is. All but the tests use the real one.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `https://plex.tv`: user, v1 list, sign-out.
    pub base_url: Url,
    /// `https://clients.plex.tv`: PINs, v2 list. What gets no answer there is asked at `base_url`.
    pub clients_url: Url,
    /// `https://app.plex.tv/auth`: the page for a browser.
    pub auth_url: Url,
    /// `https://plex.tv/link`: the page where a code is typed.
    pub link_url: Url,
    /// For one request, connection and body together.
    pub timeout: Duration,
    /// Ask for the PIN of a browser sign-in as the page would that the browser comes back to.
    pub send_origin: bool,
}

/// What we tell plex.tv about ourselves; "Authorized Devices" shows it.
#[derive(Clone, Debug)]
pub struct Device {
    /// Made once for this machine and user. Not a secret.
    pub client_id: String,
    /// `plex-accountd`, unless the configuration says otherwise.
    pub product: String,
    /// This machine's name.
    pub name: String,
}
