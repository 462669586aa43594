//! The connection to the session bus that our names are owned on: a Unix socket whose calls pass
//! the `Admission` before zbus sees them.
//!
//! zbus makes a task of each call and lets its replies pile up, and it takes in a message of
//! any length before it looks at it. Neither can be bounded behind its socket, so it is bounded
//! in the socket: calls are handed on when it is their turn, and of a message that is longer than
//! any of ours has to be, only the header is kept.

use std::{
    collections::VecDeque,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixStream as StdUnixStream},
    },
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use tokio::{
    io::Interest,
    net::UnixStream,
    sync::{Mutex as AsyncMutex, Notify},
    time::{Instant, sleep, timeout},
};
use tracing::warn;
use zbus::{
    Address, Connection, Message,
    address::transport::{Transport, UnixSocket},
    connection::{
        Builder,
        socket::{ReadHalf, Split, WriteHalf},
    },
    export::async_trait::async_trait,
    message::Type,
};

use super::admission::{Admission, READ_TIMEOUT, Verdict};

/// The longest call that is taken, in bytes: ours have at most a token in them.
const MAX_CALL: usize = 64 << 10;
/// The longest other message, in bytes: answers to what we ask the bus, the portal and systemd.
const MAX_OTHER: usize = 4 << 20;
/// The longest header that is read, in bytes.
const MAX_HEADER: usize = 16 << 10;
/// So much is read at a time, in bytes. Some hundred calls.
const PIECE: usize = 16 << 10;
/// Refusals that may wait to be sent, in bytes: some four thousand.
const REFUSALS: usize = 1 << 20;
/// So many are sent at a time, in bytes: as many as dbus-daemon reads at a time.
const REFUSALS_AT_ONCE: usize = 2048;
/// What comes before the fields of a message's header, in bytes.
const START: usize = 16;
/// A bus that takes nothing from us for so long keeps too much that others do not read, and may
/// do so for ever. We leave it then, and are started again on a connection without that burden.
const STUCK: Duration = Duration::from_secs(20);
/// More file descriptors than this come with no message that we ask for.
const MAX_FDS: usize = 16;

/// Connects to the session bus, with what callers may cost bounded.
///
/// # Errors
///
/// If there is no session bus, or it does not let us in.
pub async fn session() -> zbus::Result<Connection> {
    let address = Address::session()?;
    match connect(&address)? {
        Some(stream) => Builder::socket(halves(stream)).build().await,
        // An address of another kind, by which no user's bus is reached nowadays.
        None => Builder::address(address).build().await,
    }
}

/// Connects to the bus of this address in the same way.
///
/// # Errors
///
/// If there is none, or it is reached by no Unix socket.
pub async fn at(address: &str) -> zbus::Result<Connection> {
    let stream = connect(&Address::try_from(address)?)?.ok_or(zbus::Error::Unsupported)?;
    Builder::socket(halves(stream)).build().await
}

fn connect(address: &Address) -> io::Result<Option<UnixStream>> {
    let Transport::Unix(unix) = address.transport() else { return Ok(None) };
    let stream = match unix.path() {
        UnixSocket::File(path) => StdUnixStream::connect(path)?,
        UnixSocket::Abstract(name) => {
            StdUnixStream::connect_addr(&SocketAddr::from_abstract_name(name.as_encoded_bytes())?)?
        }
        _ => return Ok(None),
    };
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream).map(Some)
}

fn halves(stream: UnixStream) -> Split<Box<dyn ReadHalf>, Box<dyn WriteHalf>> {
    let stream = Arc::new(stream);
    let shared = Arc::new(Shared {
        admission: Mutex::new(Admission::new(Instant::now())),
        freed: Notify::new(),
        refusals: Mutex::default(),
    });
    let writer = Arc::new(AsyncMutex::new(Writer(Arc::clone(&stream))));
    let refused = Arc::new(Notify::new());
    tokio::spawn(refuse(Arc::downgrade(&shared), Arc::clone(&writer), Arc::clone(&refused)));
    let inlet = Inlet {
        stream,
        frames: Frames::default(),
        shared: Arc::clone(&shared),
        refused,
        may_serve: false,
    };
    Split::new(Box::new(inlet), Box::new(Outlet { writer, shared }))
}

/// What both halves know.
#[derive(Debug)]
struct Shared {
    admission: Mutex<Admission>,
    /// The next read may be served.
    freed: Notify,
    refusals: Mutex<Refusals>,
}

/// Answers to calls that are not served, which wait to be sent. Where there is no room for one,
/// a caller with thousands of calls goes without it.
#[derive(Debug, Default)]
struct Refusals {
    waiting: VecDeque<Box<[u8]>>,
    bytes: usize,
}

impl Refusals {
    fn add(&mut self, answer: &Message) {
        let answer: &[u8] = answer.data();
        if self.bytes + answer.len() <= REFUSALS {
            self.bytes += answer.len();
            self.waiting.push_back(answer.into());
        }
    }
}

impl Shared {
    fn admission(&self) -> MutexGuard<'_, Admission> {
        self.admission.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refusals(&self) -> MutexGuard<'_, Refusals> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends refusals between zbus's own messages, a few at a time, so that an answer that somebody
/// waits for need not wait for them.
async fn refuse(shared: Weak<Shared>, writer: Arc<AsyncMutex<Writer>>, refused: Arc<Notify>) {
    loop {
        refused.notified().await;
        loop {
            let Some(shared) = shared.upgrade() else { return };
            let mut piece = Vec::new();
            {
                let mut refusals = shared.refusals();
                while piece.len() < REFUSALS_AT_ONCE
                    && let Some(answer) = refusals.waiting.pop_front()
                {
                    refusals.bytes -= answer.len();
                    piece.extend_from_slice(&answer);
                }
            }
            drop(shared);
            if piece.is_empty() {
                break;
            }
            let mut writer = writer.lock().await;
            let mut sent = 0;
            while sent < piece.len() {
                match writer.sendmsg(&piece[sent..], &[]).await {
                    Ok(more) => sent += more,
                    Err(_) => return,
                }
            }
        }
    }
}

/// The half that zbus reads from.
#[derive(Debug)]
struct Inlet {
    stream: Arc<UnixStream>,
    frames: Frames,
    shared: Arc<Shared>,
    /// There are refusals to send.
    refused: Arc<Notify>,
    /// Something was read since the last read was served: who calls most does not come first.
    may_serve: bool,
}

#[async_trait]
impl ReadHalf for Inlet {
    async fn receive_message(
        &mut self,
        seq: u64,
        already_received_bytes: &mut Vec<u8>,
        already_received_fds: &mut Vec<OwnedFd>,
    ) -> zbus::Result<Message> {
        self.frames.bytes.append(already_received_bytes);
        self.frames.fds.append(already_received_fds);
        loop {
            while let Some(frame) = self.frames.next()? {
                if let Some(message) = self.sort(frame, seq).await? {
                    return Ok(message);
                }
            }
            if std::mem::take(&mut self.may_serve)
                && let Some(call) = self.shared.admission().next(Instant::now())
            {
                return Ok(call);
            }
            match self.frames.read(&self.stream) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(_) => {
                    self.may_serve = true;
                    // Whatever comes, replies are made and sent in between.
                    tokio::task::consume_budget().await;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
            let call = self.shared.admission().next(Instant::now());
            if let Some(call) = call {
                return Ok(call);
            }
            let waiting = self.shared.admission().has_waiting();
            tokio::select! {
                ready = self.stream.readable() => ready?,
                () = self.shared.freed.notified() => {}
                () = sleep(READ_TIMEOUT), if waiting => {}
            }
        }
    }

    async fn recvmsg(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        let mut fds = Vec::new();
        let read = (self.stream)
            .async_io(Interest::READABLE, || receive(&self.stream, buffer, &mut fds))
            .await?;
        Ok((read, fds))
    }

    fn can_pass_unix_fd(&self) -> bool {
        true
    }
}

impl Inlet {
    /// What of this frame zbus gets now.
    async fn sort(&mut self, frame: Frame, seq: u64) -> zbus::Result<Option<Message>> {
        let Frame { bytes, whole } = frame;
        let (message, fds) = decode(bytes, &mut self.frames.fds, seq).await?;
        let is_call = message.message_type() == Type::MethodCall;
        let verdict = match (is_call, whole) {
            (false, true) => return Ok(Some(message)),
            (false, false) => return Ok(None),
            // No method of ours takes any.
            (true, _) if fds > 0 => Verdict::Dropped,
            (true, true) => self.shared.admission().offer(message, Instant::now()),
            (true, false) => {
                let reason = "The call is longer than any call of plex-accountd has to be.";
                self.shared.admission().refuse(&message, reason, Instant::now())
            }
        };
        match verdict {
            Verdict::Serve(call) => return Ok(Some(call)),
            Verdict::Waits | Verdict::Dropped => {}
            Verdict::Refused(answer) => {
                self.shared.refusals().add(&answer);
                self.refused.notify_one();
            }
        }
        Ok(None)
    }
}

/// Makes a message of its bytes, and of file descriptors as many as it came with; and says how
/// many these were.
async fn decode(
    mut bytes: Vec<u8>,
    fds: &mut Vec<OwnedFd>,
    seq: u64,
) -> zbus::Result<(Message, usize)> {
    /// zbus's own way from bytes to a message, which finds all of it received already.
    #[derive(Debug)]
    struct Received;

    #[async_trait]
    impl ReadHalf for Received {
        async fn recvmsg(&mut self, _: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    let message = Received.receive_message(seq, &mut bytes, &mut Vec::new()).await?;
    let count = message.header().unix_fds().unwrap_or(0) as usize;
    if count == 0 {
        return Ok((message, 0));
    }
    let mut own: Vec<_> = fds.drain(..count.min(fds.len())).collect();
    let mut bytes = message.data().to_vec();
    let message = Received.receive_message(seq, &mut bytes, &mut own).await?;
    Ok((message, count))
}

/// The stream of bytes, cut into messages.
#[derive(Debug, Default)]
struct Frames {
    bytes: Vec<u8>,
    /// So many bytes of the buffer are done with.
    done: usize,
    /// So many bytes to come are of a message that was too long.
    skip: usize,
    fds: Vec<OwnedFd>,
}

/// One message.
#[derive(Debug)]
struct Frame {
    bytes: Vec<u8>,
    /// Else only its header is there, with the length of its body set to 0.
    whole: bool,
}

impl Frames {
    /// Reads what is there.
    fn read(&mut self, stream: &UnixStream) -> io::Result<usize> {
        self.bytes.drain(..self.done);
        self.done = 0;
        let before = self.bytes.len();
        self.bytes.resize(before + PIECE, 0);
        let read = stream.try_io(Interest::READABLE, || {
            receive(stream, &mut self.bytes[before..], &mut self.fds)
        });
        self.bytes.truncate(before + *read.as_ref().unwrap_or(&0));
        if self.bytes.is_empty() {
            self.bytes.shrink_to(2 * PIECE);
        }
        read
    }

    /// The next message that is there.
    fn next(&mut self) -> io::Result<Option<Frame>> {
        let skipped = self.skip.min(self.bytes.len() - self.done);
        self.skip -= skipped;
        self.done += skipped;
        let bytes = &self.bytes[self.done..];
        let Some(start) = bytes.first_chunk::<START>() else { return Ok(None) };
        let number = |at: usize| {
            let bytes = [start[at], start[at + 1], start[at + 2], start[at + 3]];
            match start[0] {
                b'l' => Ok(u32::from_le_bytes(bytes) as usize),
                b'B' => Ok(u32::from_be_bytes(bytes) as usize),
                _ => Err(io::Error::from(io::ErrorKind::InvalidData)),
            }
        };
        let header = (START + number(12)?).next_multiple_of(8);
        let total = header + number(4)?;
        let most = if start[1] == Type::MethodCall as u8 { MAX_CALL } else { MAX_OTHER };
        if header > MAX_HEADER {
            // Who sent it can't be told, so nobody is answered.
            self.skip = total;
            return self.next();
        }
        let whole = total <= most;
        let length = if whole { total } else { header };
        let Some(bytes) = bytes.get(..length) else { return Ok(None) };
        let mut bytes = bytes.to_vec();
        self.done += length;
        if !whole {
            bytes[4..8].fill(0);
            self.skip = total - length;
        }
        Ok(Some(Frame { bytes, whole }))
    }
}

/// The half that zbus writes to.
#[derive(Debug)]
struct Outlet {
    writer: Arc<AsyncMutex<Writer>>,
    shared: Arc<Shared>,
}

#[async_trait]
impl WriteHalf for Outlet {
    async fn send_message(&mut self, message: &Message) -> zbus::Result<()> {
        let result = self.writer.lock().await.send_message(message).await;
        if matches!(message.message_type(), Type::MethodReturn | Type::Error)
            && self.shared.admission().sent(message, Instant::now())
        {
            self.shared.freed.notify_one();
        }
        result
    }

    async fn sendmsg(&mut self, buffer: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        self.writer.lock().await.sendmsg(buffer, fds).await
    }

    async fn close(&mut self) -> io::Result<()> {
        self.writer.lock().await.close().await
    }

    fn can_pass_unix_fd(&self) -> bool {
        true
    }
}

/// The socket, to be written to by one at a time.
#[derive(Debug)]
struct Writer(Arc<UnixStream>);

#[async_trait]
impl WriteHalf for Writer {
    async fn sendmsg(&mut self, buffer: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        match send(&self.0, buffer, fds) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            sent => return sent,
        }
        let sent = self.0.async_io(Interest::WRITABLE, || send(&self.0, buffer, fds));
        if let Ok(sent) = timeout(STUCK, sent).await {
            return sent;
        }
        warn!("the session bus has taken nothing from us for {STUCK:?}: leaving it");
        self.close().await?;
        Err(io::ErrorKind::TimedOut.into())
    }

    async fn close(&mut self) -> io::Result<()> {
        Ok(rustix::net::shutdown(self.0.as_fd(), rustix::net::Shutdown::Both)?)
    }

    fn can_pass_unix_fd(&self) -> bool {
        true
    }
}

fn receive(stream: &UnixStream, buffer: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut into = [IoSliceMut::new(buffer)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = rustix::net::recvmsg(stream.as_fd(), &mut into, &mut control, flags)?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    Ok(received.bytes)
}

fn send(stream: &UnixStream, buffer: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let flags = SendFlags::NOSIGNAL;
    Ok(rustix::net::sendmsg(stream.as_fd(), &[IoSlice::new(buffer)], &mut control, flags)?)
}
