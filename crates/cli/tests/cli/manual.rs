//! The manual page, against what the program itself says it takes.

use std::fs;

use crate::common::Bus;

#[tokio::test]
async fn the_manual_has_every_command_and_every_option() {
    let path = format!("{}/../../packaging/man/plex-account.1", env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(path).unwrap();
    let (synopsis, description) = page.split_once(".Sh DESCRIPTION").unwrap();
    let bus = Bus::start();
    let help = bus.run("help").await.1;
    let commands = help.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    let commands = commands.lines().filter_map(|line| line.split_whitespace().next());
    let mut number = 0;
    for command in commands.filter(|command| *command != "help") {
        number += 1;
        // Its paragraphs of the synopsis, up to the next name.
        let own: String = (synopsis.split(".Nm\n"))
            .filter(|part| part.lines().next() == Some(&format!(".Cm {command}")))
            .collect();
        assert!(!own.is_empty(), "{command} is not in the synopsis");
        assert!(description.contains(command), "{command} is not described");
        let help = bus.run(&format!("{command} --help")).await.1;
        let options = help.split("--").skip(1).filter_map(|rest| {
            let end = rest.find(|char: char| !char.is_ascii_lowercase() && char != '-');
            rest.get(..end?)
        });
        for option in options.filter(|option| *option != "help") {
            assert!(own.contains(&format!("Fl -{option}")), "{command} --{option}");
        }
    }
    assert!(number >= 13, "{help}");
}

/// What other programs and people's settings rely on, by the page that has to say it.
const PROMISED: &[(&str, &str)] = &[
    (
        "plex-accountd.toml.5",
        "plextv.base_url plextv.clients_url plextv.auth_url plextv.link_url plextv.timeout \
         device.product device.name login.poll_interval login.open_browser login.landing_page \
         login.send_origin \
         refresh.interval presence.grace presence.probe presence.probe_timeout presence.local_interval \
         notifications.login notifications.server_offline notifications.server_online \
         notifications.shared_servers notifications.plex_tv notifications.quiet_hours \
         servers.\\(dqid\\(dq.notify token.store tokens.ask tokens.lasting tokens.allow \
         log.level SIGHUP",
    ),
    (
        "plex-accountd.8",
        "SIGHUP SIGTERM SIGINT XDG_CONFIG_HOME XDG_STATE_HOME STATE_DIRECTORY SSL_CERT_FILE \
         SSL_CERT_DIR HTTPS_PROXY NO_PROXY",
    ),
    (
        "org.plexaccountd.Account1.5",
        "LoginFinished ServerStateChanged PropertiesChanged InterfacesRemoved NotSignedIn \
         NoSuchServer PlexTvUnreachable PlexTvRefused RateLimited TokenRejected KeyringLocked \
         StorageFailed Cancelled InvalidArgs LimitsExceeded",
    ),
    (
        "plex-account.1",
        "login.open_browser absent not-listed incomplete-list network-down plex-tv-unreachable plex-tv-refused not-ready \
         token-rejected keyring-locked not-refreshed NO_COLOR",
    ),
];

/// Exit codes that scripts rely on.
const EXIT_CODES: &[(&str, usize)] = &[("plex-accountd.8", 4), ("plex-account.1", 6)];

#[test]
fn the_manual_has_every_key_signal_variable_and_exit_code() {
    let read = |page: &str| {
        let path = format!("{}/../../packaging/man/{page}", env!("CARGO_MANIFEST_DIR"));
        fs::read_to_string(path).unwrap()
    };
    for (page, promised) in PROMISED {
        let text = read(page);
        // Whole words, so that a longer one with the same start does not stand for it.
        let words: Vec<_> = (text.split([' ', '\n', ',', '"', '(', ')', ';', '|']))
            .map(|word| word.trim_end_matches(['.', ':']))
            .collect();
        for word in promised.split(' ') {
            let there =
                if word.contains('(') { text.contains(word) } else { words.contains(&word) };
            assert!(there, "{page} does not have {word}");
        }
    }
    for (page, number) in EXIT_CODES {
        let text = read(page);
        let status = text.split_once(".Sh EXIT STATUS").unwrap().1;
        let status = status.split_once(".El").unwrap().0;
        for code in 0..*number {
            assert!(status.contains(&format!(".It {code}\n")), "{page} does not have {code}");
        }
    }
}
