use std::{fs, os::unix::fs::symlink};

use jiff::civil::time;

use super::*;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, "config.toml").map_err(|e| e.to_string())
}

fn error(text: &str) -> String {
    parse(text).expect_err(text)
}

/// The sample that is installed, with its keys as they would be if somebody took each `#` away.
fn sample() -> String {
    include_str!("../../packaging/config.toml")
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase()) => key,
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_installed_sample_names_every_key_with_its_default() {
    assert_eq!(parse(include_str!("../../packaging/config.toml")), Ok(Config::default()));
    assert_eq!(parse(&sample()), Ok(Config::default()));
    // Three have no default to write down.
    let without = ["device.name", "notifications.quiet_hours", "tokens.allow"];
    let table: toml::Table = sample().parse().unwrap();
    for key in read::KEYS.iter().filter(|key| !without.contains(key)) {
        let (section, name) = key.split_once('.').unwrap();
        assert!(table[section].get(name).is_some(), "{key} is missing");
    }
}

#[test]
fn an_empty_file_means_the_defaults() {
    for text in ["", "\n# nothing\n", "\u{feff}", "[login]\n[servers]\n"] {
        assert_eq!(parse(text), Ok(Config::default()), "{text:?}");
    }
}

#[test]
fn every_key_reaches_its_setting() {
    let config = parse(
        r#"
        plextv.base_url = "http://127.0.0.1:3000"
        plextv.clients_url = "http://localhost:3001/sub"
        plextv.auth_url = "https://auth.example/a"
        plextv.link_url = "http://[::1]:3002/link"
        plextv.timeout = "60s"
        device.product = "Probe"
        device.name = "Küche"
        login.poll_interval = "50ms"
        login.open_browser = true
        login.landing_page = false
        login.send_origin = true
        refresh.interval = "1s"
        presence.grace = "0s"
        presence.probe = false
        presence.probe_timeout = "500ms"
        presence.local_interval = "0s"
        notifications.login = false
        notifications.server_offline = false
        notifications.server_online = false
        notifications.shared_servers = true
        notifications.plex_tv = true
        notifications.quiet_hours = "22:30-07:00"
        token.store = "file"
        tokens.ask = false
        tokens.lasting = true
        tokens.allow = [{ program = "unit:trakt.service", scope = "servers" }]
        log.level = "trace"
        [servers."a b"]
        notify = false
        [servers.other]
        "#,
    )
    .unwrap();
    let url = |text| Url::parse(text).unwrap();
    let expected = Config {
        plextv: PlexTv {
            base_url: url("http://127.0.0.1:3000"),
            clients_url: url("http://localhost:3001/sub"),
            auth_url: url("https://auth.example/a"),
            link_url: url("http://[::1]:3002/link"),
            timeout: Duration::from_secs(60),
        },
        device: Device { product: "Probe".into(), name: Some("Küche".into()) },
        login: Login {
            poll_interval: Duration::from_millis(50),
            open_browser: true,
            landing_page: false,
            send_origin: true,
        },
        refresh: Refresh { interval: Duration::from_secs(1) },
        presence: Presence {
            grace: Duration::ZERO,
            probe: false,
            probe_timeout: Duration::from_millis(500),
            local_interval: Duration::ZERO,
        },
        notifications: Notifications {
            login: false,
            server_offline: false,
            server_online: false,
            shared_servers: true,
            plex_tv: true,
            quiet_hours: Some(QuietHours { from: time(22, 30, 0, 0), until: time(7, 0, 0, 0) }),
        },
        servers: BTreeMap::from([
            ("a b".to_owned(), ServerSettings { notify: false }),
            ("other".to_owned(), ServerSettings { notify: true }),
        ]),
        token: TokenSettings { store: TokenStore::File },
        tokens: Tokens {
            ask: false,
            lasting: true,
            allow: vec![Setting {
                program: "unit:trakt.service".parse().unwrap(),
                scope: "servers".parse().unwrap(),
            }],
        },
        log: Log { level: Level::TRACE },
    };
    assert_eq!(config, expected);
}

#[test]
fn what_programs_are_allowed_says_what_would_be_right() {
    for (text, right) in [
        ("tokens.allow = true", "must be a list of tables"),
        ("tokens.allow = [\"x\"]", "must be a list of tables"),
        ("tokens.allow = [{ program = \"app:x\" }]", "must be a list of tables"),
        ("tokens.allow = [{ program = \"x\", scope = \"servers\" }]", "flatpak:ID"),
        ("tokens.allow = [{ program = \"app:x\", scope = \"all\" }]", "control"),
        (
            "tokens.allow = [{ program = \"app:x\", scope = \"servers\", more = 1 }]",
            "must be a list of tables",
        ),
    ] {
        let error = error(text);
        assert!(error.starts_with("config.toml:1:16: ") && error.contains(right), "{error}");
    }
    let tables = "[[tokens.allow]]\nprogram = \"app:x\"\nscope = \"control\"\n";
    assert_eq!(parse(tables).unwrap().tokens.allow.len(), 1);
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_key_that_was_meant() {
    for (text, message) in [
        (
            "\n\nrefresh.intervall = \"5m\"",
            "config.toml:3:9: unknown key \"refresh.intervall\"; did you mean \"refresh.interval\"?",
        ),
        (
            "[refresh]\n  poll_interval = \"5s\"",
            "config.toml:2:3: unknown key \"refresh.poll_interval\"; did you mean \"login.poll_interval\"?",
        ),
        ("[refesh]", "config.toml:1:2: unknown key \"refesh\"; did you mean \"refresh\"?"),
        ("level = \"info\"", "config.toml:1:1: unknown key \"level\"; did you mean \"log.level\"?"),
        ("[login]\nwombat = 1", "config.toml:2:1: unknown key \"login.wombat\""),
        (
            "[servers.\"üñí\"]\nnotfy = false",
            "config.toml:2:1: unknown key \"notfy\" of a server; the only one is \"notify\"",
        ),
        (
            "servers = { x = { notify = true, notfy = true } }",
            "config.toml:1:34: unknown key \"notfy\" of a server; the only one is \"notify\"",
        ),
    ] {
        assert_eq!(error(text), message);
    }
    assert!(error(&format!("{} = 1", "x".repeat(100_000))).starts_with("config.toml:1:1: "));
}

#[test]
fn a_bad_value_is_refused_with_what_would_be_right() {
    for (text, message) in [
        (
            "refresh.interval = \"29s\"",
            "config.toml:1:20: \"refresh.interval\" must be a whole number and ms, s, m or h in \
             quotes, from \"30s\" to \"24h\", not \"29s\"",
        ),
        (
            "device.product = 'é'\nlogin.poll_interval = 2",
            "config.toml:2:23: \"login.poll_interval\" must be a whole number and ms, s, m or h in \
             quotes, from \"1s\" to \"30s\", not 2",
        ),
        (
            "presence.probe = \"yes\"",
            "config.toml:1:18: \"presence.probe\" must be true or false, not \"yes\"",
        ),
        (
            "log.level = \"loud\"",
            "config.toml:1:13: \"log.level\" must be one of \"error\", \"warn\", \"info\", \
             \"debug\", \"trace\", not \"loud\"",
        ),
        (
            "plextv = 1",
            "config.toml:1:10: \"plextv\" is a section: write [plextv] on a line of its own, its \
             keys below",
        ),
    ] {
        assert_eq!(error(text), message);
    }
}

#[test]
fn durations_are_a_whole_number_and_a_unit_within_the_range() {
    for (key, bad, good) in [
        ("plextv.timeout", ["999ms", "61s"], ["1s", "60000ms"]),
        ("login.poll_interval", ["999ms", "31s"], ["1s", "30s"]),
        ("refresh.interval", ["29s", "25h"], ["30s", "1440m"]),
        ("presence.grace", ["3601s", "2h"], ["0ms", "1h"]),
        ("presence.probe_timeout", ["499ms", "1m"], ["500ms", "30s"]),
        ("presence.local_interval", ["9s", "61m"], ["0ms", "10s"]),
    ] {
        for value in bad {
            error(&format!("{key} = \"{value}\""));
        }
        for value in good {
            parse(&format!("{key} = \"{value}\"")).unwrap();
        }
    }
    for value in [
        "",
        "5",
        "s",
        "5 s",
        "-5s",
        "+5s",
        "1.5m",
        "5S",
        "5min",
        "5s ",
        "1e1s",
        "99999999999999999999s",
        "18446744073709551615h",
    ] {
        error(&format!("presence.grace = \"{value}\""));
    }
}

#[test]
fn quiet_hours_are_two_different_times_of_day() {
    for good in ["00:00-23:59", "22:00-07:00", "12:00-13:00"] {
        parse(&format!("notifications.quiet_hours = \"{good}\"")).unwrap();
    }
    for bad in [
        "",
        "22:00",
        "22-7",
        "22:00-7:00",
        "22:00 - 07:00",
        "22:00-07:00 ",
        "22:00-07:00-08:00",
        "22:00-24:00",
        "22:60-07:00",
        "+2:00-07:00",
        "22:00:00-07:00:00",
        "10:00pm-07:00",
        "２2:00-07:00",
        "22:00–07:00",
    ] {
        let message = error(&format!("notifications.quiet_hours = \"{bad}\""));
        assert!(message.contains("must be two times of day in quotes, like"), "{message}");
    }
    assert_eq!(
        error("[notifications]\nquiet_hours = \"07:00-07:00\""),
        "config.toml:2:15: \"notifications.quiet_hours\" must be two different times, like \
         \"22:00-07:00\", not \"07:00-07:00\"",
    );
    assert_eq!(
        error("notifications.quiet_hours = 7"),
        "config.toml:1:29: \"notifications.quiet_hours\" must be two times of day in quotes, like \
         \"22:00-07:00\", not 7",
    );
}

#[test]
fn short_intervals_are_for_a_plex_tv_on_this_machine() {
    // The place of the addresses in the file makes no difference.
    let with = |key: &str, base: &str, clients: &str| {
        parse(&format!("{key}\nplextv.base_url = \"{base}\"\nplextv.clients_url = \"{clients}\""))
    };
    let poll = "login.poll_interval = \"50ms\"";
    let refresh = "refresh.interval = \"1s\"";
    let here = "http://127.0.0.1:1";
    for url in [here, "https://127.9.9.9", "http://[::1]:1", "http://localhost"] {
        with(refresh, url, "https://clients.plex.tv").unwrap();
        with(poll, url, here).unwrap();
        with(poll, here, url).unwrap();
    }
    for url in ["https://plex.tv", "https://128.0.0.1", "https://localhost.example"] {
        assert!(with(refresh, url, here).is_err(), "{url}");
        // PINs are polled at either.
        assert!(with(poll, url, here).is_err(), "{url}");
        assert!(with(poll, here, url).is_err(), "{url}");
    }
    let base = "plextv.base_url = \"http://127.0.0.1:1\"\n\
                plextv.clients_url = \"http://127.0.0.1:1\"\n";
    error(&format!("{base}login.poll_interval = \"49ms\""));
    error(&format!("{base}refresh.interval = \"999ms\""));
}

#[test]
fn a_url_that_would_give_the_token_away_is_refused() {
    for key in ["base_url", "clients_url", "auth_url", "link_url"] {
        for bad in [
            "http://plex.tv",
            "http://192.168.1.2:3000",
            "http://127.0.0.1.example",
            "http://[::2]",
            "https://user@plex.tv",
            "https://user:planted@plex.tv",
            "https://plex.tv/#planted",
            "ftp://plex.tv",
            "file:///etc/passwd",
            "plex.tv",
            "",
        ] {
            let message = error(&format!("plextv.{key} = \"{bad}\""));
            assert!(message.contains(&format!("plextv.{key}")), "{message}");
            assert!(!message.contains("planted"), "{message}");
        }
        parse(&format!("plextv.{key} = \"http://127.0.0.1:3000/x\"")).unwrap();
    }
    error("plextv.base_url = \"https://plex.tv/?x=1\"");
}

#[test]
fn names_for_plex_tv_fit_into_a_header() {
    for bad in ["", "  ", "a\\nb", "a\\u0000", "\\u007f", &"x".repeat(129)] {
        error(&format!("device.product = \"{bad}\""));
        error(&format!("device.name = \"{bad}\""));
    }
    let longest = "é".repeat(128);
    let config = parse(&format!("device.name = \"{longest}\"")).unwrap();
    assert_eq!(config.device.name, Some(longest));
}

#[test]
fn broken_toml_is_an_error_with_its_place() {
    let message = error("[login]\npoll_interval = \"2s");
    assert!(message.starts_with("config.toml:2:"), "{message}");
    assert!(error("[login]\na = 1\na = 2").starts_with("config.toml:3:1: "));
    assert_eq!(error("x = \"\0\"").lines().count(), 1);
}

#[test]
fn a_missing_file_is_an_error_only_where_somebody_named_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    assert_eq!(Config::load(&path, false), Ok(Config::default()));
    let message = Config::load(&path, true).unwrap_err().to_string();
    assert_eq!(message, format!("{}: there is no such file", path.display()));
    symlink("nowhere", &path).unwrap();
    let message = Config::load(&path, false).unwrap_err().to_string();
    assert!(message.ends_with("a link that leads nowhere"), "{message}");
}

#[test]
fn what_is_no_text_file_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    let message = |path: &Path| Config::load(path, false).unwrap_err().to_string();
    assert!(message(dir.path()).contains("this is a folder"));
    fs::write(&path, b"# a\n# \xff\n").unwrap();
    assert!(message(&path).contains("line 2 is not UTF-8"), "{}", message(&path));
    fs::write(&path, vec![b'#'; 1024 * 1024 + 1]).unwrap();
    assert!(message(&path).contains("larger than 1 MiB"));
    fs::write(&path, vec![b'#'; 1024 * 1024]).unwrap();
    assert_eq!(Config::load(&path, true), Ok(Config::default()));
    assert!(Config::load(Path::new("/dev/zero"), true).is_err());
    assert_eq!(Config::load(Path::new("/dev/null"), true), Ok(Config::default()));

    // A pipe that nobody writes to would hold up a reload for ever.
    let pipe = dir.path().join("pipe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert!(message(&pipe).contains("not a regular file"));
}

#[test]
fn a_reload_says_which_changes_wait_for_the_next_start() {
    let old = Config::default();
    let new = parse(
        "plextv.timeout = \"20s\"\ntoken.store = \"file\"\nlog.level = \"debug\"\n\
         refresh.interval = \"1h\"",
    )
    .unwrap();
    assert_eq!(old.needs_restart(&new), ["plextv.timeout", "token.store"]);
    assert!(old.needs_restart(&old).is_empty());
}
