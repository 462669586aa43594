//! The documents of plex.tv but for the lists, field by field as its clients see them.

use std::time::Instant;

use crate::doc::{Row, XML_HEAD, json_members, rfc3339, row, spaced_utc, xml_attributes};
use crate::model::{Account, Device, Pin, PinState, Server, unix_now};

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

/// A server's `/identity`.
pub(crate) fn identity(format: Format, id: &str, version: &str) -> String {
    let row =
        row! { "size" => 0, "claimed" => true, "machineIdentifier" => id, "version" => version };
    match format {
        Format::Json => format!("{{\"MediaContainer\":{{{}}}}}", members(&row)),
        Format::Xml => {
            format!("{XML_HEAD}<MediaContainer{}>\n</MediaContainer>\n", attributes(&row))
        }
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
