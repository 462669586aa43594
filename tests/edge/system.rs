//! What the machine says, as `System` hears it: a system bus of the test's own, with a stand-in for
//! NetworkManager and one for logind.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::PrivateBus;
use plex_account_client::next;
use plex_accountd::system::{Connectivity, System, SystemEvent};
use zbus::{Connection, MessageStream, OwnedObjectPath, OwnedVariant, Variant};

const NETWORK_MANAGER: &str = "org.freedesktop.NetworkManager";
const LOGIND: &str = "org.freedesktop.login1";

const NO_ROUTE: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n";
const ROUTE: &str = "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";

/// A deadline for things that take milliseconds.
const LONG: Duration = Duration::from_secs(20);

async fn heard(world: &mut System) -> SystemEvent {
    tokio::time::timeout(LONG, world.next()).await.expect("the world says something")
}

fn network(connectivity: Connectivity) -> SystemEvent {
    SystemEvent::Network { connectivity, moved: false }
}

fn moved(connectivity: Connectivity) -> SystemEvent {
    SystemEvent::Network { connectivity, moved: true }
}

/// A world that hears this bus, on a machine without routes.
fn world(bus: &PrivateBus) -> System {
    routes(bus, NO_ROUTE);
    System::at(bus.address(), bus.folder())
}

/// Gives the machine these routes.
fn routes(bus: &PrivateBus, table: &str) {
    std::fs::write(bus.folder().join("route"), table).unwrap();
}

type Properties = HashMap<&'static str, OwnedVariant>;

/// A program that says it is NetworkManager. Its properties may be of any type.
struct NetworkManager {
    connection: Connection,
    properties: Arc<Mutex<Properties>>,
}

impl NetworkManager {
    /// On the bus with these properties.
    async fn start(
        bus: &PrivateBus,
        state: u32,
        connectivity: u32,
        primary: OwnedObjectPath,
    ) -> Self {
        let connection = bus.connect().await;
        let this = Self { connection, properties: Arc::default() };
        this.keep("State", state);
        this.keep("Connectivity", connectivity);
        this.keep("PrimaryConnection", primary);
        this.keep("Version", "1.42.4");
        let mut calls = MessageStream::from(&this.connection);
        let (connection, properties) = (this.connection.clone(), Arc::clone(&this.properties));
        tokio::spawn(async move {
            while let Some(Ok(call)) = next(&mut calls).await {
                if call.header().member().is_some_and(|member| member == "GetAll") {
                    let all = properties.lock().unwrap().clone();
                    connection.reply(&call.header(), &all).await.unwrap();
                }
            }
        });
        this.connection.request_name(NETWORK_MANAGER).await.unwrap();
        this
    }

    /// On the bus with a primary connection and full connectivity.
    async fn connected(bus: &PrivateBus) -> Self {
        Self::start(bus, 70, 4, primary(1)).await
    }

    fn keep(&self, name: &'static str, value: impl Into<Variant<'static>>) {
        let value = value.into().try_into().unwrap();
        self.properties.lock().unwrap().insert(name, value);
    }

    /// Changes a property and says so.
    async fn set(&self, name: &'static str, value: impl Into<Variant<'static>>) {
        self.keep(name, value);
        let changed = HashMap::from([(name, self.properties.lock().unwrap()[name].clone())]);
        let body = (NETWORK_MANAGER, changed, [""; 0]);
        self.connection
            .emit_signal(
                None::<&str>,
                "/org/freedesktop/NetworkManager",
                "org.freedesktop.DBus.Properties",
                "PropertiesChanged",
                &body,
            )
            .await
            .unwrap();
    }

    /// Another connection becomes the primary one.
    async fn go_over_to(&self, number: u32) {
        self.set("PrimaryConnection", primary(number)).await;
    }
}

fn primary(number: u32) -> OwnedObjectPath {
    path(&format!("/org/freedesktop/NetworkManager/ActiveConnection/{number}"))
}

fn path(path: &str) -> OwnedObjectPath {
    path.to_owned().try_into().unwrap()
}

#[tokio::test]
async fn the_way_out_is_told_as_it_changes() {
    let bus = PrivateBus::start();
    let manager = NetworkManager::connected(&bus).await;
    let mut world = world(&bus);
    assert_eq!(heard(&mut world).await, network(Connectivity::Full));
    for (number, word) in [
        (1u32, Connectivity::None),
        (2, Connectivity::Portal),
        (3, Connectivity::Limited),
        (4, Connectivity::Full),
        // It can't tell.
        (0, Connectivity::Unknown),
        (4, Connectivity::Full),
    ] {
        manager.set("Connectivity", number).await;
        assert_eq!(heard(&mut world).await, network(word));
    }
    manager.go_over_to(2).await;
    assert_eq!(heard(&mut world).await, moved(Connectivity::Full));

    // Unplugged, and plugged in elsewhere. What says the same again is no news.
    manager.keep("State", 20u32);
    manager.set("PrimaryConnection", path("/")).await;
    assert_eq!(heard(&mut world).await, network(Connectivity::None));
    manager.set("State", 40u32).await;
    manager.keep("State", 70u32);
    manager.go_over_to(3).await;
    assert_eq!(heard(&mut world).await, moved(Connectivity::Full));
}

#[tokio::test]
async fn a_manager_that_comes_late_is_heard_and_one_that_goes_is_forgotten() {
    let bus = PrivateBus::start();
    let mut world = world(&bus);
    for _ in 0..2 {
        let (told, manager) = tokio::join!(heard(&mut world), NetworkManager::connected(&bus));
        assert_eq!(told, network(Connectivity::Full));
        manager.connection.close().await.unwrap();
        assert_eq!(heard(&mut world).await, network(Connectivity::Unknown));
    }
}

#[tokio::test]
async fn a_manager_that_does_not_manage_the_link_does_not_count() {
    let bus = PrivateBus::start();
    let manager = NetworkManager::connected(&bus).await;
    let mut world = world(&bus);
    assert_eq!(heard(&mut world).await, network(Connectivity::Full));

    // `disconnected` by its word, and all the same a route leads out: it is another's.
    routes(&bus, &format!("{NO_ROUTE}{ROUTE}"));
    manager.keep("State", 20u32);
    manager.keep("Connectivity", 1u32);
    manager.set("PrimaryConnection", path("/")).await;
    assert_eq!(heard(&mut world).await, network(Connectivity::Unknown));

    // Each word for it, and one that is none: connected to something that leads nowhere.
    routes(&bus, NO_ROUTE);
    for state in [10u32, 20, 30, 40] {
        manager.set("State", state).await;
        assert_eq!(heard(&mut world).await, network(Connectivity::None));
        manager.set("State", 50u32).await;
        assert_eq!(heard(&mut world).await, network(Connectivity::Unknown));
    }
}

#[tokio::test]
async fn nonsense_is_no_word() {
    let bus = PrivateBus::start();
    let manager = NetworkManager::connected(&bus).await;
    let mut world = world(&bus);
    assert_eq!(heard(&mut world).await, network(Connectivity::Full));
    for (name, value, good) in [
        ("Connectivity", Variant::from(5u32), Variant::from(4u32)),
        ("Connectivity", Variant::from(u32::MAX), Variant::from(4u32)),
        ("Connectivity", Variant::from("full"), Variant::from(4u32)),
        ("State", Variant::from(-70i64), Variant::from(70u32)),
        ("Version", Variant::from("1".repeat(1 << 20)), Variant::from("1.42.4")),
    ] {
        manager.set(name, value).await;
        assert_eq!(heard(&mut world).await, network(Connectivity::Unknown), "{name}");
        manager.set(name, good).await;
        assert_eq!(heard(&mut world).await, network(Connectivity::Full), "{name}");
    }
}

#[tokio::test]
async fn sleep_is_told_by_logind_only() {
    let bus = PrivateBus::start();
    let manager = NetworkManager::connected(&bus).await;
    let mut world = world(&bus);
    assert_eq!(heard(&mut world).await, network(Connectivity::Full));
    // In the order of the bus: the rule for logind is in force once this change is heard.
    manager.set("Connectivity", 3u32).await;
    assert_eq!(heard(&mut world).await, network(Connectivity::Limited));

    let (logind, somebody) = (bus.connect().await, bus.connect().await);
    let us = listener(&bus, &[&logind, &somebody, &manager.connection]).await;
    // Any user may send to us what looks right, logind there or not.
    say(&somebody, Some(&us), &true).await;
    logind.request_name(LOGIND).await.unwrap();
    say(&somebody, Some(&us), &true).await;
    say(&logind, None, &"true").await;
    say(&logind, None, &(true, 1)).await;
    // What it is about to do is not told, only what it did.
    for sleeps in [false, true, false] {
        say(&logind, None, &sleeps).await;
    }
    for _ in 0..2 {
        assert_eq!(heard(&mut world).await, SystemEvent::Woke);
    }
    manager.set("Connectivity", 4u32).await;
    assert_eq!(heard(&mut world).await, network(Connectivity::Full));
}

/// Says `PrepareForSleep`.
async fn say<B>(who: &Connection, to: Option<&str>, body: &B)
where
    B: serde::Serialize + zbus::DynamicType,
{
    who.emit_signal(
        to,
        "/org/freedesktop/login1",
        "org.freedesktop.login1.Manager",
        "PrepareForSleep",
        body,
    )
    .await
    .unwrap();
}

/// The unique name of the one connection besides these.
async fn listener(bus: &PrivateBus, known: &[&Connection]) -> String {
    let asks = bus.connect().await;
    let names = zbus::fdo::DBusProxy::new(&asks).await.unwrap().list_names().await.unwrap();
    let known: Vec<_> =
        known.iter().chain([&&asks]).map(|c| c.unique_name().unwrap().as_str()).collect();
    let mut names = names.iter().map(|name| name.as_str());
    let is_unknown = |name: &&str| name.starts_with(':') && !known.contains(name);
    names.find(is_unknown).unwrap().to_owned()
}

/// Another user of the machine may send signals to our connection as fast as it likes.
#[tokio::test]
async fn a_flood_of_forged_signals_changes_nothing_and_makes_us_deaf_to_nothing() {
    let bus = PrivateBus::start();
    let manager = NetworkManager::connected(&bus).await;
    let logind = bus.connect().await;
    logind.request_name(LOGIND).await.unwrap();
    let mut world = world(&bus);
    assert_eq!(heard(&mut world).await, network(Connectivity::Full));
    let us = listener(&bus, &[&manager.connection, &logind]).await;
    let vandal = bus.connect().await;
    for number in 0..5000 {
        let name = if number % 2 == 0 { LOGIND } else { NETWORK_MANAGER };
        let changed: (_, HashMap<&str, OwnedVariant>, [&str; 0]) =
            (NETWORK_MANAGER, HashMap::new(), []);
        for (path, interface, member, body) in [
            ("/org/freedesktop/login1", "org.freedesktop.login1.Manager", "PrepareForSleep", None),
            ("/org/freedesktop/DBus", "org.freedesktop.DBus", "NameOwnerChanged", Some(name)),
        ] {
            let us = Some(us.as_str());
            match body {
                None => vandal.emit_signal(us, path, interface, member, &(false,)).await,
                Some(name) => {
                    let vandal_is_it = (name, "", vandal.unique_name().unwrap().as_str());
                    vandal.emit_signal(us, path, interface, member, &vandal_is_it).await
                }
            }
            .unwrap();
        }
        vandal
            .emit_signal(
                Some(us.as_str()),
                "/org/freedesktop/NetworkManager",
                "org.freedesktop.DBus.Properties",
                "PropertiesChanged",
                &changed,
            )
            .await
            .unwrap();
        if number == 2500 {
            manager.set("Connectivity", 2_u32).await;
        }
    }
    assert_eq!(heard(&mut world).await, network(Connectivity::Portal));
    logind
        .emit_signal(
            None::<&str>,
            "/org/freedesktop/login1",
            "org.freedesktop.login1.Manager",
            "PrepareForSleep",
            &(false,),
        )
        .await
        .unwrap();
    assert_eq!(heard(&mut world).await, SystemEvent::Woke);
}

#[tokio::test]
async fn a_bus_that_comes_back_is_heard_again() {
    let place = tempfile::tempdir().unwrap();
    let socket = place.path().join("system_bus_socket");
    let put = |bus: &PrivateBus| {
        let _ = std::fs::remove_file(&socket);
        std::os::unix::fs::symlink(bus.folder().join("bus"), &socket).unwrap();
    };
    let mut bus = PrivateBus::start();
    let _manager = NetworkManager::connected(&bus).await;
    put(&bus);
    let mut world = System::at(format!("unix:path={}", socket.display()), bus.folder());
    assert_eq!(heard(&mut world).await, network(Connectivity::Full));
    bus.kill();
    assert_eq!(heard(&mut world).await, network(Connectivity::Unknown));

    let bus = PrivateBus::start();
    let _manager = NetworkManager::connected(&bus).await;
    put(&bus);
    assert_eq!(heard(&mut world).await, network(Connectivity::Full));
}

#[tokio::test(start_paused = true)]
async fn without_a_system_bus_the_world_is_silent() {
    let mut world = System::at("unix:path=/nonexistent/bus", Path::new("/nonexistent"));
    tokio::time::timeout(Duration::from_hours(24), world.next()).await.unwrap_err();
}

/// In a network namespace, where a test may have routes of its own.
#[test]
fn a_route_that_the_manager_does_not_tell_of_ends_its_none() {
    const NAME: &str = "a_route_that_the_manager_does_not_tell_of_ends_its_none";
    const INSIDE: &str = "WORLD_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let unshare = || {
        let mut command = std::process::Command::new("unshare");
        command.args(["--map-root-user", "--net"]);
        command
    };
    let add = "ip link add one type veth peer name two";
    if !unshare().args(["sh", "-c", add]).output().is_ok_and(|o| o.status.success()) {
        eprintln!("skipped: no network namespaces here (unshare, ip)");
        return;
    }
    let test = std::env::current_exe().unwrap();
    let ran = unshare().arg(test).args(["--exact", NAME]).env(INSIDE, "1").output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
}

#[tokio::main(flavor = "current_thread")]
async fn inside() {
    let ip = |arguments: &str| {
        let ran = std::process::Command::new("ip").args(arguments.split(' ')).status();
        assert!(ran.unwrap().success(), "{arguments}");
    };
    ip("link add one type veth peer name two");
    ip("link set one up");
    ip("link set two up");
    ip("address add 192.0.2.2/24 dev one");
    let bus = PrivateBus::start();
    let _manager = NetworkManager::start(&bus, 20, 0, path("/")).await;
    let mut world = System::at(bus.address(), "/proc/self/net");
    assert_eq!(heard(&mut world).await, network(Connectivity::None));
    ip("route add default via 192.0.2.1");
    assert_eq!(heard(&mut world).await, network(Connectivity::Unknown));
}
