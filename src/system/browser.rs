//! Opens a link for the person.
//!
//! By the desktop portal where there is one; else by a transient unit of the user's systemd. Never
//! as a child of ours, which would inherit our sandbox. The link may carry a PIN's code, so it
//! appears in no log, error or unit description.

use std::{collections::HashMap, time::Duration};

use tokio::time::timeout;
use zbus::{Connection, OwnedObjectPath, Variant};

/// Each way gets this long.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The program that a transient unit runs.
const OPENER: &str = "/usr/bin/xdg-open";

/// No link was opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Only web pages are opened.
    #[error("this is no link to a web page")]
    NoWebPage,
    /// Nothing on this desktop opens links.
    #[error("neither a desktop portal nor systemd opened it: {0}")]
    NoWay(zbus::Error),
    /// What should open it does not answer.
    #[error("what should open it does not answer")]
    Silent,
}

#[zbus::proxy(
    interface = "org.freedesktop.portal.OpenURI",
    default_service = "org.freedesktop.portal.Desktop",
    default_path = "/org/freedesktop/portal/desktop"
)]
trait Portal {
    #[zbus(name = "OpenURI")]
    fn open_uri(
        &self,
        parent_window: &str,
        uri: &str,
        options: HashMap<&str, Variant<'_>>,
    ) -> zbus::Result<OwnedObjectPath>;
}

/// Program, arguments, whether a failure is fine: systemd's `a(sasb)`.
type Exec<'a> = Vec<(&'a str, Vec<&'a str>, bool)>;
/// Auxiliary units: there are none.
type Auxiliary<'a> = Vec<(&'a str, Vec<(&'a str, Variant<'a>)>)>;

#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
trait Manager {
    fn start_transient_unit(
        &self,
        name: &str,
        mode: &str,
        properties: Vec<(&str, Variant<'_>)>,
        aux: Auxiliary<'_>,
    ) -> zbus::Result<OwnedObjectPath>;
}

/// Opens a web page in the person's browser.
///
/// # Errors
///
/// If the link is none to a web page, or nothing on this desktop took it.
pub async fn open(bus: &Connection, url: &str) -> Result<(), OpenError> {
    match by_portal(bus, url).await {
        Ok(()) => return Ok(()),
        Err(OpenError::NoWebPage) => return Err(OpenError::NoWebPage),
        Err(_) => {}
    }
    match timeout(TIMEOUT, by_systemd(bus, url)).await {
        Ok(result) => result.map_err(OpenError::NoWay),
        Err(_) => Err(OpenError::Silent),
    }
}

/// Opens a web page by the desktop portal only.
///
/// # Errors
///
/// If the link is none to a web page, or there is no portal that takes it.
pub async fn by_portal(bus: &Connection, url: &str) -> Result<(), OpenError> {
    if !(url.starts_with("https://") || url.starts_with("http://")) {
        return Err(OpenError::NoWebPage);
    }
    let ask = async { PortalProxy::new(bus).await?.open_uri("", url, HashMap::new()).await };
    match timeout(TIMEOUT, ask).await {
        Ok(result) => result.map(drop).map_err(OpenError::NoWay),
        Err(_) => Err(OpenError::Silent),
    }
}

async fn by_systemd(bus: &Connection, url: &str) -> zbus::Result<()> {
    let number = crate::system::random::uuid()?;
    let name = format!("app-plex_accountd-open-{number}.service");
    let exec: Exec<'_> = vec![(OPENER, vec![OPENER, url], false)];
    let properties = vec![
        ("Description", Variant::from("Opens a page of Plex in the browser")),
        ("Type", Variant::from("exec")),
        ("Slice", Variant::from("app.slice")),
        ("CollectMode", Variant::from("inactive-or-failed")),
        ("ExecStart", Variant::from(exec)),
    ];
    let manager = ManagerProxy::new(bus).await?;
    manager.start_transient_unit(&name, "fail", properties, Vec::new()).await.map(drop)
}
