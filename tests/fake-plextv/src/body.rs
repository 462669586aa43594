//! Bodies that break their promise: too short, too long, or never ending.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use http_body::{Body as HttpBody, Frame};

/// How a body goes on after its beginning.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// Lets what was sent reach the wire, then fails.
    Flush,
    /// Fails: the connection is closed.
    Fail,
    /// Never goes on.
    Silence,
    /// So many spaces, then the regular end.
    Filler(u64),
}

/// A body that begins well.
pub(crate) struct Misbehaving {
    /// What is sent first.
    pub(crate) head: Option<Body>,
    /// How it goes on.
    pub(crate) then: End,
}

static SPACES: [u8; 65_536] = [b' '; 65_536];

impl HttpBody for Misbehaving {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(head) = &mut self.head {
            match Pin::new(head).poll_frame(context) {
                Poll::Ready(None) => self.head = None,
                other => return other,
            }
        }
        match self.then {
            End::Flush => {
                self.then = End::Fail;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            End::Fail => Poll::Ready(Some(Err(axum::Error::new("ordered by the test")))),
            End::Silence => Poll::Pending,
            End::Filler(0) => Poll::Ready(None),
            End::Filler(left) => {
                let now = left.min(SPACES.len() as u64);
                self.then = End::Filler(left - now);
                let chunk =
                    Bytes::from_static(&SPACES[..usize::try_from(now).unwrap_or(SPACES.len())]);
                Poll::Ready(Some(Ok(Frame::data(chunk))))
            }
        }
    }
}
