//! A systemd that says of every process that it is in the unit that the test names.

#![allow(dead_code, unreachable_pub)] // each test crate uses a part
#![allow(clippy::unwrap_used, clippy::used_underscore_binding, clippy::missing_panics_doc)]

use std::sync::{Arc, Mutex};

use zbus::{Connection, OwnedObjectPath, fdo};

use super::PrivateBus;

/// The manager; leaves the bus with this value.
pub struct Systemd {
    unit: Arc<Mutex<Option<String>>>,
    _connection: Connection,
}

struct Manager(Arc<Mutex<Option<String>>>);

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    #[zbus(name = "GetUnitByPID")]
    fn get_unit_by_pid(&self, _pid: u32) -> fdo::Result<OwnedObjectPath> {
        let unit = self.0.lock().unwrap().clone();
        let unit = unit.ok_or_else(|| fdo::Error::Failed("no such unit".into()))?;
        let label = unit.bytes().map(|byte| match byte {
            b if b.is_ascii_alphanumeric() => char::from(b).to_string(),
            b => format!("_{b:02x}"),
        });
        let path = format!("/org/freedesktop/systemd1/unit/{}", label.collect::<String>());
        Ok(path.try_into().unwrap())
    }
}

impl Systemd {
    /// Brings a systemd before 257 up, in which all processes are in this unit.
    pub async fn start(bus: &PrivateBus, unit: &str) -> Self {
        let shared = Arc::new(Mutex::new(Some(unit.to_owned())));
        let connection = bus
            .builder()
            .serve_at("/org/freedesktop/systemd1", Manager(Arc::clone(&shared)))
            .name("org.freedesktop.systemd1")
            .build()
            .await
            .unwrap();
        Self { unit: shared, _connection: connection }
    }

    /// From now on all processes are in this unit.
    pub fn unit(&self, unit: &str) {
        *self.unit.lock().unwrap() = Some(unit.to_owned());
    }
}
