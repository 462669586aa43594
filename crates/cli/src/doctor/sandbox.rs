//! The sandbox: what the unit asks for against what is in force.
//!
//! A user's service manager leaves out in silence what it has no means for, so that
//! `systemd-analyze security`, which reads the unit, does not tell. The kernel does: each part is
//! looked for in what it says of the daemon's process.

use std::{env, fs, path::Path};

use zbus::Connection;

use super::{
    Context, Finding, property,
    service::{SYSTEMD, no_bus, process, unit_path},
};

/// How a setting of the unit shows in `/proc/PID`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    NoNewPrivileges,
    SystemCallFilter,
    LimitCore,
    ProtectSystem,
    ProtectHome,
    PrivateTmp,
}

/// All that is looked at. The other parts of the unit's sandbox are filters of system calls as
/// well, or have no trace that others can see.
const PARTS: [Part; 6] = [
    Part::NoNewPrivileges,
    Part::SystemCallFilter,
    Part::LimitCore,
    Part::ProtectSystem,
    Part::ProtectHome,
    Part::PrivateTmp,
];

impl Part {
    /// Its name in the unit.
    fn name(self) -> &'static str {
        match self {
            Self::NoNewPrivileges => "NoNewPrivileges",
            Self::SystemCallFilter => "SystemCallFilter",
            Self::LimitCore => "LimitCORE",
            Self::ProtectSystem => "ProtectSystem",
            Self::ProtectHome => "ProtectHome",
            Self::PrivateTmp => "PrivateTmp",
        }
    }

    /// Needs a user namespace where the manager is a user's.
    fn needs_namespace(self) -> bool {
        matches!(self, Self::ProtectSystem | Self::ProtectHome | Self::PrivateTmp)
    }

    /// Whether the unit asks for it; `None` if systemd doesn't tell.
    async fn is_asked(self, bus: &Connection, unit: &str) -> Option<bool> {
        let (name, service) = (self.name(), "org.freedesktop.systemd1.Service");
        match self {
            Self::NoNewPrivileges | Self::PrivateTmp => {
                property(bus, SYSTEMD, unit, service, name).await.ok()
            }
            Self::SystemCallFilter => {
                let filter = property::<(bool, Vec<String>)>(bus, SYSTEMD, unit, service, name);
                filter.await.ok().map(|(allows, calls)| allows || !calls.is_empty())
            }
            Self::LimitCore => {
                let limit = property::<u64>(bus, SYSTEMD, unit, service, name);
                limit.await.ok().map(|limit| limit == 0)
            }
            Self::ProtectSystem | Self::ProtectHome => {
                let value = property::<String>(bus, SYSTEMD, unit, service, name);
                value.await.ok().map(|value| value != "no")
            }
        }
    }

    /// Whether it is in force; `None` if that can't be seen.
    fn is_in_force(self, kernel: &Kernel) -> Option<bool> {
        match self {
            Self::NoNewPrivileges => Some(kernel.status("NoNewPrivs:")? == "1"),
            Self::SystemCallFilter => Some(kernel.status("Seccomp:")? == "2"),
            Self::LimitCore => {
                let line = kernel
                    .limits
                    .lines()
                    .find_map(|line| line.strip_prefix("Max core file size"))?;
                Some(line.split_whitespace().next()? == "0")
            }
            // Below /usr it may be read-only anyway.
            Self::ProtectSystem => Some(mount(&kernel.mounts, Path::new("/var/lib"))?.read_only),
            Self::ProtectHome => Some(mount(&kernel.mounts, Path::new(&kernel.home))?.read_only),
            Self::PrivateTmp => {
                let folder = |mounts| Some(mount(mounts, Path::new("/tmp"))?.folder);
                Some(folder(&kernel.mounts)? != folder(&kernel.our_mounts)?)
            }
        }
    }
}

/// What the kernel says of the daemon's process; a text that can't be had is empty.
#[derive(Default)]
struct Kernel {
    status: String,
    limits: String,
    mounts: String,
    our_mounts: String,
    home: String,
}

impl Kernel {
    fn of(pid: u32) -> Self {
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        Self {
            status: read(&format!("/proc/{pid}/status")),
            limits: read(&format!("/proc/{pid}/limits")),
            mounts: read(&format!("/proc/{pid}/mountinfo")),
            our_mounts: read("/proc/self/mountinfo"),
            home: env::var("HOME").unwrap_or_default(),
        }
    }

    fn status(&self, key: &str) -> Option<&str> {
        self.status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim)
    }
}

/// A line of `mountinfo`.
struct Mount<'a> {
    /// Device and path on it.
    folder: (&'a str, &'a str),
    read_only: bool,
}

/// The mount that a path is on: of those that hold it the deepest, of equal ones the last.
fn mount<'a>(mounts: &'a str, path: &Path) -> Option<Mount<'a>> {
    let mut found = None;
    let mut depth = 0;
    for line in mounts.lines() {
        let mut fields = line.split(' ').skip(2);
        let (device, root, at) = (fields.next()?, fields.next()?, Path::new(fields.next()?));
        let options = fields.next()?;
        let deep = at.components().count();
        if path.starts_with(at) && deep >= depth {
            depth = deep;
            let read_only = options.split(',').any(|option| option == "ro");
            found = Some(Mount { folder: (device, root), read_only });
        }
    }
    found
}

pub(super) async fn sandbox(context: &Context) -> Finding {
    let Some(bus) = &context.bus else { return no_bus() };
    let Ok(pid) = process(bus).await else {
        return Finding::skipped("The daemon does not run.");
    };
    let kernel = Kernel::of(pid);
    if kernel.status.is_empty() {
        return Finding::skipped("The daemon's process can't be looked at.");
    }
    let unit = match unit_path(bus).await {
        Some(unit) => {
            let service = "org.freedesktop.systemd1.Service";
            let main = property::<u32>(bus, SYSTEMD, &unit, service, "MainPID").await;
            main.is_ok_and(|main| main == pid).then_some(unit)
        }
        None => None,
    };
    let Some(unit) = unit else {
        return Finding::note(
            "The daemon was not started as its systemd unit, so it has no sandbox of that.",
            "`systemctl --user enable --now plex-accountd`, once the one that runs is stopped.",
        );
    };
    let mut seen = Vec::new();
    for part in PARTS {
        if let Some(asked) = part.is_asked(bus, &unit).await {
            seen.push((part, asked, part.is_in_force(&kernel)));
        }
    }
    judge(&seen)
}

/// Each part with whether the unit asks for it, and whether it is in force.
fn judge(seen: &[(Part, bool, Option<bool>)]) -> Finding {
    let those = |wanted: &dyn Fn(bool, Option<bool>) -> bool| -> Vec<Part> {
        let those = seen.iter().filter(|(_, asked, in_force)| wanted(*asked, *in_force));
        those.map(|(part, ..)| *part).collect()
    };
    let names = |parts: &[Part]| {
        let names: Vec<_> = parts.iter().map(|part| part.name()).collect();
        names.join(", ")
    };
    let missing = those(&|asked, in_force| asked && in_force == Some(false));
    let in_force = those(&|asked, in_force| asked && in_force == Some(true));
    if !missing.is_empty() {
        let text = format!("The unit asks for {}, but without effect here.", names(&missing));
        return if missing.iter().all(|part| part.needs_namespace()) {
            Finding::note(
                text,
                "A user's service has them by user namespaces, where the system allows those: from \
                 systemd 254 on, before that with the drop-in hardening.conf, which is among the \
                 examples of the documentation.",
            )
        } else {
            Finding::note(
                text,
                "`systemctl --user daemon-reload` and `systemctl --user restart plex-accountd` put \
                 the unit in force as it is now; what is missing then, this kernel does not have.",
            )
        };
    }
    let off = those(&|asked, _| !asked);
    if !off.is_empty() {
        return Finding::note(
            format!("The unit does not ask for {}, as ours does.", names(&off)),
            "`systemctl --user cat plex-accountd` shows the file or drop-in that turns it off.",
        );
    }
    if in_force.is_empty() {
        return Finding::skipped("What of the sandbox is in force can't be seen.");
    }
    Finding::good(format!("In force, as the unit asks: {}.", names(&in_force)))
}

#[cfg(test)]
mod tests {
    use super::{super::Verdict, *};

    const LIMITS: &str = "Limit                     Soft Limit           Hard Limit           Units\n\
                          Max core file size        0                    0                    bytes\n";
    const OURS: &str = "30 1 8:1 / / rw,relatime - ext4 /dev/vda rw\n\
                        31 30 0:9 / /tmp rw - tmpfs tmpfs rw\n";

    /// As a user manager with namespaces leaves it.
    fn hardened() -> Kernel {
        Kernel {
            status: "Name:\tplex-accountd\nNoNewPrivs:\t1\nSeccomp:\t2\n".to_owned(),
            limits: LIMITS.to_owned(),
            mounts: "80 1 8:1 / / ro,relatime - ext4 /dev/vda rw\n\
                     81 80 8:1 /home /home ro - ext4 /dev/vda rw\n\
                     82 81 8:1 /home/ada/s /home/ada/s rw - ext4 /dev/vda rw\n\
                     83 80 0:9 / /tmp rw - tmpfs tmpfs rw\n\
                     84 83 0:9 /systemd-private-1/tmp /tmp rw - tmpfs tmpfs rw\n"
                .to_owned(),
            our_mounts: OURS.to_owned(),
            home: "/home/ada".to_owned(),
        }
    }

    fn found(kernel: &Kernel, asked: impl Fn(Part) -> bool) -> Finding {
        judge(&PARTS.map(|part| (part, asked(part), part.is_in_force(kernel))))
    }

    #[track_caller]
    fn says(finding: &Finding, verdict: Verdict, text: &str, advice: &str) {
        assert!(finding.verdict == verdict && finding.text == text, "{}", finding.text);
        assert!(finding.advice.unwrap_or_default().contains(advice), "{:?}", finding.advice);
    }

    #[test]
    fn what_the_unit_asks_for_and_what_is_in_force_are_compared() {
        let all = |_| true;
        let good = "In force, as the unit asks: NoNewPrivileges, SystemCallFilter, LimitCORE, \
                    ProtectSystem, ProtectHome, PrivateTmp.";
        says(&found(&hardened(), all), Verdict::Good, good, "");

        // A user manager before systemd 254.
        let old = Kernel { mounts: OURS.to_owned(), ..hardened() };
        let text = "The unit asks for ProtectSystem, ProtectHome, PrivateTmp, but without effect \
                    here.";
        says(&found(&old, all), Verdict::Note, text, "hardening.conf");

        let bare = Kernel { status: "NoNewPrivs:\t0\nSeccomp:\t0\n".to_owned(), ..hardened() };
        let text = "The unit asks for NoNewPrivileges, SystemCallFilter, but without effect here.";
        says(&found(&bare, all), Verdict::Note, text, "restart");

        let text = "The unit does not ask for ProtectHome, as ours does.";
        let but_home = |part| part != Part::ProtectHome;
        says(&found(&hardened(), but_home), Verdict::Note, text, "systemctl --user cat");

        // What can't be seen is not said to be missing.
        let hidden = Kernel { mounts: String::new(), ..hardened() };
        let text = "In force, as the unit asks: NoNewPrivileges, SystemCallFilter, LimitCORE.";
        says(&found(&hidden, all), Verdict::Good, text, "");
    }
}
