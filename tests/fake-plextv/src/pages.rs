//! The pages that a person sees in a browser: `app.plex.tv/auth`, `plex.tv/link`, and a front page that says where one
//! is. They call `/fake/approve` like any test.

use axum::response::Html;

/// `/auth`: the code is in the fragment, which only the browser sees.
pub(crate) async fn auth() -> Html<&'static str> {
    Html(include_str!("auth.html"))
}

/// `/link`: the code is typed.
pub(crate) async fn link() -> Html<&'static str> {
    Html(include_str!("link.html"))
}

/// `/`
pub(crate) async fn front() -> Html<&'static str> {
    Html(include_str!("front.html"))
}
