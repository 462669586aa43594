//! Servers for those who bring none: the demo account, and any number of them for measuring.

use crate::model::{Connection, Probe, Server};

/// The account that is served when no scenario says otherwise: three owned servers (one absent, one
/// that v1 leaves out), one shared, a player
/// and a browser. All connections are on this machine.
pub(crate) fn default_servers() -> Vec<Server> {
    let local = Connection::default;
    let relay = || Connection { local: false, relay: true, ..Connection::default() };
    vec![
        Server {
            id: "a".repeat(40),
            name: "Attic".into(),
            relay: true,
            connections: vec![local(), relay()],
            probe: Some(Probe::Up),
            ..Server::default()
        },
        Server {
            id: "b".repeat(40),
            name: "Cellar".into(),
            presence: false,
            last_seen_at: 1_762_052_645,
            connections: vec![local()],
            probe: Some(Probe::Down),
            ..Server::default()
        },
        Server {
            id: "e".repeat(40),
            name: "家のサーバー".into(),
            platform: "Windows".into(),
            platform_version: "10.0 (Build 19045)".into(),
            in_v1: false,
            connections: vec![local()],
            probe: Some(Probe::Up),
            ..Server::default()
        },
        Server {
            id: "c".repeat(40),
            name: "media".into(),
            owned: false,
            owner_id: Some(87_654_321),
            source_title: Some("friend-one".into()),
            public_address: Some("203.0.113.77".into()),
            public_address_matches: false,
            connections: vec![Connection { local: false, ..Connection::default() }],
            probe: Some(Probe::Up),
            ..Server::default()
        },
        Server {
            id: "player-0001".into(),
            name: "Living Room".into(),
            product: "Plex for Android (TV)".into(),
            product_version: "10.18.0.1234".into(),
            platform: "Android".into(),
            platform_version: "11".into(),
            device: "SHIELD Android TV".into(),
            provides: "player,pubsub-player,controller".into(),
            connections: vec![Connection { port: Some(32_500), ..Connection::default() }],
            ..Server::default()
        },
        Server {
            id: "web-0001".into(),
            name: "Firefox".into(),
            product: "Plex Web".into(),
            product_version: "4.145.1".into(),
            platform: "Firefox".into(),
            platform_version: "140.0".into(),
            device: "Linux".into(),
            provides: String::new(),
            access_token: Some("webTok0001".into()),
            ..Server::default()
        },
    ]
}

/// `count` servers of four connections each, all on this machine, half of them connected to plex.tv by turns.
pub(crate) fn generated_servers(count: usize) -> Vec<Server> {
    (0..count)
        .map(|n| Server {
            id: format!("{n:040x}"),
            name: format!("Server {n:05}"),
            presence: n % 2 == 0,
            // The first is where it answers, if it is told to.
            connections: std::iter::once(Connection { local: true, ..Connection::default() })
                .chain((1..4_usize).map(|c| {
                    let address = format!("127.{}.{}.{}", 1 + c, n / 250, 1 + n % 250);
                    Connection {
                        uri: Some(format!("http://{address}:32400")),
                        address,
                        port: Some(32_400),
                        local: c < 2,
                        ..Connection::default()
                    }
                }))
                .collect(),
            ..Server::default()
        })
        .collect()
}
