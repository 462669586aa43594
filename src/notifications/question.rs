//! Questions to the person: a notification with buttons that is never replaced by another.

use std::time::Duration;

use plex_account_core::grants::{Identity, Program, Question, Response};
use serde::{Deserialize, Serialize};

use super::content::{Button, Presentation};
use super::messages::Text;
use super::untrusted_text::isolated;

/// The notification server may take it away then.
const STANDS: Duration = Duration::from_secs(600);

/// A question as a notification. Of one that was put before a restart nothing is known any more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AskedQuestion {
    #[serde(skip)]
    question: Option<Question>,
}

impl AskedQuestion {
    pub(super) fn new(question: Question) -> Self {
        Self { question: Some(question) }
    }

    pub(super) fn number(&self) -> Option<u64> {
        self.question.as_ref().map(|question| question.number)
    }

    pub(super) fn look(&self) -> Presentation {
        let Some(question) = &self.question else { return Presentation::default() };
        let buttons: &[Button] = match question.identity {
            Identity::Program(_) => &[Button::Deny, Button::Once, Button::Allow],
            Identity::Session { .. } | Identity::Unknown => &[Button::Deny, Button::Once],
        };
        let text = text(question);
        Presentation {
            text,
            matters: true,
            passes: false,
            buttons,
            category: None,
            expires: Some(STANDS),
        }
    }
}

/// The answer that a button gives.
pub(super) fn response(button: Button) -> Option<Response> {
    match button {
        Button::Allow => Some(Response::Allow),
        Button::Once => Some(Response::Once),
        Button::Deny => Some(Response::Deny),
        _ => None,
    }
}

fn text(question: &Question) -> Text {
    let name = isolated(&question.name);
    let server = if question.server.trim().is_empty() {
        "a server without a name".to_owned()
    } else {
        isolated(&question.server)
    };
    let who = match &question.identity {
        Identity::Program(_) => name,
        Identity::Session { .. } | Identity::Unknown => {
            format!("a program that calls itself {name}")
        }
    };
    let unsure = "not sandboxed: another program could pass for it";
    let which = match &question.identity {
        Identity::Program(Program::Flatpak(id)) => format!("{id}, Flatpak."),
        Identity::Program(Program::Snap(id)) => format!("{id}, Snap."),
        Identity::Program(Program::App(id)) => format!("{id}, {unsure}."),
        Identity::Program(Program::Unit(id)) => format!("The unit {id}, {unsure}."),
        Identity::Session { .. } | Identity::Unknown => "It is not sandboxed.".to_owned(),
    };
    let lasting =
        if question.lasting { " What it gets is good until you sign out of Plex." } else { "" };
    Text {
        summary: format!("Let {who} use {server}?"),
        body: format!("It can watch, change and delete there what you can. {which}{lasting}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(identity: Identity, name: &str, server: &str, lasting: bool) -> AskedQuestion {
        let (name, server) = (name.to_owned(), server.to_owned());
        AskedQuestion::new(Question { number: 1, identity, name, server, lasting })
    }

    fn program(text: &str) -> Identity {
        Identity::Program(text.parse().unwrap())
    }

    #[test]
    fn a_question_says_who_asks_and_how_sure_that_is() {
        let plain = |text: &str| text.replace(['\u{2068}', '\u{2069}'], "");
        let look = question(program("flatpak:org.example.Applet"), "Applet", "Attic", false).look();
        assert_eq!(plain(&look.text.summary), "Let Applet use Attic?");
        assert_eq!(
            look.text.body,
            "It can watch, change and delete there what you can. org.example.Applet, Flatpak."
        );
        assert_eq!(look.buttons, [Button::Deny, Button::Once, Button::Allow]);
        assert!(look.buttons.iter().all(|button| !button.is_main()), "no default action");
        let look = question(program("unit:tool.service"), "tool", "Attic", true).look();
        assert!(look.text.body.contains("another program could pass for it"));
        assert!(look.text.body.ends_with("until you sign out of Plex."));
        let session = Identity::Session { scope: "session-1.scope".into() };
        let look = question(session, "tool", "", false).look();
        assert_eq!(
            plain(&look.text.summary),
            "Let a program that calls itself tool use a server without a name?"
        );
        assert_eq!(look.buttons, [Button::Deny, Button::Once]);
    }

    #[test]
    fn names_stay_in_their_place() {
        let name = "Plex\u{2069}\u{202e}\n<b>";
        let look = question(program("app:x"), name, name, false).look();
        assert_eq!(look.text.summary.matches('\u{2068}').count(), 2);
        assert_eq!(look.text.summary.matches('\u{2069}').count(), 2);
        assert!(!look.text.summary.contains('\n'));
    }
}
