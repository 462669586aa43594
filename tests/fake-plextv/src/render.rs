//! The documents of plex.tv but for the lists, field by field as its clients see them.

use std::fmt::Write as _;
use std::time::Instant;

use crate::doc::{Row, XML_HEAD, json_members, rfc3339, row, spaced_utc, xml_attributes};
use crate::model::{Account, Server, unix_now};
use crate::pins::{Device, Pin, PinState};

/// Which notation a client wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    /// `application/json`
    Json,
    /// `application/xml`, also where nothing was asked for
    Xml,
}

/// An error body: plex.tv's number and words for it, and the status it comes with.
pub(crate) fn error(format: Format, code: u64, message: &str, status: u16) -> String {
    let row = row! { "code" => code, "message" => message, "status" => u64::from(status) };
    match format {
        Format::Json => format!("{{\"errors\":[{{{}}}]}}", members(&row)),
        Format::Xml => format!("{XML_HEAD}<errors>\n  <error{}/>\n</errors>\n", attributes(&row)),
    }
}

/// The older error body, which `/users/account` still has.
pub(crate) fn old_error(format: Format, message: &str) -> String {
    match format {
        Format::Json => format!("{{{}}}", members(&row! { "error" => message })),
        Format::Xml => format!("{XML_HEAD}<errors>\n  <error>{message}</error>\n</errors>\n"),
    }
}

/// A PIN, pending or claimed, as the one at `own_url` answers it.
pub(crate) fn pin(format: Format, pin: &Pin, now: Instant, own_url: &str) -> String {
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
        "product" => &pin.asked.device.product,
        "trusted" => false,
        "qr" => format!("{own_url}/api/v2/pins/qr/{}", pin.code),
        "clientIdentifier" => &pin.asked.device.client_id,
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

/// A PIN as it was before v2: elements in place of attributes.
pub(crate) fn old_pin(pin: &Pin) -> String {
    let mut fields = String::new();
    let mut field = |name: &str, kind: &str, value: &str| {
        let kind = if kind.is_empty() { String::new() } else { format!(" type=\"{kind}\"") };
        let mut text = String::new();
        crate::doc::xml_text(&mut text, value);
        let _ = writeln!(fields, "  <{name}{kind}>{text}</{name}>");
    };
    field("client-identifier", "", &pin.asked.device.client_id);
    field("code", "", &pin.code);
    field("expires-at", "datetime", &rfc3339(pin.created_at + pin.lifetime));
    field("id", "integer", &pin.id.to_string());
    match &pin.state {
        PinState::Claimed { token } => {
            field("auth-token", "", token);
            field("auth_token", "", token);
        }
        PinState::Pending | PinState::Gone { .. } => fields.push_str(
            "  <auth-token type=\"NilClass\" nil=\"true\"/>\n  <auth_token nil=\"true\"></auth_token>\n",
        ),
    }
    format!("{XML_HEAD}<pin>\n{fields}</pin>\n")
}

/// What the account's subscription has.
pub(crate) fn features(account: &Account) -> &'static [&'static str] {
    if account.plex_pass { &["hardware_transcoding", "lyrics", "webhooks"] } else { &[] }
}

/// The user document; `token` is the one the request came with, `home` the size of the home that the account is in.
/// A sign-in says a little more.
pub(crate) fn user(
    format: Format,
    account: &Account,
    token: &str,
    home: Option<u64>,
    sign_in: bool,
) -> String {
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
        "protected" => account.pin.is_some(),
        "thumb" => &account.thumb,
        "authToken" => token,
        "mailingListStatus" => "unsubscribed",
        "mailingListActive" => false,
        "scrobbleTypes" => "",
        "country" => &account.country,
        "subscriptionDescription" => None::<String>,
        "restricted" => false,
        "anonymous" => None::<bool>,
        "home" => home.is_some(),
        "guest" => false,
        "homeSize" => home.unwrap_or(1),
        "homeAdmin" => home.is_some(),
        "maxHomeSize" => 15,
        "rememberExpiresAt" => unix_now() + 14 * 86_400,
        "adsConsent" => None::<bool>,
        "adsConsentSetAt" => None::<u64>,
        "adsConsentReminderAt" => None::<u64>,
        "experimentalFeatures" => false,
        "twoFactorEnabled" => false,
        "backupCodesCreated" => false,
    };
    let date = match format {
        Format::Json => rfc3339,
        Format::Xml => spaced_utc,
    };
    let subscription = row! {
        "active" => account.plex_pass,
        "subscribedAt" => account.plex_pass.then(|| date(1_695_081_600)),
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
        "watchedIndicator" => 1,
        "mediaReviewsVisibility" => 0,
    };
    match format {
        Format::Json => {
            let quoted: Vec<String> =
                features(account).iter().map(|id| format!("\"{id}\"")).collect();
            format!(
                "{{{},\"subscription\":{{{},\"features\":[{}]}},\"profile\":{{{}}},\"entitlements\":[],\"roles\":[],\
                 \"subscriptions\":[],\"services\":[]{}}}",
                members(&main),
                members(&subscription),
                quoted.join(","),
                members(&profile),
                if sign_in { ",\"pastSubscriptions\":[],\"trials\":[]" } else { "" }
            )
        }
        Format::Xml => {
            let ids: Vec<Row> = features(account).iter().map(|id| row! { "id" => *id }).collect();
            let ids = children("      ", "feature", &ids);
            format!(
                "{XML_HEAD}<user{}>\n  <subscription{}>\n    <features>\n{ids}    </features>\n  </subscription>\n  \
                 <profile{}/>\n  <entitlements/>\n  <roles/>\n  <subscriptions/>\n  <services/>\n{}</user>\n",
                attributes(&main),
                attributes(&subscription),
                attributes(&profile),
                if sign_in { "  <pastSubscriptions/>\n  <trials/>\n" } else { "" }
            )
        }
    }
}

/// The document of `/users/account` and of the older sign-in.
pub(crate) fn users_account(format: Format, account: &Account, token: &str) -> String {
    let main = row! {
        "id" => account.id,
        "uuid" => &account.uuid,
        "email" => &account.email,
        "joined_at" => rfc3339(1_339_124_759),
        "username" => &account.username,
        "title" => &account.title,
        "thumb" => &account.thumb,
        "home" => account.home,
        "restricted" => false,
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

/// An XML document of this element with these children.
pub(crate) fn document(name: &str, head: &Row, children: &str) -> String {
    format!("{XML_HEAD}<{name}{}>\n{children}</{name}>\n", attributes(head))
}

/// An XML document of one element.
pub(crate) fn element(name: &str, row: &Row) -> String {
    format!("{XML_HEAD}<{name}{}/>\n", attributes(row))
}

/// An XML document of an element and one kind of children.
pub(crate) fn list(name: &str, head: &Row, child: &str, rows: &[Row]) -> String {
    document(name, head, &children("  ", child, rows))
}

/// The same with an element between.
pub(crate) fn nested(name: &str, head: &Row, middle: &str, child: &str, rows: &[Row]) -> String {
    let rows = children("    ", child, rows);
    document(name, head, &format!("  <{middle}>\n{rows}  </{middle}>\n"))
}

/// An element of a list with its own children.
pub(crate) fn parent(name: &str, head: &Row, child: &str, rows: &[Row]) -> String {
    format!("  <{name}{}>\n{}  </{name}>\n", attributes(head), children("    ", child, rows))
}

fn children(indent: &str, name: &str, rows: &[Row]) -> String {
    let mut out = String::new();
    for row in rows {
        let _ = writeln!(out, "{indent}<{name}{}/>", attributes(row));
    }
    out
}

/// JSON objects, separated by commas.
pub(crate) fn objects(rows: &[Row]) -> String {
    let all: Vec<String> = rows.iter().map(|row| format!("{{{}}}", members(row))).collect();
    all.join(",")
}

/// The members of a JSON object.
pub(crate) fn members(row: &Row) -> String {
    let mut out = String::new();
    json_members(&mut out, row);
    out
}

/// The attributes of an XML element, each after a space.
pub(crate) fn attributes(row: &Row) -> String {
    let mut out = String::new();
    xml_attributes(&mut out, row);
    out
}
