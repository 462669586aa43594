//! Who calls: told by the systemd unit that the caller's process is in, never by the caller.
//!
//! The bus names the process (by a pidfd where it can, else by its number, of which one is opened
//! here), systemd names the unit. That the process still lives is looked at last, so that its
//! number was its own all the time. (`/proc/PID/exe` and its kin can't be read from our unit's
//! user namespace.)

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use plex_account_core::grants::{Caller, Identity, Program};
use plex_account_core::server::{NAME_LIMIT, clean};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::sync::oneshot;
use tokio::time::timeout;
use zbus::names::{BusName, UniqueName};
use zbus::{Connection, OwnedObjectPath};

use super::desktop_entry;
use super::unit::{self, Named};
use crate::system::random;

/// A look-up that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Look-ups at once.
const AT_ONCE: usize = 32;
/// Calls of one connection that wait for a look-up. They share it, so they cost little.
const WAITING: usize = 4096;

const SYSTEMD: &str = "org.freedesktop.systemd1";
const NO_UNIT: &str = "org.freedesktop.systemd1.NoUnitForPID";
const UNKNOWN_METHOD: &str = "org.freedesktop.DBus.Error.UnknownMethod";

#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
trait Manager {
    // No activation: a session without systemd is a normal condition.
    #[zbus(name = "GetUnitByPIDFD", no_autostart)]
    fn get_unit_by_pidfd(
        &self,
        process: zbus::Fd<'_>,
    ) -> zbus::Result<(OwnedObjectPath, String, Vec<u8>)>;

    #[zbus(name = "GetUnitByPID", no_autostart)]
    fn get_unit_by_pid(&self, pid: u32) -> zbus::Result<OwnedObjectPath>;
}

#[zbus::proxy(
    interface = "org.freedesktop.login1.Manager",
    default_service = "org.freedesktop.login1",
    default_path = "/org/freedesktop/login1"
)]
trait Logind {
    #[zbus(name = "GetSessionByPID")]
    fn get_session_by_pid(&self, pid: u32) -> zbus::Result<OwnedObjectPath>;
}

#[zbus::proxy(
    interface = "org.freedesktop.login1.Session",
    default_service = "org.freedesktop.login1"
)]
trait Session {
    #[zbus(property)]
    fn id(&self) -> zbus::Result<String>;
    #[zbus(property, name = "Type")]
    fn kind(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn remote(&self) -> zbus::Result<bool>;
}

/// A caller as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What is known of it.
    pub caller: Caller,
    /// Its process.
    pid: u32,
    /// Its unit, `""` where it has none.
    unit: String,
}

impl Found {
    /// Whether this is the same process in the same unit.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (self.pid, &self.unit, &self.caller.identity)
            == (other.pid, &other.unit, &other.caller.identity)
    }
}

/// Why it is not known who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookUpError {
    /// The process has ended, or the connection is gone.
    #[error("the process that opened this connection has ended")]
    Gone,
    /// Bus or systemd did not answer in time.
    #[error("systemd did not say in time who is calling")]
    Silent,
    /// Too many look-ups.
    #[error("too many programs are calling at once")]
    Busy,
}

type Answer = Result<Found, LookUpError>;
/// Calls of each connection that wait for its next look-up.
type Waiting = HashMap<String, Vec<oneshot::Sender<Answer>>>;

/// Looks callers up. Clones share everything.
#[derive(Clone, Debug)]
pub struct Callers {
    bus: Connection,
    waiting: Arc<Mutex<Waiting>>,
    /// systemd has no `GetUnitByPIDFD`: it is older than 257.
    by_number: Arc<AtomicBool>,
}

impl Callers {
    /// For callers on this bus.
    #[must_use]
    pub fn new(bus: Connection) -> Self {
        Self { bus, waiting: Arc::default(), by_number: Arc::default() }
    }

    /// Who has this unique name now. Calls of one connection share a look-up that begins after
    /// they came.
    pub async fn look_up(&self, sender: &str) -> Answer {
        let (answer, answered) = oneshot::channel();
        let starts = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let full = waiting.len() >= AT_ONCE;
            match waiting.get_mut(sender) {
                Some(calls) if calls.len() >= WAITING => return Err(LookUpError::Busy),
                Some(calls) => {
                    calls.push(answer);
                    false
                }
                None if full => return Err(LookUpError::Busy),
                None => {
                    waiting.insert(sender.to_owned(), vec![answer]);
                    true
                }
            }
        };
        if starts {
            let this = self.clone();
            let sender = sender.to_owned();
            tokio::spawn(async move { this.serve(&sender).await });
        }
        answered.await.unwrap_or(Err(LookUpError::Silent))
    }

    /// Looks one connection up until nobody wants to know.
    async fn serve(&self, sender: &str) {
        loop {
            let calls = {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                match waiting.get_mut(sender) {
                    Some(calls) if !calls.is_empty() => std::mem::take(calls),
                    _ => {
                        waiting.remove(sender);
                        return;
                    }
                }
            };
            let found = timeout(TIMEOUT, find(&self.bus, sender, &self.by_number)).await;
            let answer = found.unwrap_or(Err(LookUpError::Silent));
            for call in calls {
                // A caller that has gone needs no answer.
                let _ = call.send(answer.clone());
            }
        }
    }
}

async fn find(bus: &Connection, sender: &str, by_number: &AtomicBool) -> Answer {
    let name = UniqueName::try_from(sender).map_err(|_| LookUpError::Gone)?;
    let dbus = zbus::fdo::DBusProxy::new(bus).await.map_err(|_| LookUpError::Silent)?;
    let credentials = dbus
        .get_connection_credentials(BusName::from(name))
        .await
        .map_err(|_| LookUpError::Gone)?;
    let number = credentials.process_id().ok_or(LookUpError::Gone)?;
    let process = match credentials.into_process_fd() {
        Some(process) => OwnedFd::from(process),
        None => open(number)?,
    };
    let unit = unit_of(bus, number, &process, by_number).await?;
    let (identity, name) = identify(&unit, number).await?;
    if !is_alive(&process) {
        return Err(LookUpError::Gone);
    }
    let new_client_id = match &identity {
        Identity::Program(program) if program.is_sandboxed() => {
            random::uuid().map_err(|_| LookUpError::Silent)?
        }
        _ => String::new(),
    };
    let unit = match unit {
        Unit::Named(unit) => unit,
        Unit::None | Unit::NoSystemd => String::new(),
    };
    let caller = Caller { identity, name, connection: sender.to_owned(), new_client_id };
    Ok(Found { caller, pid: number, unit })
}

fn open(number: u32) -> Result<OwnedFd, LookUpError> {
    let pid = i32::try_from(number).ok().and_then(Pid::from_raw).ok_or(LookUpError::Gone)?;
    pidfd_open(pid, PidfdFlags::empty()).map_err(|_| LookUpError::Gone)
}

/// A pidfd is readable once its process has ended.
fn is_alive(process: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(process, PollFlags::IN)];
    matches!(poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(0))
}

/// What systemd says of a process.
#[derive(Debug)]
enum Unit {
    Named(String),
    /// It is in no unit of the user's systemd.
    None,
    NoSystemd,
}

async fn unit_of(
    bus: &Connection,
    number: u32,
    process: &OwnedFd,
    by_number: &AtomicBool,
) -> Result<Unit, LookUpError> {
    let manager = ManagerProxy::new(bus).await.map_err(|_| LookUpError::Silent)?;
    if !by_number.load(Ordering::Relaxed) {
        let fd = zbus::Fd::from(process.as_fd());
        let answer = manager.get_unit_by_pidfd(fd).await;
        match answer.map_err(|error| name_of(&error)) {
            Ok((_, unit, _)) => return Ok(Unit::Named(unit)),
            Err(name) if name == UNKNOWN_METHOD => by_number.store(true, Ordering::Relaxed),
            Err(name) => return no_unit(&name),
        }
    }
    match manager.get_unit_by_pid(number).await.map_err(|error| name_of(&error)) {
        Ok(path) => unit_at(&path).map(Unit::Named).ok_or(LookUpError::Silent),
        Err(name) => no_unit(&name),
    }
}

/// What an error of systemd's means.
fn no_unit(name: &str) -> Result<Unit, LookUpError> {
    match name {
        NO_UNIT => Ok(Unit::None),
        "org.freedesktop.systemd1.NoSuchProcess"
        | "org.freedesktop.DBus.Error.UnixProcessIdUnknown" => Err(LookUpError::Gone),
        "org.freedesktop.DBus.Error.ServiceUnknown"
        | "org.freedesktop.DBus.Error.NameHasNoOwner" => Ok(Unit::NoSystemd),
        _ => {
            tracing::debug!(name, "{SYSTEMD} did not say which unit a caller is in");
            Err(LookUpError::Silent)
        }
    }
}

fn name_of(error: &zbus::Error) -> String {
    use zbus::DBusError as _;
    match error {
        zbus::Error::MethodError(name, ..) => name.to_string(),
        zbus::Error::FDO(error) => error.name().to_string(),
        _ => String::new(),
    }
}

/// The unit that an object path of systemd belongs to.
fn unit_at(path: &OwnedObjectPath) -> Option<String> {
    let label = path.as_str().strip_prefix("/org/freedesktop/systemd1/unit/")?;
    let mut bytes = Vec::with_capacity(label.len());
    let mut rest = label;
    while let Some((before, escape)) = rest.split_once('_') {
        bytes.extend_from_slice(before.as_bytes());
        let (hex, after) = escape.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(hex, 16).ok()?);
        rest = after;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

/// The identity and what people call it.
async fn identify(unit: &Unit, number: u32) -> Result<(Identity, String), LookUpError> {
    let unit = match unit {
        Unit::Named(unit) => unit,
        Unit::None => {
            return Ok(match graphical_session(number).await {
                Some(scope) => (Identity::Session { scope }, own_name(number)),
                None => (Identity::Unknown, String::new()),
            });
        }
        Unit::NoSystemd => return Ok((Identity::Unknown, String::new())),
    };
    let (program, id) = match unit::read(unit) {
        Named::Nobody => return Ok((Identity::Unknown, String::new())),
        Named::Program(program) => {
            let id = match &program {
                Program::Flatpak(id) => id.clone(),
                // snapd's entries are called NAME_APP.desktop.
                Program::Snap(id) => id.replacen('.', "_", 1),
                Program::App(id) | Program::Unit(id) => return Ok(named(&program, id)),
            };
            (Some(program), id)
        }
        Named::Entry(id) => (format!("app:{id}").parse().ok(), id),
    };
    let entry = entry(&id).await?;
    Ok(match (program, entry) {
        (None, _) => (Identity::Unknown, String::new()),
        (Some(program @ Program::App(_)), entry) => match entry {
            Some(entry) if !entry.is_terminal => {
                let name = if entry.name.is_empty() { id } else { entry.name };
                (Identity::Program(program), name)
            }
            _ => (Identity::Unknown, String::new()),
        },
        (Some(program), entry) => {
            let name = entry.map(|entry| entry.name).filter(|name| !name.is_empty());
            let name = name.unwrap_or_else(|| program.id().to_owned());
            (Identity::Program(program), name)
        }
    })
}

fn named(program: &Program, id: &str) -> (Identity, String) {
    let name = id.strip_suffix(".service").unwrap_or(id).to_owned();
    (Identity::Program(program.clone()), name)
}

/// What people call a program that did not call, from its desktop entry.
pub async fn name_of_program(program: &Program) -> String {
    let id = match program {
        Program::Unit(id) => return id.strip_suffix(".service").unwrap_or(id).to_owned(),
        Program::Snap(id) => id.replacen('.', "_", 1),
        Program::Flatpak(id) | Program::App(id) => id.clone(),
    };
    let entry = timeout(TIMEOUT, entry(&id)).await.ok().and_then(Result::ok).flatten();
    let name = entry.map(|entry| entry.name).filter(|name| !name.is_empty());
    name.unwrap_or_else(|| program.id().to_owned())
}

async fn entry(id: &str) -> Result<Option<desktop_entry::Entry>, LookUpError> {
    let id = id.to_owned();
    tokio::task::spawn_blocking(move || desktop_entry::find(&id))
        .await
        .map_err(|_| LookUpError::Silent)
}

/// The unit of the graphical session on this machine that a process is part of without a unit of
/// its own.
async fn graphical_session(number: u32) -> Option<String> {
    let bus = zbus::connection::Builder::system().build().await.ok()?;
    let path = LogindProxy::new(&bus).await.ok()?.get_session_by_pid(number).await.ok()?;
    let session = SessionProxy::builder(&bus).path(path).build().await.ok()?;
    let (id, kind) = (session.id().await.ok()?, session.kind().await.ok()?);
    let is_here = !session.remote().await.ok()?;
    let is_graphical = matches!(kind.as_str(), "x11" | "wayland" | "mir");
    (is_here && is_graphical).then(|| format!("session-{}.scope", clean(&id, NAME_LIMIT)))
}

/// What a process calls itself.
fn own_name(number: u32) -> String {
    let name = std::fs::read(format!("/proc/{number}/comm")).unwrap_or_default();
    clean(String::from_utf8_lossy(&name).trim(), NAME_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_read_out_of_its_path() {
        let unit = |path: &str| unit_at(&path.to_owned().try_into().unwrap());
        let base = "/org/freedesktop/systemd1/unit/";
        assert_eq!(
            unit(&format!("{base}app_2dflatpak_2dorg_2eexample_2eA_2d1_2escope")).as_deref(),
            Some("app-flatpak-org.example.A-1.scope")
        );
        assert_eq!(unit(&format!("{base}x_2")), None);
        assert_eq!(unit("/elsewhere"), None);
    }
}
