//! The words on the wire: the values of states, reasons and error names, each written once.

/// Defines an enum whose values are words on the wire.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        #[allow(missing_docs)] // the words are the contract's
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every value, in the contract's order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word on the wire.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The value that a word stands for.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|v| v.word() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

words! {
    /// The state words of `LoginStatus`.
    LoginState {
        #[default] Unknown = "unknown",
        Locked = "locked",
        SignedOut = "signed-out",
        Waiting = "waiting",
        SignedIn = "signed-in",
        Rejected = "rejected",
    }
}

words! {
    /// How a login ended.
    Outcome {
        #[default] Succeeded = "succeeded",
        Expired = "expired",
        Cancelled = "cancelled",
        Failed = "failed",
    }
}

words! {
    /// Where the token is kept.
    Storage {
        SecretService = "secret-service",
        File = "file",
        Credential = "credential",
        #[default] Memory = "memory",
    }
}

words! {
    /// What plex.tv was like at the latest attempt.
    PlexTv {
        #[default] Unknown = "unknown",
        Ok = "ok",
        RateLimited = "rate-limited",
        Unreachable = "unreachable",
    }
}

words! {
    /// Whether a server is there.
    State {
        Online = "online",
        Offline = "offline",
        #[default] Unknown = "unknown",
    }
}

words! {
    /// Why a server's state is what it is.
    Reason {
        PlexTv = "plex-tv",
        Probe = "probe",
        Absent = "absent",
        NotListed = "not-listed",
        IncompleteList = "incomplete-list",
        NetworkDown = "network-down",
        PlexTvUnreachable = "plex-tv-unreachable",
        PlexTvRefused = "plex-tv-refused",
        NotReady = "not-ready",
        TokenRejected = "token-rejected",
        KeyringLocked = "keyring-locked",
        #[default] NotRefreshed = "not-refreshed",
    }
}

words! {
    /// The best connection that answered.
    Route {
        Local = "local",
        Remote = "remote",
        Relay = "relay",
        None = "none",
        #[default] NotTried = "",
    }
}

words! {
    /// The last part of `org.plexaccountd.Error.…`.
    ErrorName {
        NotSignedIn = "NotSignedIn",
        NoSuchServer = "NoSuchServer",
        PlexTvUnreachable = "PlexTvUnreachable",
        PlexTvRefused = "PlexTvRefused",
        RateLimited = "RateLimited",
        TokenRejected = "TokenRejected",
        KeyringLocked = "KeyringLocked",
        #[default] StorageFailed = "StorageFailed",
        Cancelled = "Cancelled",
        AccessDenied = "AccessDenied",
        ConsentNeeded = "ConsentNeeded",
        ServerUnreachable = "ServerUnreachable",
        ServerRefused = "ServerRefused",
    }
}
