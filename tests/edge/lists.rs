//! Every server list among the fixtures gives the servers that a person reading it would name,
//! and a list that is not whole gives none.

use std::path::Path;

use plex_account_core::plextv_error::PlexTvError;
use plex_account_core::server::{List, Row, merge};
use plex_accountd::plextv::{Kind, ListReader};
use proptest::prelude::*;

/// The client identifier of the daemon's own device row in the fixtures.
const OWN_ID: &str = "7d1c7a3e-5c0f-4d0b-9b53-0d6a1f6c2e11";

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn read_in_pieces(kind: Kind, bytes: &[u8], size: usize) -> Result<List, PlexTvError> {
    let mut reader = ListReader::new(kind, OWN_ID);
    for piece in bytes.chunks(size.max(1)) {
        reader.feed(piece)?;
    }
    reader.finish()
}

fn read(kind: Kind, bytes: &[u8]) -> Result<List, PlexTvError> {
    read_in_pieces(kind, bytes, usize::MAX)
}

/// A row on one line: id, name, whose, plex.tv's word, and the connections' ports with `l`ocal,
/// `r`elay and `6`.
fn line(row: &Row) -> String {
    let word = |flag, yes, no| match flag {
        Some(true) => yes,
        Some(false) => no,
        None => "?",
    };
    let connections: Vec<String> = row
        .connections
        .iter()
        .map(|c| {
            let mut text = c.port.to_string();
            for (flag, mark) in [(c.local, 'l'), (c.relay, 'r'), (c.ipv6, '6')] {
                if flag {
                    text.push(mark);
                }
            }
            text
        })
        .collect();
    let mut line = format!(
        "{} | {} | {} | {} | {}",
        row.id,
        row.name,
        word(row.owned, "owned", "shared"),
        word(row.presence, "present", "absent"),
        connections.join(" "),
    );
    if !row.source_title.is_empty() {
        line = format!("{line} | {}", row.source_title);
    }
    line
}

fn lines(list: &List) -> Vec<String> {
    list.rows.iter().map(line).collect()
}

const MANY_V2: &[&str] = &[
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa | Attic | owned | present | 32400l 24119 8443r",
    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb | Cellar | owned | absent | 32400l 32400l6",
    "cccccccccccccccccccccccccccccccccccccccc | media | shared | present | 32400l 443 | friend-one",
    "dddddddddddddddddddddddddddddddddddddddd | media | shared | present | 32400l 32400l 32400 | friend-two",
    "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee | 家のサーバー 🎬 \"A&B\" <x> | owned | present | 443",
    "ffffffffffffffffffffffffffffffffffffffff | no connections | owned | absent | ",
    "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a | dup | owned | present | 32400l 32400",
    "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b | home member | shared | present | 32400l | Mum",
    "0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c | jwt-owned | owned | present | 32400l",
];

/// v1 knows neither relay nor IPv6.
const MANY_V1: &[&str] = &[
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa | Attic | owned | present | 32400l 24119",
    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb | Cellar | owned | absent | 32400l",
    MANY_V2[2],
    MANY_V2[3],
    MANY_V2[4],
    MANY_V2[5],
    MANY_V2[6],
    MANY_V2[7],
    MANY_V2[8],
];

/// File, what it is, its servers, and how many of its rows can't be read.
const LISTS: &[(&str, Kind, &[&str], usize)] = &[
    ("made/v2_resources_many.xml", Kind::V2, MANY_V2, 0),
    ("made/v2_resources_many.json", Kind::V2, MANY_V2, 0),
    ("made/v1_resources_many.xml", Kind::V1, MANY_V1, 0),
    (
        "made/v1_resources_relay_attr.xml",
        Kind::V1,
        &["aaaa | Attic | owned | present | 32400l 8443r"],
        0,
    ),
    (
        "made/v2_resources_connections_not_nested.xml",
        Kind::V2,
        &["aaaa | Attic | owned | present | 32400l"],
        0,
    ),
    ("made/v2_resources_empty.json", Kind::V2, &[], 0),
    ("made/v2_resources_empty.xml", Kind::V2, &[], 0),
    ("made/v1_resources_empty.xml", Kind::V1, &[], 0),
    ("made/v2_resources_no_servers.json", Kind::V2, &[], 0),
    (
        "made/pms_servers_xml_two.xml",
        Kind::Addresses,
        &[
            "aaaa | Attic | owned | ? | 24119 32400l 32400l",
            "cccc | media | shared | ? | 443 | friend-one",
        ],
        0,
    ),
    ("made/pms_servers_xml_empty_since_2025_09.xml", Kind::Addresses, &[], 0),
    (
        "captured/ha_v2_resources_one_server.xml",
        Kind::V2,
        &["unique_id_123 | Plex Server 1 | owned | present | 32400l"],
        0,
    ),
    (
        "captured/v2_resources_rs_relay.json",
        Kind::V2,
        &["client_id2 | Box | owned | present | 32400l 443 443 8443r"],
        0,
    ),
    (
        "captured/v2_resources_plxnative_owned_and_shared.json",
        Kind::V2,
        &[
            "aaaa1111 | Gleb's Mac mini | owned | present | 32400l 32400l6",
            "bbbb2222 | nas-home | shared | present | 32400l 31234 | friend",
        ],
        0,
    ),
    (
        "captured/v2_resources_plxnative_odd_scalars.json",
        Kind::V2,
        &["cccc3333 | quirky | owned | ? | 32400l", "dddd4444 | sparse | ? | ? | "],
        0,
    ),
    (
        "captured/v2_resources_plxnative_nulls.json",
        Kind::V2,
        &["eeee5555 | survivor | owned | ? | 32400"],
        1,
    ),
    // Its author gave all rows one id, so that only the first can be told from the others.
    (
        "captured/plexkit_resources.json",
        Kind::V2,
        &[
            "clientIdentifier | name | owned | present | 32400",
            "clientIdentifier | home-server | owned | present | 14871 32400l 27560",
            "clientIdentifier | itunes-server | shared | absent | 32400l 26760 | sourceTitle",
        ],
        0,
    ),
    ("captured/devices_rs_many.xml", Kind::V1, &["3 | Box | ? | ? | 0 0 0"], 0),
];

#[test]
fn every_list_names_the_servers_that_a_person_would_name() {
    for (file, kind, servers, broken) in LISTS {
        let list = read(*kind, &fixture(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert_eq!(lines(&list), *servers, "{file}");
        assert_eq!(list.broken, *broken, "{file}");
    }
}

/// Reads a document as v2 in one piece and in smaller ones, which must make no difference.
fn read_anyhow(document: &[u8]) -> Result<List, PlexTvError> {
    let whole = read(Kind::V2, document);
    for size in [1, 2, 3, 7, 61, 16_384] {
        let shown = String::from_utf8_lossy(&document[..document.len().min(200)]);
        assert_eq!(read_in_pieces(Kind::V2, document, size), whole, "{shown} in pieces of {size}");
    }
    whole
}

const ROW: &str = "<resource clientIdentifier='i' provides='server'/>";

#[test]
fn the_size_of_the_pieces_makes_no_difference() {
    for (file, kind, ..) in LISTS {
        let bytes = fixture(file);
        let whole = read(*kind, &bytes).unwrap();
        for size in [1, 2, 3, 7, 61, 1024] {
            let list = read_in_pieces(*kind, &bytes, size);
            assert_eq!(list.as_ref(), Ok(&whole), "{file} in pieces of {size}");
        }
    }
    let list = &format!("<resources>{ROW}</resources>");
    for (good, rows) in [
        (format!("{list}<!-- c --><?p?>\n"), 1),
        // As many blanks as it likes, and text as long as it likes.
        (format!("{}{list}", " ".repeat(5_000)), 1),
        (format!("\u{feff}{}{list}", "\n".repeat(5_000)), 1),
        (format!("<resources>{}{ROW}</resources>", "x".repeat(400_000)), 1),
        (format!("<resources>{ROW}&{};</resources>", "x".repeat(400_000)), 1),
        (format!("<resources>a\u{feff}{ROW}\u{feff}\u{feff}&\u{feff};ü</resources>"), 1),
        (format!("<resources><a b='{}'/>{ROW}</resources>", "<b>".repeat(1_000)), 1),
        (
            r#" [ {"clientIdentifier":"i","provides":"server","name":"]}\\\"["} , 1,"]" ] "#.into(),
            1,
        ),
    ] {
        assert_eq!(read_anyhow(good.as_bytes()).unwrap().rows.len(), rows, "{good:.200}");
    }
    for bad in [
        format!("{list}\u{feff}"),
        format!("{list}\n\u{feff}\n"),
        format!("<?xml version='1.0'?>\u{feff}{list}"),
        format!("\u{feff}\u{feff}{list}"),
        format!("   \u{feff}{list}"),
        format!("{list}<!-- "),
        format!("{list}<"),
        format!("{list}ü"),
        format!("<resources><a b='{}'/></resources>", "x".repeat(256 * 1024)),
        format!("<resources><a b='{}'/></resources>", "ü".repeat(128 * 1024)),
        format!("<resources><!--{}--></resources>", "x".repeat(256 * 1024)),
        format!(r#"[{{"name":"{}"}}]"#, "x".repeat(1024 * 1024)),
        "[".to_owned(),
        "[1,]".to_owned(),
        "[,1]".to_owned(),
        "[1 2]".to_owned(),
        "[{]}]".to_owned(),
        "[1]\u{feff}".to_owned(),
    ] {
        let result = read_anyhow(bad.as_bytes());
        assert!(matches!(result, Err(PlexTvError::NotPlexTv(_))), "{bad:.200}");
    }
    // Bytes that are no text: at the end, cut in two, in a long tag.
    let mut long = b"<resources><a b='".to_vec();
    long.extend(vec![0xff; 256 * 1024]);
    long.extend(b"'/></resources>");
    for bad in [long, [list.as_bytes(), b"\xef"].concat(), [list.as_bytes(), b"\xef\xbb"].concat()]
    {
        assert!(matches!(read_anyhow(&bad), Err(PlexTvError::NotPlexTv(_))));
    }
    let odd = [b"<resources>\xef\xbb", ROW.as_bytes(), b"\xef\xbb\xff</resources>"].concat();
    assert!(read_anyhow(&odd).is_ok());
}

#[test]
fn a_list_cut_off_anywhere_gives_nothing() {
    for (file, kind, ..) in LISTS {
        let bytes = fixture(file);
        let end = bytes.trim_ascii_end().len();
        let mut reader = ListReader::new(*kind, OWN_ID);
        for (cut, byte) in bytes[..end].iter().enumerate() {
            let result = reader.clone().finish();
            assert!(
                matches!(result, Err(PlexTvError::NotPlexTv(_))),
                "{file} cut at {cut} of {end}: {result:?}"
            );
            reader.feed(&[*byte]).unwrap();
        }
        assert!(reader.finish().is_ok(), "{file}");
    }
}

#[test]
fn what_is_no_server_list_is_not_plex_tv_s() {
    for (file, kinds) in [
        ("made/captive_portal_200.html", [Kind::V2, Kind::V1]),
        ("made/error_truncated.json", [Kind::V2, Kind::V1]),
        ("made/error_401_1001.json", [Kind::V2, Kind::V1]),
        ("made/error_401_1001.xml", [Kind::V2, Kind::V1]),
        ("made/ping.xml", [Kind::V2, Kind::V1]),
        ("captured/notplextv_sonos_resources.xml", [Kind::V2, Kind::V1]),
        // Each list is only itself: v1 leaves servers out and must not pass for v2.
        ("made/v1_resources_many.xml", [Kind::V2, Kind::Addresses]),
        ("made/v2_resources_many.xml", [Kind::V1, Kind::Addresses]),
        ("made/pms_servers_xml_two.xml", [Kind::V2, Kind::V1]),
    ] {
        for kind in kinds {
            let result = read(kind, &fixture(file));
            assert!(
                matches!(result, Err(PlexTvError::NotPlexTv(_))),
                "{file} as {kind:?}: {result:?}"
            );
        }
    }
}

#[test]
fn an_error_in_a_list_s_clothes_is_no_list_without_servers() {
    for text in [
        r#"[{"code": 1001, "message": "User could not be authenticated"}]"#,
        r#"["maintenance"]"#,
        "[1, 2, 3]",
        "<resources><resource/></resources>",
        "<resources>oops</resources>",
        "<resources>&oops;</resources>",
        "<resources><![CDATA[oops]]></resources>",
    ] {
        let result = read_anyhow(text.as_bytes());
        assert!(matches!(result, Err(PlexTvError::NotPlexTv(_))), "{text}: {result:?}");
    }
    // A player is a row that can be read, and what is no server list at all is none of its faults.
    let player = "<resource clientIdentifier='p' provides='player'/>";
    for text in [format!("<resources>{player}oops<resource/></resources>"), "[]".to_owned()] {
        assert_eq!(read_anyhow(text.as_bytes()).unwrap().rows, [], "{text}");
    }
}

#[test]
fn garbage_around_the_document_makes_it_no_document() {
    let row = r#"<resource name="n" clientIdentifier="i" provides="server"/>"#;
    for bad in [
        format!("<resources>{row}</resources>x"),
        format!("<resources>{row}</resources><resources/>"),
        format!("<resources>{row}</resource>"),
        format!("<resources>{row}</resources"),
        format!("<resources>{row}</resources></resources>"),
        format!("x<resources>{row}</resources>"),
        format!("<resources>{row}</resources>&amp;"),
        format!("<resources>{row}<a></b></resources>"),
        r#"[{"clientIdentifier":"i","provides":"server"}]]"#.to_owned(),
        r#"[{"clientIdentifier":"i","provides":"server"},]"#.to_owned(),
        r#"{"resources":[]}"#.to_owned(),
        "null".to_owned(),
        String::new(),
        "   ".to_owned(),
    ] {
        let result = read(Kind::V2, bad.as_bytes());
        assert!(matches!(result, Err(PlexTvError::NotPlexTv(_))), "{bad}");
    }
    let good = format!("\u{feff}\n<!-- c --><resources>{row}</resources><!-- c -->\n");
    assert_eq!(read(Kind::V2, good.as_bytes()).unwrap().rows.len(), 1);
    for size in 1..4 {
        let list = read_in_pieces(Kind::V2, good.as_bytes(), size).unwrap();
        assert_eq!(list.rows.len(), 1);
    }
}

#[test]
fn a_row_that_can_not_be_read_costs_only_itself() {
    let xml = r#"<resources>
        <resource name=unquoted clientIdentifier="a" provides="server"/>
        <resource name="no id" provides="server"/>
        <resource name="empty id" clientIdentifier="" provides="server"/>
        <resource name="the same once cleaned" clientIdentifier="x&#1;" provides="server"/>
        <resource name="the same once cleaned" clientIdentifier="x&#2;" provides="server"/>
        <resource clientIdentifier="b" provides="server">
            <connection uri="u" port="0x50"/><connection uri=/><connection port="65536"/>
            <connection port="-1"/><connection/>
        </resource>
        <resource clientIdentifier="c" provides="client, server"/>
        <resource clientIdentifier="d" provides="mediaserver,server-x"/>
        <stranger/>
    </resources>"#;
    let list = read(Kind::V2, xml.as_bytes()).unwrap();
    assert_eq!(list.broken, 5);
    assert_eq!(
        lines(&list),
        ["b |  | ? | ? | 0 0", "c |  | ? | ? | "],
        "the ports say nothing, and what says nothing else is one repeated"
    );

    let json = r#"[1, null, "x", [], true, 1.5,
        {"clientIdentifier": "half a pair", "provides": "server", "name": "\ud800"},
        {"clientIdentifier": "so too", "provides": "server", "connections": [{"uri": "\udc00"}]},
        {"clientIdentifier": "too large", "provides": "server", "name": 1e999},
        {"clientIdentifier": 17, "provides": "server", "name": 5, "owned": "TRUE",
         "presence": {}, "connections": [null, 3, {"port": 1e3}, {"port": 80.0}]},
        {"clientIdentifier": "e", "provides": "server", "connections": {"a": 1}},
        {"clientIdentifier": "f", "provides": "server", "connections": "none"}]"#;
    let list = read(Kind::V2, json.as_bytes()).unwrap();
    assert_eq!(list.broken, 9);
    assert_eq!(
        lines(&list),
        ["17 | 5 | owned | ? | 1000 80", "e |  | ? | ? | ", "f |  | ? | ? | "]
    );
}

#[test]
fn a_long_tag_in_small_pieces_is_not_looked_through_with_each() {
    // It would take some four hundred times as long.
    let tag = format!("<resources><a b='{}'/>{ROW}</resources>", ">".repeat(250_000));
    let begun = std::time::Instant::now();
    let list = read_in_pieces(Kind::V2, tag.as_bytes(), 256).unwrap();
    assert_eq!(list.rows.len(), 1);
    let small = begun.elapsed();
    let begun = std::time::Instant::now();
    read(Kind::V2, tag.as_bytes()).unwrap();
    assert!(small < 100 * begun.elapsed(), "{small:?}");
}

#[test]
fn hostile_names_stay_names() {
    let name = |xml_name: &str| {
        let xml = format!(
            r#"<resources><resource name="{xml_name}" clientIdentifier="i" provides="server"/><resource name="next" clientIdentifier="j" provides="server"/></resources>"#
        );
        let list = read(Kind::V2, xml.as_bytes()).unwrap();
        assert_eq!(list.rows[1].name, "next", "{xml_name:?}");
        list.rows[0].name.clone()
    };
    assert_eq!(name("&lt;b&gt;&amp;&quot;&apos;"), "<b>&\"'");
    assert_eq!(name("&#65;&#x1F3AC;"), "A🎬");
    assert_eq!(name("&#0;&#27;[1m&#x85;\u{1b}"), "\u{fffd}\u{fffd}[1m\u{fffd}\u{fffd}");
    assert_eq!(name("a\nb\tc"), "a b c");
    assert_eq!(name("a&#10;b"), "a\u{fffd}b");
    assert_eq!(name("&lol; &#xD800; &#99999999; & &;"), "&lol; &#xD800; &#99999999; & &;");
    assert_eq!(name("\u{202e}gnp.exe"), "\u{202e}gnp.exe");
    assert_eq!(name(&"ü".repeat(10_000)).chars().count(), 256);
    assert_eq!(name(&"x".repeat(10_000)).len(), 256);
    assert_eq!(name("a > b"), "a > b");

    let mut bytes = br#"<resources><resource name="a"#.to_vec();
    bytes.extend(b"\xff\xfe\xc3");
    bytes.extend(br#"b" clientIdentifier="i" provides="server"/></resources>"#);
    for size in [1, 5, usize::MAX] {
        let list = read_in_pieces(Kind::V2, &bytes, size).unwrap();
        assert_eq!(list.rows[0].name, "a\u{fffd}\u{fffd}\u{fffd}b");
    }
}

#[test]
fn a_document_type_can_not_make_a_document_grow() {
    let mut xml = String::from("<!DOCTYPE resources [<!ENTITY a0 \"ha\">");
    for i in 1..30 {
        xml += &format!("<!ENTITY a{i} \"&a{};&a{};\">", i - 1, i - 1);
    }
    xml += r#"<!ENTITY file SYSTEM "file:///etc/hostname">]>
        <resources><resource name="&a29;&file;" clientIdentifier="i" provides="server"/></resources>"#;
    let list = read(Kind::V2, xml.as_bytes()).unwrap();
    assert_eq!(list.rows[0].name, "&a29;&file;");
}

#[test]
fn depth_and_length_are_bounded() {
    let deep = format!("<resources>{}", "<a>".repeat(100_000));
    assert!(matches!(read(Kind::V2, deep.as_bytes()), Err(PlexTvError::NotPlexTv(_))));
    let deep = format!("[{}", "[".repeat(100_000));
    assert!(matches!(read(Kind::V2, deep.as_bytes()), Err(PlexTvError::NotPlexTv(_))));
    let long = format!("<resources><resource name=\"{}", "x".repeat(400_000));
    let mut reader = ListReader::new(Kind::V2, OWN_ID);
    assert!(long.as_bytes().chunks(16_384).any(|piece| reader.feed(piece).is_err()));
}

#[test]
fn of_a_server_s_many_connections_the_first_256_that_differ_are_kept() {
    // Each comes three times, and there are so many that comparing each with each would show.
    let ports = || (0..60_000).flat_map(|port| [port; 3]);
    let xml: Vec<String> =
        ports().map(|port| format!(r#"<connection uri="u{port}" port="{port}"/>"#)).collect();
    let json: Vec<String> =
        ports().take(9_000).map(|port| format!(r#"{{"uri":"u{port}","port":{port}}}"#)).collect();
    let addresses: Vec<String> = ports().map(|port| format!("a{port}")).collect();
    for (kind, document) in [
        (
            Kind::V2,
            format!(
                "<resources><resource clientIdentifier='i' provides='server'>{}</resource>\
                 </resources>",
                xml.concat()
            ),
        ),
        (
            Kind::V2,
            format!(
                r#"[{{"clientIdentifier":"i","provides":"server","connections":[{}]}}]"#,
                json.join(",")
            ),
        ),
        (
            Kind::Addresses,
            format!(
                "<MediaContainer><Server machineIdentifier='i' localAddresses='{}'/>\
                 </MediaContainer>",
                addresses[..9_000].join(",")
            ),
        ),
    ] {
        let list = read(kind, document.as_bytes()).unwrap();
        let connections = &list.rows[0].connections;
        assert_eq!(connections.len(), 256, "{kind:?}");
        for (number, connection) in connections.iter().enumerate() {
            let (uri, address) = (&connection.uri, &connection.address);
            let first = match kind {
                Kind::V2 => *uri == format!("u{number}"),
                _ => *address == format!("a{number}"),
            };
            assert!(first, "{kind:?}: {connection:?} is not the one with number {number}");
        }
    }
}

#[test]
fn each_list_has_its_own_names() {
    let values = r#"name="n" provides="server" clientIdentifier="new" productVersion="1"
        machineIdentifier="old" version="2" "#;
    let v2 = format!("<resources><resource {values}/></resources>");
    let v1 = format!("<MediaContainer><Device {values}/></MediaContainer>");
    let old = format!("<MediaContainer><Server {values}/></MediaContainer>");
    let json = r#"[{"clientIdentifier": "new", "machineIdentifier": "", "provides": "server",
        "productVersion": "1", "version": ""}]"#;
    for (kind, document, id, version) in [
        (Kind::V2, v2.as_str(), "new", "1"),
        (Kind::V2, json, "new", "1"),
        (Kind::V1, &v1, "new", "1"),
        (Kind::Addresses, &old, "old", "2"),
    ] {
        let row = &read(kind, document.as_bytes()).unwrap().rows[0];
        assert_eq!((row.id.as_str(), row.product_version.as_str()), (id, version), "{document}");
    }
}

#[test]
fn a_list_of_players_is_a_list_without_servers() {
    let player = "<resource clientIdentifier='p' provides='player'/>";
    for unknown in ["", "<news/>"] {
        let document = format!("<resources>{player}{unknown}</resources>");
        assert_eq!(read(Kind::V2, document.as_bytes()), Ok(List::default()), "{document}");
    }
    assert!(read(Kind::V2, b"<resources><news/></resources>").is_err());
}

#[test]
fn both_lists_together_are_v2_with_v1_s_help() {
    let v2 = read(Kind::V2, &fixture("made/v2_resources_many.xml")).unwrap();
    let v1 = read(Kind::V1, &fixture("made/v1_resources_many.xml")).unwrap();
    let alone = merge(Some(v2.clone()), None);
    let both = merge(Some(v2), Some(v1));
    assert_eq!(both, alone, "here v1 adds nothing");
    assert_eq!(both.len(), 9);
    assert!(both.iter().all(|entry| entry.in_v2));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic_and_pieces_change_nothing(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        size in 1usize..50,
    ) {
        for kind in [Kind::V2, Kind::V1, Kind::Addresses] {
            prop_assert_eq!(read_in_pieces(kind, &bytes, size), read(kind, &bytes));
        }
    }

    #[test]
    fn no_markup_makes_the_reader_panic_and_pieces_change_nothing(
        markup in proptest::collection::vec(
            prop_oneof![
                Just("<resources>"), Just("</resources>"), Just("<resource "), Just("/>"),
                Just(">"), Just("</resource>"), Just("<connection "), Just("clientIdentifier="),
                Just("'i'"), Just("\"j\""), Just("provides='server'"), Just("<!--"), Just("-->"),
                Just("<![CDATA["), Just("]]>"), Just("<!DOCTYPE "), Just("<?xml"), Just("?>"),
                Just("&"), Just(";"), Just("ü"), Just(" "), Just("name='&#x"), Just("\u{0}"),
                Just("\u{feff}"),
            ],
            0..40,
        ),
        size in 1usize..20,
    ) {
        let text = format!("<resources>{}", markup.concat());
        let whole = read(Kind::V2, text.as_bytes());
        let pieces = read_in_pieces(Kind::V2, text.as_bytes(), size);
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn no_change_of_one_byte_makes_the_reader_panic_or_heed_the_pieces(at in 0usize..10_000, byte in any::<u8>()) {
        for (file, kind) in [
            ("made/v2_resources_many.xml", Kind::V2),
            ("made/v2_resources_many.json", Kind::V2),
            ("made/v1_resources_many.xml", Kind::V1),
        ] {
            let mut bytes = fixture(file);
            let at = at % bytes.len();
            bytes[at] = byte;
            prop_assert_eq!(read_in_pieces(kind, &bytes, 13), read(kind, &bytes));
        }
    }
}
