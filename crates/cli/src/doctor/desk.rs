//! What shows notices.

use zbus::Connection;

use super::{
    Context, Finding, plain,
    service::{can_start, is_there, no_bus},
};

const NOTIFICATIONS: &str = "org.freedesktop.Notifications";

/// What the notices make use of, where it is there.
const USED: &[(&str, &str)] =
    &[("actions", "buttons"), ("body", "text"), ("persistence", "a list of old notices")];

pub(super) async fn notifications(context: &Context) -> Finding {
    let Some(bus) = &context.bus else { return no_bus() };
    let there = async {
        Ok::<_, zbus::Error>(
            is_there(bus, NOTIFICATIONS).await? || can_start(bus, NOTIFICATIONS).await?,
        )
    };
    if !there.await.unwrap_or(false) {
        return Finding::note(
            "Nothing here shows notifications.",
            "Desktops have a notification server; mako or dunst are ones for others.",
        );
    }
    match ask(bus).await {
        Ok((name, version, capabilities)) => {
            let lacks: Vec<_> = (USED.iter())
                .filter(|(capability, _)| !capabilities.iter().any(|one| one == capability))
                .map(|(_, what)| *what)
                .collect();
            let but = if lacks.is_empty() {
                String::new()
            } else {
                format!(", without {}", lacks.join(", "))
            };
            let (name, version) = (plain(&name), plain(&version));
            Finding::good(format!("{name} {version} shows notifications{but}."))
        }
        Err(_) => Finding::wrong(
            "The notification server does not answer.",
            "Start it again, by logging in again if nothing else helps.",
        ),
    }
}

async fn ask(bus: &Connection) -> zbus::Result<(String, String, Vec<String>)> {
    let call = async |method| {
        let (path, interface) = ("/org/freedesktop/Notifications", Some(NOTIFICATIONS));
        bus.call_method(Some(NOTIFICATIONS), path, interface, method, &()).await
    };
    let information = call("GetServerInformation").await?;
    let (name, _, version, _): (String, String, String, String) =
        information.body().deserialize()?;
    Ok((name, version, call("GetCapabilities").await?.body().deserialize()?))
}
