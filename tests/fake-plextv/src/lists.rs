//! The lists of servers and devices, in each of the three shapes that plex.tv has for them.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::doc::{Row, XML_HEAD, json_members, rfc3339, row, xml_attributes};
use crate::model::{Connection, Server};
use crate::render::{Format, attributes};

/// `includeHttps`, `includeRelay` and `includeIPv6` of a list request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Include {
    pub(crate) https: bool,
    pub(crate) relay: bool,
    pub(crate) ipv6: bool,
}

/// A server with the port it is simulated on (0 if it is not).
pub(crate) type Listed<'a> = (Cow<'a, Server>, u16);

/// The list of `/api/v2/resources`.
pub(crate) fn v2<'a>(
    format: Format,
    servers: impl Iterator<Item = Listed<'a>>,
    include: Include,
) -> String {
    let mut out = String::from(if format == Format::Json { "[" } else { XML_HEAD });
    if format == Format::Xml {
        out.push_str("<resources>\n");
    }
    for (n, (server, port)) in servers.enumerate() {
        let row = v2_row(&server);
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
    out.push_str(if format == Format::Json { "]" } else { "</resources>\n" });
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

/// The list of `/api/resources`: XML, no IPv6, some servers missing, dates in unix seconds. A connection says whether
/// it is a relay only where relays were asked for.
pub(crate) fn v1<'a>(servers: impl Iterator<Item = Listed<'a>>, include: Include) -> String {
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
        for connection in
            server.connections.iter().filter(|c| (include.relay || !c.relay) && !c.ipv6)
        {
            rows.push_str(if open { "    <Connection" } else { ">\n    <Connection" });
            open = true;
            let mut row = connection_row(connection, port, include.https);
            if include.relay {
                row.extend(row! { "relay" => connection.relay });
            }
            xml_attributes(&mut rows, &row);
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
