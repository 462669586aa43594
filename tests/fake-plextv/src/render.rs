//! The documents of plex.tv, field by field as its clients see them.

use std::fmt::Write as _;
use std::time::Instant;

use crate::doc::{Row, XML_HEAD, json_members, rfc3339, row, spaced_utc, xml_attributes};
use crate::model::{Account, Connection, Device, Pin, PinState, Server, unix_now};

/// Which notation a client wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    /// `application/json`
    Json,
    /// `application/xml`, also where nothing was asked for
    Xml,
}

/// `includeHttps`, `includeRelay` and `includeIPv6` of a list request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Include {
    pub(crate) https: bool,
    pub(crate) relay: bool,
    pub(crate) ipv6: bool,
}

/// A server with the port it is simulated on (0 if it is not).
pub(crate) type Listed<'a> = (&'a Server, u16);

/// An error body: plex.tv's number and words for it, and the status it comes with.
pub(crate) fn error(format: Format, code: u64, message: &str, status: u16) -> String {
    let row = row! { "code" => code, "message" => message, "status" => u64::from(status) };
    match format {
        Format::Json => format!("{{\"errors\":[{{{}}}]}}", members(&row)),
        Format::Xml => format!(
            "{XML_HEAD}<errors>\n  <error{}/>\n</errors>\n",
            attributes(&row)
        ),
    }
}

/// The older error body, which `/users/account` still has.
pub(crate) fn old_error(format: Format, message: &str) -> String {
    match format {
        Format::Json => format!("{{{}}}", members(&row! { "error" => message })),
        Format::Xml => format!("{XML_HEAD}<errors>\n  <error>{message}</error>\n</errors>\n"),
    }
}

/// A PIN, pending or claimed.
pub(crate) fn pin(format: Format, pin: &Pin, now: Instant) -> String {
    let date = match format {
        Format::Json => rfc3339,
        Format::Xml => spaced_utc,
    };
    let (token, new_registration) = match &pin.state {
        PinState::Claimed { token } => (Some(token), Some(false)),
        PinState::Pending | PinState::Gone { .. } => (None, None),
    };
    let head = row! {
        "id" => pin.id,
        "code" => &pin.code,
        "product" => &pin.device.product,
        "trusted" => false,
        "qr" => format!("https://plex.tv/api/v2/pins/qr/{}", pin.code),
        "clientIdentifier" => &pin.device.client_id,
    };
    let tail = row! {
        "expiresIn" => pin.expires_in(now).unwrap_or(0),
        "createdAt" => date(pin.created_at),
        "expiresAt" => date(pin.created_at + pin.lifetime),
        "authToken" => token,
        "newRegistration" => new_registration,
    };
    let location = row! {
        "code" => "NL",
        "european_union_member" => true,
        "continent_code" => "EU",
        "country" => "The Netherlands",
        "city" => "Exampledam",
        "time_zone" => "Europe/Amsterdam",
        "postal_code" => "0000",
        "in_privacy_restricted_country" => true,
        "in_privacy_restricted_region" => true,
        "subdivisions" => "North Example",
        "coordinates" => "52.0000, 5.0000",
    };
    match format {
        Format::Json => {
            format!(
                "{{{},\"location\":{{{}}},{}}}",
                members(&head),
                members(&location),
                members(&tail)
            )
        }
        Format::Xml => format!(
            "{XML_HEAD}<pin{}{}>\n  <location{}/>\n</pin>\n",
            attributes(&head),
            attributes(&tail),
            attributes(&location)
        ),
    }
}

/// The user document; `token` is the one the request came with.
pub(crate) fn user(format: Format, account: &Account, token: &str) -> String {
    let main = row! {
        "id" => account.id,
        "uuid" => &account.uuid,
        "username" => &account.username,
        "title" => &account.title,
        "email" => &account.email,
        "friendlyName" => &account.friendly_name,
        "locale" => None::<String>,
        "confirmed" => true,
        "joinedAt" => 1_339_124_759,
        "emailOnlyAuth" => false,
        "hasPassword" => true,
        "protected" => false,
        "thumb" => &account.thumb,
        "authToken" => token,
        "mailingListStatus" => "unsubscribed",
        "mailingListActive" => false,
        "scrobbleTypes" => "",
        "country" => &account.country,
        "subscriptionDescription" => None::<String>,
        "restricted" => false,
        "anonymous" => None::<bool>,
        "home" => false,
        "guest" => false,
        "homeSize" => 1,
        "homeAdmin" => false,
        "maxHomeSize" => 15,
        "rememberExpiresAt" => unix_now() + 14 * 86_400,
        "adsConsent" => None::<bool>,
        "adsConsentSetAt" => None::<u64>,
        "adsConsentReminderAt" => None::<u64>,
        "experimentalFeatures" => false,
        "twoFactorEnabled" => false,
        "backupCodesCreated" => false,
    };
    let subscription = row! {
        "active" => account.plex_pass,
        "subscribedAt" => account.plex_pass.then_some("2023-09-19 00:00:00 UTC"),
        "status" => if account.plex_pass { "Active" } else { "Inactive" },
        "paymentService" => None::<String>,
        "plan" => account.plex_pass.then_some("lifetime"),
    };
    let profile = row! {
        "autoSelectAudio" => true,
        "defaultAudioLanguage" => None::<String>,
        "defaultSubtitleLanguage" => None::<String>,
        "autoSelectSubtitle" => 0,
        "defaultSubtitleAccessibility" => 0,
        "defaultSubtitleForced" => 0,
    };
    match format {
        Format::Json => format!(
            "{{{},\"subscription\":{{{},\"features\":[]}},\"profile\":{{{}}},\"entitlements\":[],\"roles\":[],\
             \"subscriptions\":[],\"services\":[]}}",
            members(&main),
            members(&subscription),
            members(&profile)
        ),
        Format::Xml => format!(
            "{XML_HEAD}<user{}>\n  <subscription{}>\n    <features/>\n  </subscription>\n  <profile{}/>\n  \
             <entitlements/>\n  <roles/>\n  <subscriptions/>\n  <services/>\n</user>\n",
            attributes(&main),
            attributes(&subscription),
            attributes(&profile)
        ),
    }
}

/// The document of `/users/account`.
pub(crate) fn users_account(format: Format, account: &Account, token: &str) -> String {
    let main = row! {
        "id" => account.id,
        "uuid" => &account.uuid,
        "email" => &account.email,
        "joined_at" => rfc3339(1_339_124_759),
        "username" => &account.username,
        "title" => &account.title,
        "thumb" => &account.thumb,
        "hasPassword" => true,
        "authToken" => token,
        "authentication_token" => token,
    };
    let subscription = row! {
        "active" => account.plex_pass,
        "status" => if account.plex_pass { "Active" } else { "Inactive" },
        "plan" => account.plex_pass.then_some("lifetime"),
    };
    match format {
        Format::Json => format!(
            "{{\"user\":{{{},\"subscription\":{{{},\"features\":[]}},\"roles\":{{\"roles\":[]}},\"entitlements\":[]}}}}",
            members(&main),
            members(&subscription)
        ),
        Format::Xml => format!(
            "{XML_HEAD}<user{}>\n  <subscription{}/>\n  <roles/>\n  <entitlements/>\n</user>\n",
            attributes(&main),
            attributes(&subscription)
        ),
    }
}

/// The list of `/api/v2/resources`.
pub(crate) fn v2<'a>(
    format: Format,
    servers: impl Iterator<Item = Listed<'a>>,
    include: Include,
) -> String {
    let mut out = String::from(if format == Format::Json {
        "["
    } else {
        XML_HEAD
    });
    if format == Format::Xml {
        out.push_str("<resources>\n");
    }
    for (n, (server, port)) in servers.enumerate() {
        let row = v2_row(server);
        let connections = server
            .connections
            .iter()
            .filter(|c| (include.relay || !c.relay) && (include.ipv6 || !c.ipv6))
            .map(|c| {
                let mut row = connection_row(c, port, include.https);
                row.extend(row! { "relay" => c.relay, "IPv6" => c.ipv6 });
                row
            });
        match format {
            Format::Json => {
                out.push_str(if n > 0 { ",{" } else { "{" });
                json_members(&mut out, &row);
                out.push_str(",\"connections\":[");
                for (n, connection) in connections.enumerate() {
                    out.push_str(if n > 0 { ",{" } else { "{" });
                    json_members(&mut out, &connection);
                    out.push('}');
                }
                out.push_str("]}");
            }
            Format::Xml => {
                out.push_str("  <resource");
                xml_attributes(&mut out, &row);
                out.push_str(">\n    <connections>\n");
                for connection in connections {
                    out.push_str("      <connection");
                    xml_attributes(&mut out, &connection);
                    out.push_str("/>\n");
                }
                out.push_str("    </connections>\n  </resource>\n");
            }
        }
    }
    out.push_str(if format == Format::Json {
        "]"
    } else {
        "</resources>\n"
    });
    out
}

fn v2_row(server: &Server) -> Row {
    let mut row = row! {
        "name" => &server.name,
        "product" => &server.product,
        "productVersion" => &server.product_version,
        "platform" => &server.platform,
        "platformVersion" => &server.platform_version,
        "device" => &server.device,
        "clientIdentifier" => &server.id,
        "createdAt" => rfc3339(server.created_at),
        "lastSeenAt" => rfc3339(server.last_seen_at),
        "provides" => &server.provides,
        "ownerId" => server.owner_id,
        "sourceTitle" => server.source_title.as_ref(),
        "publicAddress" => server.public_address.as_ref(),
        "accessToken" => server.token(),
        "owned" => server.owned,
        "home" => server.home,
        "synced" => server.synced,
        "relay" => server.relay,
        "presence" => server.presence,
        "httpsRequired" => server.https_required,
        "publicAddressMatches" => server.public_address_matches,
    };
    if server.is_server() {
        row.extend(row! { "dnsRebindingProtection" => false, "natLoopbackSupported" => false });
    }
    row
}

fn connection_row(connection: &Connection, simulated: u16, https: bool) -> Row {
    let port = connection.port_or(simulated);
    let plain = !https && connection.protocol == "https";
    row! {
        "protocol" => if plain { "http" } else { &connection.protocol },
        "address" => &connection.address,
        "port" => port,
        "uri" => if plain {
            format!("http://{}:{port}", connection.host())
        } else {
            connection.uri_or(simulated)
        },
        "local" => connection.local,
    }
}

/// The list of `/api/resources`: XML, no relays, no IPv6, some servers missing, dates in unix seconds.
pub(crate) fn v1<'a>(servers: impl Iterator<Item = Listed<'a>>, https: bool) -> String {
    let mut rows = String::new();
    let mut size = 0_u64;
    for (server, port) in servers.filter(|(server, _)| server.in_v1) {
        size += 1;
        let mut row = row! {
            "name" => &server.name,
            "product" => &server.product,
            "productVersion" => &server.product_version,
            "platform" => &server.platform,
            "platformVersion" => &server.platform_version,
            "device" => &server.device,
            "clientIdentifier" => &server.id,
            "createdAt" => server.created_at,
            "lastSeenAt" => server.last_seen_at,
            "provides" => &server.provides,
            "owned" => server.owned,
        };
        if let Some(token) = server.token() {
            row.extend(row! { "accessToken" => token });
        }
        if let Some(address) = &server.public_address {
            row.extend(row! { "publicAddress" => address });
        }
        if server.is_server() {
            row.extend(row! {
                "httpsRequired" => server.https_required,
                "synced" => server.synced,
                "relay" => server.relay,
                "dnsRebindingProtection" => false,
                "natLoopbackSupported" => false,
                "publicAddressMatches" => server.public_address_matches,
            });
        }
        row.extend(row! { "presence" => server.presence });
        if let (Some(owner), Some(title)) = (server.owner_id, &server.source_title) {
            row.extend(row! { "ownerId" => owner, "home" => server.home, "sourceTitle" => title });
        }
        if server.is_server() {
            row.extend(row! { "searchEnabled" => "true" });
        }
        rows.push_str("  <Device");
        xml_attributes(&mut rows, &row);
        let mut open = false;
        for connection in server.connections.iter().filter(|c| !c.relay && !c.ipv6) {
            rows.push_str(if open {
                "    <Connection"
            } else {
                ">\n    <Connection"
            });
            open = true;
            xml_attributes(&mut rows, &connection_row(connection, port, https));
            rows.push_str("/>\n");
        }
        rows.push_str(if open { "  </Device>\n" } else { "/>\n" });
    }
    format!("{XML_HEAD}<MediaContainer size=\"{size}\">\n{rows}</MediaContainer>\n")
}

/// The list of `/pms/servers.xml`: servers only, and only those published for access from outside.
pub(crate) fn servers_xml<'a>(servers: impl Iterator<Item = Listed<'a>>) -> String {
    let mut rows = String::new();
    let mut size = 0_u64;
    for (server, port) in servers.filter(|(server, _)| server.is_server()) {
        let Some(outside) = server.connections.iter().find(|c| !c.relay && !c.ipv6) else {
            continue;
        };
        size += 1;
        let local: Vec<&str> = server
            .connections
            .iter()
            .filter(|c| c.local && !c.relay)
            .map(|c| c.address.as_str())
            .collect();
        let mut row = row! {
            "accessToken" => server.token(),
            "name" => &server.name,
            "address" => &outside.address,
            "port" => outside.port_or(port),
            "version" => &server.product_version,
            "scheme" => "http",
            "host" => &outside.address,
            "localAddresses" => local.join(","),
            "machineIdentifier" => &server.id,
            "createdAt" => server.created_at,
            "updatedAt" => server.last_seen_at,
            "owned" => server.owned,
            "synced" => server.synced,
        };
        if let (Some(owner), Some(title)) = (server.owner_id, &server.source_title) {
            row.extend(row! { "sourceTitle" => title, "ownerId" => owner, "home" => server.home });
        }
        let _ = writeln!(rows, "  <Server{}/>", attributes(&row));
    }
    format!(
        "{XML_HEAD}<MediaContainer friendlyName=\"myPlex\" identifier=\"com.plexapp.plugins.myplex\" \
         machineIdentifier=\"{}\" size=\"{size}\">\n{rows}</MediaContainer>\n",
        "0".repeat(40)
    )
}

/// The list of `/devices.xml`; connections have only a uri there.
pub(crate) fn devices<'a>(servers: impl Iterator<Item = Listed<'a>>) -> String {
    let mut rows = String::new();
    let mut size = 0_u64;
    for (server, port) in servers.filter(|(server, _)| server.owned) {
        size += 1;
        let row = row! {
            "name" => &server.name,
            "publicAddress" => server.public_address.as_ref(),
            "product" => &server.product,
            "productVersion" => &server.product_version,
            "platform" => &server.platform,
            "platformVersion" => &server.platform_version,
            "device" => &server.device,
            "model" => "",
            "vendor" => "",
            "provides" => &server.provides,
            "clientIdentifier" => &server.id,
            "version" => &server.product_version,
            "id" => 100_000 + size,
            "token" => server.token(),
            "createdAt" => server.created_at,
            "lastSeenAt" => server.last_seen_at,
            "screenResolution" => "",
            "screenDensity" => "",
        };
        let _ = writeln!(rows, "  <Device{}>", attributes(&row));
        for connection in &server.connections {
            let _ = writeln!(
                rows,
                "    <Connection{}/>",
                attributes(&row! { "uri" => connection.uri_or(port) })
            );
        }
        rows.push_str("  </Device>\n");
    }
    format!(
        "{XML_HEAD}<MediaContainer publicAddress=\"198.51.100.20\" size=\"{size}\">\n{rows}</MediaContainer>\n"
    )
}

/// A server's `/identity`.
pub(crate) fn identity(format: Format, id: &str, version: &str) -> String {
    let row =
        row! { "size" => 0, "claimed" => true, "machineIdentifier" => id, "version" => version };
    match format {
        Format::Json => format!("{{\"MediaContainer\":{{{}}}}}", members(&row)),
        Format::Xml => format!(
            "{XML_HEAD}<MediaContainer{}>\n</MediaContainer>\n",
            attributes(&row)
        ),
    }
}

/// What a server answers while it starts.
pub(crate) fn maintenance() -> String {
    let row = row! {
        "code" => 503,
        "title" => "Maintenance",
        "status" => "Plex Media Server is currently running startup maintenance tasks.",
    };
    format!("{XML_HEAD}<Response{}/>\n", attributes(&row))
}

/// The row of a signed-in client in the account's own lists.
pub(crate) fn own_device(device: &Device, token: &str) -> Server {
    Server {
        id: device.client_id.clone(),
        name: device.name.clone(),
        provides: device.provides.clone(),
        product: device.product.clone(),
        product_version: device.version.clone(),
        platform: device.platform.clone(),
        platform_version: device.platform_version.clone(),
        device: device.device.clone(),
        access_token: Some(token.to_owned()),
        ..Server::default()
    }
}

fn members(row: &Row) -> String {
    let mut out = String::new();
    json_members(&mut out, row);
    out
}

fn attributes(row: &Row) -> String {
    let mut out = String::new();
    xml_attributes(&mut out, row);
    out
}
