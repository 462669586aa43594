//! What all of these tests need: a pair of connections, and something to show on them.

use std::{os::unix::net::UnixStream, sync::Arc, time::Duration};

use plex_account_client::AccountProxy;
use plex_account_core::{
    server::{Connection, Server},
    state_snapshot::{
        AccountDetails, AccountSnapshot, Details, ServerCounts, ServerSnapshot, StateSnapshot,
    },
    words::{LoginState, PlexTv, Reason, Route, State, Storage},
};
use plex_accountd::dbus::{Service, command::Command};
use tokio::sync::mpsc;
use zbus::connection::Builder;

/// How many commands may wait for the owner in these tests.
pub(crate) const QUEUE: usize = 4;

pub(crate) struct Bed {
    pub(crate) service: Service,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) client: zbus::Connection,
    pub(crate) account: AccountProxy<'static>,
    // The connection's tasks hold it weakly.
    _server: zbus::Connection,
}

/// Serves `view` on a new socket pair.
pub(crate) async fn serve(view: StateSnapshot) -> Bed {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = (Builder::unix_stream(ours).p2p()).server(zbus::Guid::generate()).build();
    let client =
        (Builder::unix_stream(theirs).p2p()).method_timeout(Duration::from_secs(20)).build();
    let (server, client) = tokio::try_join!(server, client).unwrap();
    let (sender, commands) = mpsc::channel(QUEUE);
    let service = Service::serve(&server, sender, view).await.unwrap();
    let account = AccountProxy::builder(&client)
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await
        .unwrap();
    Bed { service, commands, client, account, _server: server }
}

/// A server with two connections.
pub(crate) fn server(id: &str, name: &str) -> ServerSnapshot {
    let connection = |uri: &str, local, relay| Connection {
        uri: uri.to_owned(),
        protocol: "https".to_owned(),
        address: "192.0.2.7".to_owned(),
        port: 32400,
        local,
        relay,
        ipv6: false,
    };
    ServerSnapshot {
        server: Arc::new(Server {
            id: id.to_owned(),
            name: name.to_owned(),
            owned: true,
            source_title: String::new(),
            product_version: "1.40.2".to_owned(),
            platform: "Linux".to_owned(),
            public_address: "198.51.100.1".to_owned(),
            https_required: true,
            public_address_matches: false,
            connections: vec![
                connection("https://192-0-2-7.example.plex.direct:32400", true, false),
                connection("https://relay.example.plex.direct:8443", false, true),
            ],
        }),
        presence: true,
        state: State::Online,
        reason: Reason::PlexTv,
        since: 1_700_000_000,
        last_seen: 1_700_000_000,
        route: Route::Local,
        best_uri: "https://192-0-2-7.example.plex.direct:32400".to_owned(),
        muted_until: 0,
    }
}

/// The same server, shared by another account.
pub(crate) fn shared(id: &str, name: &str, by: &str) -> ServerSnapshot {
    let mut view = server(id, name);
    let server = Arc::make_mut(&mut view.server);
    server.owned = false;
    by.clone_into(&mut server.source_title);
    view
}

pub(crate) fn signed_in() -> AccountSnapshot {
    AccountSnapshot {
        login_state: LoginState::SignedIn,
        signed_in: true,
        username: "ada".to_owned(),
        plex_tv: PlexTv::Ok,
        last_refresh: 1_700_000_100,
        next_refresh: 1_700_000_400,
        servers: ServerCounts::default(),
        settling: false,
        stale: false,
        details: Details {
            account: Some(AccountDetails {
                username: "ada".to_owned(),
                email: "ada@example.org".to_owned(),
                title: "Ada".to_owned(),
                thumb: "https://plex.tv/users/1/avatar".to_owned(),
                account_id: 42,
                signed_in_at: 1_699_000_000,
                storage: Storage::File,
            }),
            ..Details::default()
        },
    }
}

/// A view of an account that is signed in.
pub(crate) fn view(servers: impl IntoIterator<Item = ServerSnapshot>) -> StateSnapshot {
    StateSnapshot { account: signed_in(), servers: servers.into_iter().map(Arc::new).collect() }
}
