//! PINs: what a client said when it asked for one, and how it ends. They are numbered below 2^31, since real clients
//! keep the number in 32 bits.

use std::net::IpAddr;
use std::time::Instant;

use serde::Serialize;

use crate::model::unix_now;
use crate::state::{State, random_text, random_u64};

/// Letters and digits that can't be taken for one another, for codes that people type.
const SHORT_ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const STRONG_ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// The least number; the largest that is ever reached is far below 2^31.
const FIRST_ID: u64 = 1_000_000_000;

/// What a client said of itself in its `X-Plex-*` arguments when it signed in.
#[derive(Clone, Debug, Default, Serialize)]
#[expect(clippy::struct_field_names, reason = "one of the headers is X-Plex-Device")]
pub(crate) struct Device {
    /// `X-Plex-Client-Identifier`.
    pub(crate) client_id: String,
    /// `X-Plex-Product`, or `"0"` as plex.tv has it.
    pub(crate) product: String,
    /// `X-Plex-Version`.
    pub(crate) version: String,
    /// `X-Plex-Platform`.
    pub(crate) platform: String,
    /// `X-Plex-Platform-Version`.
    pub(crate) platform_version: String,
    /// `X-Plex-Device`.
    pub(crate) device: String,
    /// `X-Plex-Device-Name`.
    pub(crate) name: String,
    /// `X-Plex-Provides`.
    pub(crate) provides: String,
}

/// What has become of a PIN.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub(crate) enum PinState {
    /// Nobody has approved it yet.
    Pending,
    /// Approved: polls get this token.
    Claimed {
        /// The account token.
        token: String,
    },
    /// Polls get this status.
    Gone {
        /// HTTP status, 404 as a rule.
        status: u16,
    },
}

/// What a request for a PIN comes with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// Who asks.
    pub(crate) device: Device,
    /// For the browser page rather than for typing.
    pub(crate) strong: bool,
    /// The address it came from, which the page compares with the browser's.
    pub(crate) from: Option<IpAddr>,
    /// The `Origin` header, which the page may compare with `forwardUrl`.
    pub(crate) origin: Option<String>,
}

/// A login PIN.
#[derive(Clone, Debug)]
pub(crate) struct Pin {
    /// Its number.
    pub(crate) id: u64,
    /// Four characters, or 25 if strong.
    pub(crate) code: String,
    /// Who asked for it, and how.
    pub(crate) asked: Asked,
    /// Unix seconds.
    pub(crate) created_at: u64,
    /// The same moment on the clock that ends it.
    pub(crate) created: Instant,
    /// Seconds.
    pub(crate) lifetime: u64,
    /// What has become of it.
    pub(crate) state: PinState,
}

impl Pin {
    /// Seconds left; `None` once it has expired.
    pub(crate) fn expires_in(&self, now: Instant) -> Option<u64> {
        let passed = now.saturating_duration_since(self.created).as_secs();
        (passed < self.lifetime).then(|| self.lifetime - passed)
    }
}

impl State {
    /// Makes a PIN for a client.
    pub(crate) fn new_pin(&mut self, asked: Asked) -> Pin {
        let (alphabet, length, own_lifetime) =
            if asked.strong { (STRONG_ALPHABET, 25, 1_800) } else { (SHORT_ALPHABET, 4, 900) };
        let code = loop {
            let code = random_text(alphabet, length);
            if !self.pins.values().any(|pin| pin.code == code) {
                break code;
            }
        };
        self.last_pin = self.last_pin.max(FIRST_ID) + 1 + random_u64() % 1_000;
        let pin = Pin {
            id: self.last_pin,
            code,
            asked,
            created_at: unix_now(),
            created: Instant::now(),
            lifetime: self.pin_lifetime.unwrap_or(own_lifetime),
            state: PinState::Pending,
        };
        self.pins.insert(pin.id, pin.clone());
        pin
    }

    /// Approves a PIN: issues a token of the current account to the PIN's client.
    pub(crate) fn approve(&mut self, id: u64) -> Option<String> {
        self.approve_as(id, self.current_account)
    }

    /// The same for an account of the caller's.
    pub(crate) fn approve_as(&mut self, id: u64, account_id: u64) -> Option<String> {
        let device = self.pins.get(&id)?.asked.device.clone();
        let token = self.issue(account_id, device);
        self.pins.get_mut(&id)?.state = PinState::Claimed { token: token.clone() };
        Some(token)
    }

    /// The PIN with this code, however it is written.
    pub(crate) fn pin_of_code(&self, code: &str) -> Option<&Pin> {
        self.pins.values().find(|pin| pin.code.eq_ignore_ascii_case(code.trim()))
    }
}
