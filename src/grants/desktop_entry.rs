//! Desktop entries: whether there is one of this id, what people call the program, and whether it
//! is a terminal, in which anything may run.

use std::env;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use plex_account_core::server::{NAME_LIMIT, clean};

/// Most of an entry that is read, in bytes.
const LARGEST: u64 = 256 * 1024;

/// What an entry says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// `Name`. Foreign.
    pub(super) name: String,
    /// It is a terminal emulator.
    pub(super) is_terminal: bool,
}

/// The entry with this id. Blocks.
pub(super) fn find(id: &str) -> Option<Entry> {
    find_in(&folders(), id)
}

/// Where entries are: the user's and the system's folders, then those of Flatpak and snapd, which
/// the session may not have told our unit of.
fn folders() -> Vec<PathBuf> {
    let home = env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let data = env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let data = data.or_else(|| home.map(|home| home.join(".local/share")));
    let dirs = env::var_os("XDG_DATA_DIRS").filter(|dirs| !dirs.is_empty());
    let dirs = dirs.unwrap_or_else(|| "/usr/local/share:/usr/share".into());
    let flatpak = data.as_ref().map(|data| data.join("flatpak/exports/share"));
    data.into_iter()
        .chain(env::split_paths(&dirs).filter(|path| path.is_absolute()))
        .chain(flatpak)
        .chain(["/var/lib/flatpak/exports/share", "/var/lib/snapd/desktop"].map(PathBuf::from))
        .map(|folder| folder.join("applications"))
        .collect()
}

fn find_in(folders: &[PathBuf], id: &str) -> Option<Entry> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-@+:".contains(c);
    if id.starts_with('.') || !id.chars().all(is_plain) {
        return None;
    }
    // In an id `-` also stands for the `/` of a sub-folder.
    let in_folders = id.match_indices('-').map(|(at, _)| {
        let (folder, name) = id.split_at(at);
        format!("{folder}/{}.desktop", &name[1..])
    });
    let names: Vec<String> = std::iter::once(format!("{id}.desktop")).chain(in_folders).collect();
    folders
        .iter()
        .flat_map(|folder| names.iter().map(move |n| folder.join(n)))
        .find_map(|p| open(&p))
}

fn open(path: &Path) -> Option<Entry> {
    let file = std::fs::File::open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).ok()?;
    read(&String::from_utf8_lossy(&bytes))
}

fn read(text: &str) -> Option<Entry> {
    let lines = text.lines().map(str::trim);
    let mut entry = Entry::default();
    let mut found = false;
    for line in lines.skip_while(|line| *line != "[Desktop Entry]").skip(1) {
        if line.starts_with('[') {
            break;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        let value = value.trim();
        match key.trim() {
            "Name" => entry.name = clean(value, NAME_LIMIT),
            "Categories" => {
                entry.is_terminal = value.split(';').any(|word| word.trim() == "TerminalEmulator");
            }
            "Hidden" if value == "true" => return None,
            "Type" => found = value == "Application",
            _ => {}
        }
    }
    found.then_some(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_tells_the_name_and_whether_it_is_a_terminal() {
        let text = "# x\n[Desktop Entry]\nType=Application\nName=Ap\u{7}plet\nName[de]=X\n\
                    Categories=System;TerminalEmulator;\n[Desktop Action new]\nName=No\n";
        let entry = read(text).unwrap();
        assert_eq!(entry, Entry { name: "Ap\u{fffd}plet".into(), is_terminal: true });
        assert_eq!(read("[Desktop Entry]\nType=Link\nName=x\n"), None);
        assert_eq!(read("[Desktop Entry]\nType=Application\nHidden=true\n"), None);
        assert_eq!(read("nothing"), None);
    }

    #[test]
    fn entries_are_found_in_the_first_folder_that_has_them() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        std::fs::create_dir_all(one.join("vendor")).unwrap();
        std::fs::create_dir_all(&two).unwrap();
        let entry = |name: &str| format!("[Desktop Entry]\nType=Application\nName={name}\n");
        std::fs::write(one.join("a.desktop"), entry("first")).unwrap();
        std::fs::write(two.join("a.desktop"), entry("second")).unwrap();
        std::fs::write(one.join("vendor/tool.desktop"), entry("tool")).unwrap();
        std::fs::create_dir(one.join("dir.desktop")).unwrap();
        let folders = [one, two];
        let name = |id: &str| find_in(&folders, id).map(|entry| entry.name);
        assert_eq!(name("a").as_deref(), Some("first"));
        assert_eq!(name("vendor-tool").as_deref(), Some("tool"));
        for id in ["dir", "b", "../one/a", ".", "a/b", ""] {
            assert_eq!(name(id), None, "{id}");
        }
    }
}
