//! What there is to watch: the libraries of a server, in the two ways in which clients ask for them.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::{about, container, found};
use crate::doc::{Row, row};
use crate::faults::ServerId;
use crate::model::Server;
use crate::plex::{document, format};
use crate::render::{self, Format, attributes, members, objects};
use crate::state::App;

/// `GET /media/providers`: the server itself as a provider, with its libraries and what a client may show of each.
pub(super) async fn providers(
    State(app): State<Arc<App>>,
    Extension(id): Extension<ServerId>,
    headers: HeaderMap,
) -> Result<Response, StatusCode> {
    let (server, owner) = found(&app, &id)?;
    let head = about(&server, &owner, 1);
    let provider = row! {
        "identifier" => "com.plexapp.plugins.library",
        "title" => "Library",
        "types" => "video,audio,photo",
        "protocols" => "stream,download",
    };
    let content = row! { "key" => "/library/sections", "type" => "content" };
    let manage = row! { "type" => "manage" };
    let directories: Vec<(Row, Vec<Row>)> = libraries(&server)
        .map(|(key, mut row)| {
            row.retain(|(name, _)| {
                ["agent", "language", "refreshing", "scanner", "uuid", "type", "title"]
                    .contains(name)
            });
            row.extend(row! {
                "id" => &key,
                "key" => format!("/library/sections/{key}"),
                "hubKey" => format!("/hubs/sections/{key}"),
                "updatedAt" => server.last_seen_at,
                "scannedAt" => server.last_seen_at,
            });
            (row, vec![pivot(&key)])
        })
        .collect();
    let format = format(&headers, "");
    let body = match format {
        Format::Json => format!(
            "{{\"MediaContainer\":{{{},\"MediaProvider\":[{{{},\"Feature\":[{{{},\"Directory\":[{}]}},{{{}}}]}}]}}}}",
            members(&head),
            members(&provider),
            members(&content),
            with_children(&directories, "Pivot"),
            members(&manage)
        ),
        Format::Xml => {
            let directories: String = directories
                .iter()
                .map(|(row, pivots)| render::parent("Directory", row, "Pivot", pivots))
                .collect();
            let inner = format!(
                "<MediaProvider{}>\n<Feature{}>\n{directories}</Feature>\n<Feature{}/>\n</MediaProvider>\n",
                attributes(&provider),
                attributes(&content),
                attributes(&manage)
            );
            render::document("MediaContainer", &head, &inner)
        }
    };
    Ok(document(format, body))
}

/// A view of a library.
fn pivot(key: &str) -> Row {
    row! {
        "id" => "library",
        "key" => format!("/library/sections/{key}/all?type=1"),
        "type" => "list",
        "title" => "Library",
        "context" => "content.library",
        "symbol" => "library",
    }
}

/// JSON objects that each have a list of others.
fn with_children(rows: &[(Row, Vec<Row>)], name: &str) -> String {
    let all: Vec<String> = rows
        .iter()
        .map(|(row, children)| format!("{{{},\"{name}\":[{}]}}", members(row), objects(children)))
        .collect();
    all.join(",")
}

/// The libraries with their numbers, as `/library/sections` has them.
fn libraries(server: &Server) -> impl Iterator<Item = (String, Row)> {
    server.libraries.iter().zip(1_u64..).map(move |(library, n)| {
        let (agent, scanner) = match library.kind.as_str() {
            "show" => ("tv.plex.agents.series", "Plex TV Series"),
            "artist" => ("tv.plex.agents.music", "Plex Music"),
            "photo" => ("com.plexapp.agents.none", "Plex Photo Scanner"),
            _ => ("tv.plex.agents.movie", "Plex Movie"),
        };
        let key = n.to_string();
        let row = row! {
            "allowSync" => true,
            "art" => format!("/:/resources/{}-fanart.jpg", library.kind),
            "composite" => format!("/library/sections/{key}/composite/{}", server.last_seen_at),
            "filters" => true,
            "refreshing" => false,
            "thumb" => format!("/:/resources/{}.png", library.kind),
            "key" => &key,
            "type" => &library.kind,
            "title" => &library.title,
            "agent" => agent,
            "scanner" => scanner,
            "language" => "en-US",
            "uuid" => format!("00000000-0000-4000-8000-{n:012}"),
            "updatedAt" => server.last_seen_at,
            "createdAt" => server.created_at,
            "scannedAt" => server.last_seen_at,
            "content" => true,
            "directory" => true,
            "contentChangedAt" => n,
            "hidden" => 0,
        };
        (key, row)
    })
}

/// `GET /library`, which only says what there is below it.
pub(super) async fn library(headers: HeaderMap) -> Response {
    let head = row! {
        "size" => 1,
        "allowSync" => false,
        "identifier" => "com.plexapp.plugins.library",
        "mediaTagPrefix" => "/system/bundle/media/flags/",
        "mediaTagVersion" => 1,
        "title1" => "Plex Library",
    };
    let rows = [row! { "key" => "sections", "title" => "Library Sections" }];
    container(format(&headers, ""), &head, "Directory", &rows)
}

/// `GET /library/sections`
pub(super) async fn sections(
    State(app): State<Arc<App>>,
    Extension(id): Extension<ServerId>,
    headers: HeaderMap,
) -> Result<Response, StatusCode> {
    let (server, _) = found(&app, &id)?;
    let libraries: Vec<(Row, Vec<Row>)> = libraries(&server)
        .zip(&server.libraries)
        .zip(1_u64..)
        .map(|(((_, row), library), n)| {
            (row, vec![row! { "id" => n, "path" => format!("/media/{}", library.title) }])
        })
        .collect();
    let head = row! {
        "size" => libraries.len() as u64,
        "allowSync" => true,
        "title1" => "Plex Library",
    };
    let format = format(&headers, "");
    let body = match format {
        Format::Json => {
            let all = with_children(&libraries, "Location");
            format!("{{\"MediaContainer\":{{{},\"Directory\":[{all}]}}}}", members(&head))
        }
        Format::Xml => {
            let all: String = libraries
                .iter()
                .map(|(row, places)| render::parent("Directory", row, "Location", places))
                .collect();
            render::document("MediaContainer", &head, &all)
        }
    };
    Ok(document(format, body))
}
