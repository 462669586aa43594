//! What a published view tells: exactly what changed, in the promised order.

use std::{collections::BTreeMap, collections::HashMap, sync::Arc};

use plex_account_client::{ManagedServers, ServerProperties, next};
use plex_account_core::{
    state_snapshot::{ServerSnapshot, StateSnapshot},
    words::{LoginState, Outcome, Reason, State},
};
use zbus::{MessageStream, OwnedObjectPath, OwnedVariant, Variant, message::Type};

use super::common::{Bed, serve, server, shared, view};

const SERVERS: &str = "/org/plexaccountd/Account1/servers/";

/// Publishes and returns every signal that this led to, one line each.
async fn publish(bed: &mut Bed, view: StateSnapshot) -> Vec<String> {
    let messages = MessageStream::from(&bed.client);
    let tell = async {
        bed.service.publish(view).await.unwrap();
        // The end of what there is to read.
        let end = bed.service.login_finished(Outcome::Failed, "end");
        end.await.unwrap();
    };
    // Both at once: a reader that waits for the writer fills the socket.
    tokio::join!(read(messages), tell).0
}

async fn read(mut messages: MessageStream) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let message = next(&mut messages).await.unwrap().unwrap();
        if message.message_type() != Type::Signal {
            continue;
        }
        let header = message.header();
        let member = header.member().unwrap().to_string();
        let path = header.path().unwrap().to_string();
        let object = path.strip_prefix(SERVERS).unwrap_or("account");
        let body = message.body();
        lines.push(match &*member {
            "LoginFinished" => return lines,
            "PropertiesChanged" => {
                let (interface, changed, invalidated): (
                    String,
                    HashMap<String, OwnedVariant>,
                    Vec<String>,
                ) = body.deserialize().unwrap();
                assert!(invalidated.is_empty());
                let interface = interface.strip_prefix("org.plexaccountd.").unwrap();
                let changed: BTreeMap<_, _> = changed.iter().collect();
                let changed: Vec<_> =
                    (changed.iter()).map(|(key, value)| format!("{key}={}", text(value))).collect();
                format!("{object}: {interface} {}", changed.join(" "))
            }
            "ServerStateChanged" => {
                let (id, name, owned, old, new): (String, String, bool, String, String) =
                    body.deserialize().unwrap();
                format!("{object}: {id} {name} owned={owned} {old}->{new}")
            }
            "InterfacesAdded" => {
                let (path, interfaces): (OwnedObjectPath, HashMap<String, ServerProperties>) =
                    body.deserialize().unwrap();
                let properties = &interfaces["org.plexaccountd.Server1"];
                let name = properties.name.clone().unwrap();
                format!("{object}: + {} {name}", path.strip_prefix(SERVERS).unwrap())
            }
            "InterfacesRemoved" => {
                let (path, interfaces): (OwnedObjectPath, Vec<String>) =
                    body.deserialize().unwrap();
                assert_eq!(interfaces, ["org.plexaccountd.Server1"]);
                format!("{object}: - {}", path.strip_prefix(SERVERS).unwrap())
            }
            _ => panic!("{member}"),
        });
    }
}

fn text(value: &Variant<'_>) -> String {
    match value {
        Variant::Str(text) => text.to_string(),
        Variant::U64(number) => number.to_string(),
        Variant::Bool(word) => word.to_string(),
        Variant::Array(array) => format!("[{}]", array.len()),
        other => panic!("{other:?}"),
    }
}

fn offline(mut view: ServerSnapshot) -> ServerSnapshot {
    view.state = State::Offline;
    view.reason = Reason::Absent;
    view.since = 1_700_000_500;
    view
}

#[tokio::test]
async fn an_unchanged_view_tells_nothing() {
    let first = view([server("a", "Attic"), shared("b", "Barn", "Bo")]);
    let mut bed = serve(first.clone()).await;
    assert!(publish(&mut bed, first).await.is_empty());
    // Nor does an equal one of other making.
    let again = view([server("a", "Attic"), shared("b", "Barn", "Bo")]);
    assert!(publish(&mut bed, again).await.is_empty());
}

#[tokio::test]
async fn a_refresh_that_changes_no_server_is_one_signal_of_the_account() {
    let mut now = view([server("a", "Attic")]);
    let mut bed = serve(now.clone()).await;
    now.account.last_refresh += 300;
    now.account.next_refresh += 300;
    assert_eq!(
        publish(&mut bed, now).await,
        ["account: Account1 LastRefresh=1700000400 NextRefresh=1700000700"]
    );
}

#[tokio::test]
async fn details_alone_are_no_change_of_a_property() {
    let mut now = view([]);
    let mut bed = serve(now.clone()).await;
    now.account.details.last_login = Some(Outcome::Succeeded);
    assert!(publish(&mut bed, now).await.is_empty());
    let (_, details) = bed.account.login_status().await.unwrap();
    assert_eq!(details.last_login.as_deref(), Some("succeeded"));
}

#[tokio::test]
async fn each_changed_server_tells_its_properties_and_then_its_state() {
    let mut now = view([server("a", "Attic"), server("b", "Barn"), shared("c", "Cellar", "Cy")]);
    let mut bed = serve(now.clone()).await;
    now.servers[0] = Arc::new(offline(server("a", "Attic")));
    let mut moved = shared("c", "Cellar", "Cy");
    Arc::make_mut(&mut moved.server).connections.pop();
    moved.muted_until = u64::MAX;
    now.servers[2] = Arc::new(moved);
    now.account.last_refresh += 1;
    assert_eq!(
        publish(&mut bed, now).await,
        [
            "a: Server1 Reason=absent Since=1700000500 State=offline",
            "account: a Attic owned=true online->offline",
            "c: Server1 Connections=[1] MutedUntil=18446744073709551615",
            "account: Account1 LastRefresh=1700000101",
        ]
    );
    // Reads say the same.
    let managed: ManagedServers = managed(&bed).await;
    let path = OwnedObjectPath::try_from(format!("{SERVERS}a")).unwrap();
    let properties = &managed[&path]["org.plexaccountd.Server1"];
    assert_eq!(properties.state.as_deref(), Some("offline"));
    assert_eq!(bed.account.list_servers().await.unwrap()[0].state, "offline");
}

#[tokio::test]
async fn servers_come_and_go_without_a_change_of_state() {
    let mut bed = serve(view([server("a", "Attic"), server("b", "Barn")])).await;
    let now = view([server("b", "Barn"), offline(server("d-e", "Den")), server("f", "Flat")]);
    assert_eq!(
        publish(&mut bed, now).await,
        ["account: + d_2de Den", "account: + f Flat", "account: - a"]
    );
    assert_eq!(managed(&bed).await.len(), 3);
    // Sign-out.
    let mut gone = StateSnapshot::default();
    gone.account.login_state = LoginState::SignedOut;
    assert_eq!(
        publish(&mut bed, gone).await,
        [
            "account: - b",
            "account: - d_2de",
            "account: - f",
            "account: Account1 LastRefresh=0 LoginState=signed-out NextRefresh=0 PlexTv=unknown \
             SignedIn=false Storage= Username=",
        ]
    );
    assert!(managed(&bed).await.is_empty());
    // And back again.
    let now = view([server("a", "Attic")]);
    assert_eq!(publish(&mut bed, now).await[0], "account: + a Attic");
}

#[tokio::test]
async fn another_order_is_another_list_and_no_signal() {
    let (a, b) = (server("a", "Attic"), server("b", "Barn"));
    let mut bed = serve(view([a.clone(), b.clone()])).await;
    assert!(publish(&mut bed, view([b, a])).await.is_empty());
    let servers = bed.account.list_servers().await.unwrap();
    assert_eq!(servers[0].id, "b");
}

#[tokio::test]
async fn a_thousand_servers_come_in_one_view() {
    let mut bed = serve(view([])).await;
    let many = view((0..1000).map(|n| server(&format!("id-{n}"), "Many")));
    assert_eq!(publish(&mut bed, many).await.len(), 1000);
    assert_eq!(bed.account.list_servers().await.unwrap().len(), 1000);
    assert_eq!(managed(&bed).await.len(), 1000);
}

#[tokio::test]
async fn the_end_of_a_login_is_told_with_its_outcome() {
    let bed = serve(view([])).await;
    let mut ends = bed.account.receive_login_finished().await.unwrap();
    bed.service.login_finished(Outcome::Expired, "The code was not used\0 in time.").await.unwrap();
    let end = next(&mut ends).await.unwrap();
    let end = end.args().unwrap();
    assert_eq!(end.outcome(), "expired");
    assert_eq!(end.message(), "The code was not used\u{fffd} in time.");
}

async fn managed(bed: &Bed) -> ManagedServers {
    let reply = bed
        .client
        .call_method(
            None::<&str>,
            "/org/plexaccountd/Account1",
            Some("org.freedesktop.DBus.ObjectManager"),
            "GetManagedObjects",
            &(),
        )
        .await
        .unwrap();
    reply.body().deserialize().unwrap()
}
