//! Every answer has the form that a public source shows: a payload that was captured from plex.tv or a server
//! (`tests/fixtures/captured`, see SOURCES.md there), or the schema of the public API specification
//! (LukeHagar/plex-api-spec at ae9507ea, by path). Where neither has a call, the source is a client that reads it.
//!
//! A captured payload is compared name by name; of a schema, the names and kinds that an answer may and must have.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{CLIENT, Fake, JSON, TOKEN, request, start};

fn captured(name: &str) -> String {
    fixture(&format!("captured/{name}"))
}

fn fixture(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Nulls fit anything: in a capture they say only that there may be nothing.
fn same_kind(a: &Value, b: &Value) -> bool {
    a.is_null() || b.is_null() || std::mem::discriminant(a) == std::mem::discriminant(b)
}

/// Names that only one of two objects has, as `-captured only` and `+ours only`; kinds must be the same.
fn difference(ours: &Value, theirs: &Value) -> BTreeSet<String> {
    let (ours, theirs) = (ours.as_object().unwrap(), theirs.as_object().unwrap());
    for (name, value) in ours {
        let other = theirs.get(name).unwrap_or(&Value::Null);
        assert!(same_kind(value, other), "{name}: {value} where the source has {other}");
    }
    let only = |a: &serde_json::Map<String, Value>, b: &serde_json::Map<String, Value>, sign| {
        let names = a.keys().filter(|name| !b.contains_key(*name));
        names.map(|name| format!("{sign}{name}")).collect::<Vec<_>>()
    };
    [only(theirs, ours, '-'), only(ours, theirs, '+')].into_iter().flatten().collect()
}

fn differ(ours: &Value, theirs: &Value, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(ToString::to_string).collect();
    assert_eq!(difference(ours, theirs), expected);
}

/// The attributes of the first element of this name.
fn attributes(xml: &str, element: &str) -> BTreeSet<String> {
    let open = format!("<{element} ");
    let from = xml.find(&open).unwrap_or_else(|| panic!("no {element} in {xml}")) + open.len();
    let tag = &xml[from..];
    let mut names = BTreeSet::new();
    let mut rest = tag;
    while let Some((name, after)) = rest.split_once("=\"") {
        if name.contains(['>', '<']) {
            break;
        }
        names.insert(name.trim().to_owned());
        rest = after.split_once('"').unwrap().1;
        if rest.trim_start().starts_with(['>', '/']) {
            break;
        }
    }
    names
}

/// Checks an object against `name:kind` words: `*` must be there, `?` may be null; no other name may be.
fn fits(value: &Value, schema: &str) {
    let object = value.as_object().unwrap();
    let mut known = BTreeSet::new();
    for word in schema.split_whitespace() {
        let (name, kind) = word.split_once(':').unwrap();
        let (must, name) = name.strip_prefix('*').map_or((false, name), |name| (true, name));
        let (nullable, kind) = kind.strip_suffix('?').map_or((false, kind), |kind| (true, kind));
        known.insert(name);
        let Some(found) = object.get(name) else {
            assert!(!must, "{name} is missing in {value}");
            continue;
        };
        let right = match kind {
            "text" => found.is_string(),
            "int" => found.is_u64(),
            "bool" => found.is_boolean(),
            "list" => found.is_array(),
            "object" => found.is_object(),
            "any" => true,
            other => panic!("{other}"),
        };
        assert!(right || nullable && found.is_null(), "{name} is {found}, not {kind}");
    }
    let unknown: Vec<_> = object.keys().filter(|name| !known.contains(name.as_str())).collect();
    assert!(unknown.is_empty(), "the source has no {unknown:?}");
}

/// Source: `captured/pin_rs_new.json` and `pin_rs_linked.json` (plex-api.rs). `qr` and one word of the location are newer
/// than the capture: paths./pins of the specification before 27f81a04 has them.
#[test]
fn a_pin() {
    let fake = start();
    let pin = fake.new_pin(false);
    let new: Value = serde_json::from_str(&captured("pin_rs_new.json")).unwrap();
    differ(&pin, &new, &["+qr"]);
    differ(&pin["location"], &new["location"], &["+in_privacy_restricted_region"]);
    fake.order("approve", json!({}));
    let linked: Value = serde_json::from_str(&captured("pin_rs_linked.json")).unwrap();
    differ(&fake.poll(&pin).json(), &linked, &["+qr"]);
}

/// Source: `captured/user_rs_free.json` (plex-api.rs) and `ha_user.xml` (Home Assistant); kinds and required names:
/// `paths./user.get` and `paths./users/signin.post` of the specification.
#[test]
fn a_user() {
    let fake = start();
    let user = fake.get("/api/v2/user").json();
    let xml = fake.ask("GET", "/api/v2/user", &[CLIENT, TOKEN], "");
    let theirs = captured("ha_user.xml");
    assert_eq!(attributes(xml.text(), "user"), attributes(&theirs, "user"));
    assert_eq!(attributes(xml.text(), "subscription"), attributes(&theirs, "subscription"));

    let schema = "*id:int *uuid:text *username:text *title:text *email:text *friendlyName:text \
        locale:text? confirmed:bool *joinedAt:int emailOnlyAuth:bool *hasPassword:bool protected:bool thumb:text \
        *authToken:text mailingListStatus:text mailingListActive:bool scrobbleTypes:text country:text \
        subscription:object subscriptionDescription:text? restricted:bool anonymous:bool? home:bool guest:bool \
        homeSize:int homeAdmin:bool maxHomeSize:int rememberExpiresAt:int profile:object entitlements:list roles:list \
        services:list adsConsent:bool? adsConsentSetAt:int? adsConsentReminderAt:int? experimentalFeatures:bool \
        *twoFactorEnabled:bool backupCodesCreated:bool subscriptions:list";
    fits(&user, schema);
    fits(
        &user["profile"],
        "*autoSelectAudio:bool *defaultAudioLanguage:text? *defaultSubtitleLanguage:text? *autoSelectSubtitle:int \
         *defaultSubtitleAccessibility:int *defaultSubtitleForced:int *watchedIndicator:int *mediaReviewsVisibility:int",
    );
    let form = "login=demo&password=password-of-demo";
    let signed_in = fake.ask("POST", "/api/v2/users/signin", &[CLIENT, JSON], form);
    assert_eq!(signed_in.status, 201);
    let free: Value = serde_json::from_str(&captured("user_rs_free.json")).unwrap();
    differ(&signed_in.json(), &free, &["+roles"]);
    fits(&signed_in.json(), &format!("{schema} *pastSubscriptions:list *trials:list"));
}

/// Source: `captured/v2_resources_rs_relay.json` (plex-api.rs), `ha_v2_resources_one_server.xml` (Home Assistant).
#[test]
fn the_list_v2() {
    let fake = start();
    let ours = fake.get("/api/v2/resources?includeHttps=1&includeRelay=1").json();
    let theirs: Value = serde_json::from_str(&captured("v2_resources_rs_relay.json")).unwrap();
    let server = |list: &Value| {
        let mut rows = list.as_array().unwrap().iter();
        rows.find(|row| row["provides"] == "server").unwrap().clone()
    };
    let (ours, theirs) = (server(&ours), server(&theirs));
    differ(&ours, &theirs, &[]);
    differ(&ours["connections"][0], &theirs["connections"][0], &[]);
    let xml = fake.ask("GET", "/api/v2/resources", &[CLIENT, TOKEN], "");
    let theirs = captured("ha_v2_resources_one_server.xml");
    assert_eq!(attributes(xml.text(), "resource"), attributes(&theirs, "resource"));
    assert_eq!(attributes(xml.text(), "connection"), attributes(&theirs, "connection"));
}

/// Source: `made/v1_resources_relay_attr.xml` and `made/pms_servers_xml_two.xml`, which were written for this project
/// with the names that public clients and threads show: no capture of these lists may be copied here.
#[test]
fn the_lists_before_v2() {
    let fake = start();
    let v1 = fake.ask("GET", "/api/resources?includeHttps=1&includeRelay=1", &[TOKEN], "");
    let theirs = fixture("made/v1_resources_relay_attr.xml");
    for element in ["Device", "Connection"] {
        let (ours, theirs) = (attributes(v1.text(), element), attributes(&theirs, element));
        assert!(ours.is_superset(&theirs), "{element}: {ours:?} {theirs:?}");
    }
    let old = fake.ask("GET", "/pms/servers.xml", &[TOKEN], "");
    let theirs = fixture("made/pms_servers_xml_two.xml");
    for element in ["MediaContainer", "Server"] {
        assert_eq!(attributes(old.text(), element), attributes(&theirs, element), "{element}");
    }
}

/// Source: `captured/devices_rs_many.xml` (plex-api.rs). The list of v2 is that of public clients that read it.
#[test]
fn the_devices() {
    let fake = start();
    let ours = fake.ask("GET", "/devices.xml", &[TOKEN], "");
    let theirs = captured("devices_rs_many.xml");
    for element in ["MediaContainer", "Device", "Connection"] {
        assert_eq!(attributes(ours.text(), element), attributes(&theirs, element), "{element}");
    }
    let v2 = fake.get("/api/v2/devices").json();
    assert!(v2.as_array().unwrap().iter().all(|row| row["token"].is_string()));
}

/// Source: `captured/plexkit_identity.json` (lcharlick's), where `claimed` is missing; `paths./identity` of the specification
/// has it.
#[test]
fn identity() {
    let fake = start();
    let ours = of_attic(&fake, "GET", "/identity");
    let theirs: Value = serde_json::from_str(&captured("plexkit_identity.json")).unwrap();
    differ(&ours["MediaContainer"], &theirs["MediaContainer"], &["+claimed"]);
}

fn of_attic(fake: &Fake, method: &str, path: &str) -> Value {
    let server = fake.server(&"a".repeat(40));
    let at = format!("127.0.0.1:{}", server["port"]);
    let token = ("X-Plex-Token", "srvTok-aaaaaaaaaaaaa");
    let answer = request(&at, method, path, &[token, JSON], "").unwrap();
    assert_eq!(answer.status, 200, "{path}");
    answer.json()
}

/// What `/` and `/media/providers` say of a server.
const ABOUT: &str = "size:int allowCameraUpload:bool allowChannelAccess:bool allowMediaDeletion:bool \
    allowSharing:bool allowSync:bool allowTuners:bool backgroundProcessing:bool certificate:bool companionProxy:bool \
    countryCode:text diagnostics:text eventStream:bool friendlyName:text hubSearch:bool itemClusters:bool livetv:int \
    machineIdentifier:text mediaProviders:bool multiuser:bool musicAnalysis:int myPlex:bool myPlexMappingState:text \
    myPlexSigninState:text myPlexSubscription:bool myPlexUsername:text offlineTranscode:int ownerFeatures:text \
    platform:text platformVersion:text pluginHost:bool pushNotifications:bool readOnlyLibraries:bool \
    streamingBrainABRVersion:int streamingBrainVersion:int sync:bool transcoderActiveVideoSessions:int \
    transcoderAudio:bool transcoderLyrics:bool transcoderPhoto:bool transcoderSubtitles:bool transcoderVideo:bool \
    transcoderVideoBitrates:text transcoderVideoQualities:text transcoderVideoResolutions:text updatedAt:int \
    updater:bool version:text voiceSearch:bool";

/// Source: `paths./`, `./media/providers`, `./library/sections/all`, `./status/sessions` and `./security/token` of the
/// specification; a provider's libraries as plex-api.rs 0.0.12 reads them.
#[test]
fn a_server() {
    let fake = start();
    let root = of_attic(&fake, "GET", "/");
    fits(&root["MediaContainer"], &format!("{ABOUT} *Directory:list"));
    let providers = of_attic(&fake, "GET", "/media/providers");
    fits(&providers["MediaContainer"], &format!("{ABOUT} *MediaProvider:list"));
    let provider = &providers["MediaContainer"]["MediaProvider"][0];
    fits(provider, "Feature:list identifier:text protocols:text title:text types:text");
    fits(&provider["Feature"][0], "key:text type:text Directory:list");
    for library in provider["Feature"][0]["Directory"].as_array().unwrap() {
        fits(
            library,
            "title:text type:text agent:text language:text refreshing:bool scanner:text uuid:text id:text key:text \
             hubKey:text updatedAt:int scannedAt:int *Pivot:list",
        );
        fits(
            &library["Pivot"][0],
            "title:text type:text context:text id:text key:text symbol:text",
        );
    }

    let sections = of_attic(&fake, "GET", "/library/sections");
    fits(&sections["MediaContainer"], "size:int allowSync:bool title1:text *Directory:list");
    for section in sections["MediaContainer"]["Directory"].as_array().unwrap() {
        fits(
            section,
            "title:text *type:text agent:text allowSync:bool art:text composite:text content:bool contentChangedAt:int \
             createdAt:int directory:bool filters:bool hidden:int key:text *language:text *uuid:text Location:list \
             refreshing:bool scannedAt:int scanner:text thumb:text updatedAt:int",
        );
        fits(&section["Location"][0], "id:int path:text");
    }
    fits(&of_attic(&fake, "GET", "/status/sessions")["MediaContainer"], "size:int Metadata:list");
    let minted = of_attic(&fake, "POST", "/security/token?type=delegation&scope=all");
    fits(&minted["MediaContainer"], "size:int *token:text");
}

/// Source: `paths./users` of the specification; `/api/home/users`: what plex-api.rs 0.0.12 and python-plexapi 4.18.3
/// read; `/api/v2/home/users`, claim, features: no public payload was found, so only what clients read is promised.
#[test]
fn people() {
    let fake = start();
    fake.order("account", json!({ "id": 7, "uuid": "seven", "username": "kid", "home": true }));
    let friends = fake.get("/api/users").json();
    let container = &friends["MediaContainer"];
    fits(
        container,
        "*friendlyName:text *identifier:text *machineIdentifier:text *totalSize:int *size:int *User:list",
    );
    let friend = &container["User"][0];
    fits(
        friend,
        "*id:int *title:text *username:text *email:text recommendationsPlaylistId:text *thumb:text *protected:int \
         *home:int *allowTuners:int *allowSync:int *allowCameraUpload:int *allowChannels:int *allowSubtitleAdmin:int \
         filterAll:text filterMovies:text filterMusic:text filterPhotos:text filterTelevision:text *restricted:int \
         *Server:list",
    );
    fits(
        &friend["Server"][0],
        "*id:int *serverId:int *machineIdentifier:text *name:text *lastSeenAt:int *numLibraries:int *allLibraries:int \
         *owned:int *pending:int",
    );
    let home = fake.ask("GET", "/api/home/users", &[TOKEN], "");
    for name in ["id", "uuid", "admin", "guest", "restricted", "hasPassword", "protected", "title"]
    {
        assert!(attributes(home.text(), "User").contains(name), "{name}");
    }
    let claim = fake.get("/api/claim/token.json").json();
    assert!(claim["token"].as_str().unwrap().starts_with("claim-"));
}
