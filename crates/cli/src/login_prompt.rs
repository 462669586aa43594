//! How a login is shown: the code, the link, a QR code.

use plex_account_client::LoginOffer;

use crate::{
    Stop, banner,
    output::{Output, Paint},
    qr,
};

/// Shows how to sign in. `link_here`: the link for a browser on this machine is of use.
pub(crate) fn show(out: &mut Output, offer: &LoginOffer, link_here: bool) -> Result<(), Stop> {
    if !offer.code.is_empty() {
        match out.look.columns().filter(|_| out.look.live) {
            Some(columns) => show_large(out, offer, columns)?,
            None => out.line(&format!(
                "Go to {} on any device and type  {}",
                offer.link_url, offer.code
            ))?,
        }
    }
    // Where there is nothing else, it is better than nothing.
    if !offer.auth_url.is_empty() && (link_here || offer.code.is_empty()) {
        let lead = if offer.code.is_empty() { "Open" } else { "Or open" };
        out.line(&format!("{lead} this link in a browser here:\n  {}", offer.auth_url))?;
    }
    Ok(())
}

/// Columns between the QR code and what stands beside it.
const GAP: usize = 2;

fn show_large(out: &mut Output, offer: &LoginOffer, columns: usize) -> Result<(), Stop> {
    let qr = qr::draw(&offer.link_with_code(), out.look).filter(|qr| qr.columns <= columns);
    let beside = qr.as_ref().map_or(0, |qr| qr.columns + GAP);
    let room = columns - beside;
    // Beside the QR code if the words have room there.
    let longest = offer.link_url.len().max("on any device and type".len());
    let (beside, room) = if room < longest.max(24) { (0, columns) } else { (beside, room) };

    let mut words = vec![
        String::new(),
        "Go to".to_owned(),
        out.paint(Paint::Strong, &offer.link_url),
        format!("on any device and type  {}", out.paint(Paint::Strong, &offer.code)),
        String::new(),
    ];
    let dot = if out.look.unicode { '█' } else { '#' };
    if let Some(large) = banner::large(&offer.code, dot, room) {
        words.extend(large.iter().map(|row| out.paint(Paint::Strong, row)));
        words.push(String::new());
    }
    let Some(qr) = qr else {
        return words.iter().try_for_each(|line| out.line(line)).map_err(Stop::from);
    };
    words.push("Or scan the picture with a phone.".to_owned());
    if beside == 0 {
        for line in words.iter().chain(&qr.lines) {
            out.line(line)?;
        }
        return Ok(());
    }
    let words = words.iter().map(String::as_str).chain(std::iter::repeat(""));
    for (picture, words) in qr.lines.iter().zip(words) {
        out.line(format!("{picture}  {words}").trim_end())?;
    }
    Ok(())
}
