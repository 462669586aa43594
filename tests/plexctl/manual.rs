//! The manual page, against what the program itself says it takes.

use std::fs;

use crate::common::Bus;

#[tokio::test]
async fn the_manual_has_every_command_and_every_option() {
    let path = format!("{}/packaging/man/plexctl.1", env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(path).unwrap();
    let (synopsis, description) = page.split_once(".Sh DESCRIPTION").unwrap();
    let bus = Bus::start();
    let help = bus.run("help").await.1;
    let commands = help.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    let commands = commands.lines().filter_map(|line| line.split_whitespace().next());
    let mut number = 0;
    for command in commands.filter(|command| *command != "help") {
        number += 1;
        // Its paragraphs of the synopsis, up to the next name.
        let own: String = (synopsis.split(".Nm\n"))
            .filter(|part| part.lines().next() == Some(&format!(".Cm {command}")))
            .collect();
        assert!(!own.is_empty(), "{command} is not in the synopsis");
        assert!(description.contains(command), "{command} is not described");
        let help = bus.run(&format!("{command} --help")).await.1;
        let options = help.split("--").skip(1).filter_map(|rest| {
            let end = rest.find(|char: char| !char.is_ascii_lowercase() && char != '-');
            rest.get(..end?)
        });
        for option in options.filter(|option| *option != "help") {
            assert!(own.contains(&format!("Fl -{option}")), "{command} --{option}");
        }
    }
    assert!(number >= 13, "{help}");
}
