//! Links are opened by the desktop portal, else by the user's systemd, and never by us.

use crate::portal::portal;
use crate::support::PrivateBus;
use plex_accountd::system::browser::{OpenError, open};
use tokio::sync::mpsc;
use zbus::{Connection, OwnedObjectPath, OwnedVariant, Variant};

const LINK: &str = "https://app.plex.tv/auth#?clientID=c&code=planted";

type Properties = Vec<(String, OwnedVariant)>;

struct Manager(mpsc::UnboundedSender<(String, String, Properties)>);

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    fn start_transient_unit(
        &self,
        name: String,
        mode: String,
        properties: Properties,
        _aux: Vec<(String, Properties)>,
    ) -> OwnedObjectPath {
        self.0.send((name, mode, properties)).unwrap();
        OwnedObjectPath::try_from("/org/freedesktop/systemd1/job/1").unwrap()
    }
}

async fn serve<I: zbus::object_server::Interface>(
    bus: &PrivateBus,
    name: &'static str,
    path: &'static str,
    interface: I,
) -> Connection {
    bus.builder().serve_at(path, interface).name(name).build().await.unwrap()
}

#[tokio::test]
async fn the_portal_is_asked_first() {
    let bus = PrivateBus::start();
    let (_portal, mut asked) = portal(&bus).await;
    let (sender, mut started) = mpsc::unbounded_channel();
    let path = "/org/freedesktop/systemd1";
    let _manager = serve(&bus, "org.freedesktop.systemd1", path, Manager(sender)).await;

    open(&bus.connect().await, LINK).await.unwrap();
    assert_eq!(asked.recv().await.unwrap(), LINK);
    assert!(started.try_recv().is_err());
}

#[tokio::test]
async fn without_a_portal_systemd_opens_it_and_does_not_log_it() {
    let bus = PrivateBus::start();
    let (sender, mut started) = mpsc::unbounded_channel();
    let path = "/org/freedesktop/systemd1";
    let _manager = serve(&bus, "org.freedesktop.systemd1", path, Manager(sender)).await;

    open(&bus.connect().await, LINK).await.unwrap();
    let (name, mode, properties) = started.recv().await.unwrap();
    assert!(name.starts_with("app-plex_accountd-open-") && name.ends_with(".service"), "{name}");
    assert_eq!(mode, "fail");
    let property = |name: &str| &properties.iter().find(|(n, _)| n == name).unwrap().1;
    let exec = Vec::<(String, Vec<String>, bool)>::try_from(property("ExecStart").clone()).unwrap();
    assert_eq!(exec[0].1, ["/usr/bin/xdg-open", LINK]);
    // The description is what systemd writes to the journal.
    let description = property("Description");
    assert_eq!(**description, Variant::from("Opens a page of Plex in the browser"));
}

#[tokio::test]
async fn where_nothing_opens_links_that_is_said_without_the_link() {
    let bus = PrivateBus::start();
    let connection = bus.connect().await;
    let error = open(&connection, LINK).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("planted"));
    let error = open(&connection, "file:///etc/passwd").await.unwrap_err();
    assert!(matches!(error, OpenError::NoWebPage));
}
