//! Who may use whom. The picture is in `ARCHITECTURE.md`; this holds it.

#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Pure: no clock, no I/O, no runtime, no library that has them.
const DOMAIN: &[&str] = &[
    "account", "call", "clock", "domain", "event", "failure", "login", "loopback", "network",
    "notice", "presence", "probe", "refresh", "secret", "server", "sign_in", "verdict", "view",
];

/// For each part at the edge: which parts outside the domain it may use.
const EDGE: &[(&str, &[&str])] = &[
    ("browser", &["random"]),
    ("command", &[]),
    ("config", &[]),
    ("custody", &["random"]),
    (
        "daemon",
        &[
            "browser", "command", "config", "custody", "dbus", "landing", "logging", "notices",
            "plex", "random", "timer", "world",
        ],
    ),
    ("dbus", &["command"]),
    ("landing", &["random"]),
    ("logging", &[]),
    ("notices", &["timer"]),
    ("plex", &[]),
    ("random", &[]),
    ("timer", &["random"]),
    ("world", &[]),
];

const IMPURE: &[&str] = &[
    "tokio",
    "zbus",
    "reqwest",
    "rustix",
    "tracing",
    "std::fs",
    "std::io",
    "std::net",
    "std::thread",
    "SystemTime",
    "Instant",
    "async fn",
    ".await",
];

#[test]
fn the_domain_uses_nothing_but_itself() {
    for (part, files) in parts() {
        if !DOMAIN.contains(&part.as_str()) {
            continue;
        }
        for (path, code) in files {
            for used in used_parts(&code, "crate::") {
                assert!(DOMAIN.contains(&used.as_str()), "{} uses {used}", path.display());
            }
            for word in IMPURE {
                assert!(!code.contains(word), "{} is not pure: {word}", path.display());
            }
        }
    }
}

#[test]
fn the_edge_uses_the_domain_and_little_else() {
    let allowed: BTreeMap<_, _> = EDGE.iter().copied().collect();
    for (part, files) in parts() {
        if DOMAIN.contains(&part.as_str()) || part == "lib" {
            continue;
        }
        let allowed = allowed.get(part.as_str());
        let allowed = allowed.unwrap_or_else(|| panic!("{part} has no place in the picture"));
        for (path, code) in files {
            for used in used_parts(&code, "crate::") {
                let fine = used == part
                    || DOMAIN.contains(&used.as_str())
                    || allowed.contains(&used.as_str());
                assert!(fine, "{} uses {used}", path.display());
            }
        }
    }
}

#[test]
fn plex_account_sees_the_bus_only() {
    for path in rust_files(&root().join("src/bin/plex-account")) {
        // The doctor looks at the settings too, where the daemon does not answer, and asks plex.tv
        // as the daemon would.
        let doctor = path.components().any(|part| part.as_os_str() == "doctor");
        let code = code_of(&path);
        for used in used_parts(&code, "plex_accountd::") {
            assert!(
                ["browser", "dbus", "server", "view"].contains(&used.as_str())
                    || doctor && ["config", "plex"].contains(&used.as_str()),
                "{} uses {used}",
                path.display()
            );
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The library's parts (a file or a folder in `src`), each with its files and their code.
fn parts() -> BTreeMap<String, Vec<(PathBuf, String)>> {
    let src = root().join("src");
    let mut parts: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for path in rust_files(&src) {
        let inside = path.strip_prefix(&src).unwrap();
        let first = inside.iter().next().unwrap().to_str().unwrap();
        if first != "bin" {
            let part = first.trim_end_matches(".rs").to_owned();
            parts.entry(part).or_default().push((path.clone(), code_of(&path)));
        }
    }
    assert!(parts.len() > 20, "looked in the wrong place");
    parts
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// A file without comments and without what is compiled for tests only.
fn code_of(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let production = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let code = production.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.collect::<Vec<_>>().join("\n")
}

/// The first segments of all paths that begin with `prefix`, groups in braces included.
fn used_parts(code: &str, prefix: &str) -> BTreeSet<String> {
    let word = |text: &str| -> String {
        text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let mut used = BTreeSet::new();
    for (start, _) in code.match_indices(prefix) {
        let after = &code[start + prefix.len()..];
        if let Some(group) = after.strip_prefix('{') {
            let mut depth = 0;
            let mut item = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        used.insert(word(item.trim()));
                        item.clear();
                        continue;
                    }
                    _ => {}
                }
                if depth == 0 || !item.contains(':') {
                    item.push(c);
                }
            }
            used.insert(word(item.trim()));
        } else {
            used.insert(word(after));
        }
    }
    used.remove("");
    used
}
