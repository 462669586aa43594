//! What each method and property answers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use plex_account_client::{
    AccountProperties, AddressProbe, CallFailure, ConnectionInfo, LoginDetails, ServerInfo,
    ServerProxy, names::server_path, next,
};
use plex_account_core::{
    error::CallError,
    probe::{AddressReport, ProbeOutcome},
    server::Connection,
    state_snapshot::{LoginOffer, ServerCounts, StateSnapshot},
    words::{ErrorName, LoginState, Outcome, Route},
};
use plex_accountd::dbus::command::Command;
use zbus::{
    Message, MessageStream, OwnedVariant,
    fdo::PropertiesProxy,
    message::{EndianSig, Type},
    proxy::CacheProperties,
    wire::{Endian, NATIVE_ENDIAN},
};

use super::common::{Bed, QUEUE, serve, server, shared, signed_in, view};

fn offer() -> LoginOffer {
    LoginOffer {
        code: "ABCD".to_owned(),
        link_url: "https://plex.tv/link".to_owned(),
        auth_url: "https://app.plex.tv/auth#?code=xyz".to_owned(),
        expires_at: 1_700_000_900,
    }
}

async fn properties_of(bed: &Bed, id: &str) -> ServerProxy<'static> {
    ServerProxy::builder(&bed.client)
        .path(server_path(id))
        .cache_properties(CacheProperties::No)
        .build()
        .await
        .unwrap()
}

#[tokio::test]
async fn list_servers_tells_all_of_the_owned_ones() {
    let mut attic = server("a-b", "Attic");
    attic.muted_until = u64::MAX;
    attic.last_seen = 17;
    let bed = serve(view([attic, shared("c", "Cellar", "Cy")])).await;
    let connection = |uri: &str, local, relay| ConnectionInfo {
        uri: uri.to_owned(),
        protocol: "https".to_owned(),
        address: "192.0.2.7".to_owned(),
        port: 32400,
        local,
        relay,
        ipv6: false,
    };
    let expected = ServerInfo {
        id: "a-b".to_owned(),
        path: server_path("a-b"),
        name: "Attic".to_owned(),
        owned: true,
        source_title: String::new(),
        state: "online".to_owned(),
        reason: "plex-tv".to_owned(),
        since: 1_700_000_000,
        last_seen: 17,
        presence: true,
        route: "local".to_owned(),
        best_uri: "https://192-0-2-7.example.plex.direct:32400".to_owned(),
        best_uri_secure: true,
        product_version: "1.40.2".to_owned(),
        platform: "Linux".to_owned(),
        public_address: "198.51.100.1".to_owned(),
        https_required: true,
        muted_until: u64::MAX,
        connections: vec![
            connection("https://192-0-2-7.example.plex.direct:32400", true, false),
            connection("https://relay.example.plex.direct:8443", false, true),
        ],
    };
    assert_eq!(bed.account.list_servers().await.unwrap(), [expected]);

    let others = bed.account.list_shared_servers().await.unwrap();
    assert_eq!(others.len(), 1);
    assert_eq!((&*others[0].id, &*others[0].source_title), ("c", "Cy"));
}

#[tokio::test]
async fn nothing_known_is_an_empty_list() {
    let bed = serve(StateSnapshot::default()).await;
    assert!(bed.account.list_servers().await.unwrap().is_empty());
    assert!(bed.account.list_shared_servers().await.unwrap().is_empty());
    let (state, details) = bed.account.login_status().await.unwrap();
    assert_eq!((&*state, details), ("unknown", LoginDetails::default()));
}

/// Sends a call in the other byte order and returns the reply.
async fn call_from_another_machine(bed: &Bed, member: &str) -> Message {
    let other = match NATIVE_ENDIAN {
        Endian::Little => Endian::Big,
        Endian::Big => Endian::Little,
    };
    let call = Message::method_call("/org/plexaccountd/Account1", member)
        .interface("org.plexaccountd.Account1")
        .endian(other)
        .build(&())
        .unwrap();
    let serial = call.primary_header().serial_num();
    let mut messages = MessageStream::from(&bed.client);
    bed.client.send(&call).await.unwrap();
    loop {
        let message = next(&mut messages).await.unwrap().unwrap();
        if message.header().reply_serial() == Some(serial) {
            assert_eq!(message.message_type(), Type::MethodReturn);
            assert_eq!(message.primary_header().endian_sig(), EndianSig::from(other));
            return message;
        }
    }
}

#[tokio::test]
async fn a_caller_of_the_other_byte_order_is_answered_in_its_own() {
    let bed =
        serve(view([server("a", "Attic"), server("b", "Barn"), shared("c", "Cellar", "Cy")])).await;
    let reply = call_from_another_machine(&bed, "ListServers").await;
    let servers: Vec<ServerInfo> = reply.body().deserialize().unwrap();
    assert_eq!(servers, bed.account.list_servers().await.unwrap());
    let reply = call_from_another_machine(&bed, "ListSharedServers").await;
    let servers: Vec<ServerInfo> = reply.body().deserialize().unwrap();
    assert_eq!(servers, bed.account.list_shared_servers().await.unwrap());
    let reply = call_from_another_machine(&bed, "LoginStatus").await;
    let (state, _): (String, LoginDetails) = reply.body().deserialize().unwrap();
    assert_eq!(state, "signed-in");
}

#[tokio::test]
async fn probe_server_tells_of_each_address() {
    let mut bed = serve(view([server("a", "Attic")])).await;
    let report = |uri: &str, route, outcome, ms| AddressReport {
        uri: uri.into(),
        route,
        outcome,
        latency: Duration::from_millis(ms),
    };
    let account = bed.account.clone();
    let call = tokio::spawn(async move { account.probe_server("a").await });
    let Some(Command::ProbeServer { id, reply }) = bed.commands.recv().await else { panic!() };
    assert_eq!(id, "a");
    let reports = vec![
        report("https://a:1", Route::Local, ProbeOutcome::Ok, 7),
        report("https://a:2", Route::Remote, ProbeOutcome::Http(404), 70),
    ];
    reply.send(Ok(reports)).unwrap();
    let row = |uri: &str, route: &str, outcome: &str, ms| AddressProbe {
        uri: uri.into(),
        route: route.into(),
        outcome: outcome.into(),
        ms,
    };
    let rows = [row("https://a:1", "local", "ok", 7), row("https://a:2", "remote", "http-404", 70)];
    assert_eq!(call.await.unwrap().unwrap(), rows);
}

#[tokio::test]
async fn the_properties_say_what_the_details_say_and_count_the_owned_servers() {
    let mut state = view([]);
    let bed = serve(state.clone()).await;
    assert_eq!(bed.account.storage().await.unwrap(), "file");
    assert_eq!(
        (&*bed.account.error().await.unwrap(), &*bed.account.message().await.unwrap()),
        ("", "")
    );
    state.account.details.fault = Some((ErrorName::StorageFailed, "The disk is full.".into()));
    state.account.servers = ServerCounts { online: 3, offline: 2, unknown: 1 };
    let bed = serve(state).await;
    assert_eq!(bed.account.error().await.unwrap(), "org.plexaccountd.Error.StorageFailed");
    assert_eq!(bed.account.message().await.unwrap(), "The disk is full.");
    let all = AccountProperties::read(&bed.client).await.unwrap();
    assert_eq!(
        (all.servers_online, all.servers_offline, all.servers_unknown),
        (Some(3), Some(2), Some(1))
    );
    assert_eq!(all.message.as_deref(), Some("The disk is full."));
}

async fn details_of(bed: &Bed) -> BTreeMap<String, OwnedVariant> {
    let interface = Some("org.plexaccountd.Account1");
    let path = "/org/plexaccountd/Account1";
    let reply =
        (bed.client).call_method(None::<&str>, path, interface, "LoginStatus", &()).await.unwrap();
    let (_, details) = reply.body().deserialize::<(String, _)>().unwrap();
    details
}

#[tokio::test]
async fn login_status_has_the_keys_of_each_state() {
    let mut bed = serve(StateSnapshot::default()).await;
    let mut account = signed_in();
    account.details.login = Some(offer());
    account.details.rejected_since = Some(1_700_000_050);
    account.details.last_login = Some(Outcome::Failed);
    account.details.fault = Some((ErrorName::StorageFailed, "The disk is full.".to_owned()));
    account.details.revoked = Some((true, "Signed out.".to_owned()));
    let user = "account_id email signed_in_at storage thumb title username";
    for (state, own) in [
        (LoginState::SignedIn, user),
        (LoginState::Rejected, "since username"),
        (LoginState::Waiting, user),
    ] {
        account.login_state = state;
        let view = StateSnapshot { account: account.clone(), servers: Vec::new() };
        bed.service.publish(view).await.unwrap();
        let more = if state == LoginState::Waiting {
            "auth_url code expires_at link_url"
        } else {
            "error last_login message revoked"
        };
        let mut expected: Vec<_> = own.split(' ').chain(more.split(' ')).collect();
        expected.sort_unstable();
        let details = details_of(&bed).await;
        let keys: Vec<_> = details.keys().collect();
        assert_eq!(keys, expected, "{state}");
        let (word, _) = bed.account.login_status().await.unwrap();
        assert_eq!(word, state.word());
    }

    let (_, waiting) = bed.account.login_status().await.unwrap();
    assert_eq!(waiting.code.as_deref(), Some("ABCD"));
    assert_eq!(waiting.expires_at, Some(1_700_000_900));
    assert_eq!(waiting.account_id, Some(42));
    account.login_state = LoginState::SignedOut;
    account.details.account = None;
    let view = StateSnapshot { account, servers: Vec::new() };
    bed.service.publish(view).await.unwrap();
    let (_, out) = bed.account.login_status().await.unwrap();
    assert_eq!(
        out,
        LoginDetails {
            error: Some("org.plexaccountd.Error.StorageFailed".to_owned()),
            message: Some("The disk is full.".to_owned()),
            last_login: Some("failed".to_owned()),
            revoked: Some(true),
            ..LoginDetails::default()
        }
    );
}

#[tokio::test]
async fn properties_are_what_was_published() {
    let mut bed = serve(view([server("a-b", "Attic")])).await;
    let account = &bed.account;
    assert_eq!(account.version().await.unwrap(), env!("CARGO_PKG_VERSION"));
    assert_eq!(account.login_state().await.unwrap(), "signed-in");
    assert!(account.signed_in().await.unwrap());
    assert_eq!(account.username().await.unwrap(), "ada");
    assert_eq!(account.plex_tv().await.unwrap(), "ok");
    assert_eq!(account.last_refresh().await.unwrap(), 1_700_000_100);
    assert_eq!(account.next_refresh().await.unwrap(), 1_700_000_400);
    assert!(!account.stale().await.unwrap());

    let listed = account.list_servers().await.unwrap().remove(0);
    let attic = properties_of(&bed, "a-b").await;
    assert_eq!(attic.id().await.unwrap(), listed.id);
    assert_eq!(attic.name().await.unwrap(), listed.name);
    assert_eq!(attic.owned().await.unwrap(), listed.owned);
    assert_eq!(attic.source_title().await.unwrap(), listed.source_title);
    assert_eq!(attic.state().await.unwrap(), listed.state);
    assert_eq!(attic.reason().await.unwrap(), listed.reason);
    assert_eq!(attic.since().await.unwrap(), listed.since);
    assert_eq!(attic.last_seen().await.unwrap(), listed.last_seen);
    assert_eq!(attic.presence().await.unwrap(), listed.presence);
    assert_eq!(attic.route().await.unwrap(), listed.route);
    assert_eq!(attic.best_uri().await.unwrap(), listed.best_uri);
    assert_eq!(attic.product_version().await.unwrap(), listed.product_version);
    assert_eq!(attic.platform().await.unwrap(), listed.platform);
    assert_eq!(attic.public_address().await.unwrap(), listed.public_address);
    assert_eq!(attic.https_required().await.unwrap(), listed.https_required);
    assert_eq!(attic.muted_until().await.unwrap(), listed.muted_until);
    assert_eq!(attic.connections().await.unwrap(), listed.connections);

    let properties = PropertiesProxy::builder(&bed.client)
        .destination("org.plexaccountd.Account1")
        .path(server_path("a-b"))
        .build()
        .await
        .unwrap();
    let interface = || "org.plexaccountd.Server1".try_into().unwrap();
    assert_eq!(properties.get_all(interface()).await.unwrap().len(), 18);

    // A server that went has no object any more.
    bed.service.publish(view([])).await.unwrap();
    assert!(properties.get_all(interface()).await.is_err());
}

#[tokio::test]
async fn all_properties_at_once_are_the_single_ones() {
    let mut bed = serve(view([server("a", "Attic")])).await;
    let properties = PropertiesProxy::builder(&bed.client)
        .destination("org.plexaccountd.Account1")
        .path("/org/plexaccountd/Account1")
        .build()
        .await
        .unwrap();
    let of = |interface: &'static str| interface.try_into().unwrap();
    let account = "org.plexaccountd.Account1";
    for view in [view([]), StateSnapshot::default()] {
        bed.service.publish(view).await.unwrap();
        let all = properties.get_all(of(account)).await.unwrap();
        assert_eq!(all.len(), 14);
        for (name, value) in &all {
            assert_eq!(properties.get(of(account), name).await.unwrap(), *value, "{name}");
        }
    }
    // The object's other interfaces have none, and no other interface is there.
    let none = properties.get_all(of("org.freedesktop.DBus.ObjectManager")).await.unwrap();
    assert!(none.is_empty());
    assert!(properties.get_all(of("org.plexaccountd.Server1")).await.is_err());
}

#[tokio::test]
async fn start_login_hands_over_the_offer() {
    let mut bed = serve(StateSnapshot::default()).await;
    let owner = async {
        let Some(Command::StartLogin(reply)) = bed.commands.recv().await else {
            panic!("not asked")
        };
        reply.send(Ok(offer())).unwrap();
    };
    let (answer, ()) = tokio::join!(bed.account.start_login(), owner);
    let LoginOffer { code, link_url, auth_url, expires_at } = offer();
    assert_eq!(answer.unwrap(), (code, link_url, auth_url, expires_at));
}

#[tokio::test]
async fn calls_without_an_answer_return_when_the_owner_is_done() {
    let mut bed = serve(StateSnapshot::default()).await;
    let account = bed.account.clone();
    let owner = async {
        let Some(Command::CancelLogin(reply)) = bed.commands.recv().await else {
            panic!("CancelLogin")
        };
        reply.send(Ok(())).unwrap();
        let Some(Command::SignOut(reply)) = bed.commands.recv().await else { panic!("SignOut") };
        reply.send(Ok(())).unwrap();
        let Some(Command::Refresh(reply)) = bed.commands.recv().await else { panic!("Refresh") };
        reply.send(Ok(())).unwrap();
        let mut mutes = Vec::new();
        for _ in 0..2 {
            let Some(Command::Mute { id, until, reply }) = bed.commands.recv().await else {
                panic!("Mute")
            };
            mutes.push((id, until));
            reply.send(Ok(())).unwrap();
        }
        mutes
    };
    let caller = async {
        account.cancel_login().await.unwrap();
        account.sign_out().await.unwrap();
        account.refresh().await.unwrap();
        account.mute_server("a-b", u64::MAX).await.unwrap();
        account.unmute_server("a-b").await.unwrap();
    };
    let (mutes, ()) = tokio::join!(owner, caller);
    assert_eq!(mutes, [("a-b".to_owned(), u64::MAX), ("a-b".to_owned(), 0)]);
}

#[tokio::test]
async fn failures_have_the_names_of_the_contract() {
    let mut bed = serve(StateSnapshot::default()).await;
    let account = bed.account.clone();
    for name in ErrorName::ALL {
        let owner = async {
            let Some(Command::Refresh(reply)) = bed.commands.recv().await else {
                panic!("Refresh")
            };
            let message = format!("{name} happened\0; do this.");
            reply.send(Err(CallError::Account(*name, message))).unwrap();
        };
        let (answer, ()) = tokio::join!(account.refresh(), owner);
        let error = answer.unwrap_err();
        assert!(
            matches!(&error, zbus::Error::MethodError(full, _, _)
                if full.as_str() == format!("org.plexaccountd.Error.{name}")),
            "{error}"
        );
        assert_eq!(
            CallFailure::from(error),
            CallFailure::Account(*name, format!("{name} happened\u{fffd}; do this."))
        );
    }
    let owner = async {
        let Some(Command::Mute { reply, .. }) = bed.commands.recv().await else { panic!("Mute") };
        let error = CallError::InvalidArgs("That time has passed.".to_owned());
        reply.send(Err(error)).unwrap();
    };
    let (answer, ()) = tokio::join!(account.mute_server("a", 5), owner);
    assert_eq!(invalid_args(&answer.unwrap_err()), "That time has passed.");
}

fn invalid_args(error: &zbus::Error) -> &str {
    match error {
        zbus::Error::FDO(error) => match &**error {
            zbus::fdo::Error::InvalidArgs(message) => message,
            other => panic!("{other}"),
        },
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_mute_until_0_never_reaches_the_owner_as_an_unmute() {
    let mut bed = serve(view([server("a", "Attic")])).await;
    let error = bed.account.mute_server("a", 0).await.unwrap_err();
    assert!(invalid_args(&error).contains("has passed"));
    assert!(bed.commands.try_recv().is_err());
}

#[tokio::test]
async fn a_dropped_command_is_told_to_its_caller() {
    let mut bed = serve(StateSnapshot::default()).await;
    let owner = async { drop(bed.commands.recv().await) };
    let (answer, ()) = tokio::join!(bed.account.start_login(), owner);
    let CallFailure::Account(ErrorName::Cancelled, message) = answer.unwrap_err().into() else {
        panic!("another failure")
    };
    assert!(message.contains("stopping"), "{message}");
    // The same once there is no owner at all.
    drop(bed.commands);
    assert!(matches!(
        bed.account.refresh().await.unwrap_err().into(),
        CallFailure::Account(ErrorName::Cancelled, _)
    ));
}

#[tokio::test]
async fn too_many_waiting_calls_fail_at_once_and_reads_go_on() {
    let mut bed = serve(view([server("a", "Attic")])).await;
    let waiting: Vec<_> = (0..QUEUE)
        .map(|_| {
            let account = bed.account.clone();
            tokio::spawn(async move { account.refresh().await })
        })
        .collect();
    while bed.commands.len() < QUEUE {
        tokio::task::yield_now().await;
    }
    let error = bed.account.refresh().await.unwrap_err();
    assert!(
        matches!(&error, zbus::Error::FDO(error)
            if matches!(**error, zbus::fdo::Error::LimitsExceeded(_))),
        "{error}"
    );
    // Nobody has answered yet, and reads do.
    assert_eq!(bed.account.list_servers().await.unwrap().len(), 1);
    assert_eq!(bed.account.username().await.unwrap(), "ada");

    for _ in 0..QUEUE {
        let Some(Command::Refresh(reply)) = bed.commands.recv().await else { panic!("Refresh") };
        reply.send(Ok(())).unwrap();
    }
    for call in waiting {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn hostile_text_breaks_nothing() {
    let long = "\u{202e}x".repeat(2048);
    let names = ["N\0UL", "\"<b>&amp;\n", "", &long, "\u{10ffff}"];
    let mut views: Vec<_> =
        (names.iter().enumerate()).map(|(n, name)| server(&format!("id\0{n}"), name)).collect();
    let odd = Arc::make_mut(&mut views[0].server);
    odd.connections[0].uri = "https://\0".to_owned();
    odd.platform = "\0".to_owned();
    // Two that differ only in what a path can't hold, one without an id, one that is there twice.
    views.extend(["a-b", "a_b", "a b", "", "a-b"].map(|id| server(id, "Odd")));
    let mut bed = serve(view(views)).await;
    let servers = bed.account.list_servers().await.unwrap();
    assert_eq!(servers.len(), names.len() + 3);
    assert_eq!(servers[0].id, "id\u{fffd}0");
    assert_eq!(servers[0].name, "N\u{fffd}UL");
    assert_eq!(servers[0].connections[0].uri, "https://\u{fffd}");
    assert_eq!(servers[3].name, long);
    let proxy = properties_of(&bed, "id\x000").await;
    assert_eq!(proxy.name().await.unwrap(), "N\u{fffd}UL");
    for server in &servers {
        let proxy = ServerProxy::builder(&bed.client)
            .path(server.path.clone())
            .cache_properties(CacheProperties::No)
            .build()
            .await
            .unwrap();
        assert_eq!(proxy.id().await.unwrap(), server.id);
    }

    let mut now = view([]);
    now.account.username = "a\0".to_owned();
    now.account.details.account.as_mut().unwrap().title = "\0".to_owned();
    bed.service.publish(now).await.unwrap();
    assert_eq!(bed.account.username().await.unwrap(), "a\u{fffd}");
    let (_, details) = bed.account.login_status().await.unwrap();
    assert_eq!(details.title.as_deref(), Some("\u{fffd}"));
}

#[tokio::test]
async fn connections_without_end_are_cut() {
    let mut many = server("a", "Attic");
    let connections = &mut Arc::make_mut(&mut many.server).connections;
    *connections = (0..100_000)
        .map(|n| Connection { uri: format!("https://{n}.example"), ..Connection::default() })
        .collect();
    let bed = serve(view([many])).await;
    let servers = bed.account.list_servers().await.unwrap();
    assert_eq!(servers[0].connections.len(), 256);
}
