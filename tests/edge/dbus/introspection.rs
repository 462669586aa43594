//! `dbus/*.xml` says what the service really has.

use plex_account_client::names::{
    ACCOUNT_INTERFACE, ACCOUNT_PATH, GRANTS_NAME, SERVER_INTERFACE, TOKENS_NAME, server_path,
};
use plex_accountd::dbus::TokenServices;
use quick_xml::{Reader, events::Event};
use zbus::{ObjectPath, fdo::IntrospectableProxy};

use super::common::{serve, server, view};

/// The lines of one interface's element: tags with sorted attributes, no comments, no blanks.
fn interface(xml: &str, name: &str) -> Vec<String> {
    let mut reader = Reader::from_str(xml);
    let mut lines = Vec::new();
    let mut inside = false;
    loop {
        let (tag, closed) = match reader.read_event().unwrap() {
            Event::Start(tag) => (tag, false),
            Event::Empty(tag) => (tag, true),
            Event::End(tag) => {
                let tag = tag.name().as_ref().to_owned();
                if inside {
                    lines.push(format!("</{tag}>"));
                }
                if inside && tag == "interface" {
                    return lines;
                }
                continue;
            }
            Event::Eof => panic!("no interface {name} in:\n{xml}"),
            _ => continue,
        };
        let mut attributes: Vec<_> = (tag.attributes())
            .map(|attribute| {
                let attribute = attribute.unwrap();
                let key = attribute.key.as_ref().to_owned();
                let value = attribute.value.into_owned();
                format!("{key}={value}")
            })
            .collect();
        attributes.sort();
        let tag = tag.name().as_ref().to_owned();
        if tag == "interface" && attributes == [format!("name={name}")] {
            inside = true;
        }
        if inside {
            lines.push(format!("<{tag} {}>", attributes.join(" ")));
            if closed {
                lines.push(format!("</{tag}>"));
            }
        }
    }
}

async fn running(client: &zbus::Connection, path: &ObjectPath<'_>) -> String {
    let proxy = IntrospectableProxy::builder(client)
        .destination("org.plexaccountd.Account1")
        .path(path.clone())
        .build()
        .await
        .unwrap();
    proxy.introspect().await.unwrap()
}

#[tokio::test]
async fn the_files_say_what_is_served_of_tokens() {
    let bus = crate::PrivateBus::start();
    let client = bus.connect().await;
    let (sender, _commands) = tokio::sync::mpsc::channel(1);
    let _services = TokenServices::start(|| bus.builder().build(), &sender).await;
    for name in [TOKENS_NAME, GRANTS_NAME] {
        let path = format!("/{}", name.replace('.', "/"));
        let proxy = IntrospectableProxy::builder(&client).destination(name).path(path);
        let served = proxy.build().await.unwrap().introspect().await.unwrap();
        let file = format!("{}/dbus/{name}.xml", env!("CARGO_MANIFEST_DIR"));
        let written = std::fs::read_to_string(file).unwrap();
        assert_eq!(interface(&served, name), interface(&written, name));
    }
}

#[tokio::test]
async fn the_files_say_what_is_served() {
    let bed = serve(view([server("abc", "Attic")])).await;

    let path = ObjectPath::try_from(ACCOUNT_PATH).unwrap();
    let account = running(&bed.client, &path).await;
    assert_eq!(
        interface(&account, ACCOUNT_INTERFACE),
        interface(include_str!("../../../dbus/org.plexaccountd.Account1.xml"), ACCOUNT_INTERFACE),
        "as it runs:\n{account}"
    );

    let server = running(&bed.client, &server_path("abc")).await;
    assert_eq!(
        interface(&server, SERVER_INTERFACE),
        interface(include_str!("../../../dbus/org.plexaccountd.Server1.xml"), SERVER_INTERFACE),
        "as it runs:\n{server}"
    );
}

#[tokio::test]
async fn the_object_manager_is_the_standard_one() {
    let bed = serve(view([])).await;
    let path = ObjectPath::try_from(ACCOUNT_PATH).unwrap();
    let account = running(&bed.client, &path).await;
    assert_eq!(
        interface(&account, "org.freedesktop.DBus.ObjectManager"),
        [
            "<interface name=org.freedesktop.DBus.ObjectManager>",
            "<method name=GetManagedObjects>",
            "<arg direction=out name=objpath_interfaces_and_properties type=a{oa{sa{sv}}}>",
            "</arg>",
            "</method>",
            "<signal name=InterfacesAdded>",
            "<arg name=object_path type=o>",
            "</arg>",
            "<arg name=interfaces_and_properties type=a{sa{sv}}>",
            "</arg>",
            "</signal>",
            "<signal name=InterfacesRemoved>",
            "<arg name=object_path type=o>",
            "</arg>",
            "<arg name=interfaces type=as>",
            "</arg>",
            "</signal>",
            "</interface>",
        ]
    );
}
