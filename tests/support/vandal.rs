//! A program on the bus that does not keep to what libraries make others keep to: it writes what
//! it likes, and reads nothing unless it is told to.

#![allow(dead_code, unreachable_pub)] // each test crate uses a part
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use zbus::Message;

const NAME: &str = "org.plexaccountd.Account1";
const PATH: &str = "/org/plexaccountd/Account1";

/// A connection to the bus.
pub struct Vandal(UnixStream);

impl Vandal {
    /// Connects to the bus of this address.
    pub fn connect(address: &str) -> Self {
        let path = address.strip_prefix("unix:path=").unwrap();
        let mut stream = UnixStream::connect(path.split(',').next().unwrap()).unwrap();
        let uid = rustix::process::getuid().as_raw().to_string();
        let uid: String = uid.chars().flat_map(|digit| ['3', digit]).collect(); // in hex
        stream.write_all(format!("\0AUTH EXTERNAL {uid}\r\n").as_bytes()).unwrap();
        let mut answer = [0; 128];
        let read = stream.read(&mut answer).unwrap();
        assert!(answer[..read].starts_with(b"OK "));
        stream.write_all(b"BEGIN\r\n").unwrap();
        let hello = Message::method_call("/org/freedesktop/DBus", "Hello")
            .destination("org.freedesktop.DBus")
            .interface("org.freedesktop.DBus")
            .build(&())
            .unwrap();
        let mut this = Self(stream);
        this.send(&hello);
        this
    }

    /// Sends a message.
    pub fn send(&mut self, message: &Message) {
        self.0.write_all(message.data()).unwrap();
    }

    /// Calls a method of the daemon's.
    pub fn call(&mut self, interface: &str, method: &str) {
        self.send(&call(interface, method).build(&()).unwrap());
    }

    /// Reads all that is there and comes within a while, and answers how often a text is in it.
    pub fn count(&mut self, text: &str, wait: std::time::Duration) -> usize {
        self.0.set_read_timeout(Some(wait)).unwrap();
        let (mut all, mut piece) = (Vec::new(), vec![0; 1 << 20]);
        while let Ok(read @ 1..) = self.0.read(&mut piece) {
            all.extend_from_slice(&piece[..read]);
        }
        all.windows(text.len()).filter(|window| *window == text.as_bytes()).count()
    }
}

/// A call of a method of the daemon's.
pub fn call<'a>(interface: &'a str, method: &'a str) -> zbus::message::Builder<'a> {
    Message::method_call(PATH, method).destination(NAME).interface(interface)
}
