//! Settings, the token's store, and the account by the daemon's word.

use plex_account_client::words::{LoginState, Storage};
use plex_accountd::config::{ConfigError, TokenStore};
use zbus::{Connection, OwnedObjectPath};

use super::{
    Context, Finding, property,
    service::{can_start, is_there, no_bus},
};

const SECRETS: &str = "org.freedesktop.secrets";

/// Where the settings are, below the home folder, if nobody says otherwise.
pub(super) const USUAL_CONFIG: &str = ".config/plex-accountd/config.toml";

/// What is wrong is said by its place: the words for it repeat what stands there, which may be
/// anything, a mislaid token too.
pub(super) fn config(context: &Context) -> Finding {
    let file = if context.usual_config {
        format!("~/{USUAL_CONFIG}")
    } else {
        "the file of settings, which is not at the usual place".to_owned()
    };
    let text = match &context.config {
        Ok(_) => return Finding::good("The configuration is good."),
        Err(ConfigError::Place { line, column, .. }) => {
            format!("The configuration has an error: {file}, line {line}, column {column}.")
        }
        Err(ConfigError::File { .. }) => format!("The configuration can't be read: {file}."),
    };
    Finding::wrong(
        text,
        "`plex-accountd --check-config` says what is wrong (with the daemon's --config, if it has \
         one); `systemctl --user reload plex-accountd` puts it in force once it is mended.",
    )
}

/// What there is of a keyring.
enum Keyring {
    None,
    /// The service, but no collection for what is kept.
    Empty,
    Locked,
    Open,
}

pub(super) async fn keyring(context: &Context) -> Finding {
    let Some(bus) = &context.bus else { return no_bus() };
    let wanted =
        matches!(&context.config, Ok(config) if config.token.store == TokenStore::SecretService);
    let daemon = context.daemon.as_ref();
    let locked = daemon.is_ok_and(|known| known.state == LoginState::Locked.word());
    let kept = Some(Storage::SecretService.word());
    let used = locked || daemon.is_ok_and(|known| known.details.storage.as_deref() == kept);
    let Ok(keyring) = look(bus).await else {
        return Finding::wrong(
            "The keyring does not answer as a Secret Service.",
            "Look whether gnome-keyring-daemon, KeePassXC or KWallet is well.",
        );
    };
    match keyring {
        Keyring::Open if locked => Finding::wrong(
            "The keyring is unlocked, but keeps the token from the daemon.",
            "Lock and unlock it, and allow what it asks for plex-accountd.",
        ),
        Keyring::Open => Finding::good("There is a keyring, and it is unlocked."),
        Keyring::Locked if used => {
            Finding::wrong("The keyring that holds the token is locked.", "Unlock it.")
        }
        Keyring::Locked => Finding::good("There is a keyring; it is locked."),
        Keyring::None | Keyring::Empty if wanted => Finding::wrong(
            "token.store wants a keyring, and there is none with a default collection.",
            "Set one up, or let token.store be \"auto\" or \"file\".",
        ),
        Keyring::Empty => Finding::note(
            "There is a keyring, but it has no default collection.",
            "The token is kept in a file that only you can read.",
        ),
        Keyring::None => Finding::note(
            "There is no keyring.",
            "The token is kept in a file that only you can read.",
        ),
    }
}

/// Looks without opening a session, so that nothing is asked for and no secret is read.
async fn look(bus: &Connection) -> zbus::Result<Keyring> {
    if !(is_there(bus, SECRETS).await? || can_start(bus, SECRETS).await?) {
        return Ok(Keyring::None);
    }
    let (path, interface) = ("/org/freedesktop/secrets", "org.freedesktop.Secret.Service");
    let reply =
        bus.call_method(Some(SECRETS), path, Some(interface), "ReadAlias", &("default",)).await?;
    let collection: OwnedObjectPath = reply.body().deserialize()?;
    if collection.as_str() == "/" {
        return Ok(Keyring::Empty);
    }
    let interface = "org.freedesktop.Secret.Collection";
    let locked = property(bus, SECRETS, &collection, interface, "Locked").await?;
    Ok(if locked { Keyring::Locked } else { Keyring::Open })
}

pub(super) fn token_store(context: &Context) -> Finding {
    let Ok(known) = &context.daemon else { return no_daemon() };
    let storage = known.details.storage.as_deref();
    match (known.details.error.as_deref(), storage.and_then(Storage::from_word)) {
        (Some(error), _) if error.ends_with(".StorageFailed") => Finding::wrong(
            "What keeps the token reports an error.",
            "`plex-account status` has its words.",
        ),
        (_, Some(Storage::Memory)) => Finding::wrong(
            "Nothing has taken the token; it is lost when the daemon stops.",
            "`plex-account status` says why.",
        ),
        (_, Some(Storage::File)) => Finding::good("The token is kept in a file."),
        (_, Some(Storage::SecretService)) => Finding::good("The token is kept in the keyring."),
        (_, Some(Storage::Credential)) => {
            Finding::good("The token comes as a credential of systemd.")
        }
        (_, None) => Finding::skipped("No token is held."),
    }
}

/// Whether plex.tv takes the token is asked of the daemon; nobody else reads it.
pub(super) fn account(context: &Context) -> Finding {
    let Ok(known) = &context.daemon else { return no_daemon() };
    match LoginState::from_word(&known.state) {
        Some(LoginState::SignedIn) if known.properties.last_refresh.unwrap_or_default() == 0 => {
            Finding::note(
                "Somebody is signed in, but plex.tv has not given a list of servers yet.",
                "`plex-account refresh` asks for it.",
            )
        }
        Some(LoginState::SignedIn) => {
            Finding::good("Somebody is signed in, and plex.tv has not refused the token.")
        }
        Some(LoginState::Waiting) => {
            Finding::note("A login is waiting.", "`plex-account login` shows its code again.")
        }
        Some(LoginState::SignedOut) => {
            Finding::note("Nobody is signed in.", "`plex-account login` signs in.")
        }
        Some(LoginState::Rejected) => {
            Finding::wrong("plex.tv refused the token.", "`plex-account login` gets a new one.")
        }
        Some(LoginState::Locked) => Finding::wrong(
            "The keyring keeps the token locked.",
            "Unlock it; the check keyring says more.",
        ),
        _ => Finding::wrong(
            "What holds the token has not answered.",
            "`plex-account status` says more; the checks keyring and token-store may too.",
        ),
    }
}

fn no_daemon() -> Finding {
    Finding::skipped("The daemon does not answer.")
}
