//! The manual pages of section 5 are made from what they describe: that of the settings from the
//! sample that is installed, that of the bus from `dbus/*.xml`. Here they are made anew, and are
//! what is committed. After a change: `PLEX_ACCOUNTD_WRITE=1 cargo test --test daemon manual`.

use std::{fmt::Write as _, fs, path::Path};

use quick_xml::{Reader, events::Event};

const HEAD: &str =
    ".\\\" Made by tests/daemon/manual.rs; edit what it reads.\n.Dd November 24, 2026\n";
const NOT_BY_PLEX: &str = ".Sh CAVEATS\nNot made or endorsed by Plex.\n.Dq Plex\nis a trademark \
                           of Plex, Inc.\n";

fn root(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn committed(name: &str, made: &str) {
    let path = root("packaging/man").join(name);
    if std::env::var_os("PLEX_ACCOUNTD_WRITE").is_some() {
        fs::write(&path, made).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == made,
        "{name} is out of date: PLEX_ACCOUNTD_WRITE=1 cargo test --test daemon manual"
    );
}

/// Running text: a sentence a line, and nothing that roff would take for its own.
fn prose(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ").replace('\\', "\\e");
    let mut out = String::new();
    for sentence in words.split_inclusive(". ") {
        let sentence = sentence.trim_end();
        let guard = if sentence.starts_with(['.', '\'']) { "\\&" } else { "" };
        let _ = writeln!(out, "{guard}{sentence}");
    }
    out
}

/// A value as an argument of a macro.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('"', "\\(dq"))
}

#[test]
fn the_page_of_the_settings_is_made_from_the_sample() {
    let sample = fs::read_to_string(root("packaging/config.toml")).unwrap();
    let mut page = format!(
        "{HEAD}.Dt PLEX-ACCOUNTD.TOML 5\n.Os\n.Sh NAME\n.Nm plex-accountd.toml\n.Nd settings of \
         plex-accountd\n.Sh SYNOPSIS\n.Pa $XDG_CONFIG_HOME/plex-accountd/config.toml\n.Sh \
         DESCRIPTION\n"
    );
    page += &fs::read_to_string(root("packaging/man/plex-accountd.toml.in")).unwrap();
    let (mut section, mut said, mut open) = (String::new(), String::new(), false);
    // The file's own introduction is said in the page's words.
    for line in sample.split_once("\n\n").unwrap().1.lines() {
        let sample_of_key = line.strip_prefix("# ").unwrap_or(line);
        if let Some(name) = line.strip_prefix('[').or(sample_of_key.strip_prefix('[')) {
            if open {
                page += ".El\n";
            }
            section = name.trim_end_matches(']').to_owned();
            if section.starts_with("servers.") {
                "servers.\\(dqid\\(dq".clone_into(&mut section);
            }
            let _ = writeln!(page, ".Ss [{section}]");
            page += &prose(said.trim_end().trim_end_matches(':'));
            page += ".Bl -tag -width Ds\n";
            (said, open) = (String::new(), true);
        } else if let Some((key, value)) = line
            .strip_prefix('#')
            .filter(|rest| rest.starts_with(|char: char| char.is_ascii_lowercase()))
            .and_then(|rest| rest.split_once(" = "))
        {
            let _ = writeln!(page, ".It Va {section}.{key} No = Li {}", quoted(value));
            page += &prose(&said);
            said = String::new();
        } else if let Some((key, value)) = sample_of_key.split_once(" = ") {
            let _ = writeln!(page, ".It Va {section}.{key}");
            page += &prose(&said);
            let _ = writeln!(page, ".Dl {key} = {}", value.replace('"', "\\(dq"));
            said = String::new();
        } else if let Some(words) = line.strip_prefix("# ") {
            said = format!("{said} {words}");
        }
    }
    page += ".El\n.Sh FILES\n.Bl -tag -width Ds\n.It Pa ~/.config/plex-accountd/config.toml\nThe \
             settings; a file that is missing means the defaults.\n.It Pa \
             /usr/share/doc/plex-accountd/examples/config.toml\nA sample with every key and its \
             default.\n.El\n.Sh SEE ALSO\n.Xr plex-account 1 ,\n.Xr plex-accountd 8\n";
    page += NOT_BY_PLEX;
    committed("plex-accountd.toml.5", &page);
}

/// What a comment of the XML says: its name, its arguments, its paragraphs.
fn comment(text: &str, page: &mut String) {
    let text = text.trim();
    let (_, text) = text.split_once(':').unwrap();
    let mut paragraphs = text.split("\n\n");
    let first = paragraphs.next().unwrap_or_default();
    let mut arguments = first.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
    let mut list = String::new();
    let mut rest = String::new();
    while let Some(line) = arguments.next() {
        if let Some((name, what)) = line.strip_prefix('@').and_then(|line| line.split_once(':')) {
            let mut what = what.to_owned();
            while let Some(more) = arguments.next_if(|line| !line.starts_with('@')) {
                what = format!("{what} {more}");
            }
            if name != "short_description" {
                let _ = write!(list, ".It Va {name}\n{}", prose(&what.replace('@', "")));
            }
        } else {
            rest = format!("{rest} {line}");
        }
    }
    if !list.is_empty() {
        let _ = write!(page, ".Bl -tag -width Ds -compact\n{list}.El\n");
    }
    let mut begun = !list.is_empty();
    for paragraph in std::iter::once(rest.as_str()).chain(paragraphs) {
        if paragraph.trim().is_empty() {
            continue;
        }
        if begun {
            page.push_str(".Pp\n");
        }
        begun = true;
        // "@until" and "#org…:Property" are links elsewhere.
        *page += &prose(&paragraph.replace(['@', '#'], ""));
    }
}

/// One interface's page part.
fn interface(file: &str) -> String {
    let xml = fs::read_to_string(root(file)).unwrap();
    let mut reader = Reader::from_str(&xml);
    let (mut page, mut said) = (String::new(), String::new());
    let mut member: Option<(String, String, Vec<String>)> = None;
    loop {
        let tag = match reader.read_event().unwrap() {
            Event::Comment(text) => {
                text.as_ref().clone_into(&mut said);
                continue;
            }
            Event::Start(tag) | Event::Empty(tag) => tag,
            Event::End(tag) => {
                let name = tag.name().as_ref().to_owned();
                if ["method", "signal", "property"].contains(&name.as_str())
                    && let Some((kind, name, arguments)) = member.take()
                {
                    let _ = writeln!(page, ".It {kind} Fn {name} {}", arguments.join(" "));
                    comment(&said, &mut page);
                }
                continue;
            }
            Event::Eof => break,
            _ => continue,
        };
        let get = |wanted: &str| {
            let found = tag.attributes().map(Result::unwrap).find(|a| a.key.as_ref() == wanted);
            found.map(|a| a.value.to_string()).unwrap_or_default()
        };
        match tag.name().as_ref() {
            "interface" => {
                let _ = writeln!(page, ".Sh INTERFACE {}", get("name"));
                comment(&said, &mut page);
                page += ".Bl -tag -width Ds\n";
            }
            kind @ ("method" | "signal") => {
                let kind = if kind == "method" { "Method" } else { "Signal" };
                member = Some((kind.into(), get("name"), Vec::new()));
            }
            "arg" => {
                let way = if get("direction") == "out" { "out " } else { "" };
                let argument = quoted(&format!("{way}{} {}", get("type"), get("name")));
                member.as_mut().unwrap().2.push(argument);
            }
            "property" => {
                let _ = writeln!(page, ".It Property Va {} Pq Li {}", get("name"), get("type"));
                comment(&said, &mut page);
            }
            _ => {}
        }
    }
    page + ".El\n"
}

#[test]
fn the_page_of_the_bus_is_made_from_the_interfaces() {
    let mut page = format!(
        "{HEAD}.Dt ORG.PLEXACCOUNTD.ACCOUNT1 5\n.Os\n.Sh NAME\n.Nm org.plexaccountd.Account1\n.Nd \
         D-Bus interface of plex-accountd\n.Sh DESCRIPTION\n"
    );
    page += &fs::read_to_string(root("packaging/man/org.plexaccountd.Account1.in")).unwrap();
    page += &interface("dbus/org.plexaccountd.Account1.xml");
    page += &interface("dbus/org.plexaccountd.Server1.xml");
    page += &interface("dbus/org.plexaccountd.Tokens1.xml");
    page += &interface("dbus/org.plexaccountd.Grants1.xml");
    page += ".Sh SEE ALSO\n.Xr busctl 1 ,\n.Xr plex-account 1 ,\n.Xr plex-accountd.toml 5 ,\n.Xr \
             plex-accountd 8\n";
    page += NOT_BY_PLEX;
    committed("org.plexaccountd.Account1.5", &page);
}
