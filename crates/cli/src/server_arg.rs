//! Which server a person means by a word.

use std::fmt::Write as _;

use plex_account_client::ServerInfo;

use crate::{
    Exit, Stop,
    daemon::{Daemon, Which},
};

impl Daemon {
    /// The one server that `word` names. Not signed in, none or several: says so.
    pub(crate) async fn server(&self, word: &str) -> Result<ServerInfo, Stop> {
        let servers = self.servers(Which::ALL).await?;
        if servers.is_empty() {
            self.need_account().await?;
        }
        let candidates = matching(&servers, word);
        match *candidates {
            [server] => Ok(server.clone()),
            [] => {
                let sentence = format!(
                    "There is no server {word}; `plex-account servers --all` lists those there are."
                );
                Err(Stop::Told(Exit::Failed, sentence))
            }
            _ => Err(Stop::Told(Exit::Failed, ambiguous(word, &candidates))),
        }
    }
}

/// The servers that `word` fits as well as it fits any: by the whole id or name; else by the whole
/// name in other case; else by a start of name or id in any case.
pub(crate) fn matching<'a>(servers: &'a [ServerInfo], word: &str) -> Vec<&'a ServerInfo> {
    let small = word.to_lowercase();
    let starts = |text: &str| text.to_lowercase().starts_with(&small);
    let fits: [&dyn Fn(&ServerInfo) -> bool; 4] = [
        &|server| server.id == word,
        &|server| server.name == word,
        &|server| server.name.to_lowercase() == small,
        &|server| starts(&server.name) || starts(&server.id),
    ];
    (fits.iter())
        .map(|fits| servers.iter().filter(|server| fits(server)).collect::<Vec<_>>())
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

/// A sentence that lists what `word` may mean.
fn ambiguous(word: &str, candidates: &[&ServerInfo]) -> String {
    const MOST: usize = 10;
    let mut text = format!("{word} may be any of these; say more of the name, or the id:");
    for server in candidates.iter().take(MOST) {
        // Writing into a String does not fail.
        let _ = write!(text, " {} ({}),", server.name, server.id);
    }
    if candidates.len() > MOST {
        let _ = write!(text, " and {} more.", candidates.len() - MOST);
        return text;
    }
    text.pop();
    text.push('.');
    text
}
