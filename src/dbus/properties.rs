//! `org.freedesktop.DBus.Properties` of the account's object. It is zbus's own, but for `GetAll`
//! of `Account1`, with which every program's proxy begins: zbus makes a map of variants and then
//! a message of that; here it is encoded once for all callers.

use std::{collections::HashMap, fmt::Write, sync::Arc};

use serde::{Serialize, Serializer};
use zbus::{
    BoxDBusError, Connection, Message, ObjectServer, OwnedVariant, Signature, Type, Variant,
    export::async_trait::async_trait,
    fdo,
    message::Header,
    names::{InterfaceName, MemberName},
    object_server::{DispatchResult, Interface, SignalEmitter},
};

use super::{
    content::{Content, is_native},
    state::{Shared, Snapshot},
    wire::{AccountProperties, DICTIONARY},
};
use plex_account_client::names::ACCOUNT_INTERFACE;

/// To be served in place of [`fdo::Properties`].
pub(super) struct Properties {
    pub(super) snapshot: Arc<Shared<Snapshot>>,
}

// By hand, since `interface` can't hand on what it does not want to do itself.
#[async_trait]
impl Interface for Properties {
    fn name() -> InterfaceName<'static> {
        fdo::Properties::name()
    }

    fn call<'call>(
        &'call self,
        objects: &'call ObjectServer,
        connection: &'call Connection,
        call: &'call Message,
        method: MemberName<'call>,
    ) -> DispatchResult<'call> {
        if method == "GetAll"
            && call.body().deserialize::<&str>().is_ok_and(|name| name == ACCOUNT_INTERFACE)
        {
            let native = is_native(call.primary_header());
            let all = All { snapshot: self.snapshot.get(), native };
            return DispatchResult::new_async(connection, call, async { fdo::Result::Ok(all) });
        }
        fdo::Properties.call(objects, connection, call, method)
    }

    fn call_mut<'call>(
        &'call mut self,
        _: &'call ObjectServer,
        _: &'call Connection,
        _: &'call Message,
        _: MemberName<'call>,
    ) -> DispatchResult<'call> {
        DispatchResult::NotFound
    }

    fn introspect_to_writer(&self, writer: &mut dyn Write, level: usize) {
        fdo::Properties.introspect_to_writer(writer, level);
    }

    // Properties of the interface itself: it has none.

    async fn get(
        &self,
        _: &str,
        _: &ObjectServer,
        _: &Connection,
        _: Option<&Header<'_>>,
        _: &SignalEmitter<'_>,
    ) -> Option<Result<OwnedVariant, BoxDBusError>> {
        None
    }

    async fn get_all(
        &self,
        _: &ObjectServer,
        _: &Connection,
        _: Option<&Header<'_>>,
        _: &SignalEmitter<'_>,
    ) -> fdo::Result<HashMap<String, OwnedVariant>> {
        Ok(HashMap::new())
    }

    async fn set_mut(
        &mut self,
        _: &str,
        _: &Variant<'_>,
        _: &ObjectServer,
        _: &Connection,
        _: Option<&Header<'_>>,
        _: &SignalEmitter<'_>,
    ) -> Option<Result<(), BoxDBusError>> {
        None
    }
}

/// The reply of `GetAll`.
struct All {
    snapshot: Arc<Snapshot>,
    /// The caller has this machine's byte order.
    native: bool,
}

impl Type for All {
    const SIGNATURE: &'static Signature = DICTIONARY;
}

impl Serialize for All {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Snapshot { account, properties, .. } = &*self.snapshot;
        let plain = || AccountProperties::all(account);
        match properties.of(plain) {
            Some(content) if self.native => Content::write([content], serializer),
            _ => plain().serialize(serializer),
        }
    }
}
