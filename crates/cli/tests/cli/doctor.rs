//! `plex-account doctor`: what it finds, and what it keeps to itself.

use std::{
    collections::HashMap, io::Read as _, io::Write as _, net::TcpListener, sync::Arc, thread,
};

use plex_account_core::{server::Server, words::LoginState};
use serde_json::Value;
use tokio_rustls::rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivatePkcs8KeyDer};
use zbus::OwnedObjectPath;

use crate::{
    common::{Bus, at, but, having, json_lines, read, server, signed_out},
    fixtures::{Answer, FakeHttp},
};

/// A plex.tv that answers each request the same; its address.
fn plex_tv(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}")
}

const WELL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// A home with this configuration.
fn home(config: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/plex-accountd");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.toml"), config).unwrap();
    home
}

async fn doctor(bus: &Bus, home: &tempfile::TempDir, arguments: &str) -> (i32, String) {
    let mut command = bus.plex_account(arguments);
    command.env("HOME", home.path()).env_remove("XDG_CONFIG_HOME");
    // Where NetworkManager is.
    command.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address());
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "http_proxy"] {
        command.env_remove(name);
    }
    let (code, out, err) = read(&command.output().await.unwrap());
    assert_eq!(err, "");
    (code, out)
}

/// The verdict of each check.
fn verdicts(out: &str) -> impl Fn(&str) -> String + use<> {
    let rows: Vec<Value> = serde_json::from_value(json_lines(out).remove(0)).unwrap();
    move |name| {
        let row = rows.iter().find(|row| row["check"] == name);
        row.unwrap_or_else(|| panic!("{name} is not checked"))["verdict"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

#[tokio::test]
async fn each_fault_is_found_where_it_is() {
    let bus = Bus::start();
    let address = plex_tv(WELL);
    let well = home(&format!("[plextv]\nbase_url = \"{address}\"\n"));
    let (mut service, _commands) = bus.serve(having([])).await;
    let (code, out) = doctor(&bus, &well, "doctor --json").await;
    let found = verdicts(&out);
    assert_eq!(code, 0, "{out}");
    for name in ["bus", "daemon", "config", "token-store", "account", "dns", "plex-tv"] {
        assert_eq!(found(name), "ok", "{name}: {out}");
    }
    for name in ["unit", "clock", "network", "rebinding"] {
        assert_eq!(found(name), "skipped", "{name}: {out}");
    }
    for name in ["activation", "keyring", "notifications"] {
        assert_eq!(found(name), "note", "{name}: {out}");
    }

    service.publish(signed_out()).await.unwrap();
    assert_eq!(verdicts(&doctor(&bus, &well, "doctor --json").await.1)("account"), "note");
    let mut view = signed_out();
    view.account.login_state = LoginState::Rejected;
    service.publish(view).await.unwrap();
    let (code, out) = doctor(&bus, &well, "doctor --json").await;
    assert_eq!((code, verdicts(&out)("account")), (1, "wrong".to_owned()));

    let portal = plex_tv(
        "HTTP/1.1 302 Found\r\nLocation: http://login.example\r\nContent-Length: 0\r\n\r\n",
    );
    let portal = home(&format!("[plextv]\nbase_url = \"{portal}\"\n"));
    assert_eq!(verdicts(&doctor(&bus, &portal, "doctor --json").await.1)("plex-tv"), "wrong");
    let late = plex_tv(
        "HTTP/1.1 200 OK\r\nDate: Sat, 01 Jan 2000 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n",
    );
    let late = home(&format!("[plextv]\nbase_url = \"{late}\"\n"));
    assert_eq!(verdicts(&doctor(&bus, &late, "doctor --json").await.1)("clock"), "wrong");

    // One cause is one thing wrong. (No resolver sends a name as long as this one.)
    let nowhere = home(&format!("[plextv]\nbase_url = \"https://{}.example\"\n", "a".repeat(64)));
    let found = verdicts(&doctor(&bus, &nowhere, "doctor --json").await.1);
    assert_eq!((found("dns"), found("plex-tv")), ("wrong".to_owned(), "skipped".to_owned()));

    let (code, out) = doctor(
        &bus,
        &home("nonsense = 1\n[plextv]\nbase_url = \"http://127.0.0.1:1\"\n"),
        "doctor",
    )
    .await;
    assert_eq!(code, 1);
    let config = out.lines().find(|line| line.contains("  config")).unwrap();
    assert!(
        config.starts_with("wrong")
            && config.contains("~/.config/plex-accountd/config.toml, line 1, column 1"),
        "{out}"
    );
}

#[tokio::test]
async fn without_a_bus_one_thing_is_wrong() {
    let bus = Bus::start();
    let well = home(&format!("[plextv]\nbase_url = \"{}\"\n", plex_tv(WELL)));
    let mut command = bus.plex_account("doctor");
    command.env("HOME", well.path()).env_remove("XDG_CONFIG_HOME");
    command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
    let (code, out, _) = read(&command.output().await.unwrap());
    assert_eq!(code, 1);
    assert!(out.starts_with("wrong    bus "), "{out}");
    assert!(out.ends_with("1 thing wrong.\n"), "{out}");
}

#[tokio::test]
async fn what_it_prints_can_be_posted() {
    let bus = Bus::start();
    let attic = at(&server("machine-id", "Attic", true), &[("https://203.0.113.7:32400", false)]);
    let attic = but(&attic, |one| {
        one.server = Arc::new(Server {
            public_address: "203.0.113.7".to_owned(),
            ..Server::clone(&one.server)
        });
    });
    let _served = bus.serve(having([attic])).await;
    let home = home(&format!("[plextv]\nbase_url = \"{}\"\n", plex_tv(WELL)));
    for arguments in ["doctor", "doctor --json"] {
        let (_, out) = doctor(&bus, &home, arguments).await;
        for private in ["ada", "Ada", "example.org", "203.0.113.7", "Attic", "machine-id"] {
            assert!(!out.contains(private), "{private} in:\n{out}");
        }
        assert!(!out.contains(home.path().to_str().unwrap()), "{out}");
    }
}

/// A daemon whose calls fail with more than is good to post.
struct Talkative;

const TOLD: &[&str] = &["ada", "example.org", "203.0.113.7", "/srv", "Attic"];

#[zbus::interface(name = "org.plexaccountd.Account1")]
#[allow(clippy::unused_self)]
impl Talkative {
    fn login_status(&self) -> zbus::fdo::Result<(String, HashMap<String, zbus::OwnedVariant>)> {
        let text = "Attic of ada@example.org at 203.0.113.7: /srv/ada/token".to_owned();
        Err(zbus::fdo::Error::Failed(text))
    }
}

#[tokio::test]
async fn nor_does_what_others_wrote_get_into_it() {
    let bus = Bus::start();
    let talkative = bus.connect().await;
    let objects = talkative.object_server();
    objects.at("/org/plexaccountd/Account1", Talkative).await.unwrap();
    objects
        .at("/org/freedesktop/Notifications", Notifications("ada@example.org /srv", "203.0.113.7"))
        .await
        .unwrap();
    for name in ["org.plexaccountd.Account1", "org.freedesktop.Notifications"] {
        talkative.request_name(name).await.unwrap();
    }
    let elsewhere = tempfile::Builder::new().prefix("ada-").tempdir().unwrap();
    let folder = elsewhere.path().join("plex-accountd");
    std::fs::create_dir(&folder).unwrap();
    for problem in
        ["\"ada@example.org\" = 1", "[token]\nstore = \"Attic of ada\"", "[device]\n/srv"]
    {
        std::fs::write(folder.join("config.toml"), problem).unwrap();
        for arguments in ["doctor --json", "doctor"] {
            let mut command = bus.plex_account(arguments);
            command.env("XDG_CONFIG_HOME", elsewhere.path());
            command.env("DBUS_SESSION_BUS_ADDRESS", bus.address());
            let (code, out, _) = read(&command.output().await.unwrap());
            assert_eq!(code, 1);
            for private in TOLD.iter().copied().chain([elsewhere.path().to_str().unwrap()]) {
                assert!(!out.contains(private), "{private} in:\n{out}");
            }
            assert!(out.contains("org.freedesktop.DBus.Error.Failed"), "{out}");
        }
    }
    let mut command = bus.plex_account("doctor");
    command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/srv/ada/bus");
    let (_, out, _) = read(&command.output().await.unwrap());
    assert!(!out.contains("/srv"), "{out}");
}

/// A daemon of an earlier version, which does not know every call.
struct Older;

#[zbus::interface(name = "org.plexaccountd.Account1")]
#[allow(clippy::unused_self)]
impl Older {
    fn login_status(&self) -> (&str, HashMap<&str, zbus::Variant<'_>>) {
        ("signed-in", HashMap::new())
    }
    #[zbus(property)]
    fn version(&self) -> &'static str {
        "0.0.1"
    }
}

#[tokio::test]
async fn a_daemon_of_another_version_is_told_with_both_versions() {
    let bus = Bus::start();
    let well = home(&format!("[plextv]\nbase_url = \"{}\"\n", plex_tv(WELL)));
    let older = bus.connect().await;
    older.object_server().at("/org/plexaccountd/Account1", Older).await.unwrap();
    older.request_name("org.plexaccountd.Account1").await.unwrap();
    let (code, out) = doctor(&bus, &well, "doctor").await;
    assert_eq!(code, 1);
    let row = format!("plex-accountd 0.0.1 runs, plex-account is {}.\n", env!("CARGO_PKG_VERSION"));
    assert!(out.contains(&row), "{out}");
    assert!(out.contains("systemctl --user restart plex-accountd"), "{out}");
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_told_as_that() {
    let bus = Bus::start();
    let _served = bus.serve(having([])).await;
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let stand =
        FakeHttp::on("127.0.0.1:0", Some(Arc::new(config).into()), |_| Answer::Silence).await;
    let no_tls = plex_tv("HTTP/1.1 400 Bad Request\r\n\r\n").replace("http:", "https:");
    let address = stand.url.as_str().trim_end_matches('/');
    for (address, told) in [
        (address, "not signed by an authority that this system trusts"),
        (&no_tls, "no connection to 127.0.0.1 came about"),
    ] {
        let home = home(&format!("[plextv]\nbase_url = \"{address}\"\n"));
        let (code, out) = doctor(&bus, &home, "doctor").await;
        assert_eq!(code, 1);
        let row = out.lines().find(|line| line.contains("  plex-tv")).unwrap();
        assert!(row.starts_with("wrong") && row.contains(told), "{out}");
        assert!(out.contains("SSL_CERT_FILE"), "{out}");
    }
}

/// systemd's user manager, with our unit in these states: load, active, unit file.
struct Manager;
struct Unit(&'static str, &'static str, &'static str);

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
#[allow(clippy::unused_self)]
impl Manager {
    fn load_unit(&self, name: &str) -> OwnedObjectPath {
        assert_eq!(name, "plex-accountd.service");
        OwnedObjectPath::try_from("/unit").unwrap()
    }
}

#[zbus::interface(name = "org.freedesktop.systemd1.Unit")]
impl Unit {
    #[zbus(property)]
    fn load_state(&self) -> &str {
        self.0
    }
    #[zbus(property)]
    fn active_state(&self) -> &str {
        self.1
    }
    #[zbus(property)]
    fn unit_file_state(&self) -> &str {
        self.2
    }
}

/// The same unit as a service: its process, and a sandbox that the process of a test has not.
struct UnitService(u32);

#[zbus::interface(name = "org.freedesktop.systemd1.Service")]
#[allow(clippy::unused_self)]
impl UnitService {
    #[zbus(property, name = "MainPID")]
    fn main_pid(&self) -> u32 {
        self.0
    }
    #[zbus(property)]
    fn private_tmp(&self) -> bool {
        true
    }
    #[zbus(property)]
    fn system_call_filter(&self) -> (bool, Vec<&str>) {
        (true, vec!["read"])
    }
}

#[tokio::test]
async fn a_sandbox_that_is_not_in_force_is_told_by_its_parts() {
    let bus = Bus::start();
    let well = home(&format!("[plextv]\nbase_url = \"{}\"\n", plex_tv(WELL)));
    let _served = bus.serve(having([])).await;
    let systemd = bus.connect().await;
    let objects = systemd.object_server();
    objects.at("/org/freedesktop/systemd1", Manager).await.unwrap();
    objects.at("/unit", Unit("loaded", "active", "enabled")).await.unwrap();
    objects.at("/unit", UnitService(std::process::id())).await.unwrap();
    systemd.request_name("org.freedesktop.systemd1").await.unwrap();
    let (code, out) = doctor(&bus, &well, "doctor").await;
    let row = out.lines().find(|line| line.contains("  sandbox")).unwrap();
    assert_eq!(code, 0, "{out}");
    assert!(row.starts_with("note") && row.contains("PrivateTmp, but without effect"), "{out}");

    // A unit that some other process is of gives the daemon nothing.
    objects.remove::<UnitService, _>("/unit").await.unwrap();
    objects.at("/unit", UnitService(1)).await.unwrap();
    let (_, out) = doctor(&bus, &well, "doctor").await;
    let row = out.lines().find(|line| line.contains("  sandbox")).unwrap();
    assert!(row.starts_with("note") && row.contains("not started as its systemd unit"), "{out}");
}

#[tokio::test]
async fn the_unit_is_seen_as_systemd_sees_it() {
    let bus = Bus::start();
    let well = home(&format!("[plextv]\nbase_url = \"{}\"\n", plex_tv(WELL)));
    let _served = bus.serve(having([])).await;
    let systemd = bus.connect().await;
    let objects = systemd.object_server();
    objects.at("/org/freedesktop/systemd1", Manager).await.unwrap();
    systemd.request_name("org.freedesktop.systemd1").await.unwrap();
    for (load, active, file, verdict) in [
        ("loaded", "active", "enabled", "ok"),
        ("loaded", "active", "disabled", "note"),
        ("loaded", "failed", "enabled", "wrong"),
        ("loaded", "inactive", "enabled", "note"), // the daemon runs all the same
        ("not-found", "inactive", "", "note"),
        ("bad-setting", "inactive", "", "wrong"),
    ] {
        objects.at("/unit", Unit(load, active, file)).await.unwrap();
        let found = verdicts(&doctor(&bus, &well, "doctor --json").await.1);
        assert_eq!(found("unit"), verdict, "{load} {active} {file}");
        objects.remove::<Unit, _>("/unit").await.unwrap();
    }
}

/// A keyring with one collection, and what shows notifications.
struct Secrets;
struct Collection(bool);
struct Notifications(&'static str, &'static str);
struct Network(u32);

#[zbus::interface(name = "org.freedesktop.Secret.Service")]
#[allow(clippy::unused_self)]
impl Secrets {
    fn read_alias(&self, name: &str) -> OwnedObjectPath {
        OwnedObjectPath::try_from(if name == "default" { "/collection" } else { "/" }).unwrap()
    }
}

#[zbus::interface(name = "org.freedesktop.Secret.Collection")]
impl Collection {
    #[zbus(property)]
    fn locked(&self) -> bool {
        self.0
    }
}

#[zbus::interface(name = "org.freedesktop.Notifications")]
#[allow(clippy::unused_self)]
impl Notifications {
    fn get_server_information(&self) -> (&str, &str, &str, &str) {
        (self.0, "Nobody", self.1, "1.2")
    }
    fn get_capabilities(&self) -> Vec<&str> {
        vec!["body", "persistence"]
    }
}

#[zbus::interface(name = "org.freedesktop.NetworkManager")]
impl Network {
    #[zbus(property)]
    fn connectivity(&self) -> u32 {
        self.0
    }
}

#[tokio::test]
async fn what_is_round_the_service_is_asked_too() {
    let bus = Bus::start();
    let well = home(&format!("[plextv]\nbase_url = \"{}\"\n", plex_tv(WELL)));
    let mut view = signed_out();
    view.account.login_state = LoginState::Locked;
    let (mut service, _commands) = bus.serve(view).await;
    let desktop = bus.connect().await;
    let objects = desktop.object_server();
    objects.at("/org/freedesktop/secrets", Secrets).await.unwrap();
    objects.at("/collection", Collection(true)).await.unwrap();
    objects.at("/org/freedesktop/Notifications", Notifications("Shower", "7.1")).await.unwrap();
    objects.at("/org/freedesktop/NetworkManager", Network(2)).await.unwrap();
    for name in ["secrets", "Notifications", "NetworkManager"] {
        desktop.request_name(format!("org.freedesktop.{name}")).await.unwrap();
    }
    let (_, out) = doctor(&bus, &well, "doctor --json").await;
    let found = verdicts(&out);
    assert_eq!((found("keyring"), found("account")), ("wrong".to_owned(), "wrong".to_owned()));
    assert_eq!((found("notifications"), found("network")), ("ok".to_owned(), "wrong".to_owned()));
    assert!(out.contains("Shower 7.1 shows notifications, without buttons."), "{out}");

    // An open one may keep the item from the daemon, as KeePassXC does.
    objects.remove::<Collection, _>("/collection").await.unwrap();
    objects.at("/collection", Collection(false)).await.unwrap();
    let (_, out) = doctor(&bus, &well, "doctor --json").await;
    assert!(out.contains("keeps the token from the daemon"), "{out}");
    objects.remove::<Collection, _>("/collection").await.unwrap();
    objects.at("/collection", Collection(true)).await.unwrap();

    // A locked keyring that holds nothing of ours is nobody's trouble.
    service.publish(having([])).await.unwrap();
    let found = verdicts(&doctor(&bus, &well, "doctor --json").await.1);
    assert_eq!((found("keyring"), found("account")), ("ok".to_owned(), "ok".to_owned()));
}
