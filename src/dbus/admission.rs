//! Whose calls are served next, and whose are refused.
//!
//! A program that calls faster than it reads costs memory twice: ours, while replies wait to be
//! sent, and the bus's, which keeps what nobody reads and in the end stops reading from us. So
//! calls that only read are served one after another, the senders in turn; the calls that one
//! sender may have waiting and in work are bounded, and all of them together; and so is what one
//! sender is sent. What is beyond a bound is answered `LimitsExceeded`, which costs next to
//! nothing.
//!
//! No I/O and no clock: [`transport`](super::transport) feeds this.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;
use zbus::{
    Message,
    message::{Flags, Header},
    names::{BusName, InterfaceName, MemberName},
};

/// What one sender may be sent at once, in bytes, and then in each second; counted as what the bus
/// sets aside for it ([`kept`]).
const BURST: u64 = 16_000_000;
const RATE: u64 = 4_000_000;
/// The same for all senders together. Beyond it those go on who were sent little of it.
const BURST_OF_ALL: u64 = 4 * BURST;
const RATE_OF_ALL: u64 = 2 * RATE;
const LITTLE: u64 = 1_000_000;
/// A sender who has been sent so much is not even told any more that it is too much, in bytes.
const SILENT: u64 = BURST + 8_000_000;

/// Calls that one sender may have waiting or in work, and all together. Beyond that those go on who
/// have few.
const CALLS: usize = 2048;
const CALLS_OF_ALL: usize = CALLS;
const FEW: usize = 16;
/// Bytes that these calls may take.
const BYTES: usize = 1 << 20;
const BYTES_OF_ALL: usize = 8 << 20;

/// A read that is not answered by then never will be (a reply that can't be encoded is dropped).
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// No call lasts longer than 20 seconds.
const CALL_TIMEOUT: Duration = Duration::from_secs(25);

/// A method call has arrived. What now?
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is served at once.
    Serve(Message),
    /// It waits for its turn.
    Waits,
    /// It gets this answer.
    Refused(Message),
    /// It gets none.
    Dropped,
}

/// The state of all senders.
#[derive(Debug)]
pub(super) struct Admission {
    senders: HashMap<Box<str>, Sender>,
    /// Who has calls that wait, in turn.
    turns: VecDeque<Box<str>>,
    /// The read that is being served.
    serving: Option<Serving>,
    sent: Bucket,
    /// Calls that wait or are in work, of all senders, and the bytes of those that wait.
    calls: usize,
    bytes: usize,
    /// So many senders are worth a look whether some can be forgotten.
    sweep_at: usize,
}

#[derive(Debug)]
struct Serving {
    sender: Box<str>,
    serial: u32,
    since: Instant,
}

#[derive(Debug)]
struct Sender {
    sent: Bucket,
    /// Reads, oldest first, and their bytes.
    waiting: VecDeque<Message>,
    bytes: usize,
    /// Serials of commands, and when these will have ended.
    in_work: Vec<(u32, Instant)>,
}

/// Bytes sent, less those that time has forgiven.
#[derive(Debug)]
struct Bucket {
    level: u64,
    at: Instant,
}

impl Bucket {
    fn new(now: Instant) -> Self {
        Self { level: 0, at: now }
    }

    fn level(&mut self, rate: u64, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.at);
        let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        // Less than a millisecond is left to count later.
        if millis > 0 {
            self.level = self.level.saturating_sub(millis.saturating_mul(rate / 1000));
            self.at = now;
        }
        self.level
    }

    fn add(&mut self, message: &Message) {
        self.level = self.level.saturating_add(kept(message));
    }
}

/// What dbus-daemon keeps for a message that is not read: its buffers double as they grow.
fn kept(message: &Message) -> u64 {
    message.data().len().next_power_of_two() as u64
}

/// Whether a call makes the daemon do something, which may take seconds; all others are answered
/// from memory.
fn is_command(header: &Header<'_>) -> bool {
    let ours = |name: &InterfaceName<'_>| name.starts_with("org.plexaccountd.");
    let reads = |name: &MemberName<'_>| matches!(&**name, "ListServers" | "ListSharedServers");
    header.interface().is_some_and(ours) && !header.member().is_some_and(reads)
}

impl Admission {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            senders: HashMap::new(),
            turns: VecDeque::new(),
            serving: None,
            sent: Bucket::new(now),
            calls: 0,
            bytes: 0,
            sweep_at: 64,
        }
    }

    /// Takes a call that has just arrived.
    pub(super) fn offer(&mut self, call: Message, now: Instant) -> Verdict {
        let header = call.header();
        let Some(name) = header.sender() else {
            return Verdict::Dropped; // there is no such thing on a bus
        };
        let answered = !header.primary().flags().contains(Flags::NO_REPLY_EXPECTED);
        let serial = header.primary().serial_num().get();
        let command = is_command(&header);
        if !command && !answered {
            return Verdict::Dropped; // reading for nobody
        }
        let of_all = self.sent.level(RATE_OF_ALL, now);
        self.sweep(now);
        if !self.senders.contains_key(name.as_str()) {
            self.senders.insert(name.as_str().into(), Sender::new(now));
        }
        let Some(sender) = self.senders.get_mut(name.as_str()) else {
            return Verdict::Dropped;
        };
        self.calls -= sender.forget_lost(now);
        let sent = sender.sent.level(RATE, now);
        let size = call.data().len();
        let too_much = if sent > BURST || of_all > BURST_OF_ALL && sent > LITTLE {
            Some(
                "You were sent more than the session bus should have to keep; read it, and call again in a few seconds.",
            )
        } else if sender.calls() >= CALLS
            || self.calls >= CALLS_OF_ALL && sender.calls() >= FEW
            || sender.bytes + size > BYTES
            || self.bytes + size > BYTES_OF_ALL && sender.calls() >= FEW
        {
            Some("Too many calls are waiting for an answer; try again in a moment.")
        } else {
            None
        };
        if let Some(reason) = too_much {
            return self.refuse(&call, reason, now);
        }
        self.calls += 1;
        if command {
            sender.in_work.push((serial, now + CALL_TIMEOUT));
            return Verdict::Serve(call);
        }
        sender.bytes += size;
        self.bytes += size;
        if sender.waiting.is_empty() {
            self.turns.push_back(name.as_str().into());
        }
        drop(header);
        sender.waiting.push_back(call);
        Verdict::Waits
    }

    /// The answer to a call that is not served. It counts as sent.
    pub(super) fn refuse(&mut self, call: &Message, reason: &str, now: Instant) -> Verdict {
        let header = call.header();
        let answered = !header.primary().flags().contains(Flags::NO_REPLY_EXPECTED);
        let Some(name) = header.sender().filter(|_| answered) else {
            return Verdict::Dropped;
        };
        let sender = (self.senders).entry(name.as_str().into()).or_insert_with(|| Sender::new(now));
        if sender.sent.level(RATE, now) > SILENT {
            return Verdict::Dropped;
        }
        let error = "org.freedesktop.DBus.Error.LimitsExceeded";
        match Message::error(&header, error).build(&(reason,)) {
            Ok(answer) => {
                sender.sent.add(&answer);
                self.sent.add(&answer);
                Verdict::Refused(answer)
            }
            Err(_) => Verdict::Dropped,
        }
    }

    /// The next read that is to be served, if none is being served: the senders have it in turn.
    pub(super) fn next(&mut self, now: Instant) -> Option<Message> {
        if self.serving.as_ref().is_some_and(|serving| now < serving.since + READ_TIMEOUT) {
            return None;
        }
        if self.serving.take().is_some() {
            self.calls -= 1;
        }
        let name = self.turns.pop_front()?;
        let sender = self.senders.get_mut(&name)?;
        let call = sender.waiting.pop_front()?;
        sender.bytes -= call.data().len();
        self.bytes -= call.data().len();
        if !sender.waiting.is_empty() {
            self.turns.push_back(name.clone());
        }
        let serial = call.primary_header().serial_num().get();
        self.serving = Some(Serving { sender: name, serial, since: now });
        Some(call)
    }

    /// Whether calls wait for their turn.
    pub(super) fn has_waiting(&self) -> bool {
        !self.turns.is_empty()
    }

    /// A message was sent. Whether the next read may be served because of it.
    pub(super) fn sent(&mut self, message: &Message, now: Instant) -> bool {
        let header = message.header();
        let (Some(BusName::Unique(name)), Some(serial)) =
            (header.destination(), header.reply_serial())
        else {
            return false;
        };
        let serial = serial.get();
        self.sent.level(RATE_OF_ALL, now);
        self.sent.add(message);
        if let Some(sender) = self.senders.get_mut(name.as_str()) {
            sender.sent.level(RATE, now);
            sender.sent.add(message);
            let is_it = |(of, _): &(u32, Instant)| *of == serial;
            if let Some(at) = sender.in_work.iter().position(is_it) {
                sender.in_work.swap_remove(at);
                self.calls -= 1;
                return false;
            }
        }
        let ends =
            |serving: &mut Serving| serving.serial == serial && *serving.sender == *name.as_str();
        let ended = self.serving.take_if(ends).is_some();
        self.calls -= usize::from(ended);
        ended
    }

    /// Forgets senders of whom there is nothing to remember.
    fn sweep(&mut self, now: Instant) {
        if self.senders.len() < self.sweep_at {
            return;
        }
        let calls = &mut self.calls;
        self.senders.retain(|_, sender| {
            *calls -= sender.forget_lost(now);
            sender.calls() > 0 || sender.sent.level(RATE, now) > 0
        });
        self.sweep_at = (2 * self.senders.len()).max(64);
    }
}

impl Sender {
    fn new(now: Instant) -> Self {
        Self { sent: Bucket::new(now), waiting: VecDeque::new(), bytes: 0, in_work: Vec::new() }
    }

    fn calls(&self) -> usize {
        self.waiting.len() + self.in_work.len()
    }

    /// Forgets commands whose answers will not come, and says how many these were: nobody wanted
    /// one.
    fn forget_lost(&mut self, now: Instant) -> usize {
        let before = self.in_work.len();
        self.in_work.retain(|(_, until)| now < *until);
        before - self.in_work.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(sender: &'static str, member: &'static str) -> Message {
        let interface = if member == "Ping" {
            "org.freedesktop.DBus.Peer"
        } else {
            "org.plexaccountd.Account1"
        };
        Message::method_call("/a", member).sender(sender).interface(interface).build(&()).unwrap()
    }

    fn reply(call: &Message, size: usize) -> Message {
        Message::method_return(&call.header()).build(&(vec![0_u8; size],)).unwrap()
    }

    fn offer(admission: &mut Admission, call: &Message, now: Instant) -> &'static str {
        match admission.offer(call.clone(), now) {
            Verdict::Serve(_) => "serve",
            Verdict::Waits => "waits",
            Verdict::Refused(_) => "refused",
            Verdict::Dropped => "dropped",
        }
    }

    #[test]
    fn reads_are_served_one_after_another_and_their_senders_in_turn() {
        let now = Instant::now();
        let mut admission = Admission::new(now);
        for _ in 0..3 {
            assert_eq!(offer(&mut admission, &call(":1.1", "ListServers"), now), "waits");
        }
        assert_eq!(offer(&mut admission, &call(":1.2", "Ping"), now), "waits");
        let mut order = Vec::new();
        while let Some(call) = admission.next(now) {
            assert!(admission.next(now).is_none(), "one is being served");
            order.push(call.header().sender().unwrap().to_string());
            assert!(admission.sent(&reply(&call, 10), now));
        }
        assert_eq!(order, [":1.1", ":1.2", ":1.1", ":1.1"]);
        assert_eq!((admission.calls, admission.bytes), (0, 0));
    }

    #[test]
    fn commands_do_not_wait_for_reads_nor_reads_for_commands() {
        let now = Instant::now();
        let mut admission = Admission::new(now);
        let command = call(":1.1", "Refresh");
        assert_eq!(offer(&mut admission, &command, now), "serve");
        assert_eq!(offer(&mut admission, &call(":1.1", "ListServers"), now), "waits");
        let read = admission.next(now).unwrap();
        assert!(!admission.sent(&reply(&command, 0), now));
        assert!(admission.sent(&reply(&read, 0), now));
        assert_eq!(admission.calls, 0);
    }

    #[test]
    fn a_read_whose_answer_never_comes_holds_up_the_others_for_a_while_only() {
        let now = Instant::now();
        let mut admission = Admission::new(now);
        offer(&mut admission, &call(":1.1", "ListServers"), now);
        offer(&mut admission, &call(":1.1", "ListServers"), now);
        assert!(admission.next(now).is_some());
        assert!(admission.next(now).is_none());
        assert!(admission.next(now + READ_TIMEOUT).is_some());
    }

    #[test]
    fn calls_that_wait_are_counted_and_those_that_want_no_answer_forgotten_in_time() {
        let now = Instant::now();
        let mut admission = Admission::new(now);
        let silent = Message::method_call("/a", "Refresh")
            .sender(":1.1")
            .interface("org.plexaccountd.Account1")
            .with_flags(Flags::NO_REPLY_EXPECTED)
            .build(&())
            .unwrap();
        for _ in 0..CALLS {
            assert_eq!(offer(&mut admission, &silent, now), "serve");
        }
        assert_eq!(offer(&mut admission, &silent, now), "dropped");
        assert_eq!(offer(&mut admission, &call(":1.1", "Refresh"), now), "refused");
        assert_eq!(offer(&mut admission, &call(":1.2", "Refresh"), now), "serve");
        let later = now + CALL_TIMEOUT;
        assert_eq!(offer(&mut admission, &call(":1.1", "Refresh"), later), "serve");
    }

    #[test]
    fn who_has_few_calls_is_served_however_many_others_have() {
        let now = Instant::now();
        let mut admission = Admission::new(now);
        for sender in [":1.1", ":1.2", ":1.3"] {
            let call = call(sender, "ListServers");
            while offer(&mut admission, &call, now) == "waits" {}
        }
        assert_eq!(offer(&mut admission, &call(":1.4", "ListServers"), now), "waits");
        assert_eq!(offer(&mut admission, &call(":1.4", "Refresh"), now), "serve");
    }

    #[test]
    fn what_one_sender_is_sent_is_bounded_and_in_the_end_it_is_not_even_told() {
        let now = Instant::now();
        let mut admission = Admission::new(now);
        let mut sent = 0;
        let mut serve = |admission: &mut Admission, now| {
            let it = call(":1.1", "ListServers");
            let verdict = offer(admission, &it, now);
            if verdict == "waits" {
                let call = admission.next(now).unwrap();
                sent += 1;
                admission.sent(&reply(&call, 1_000_000), now);
            }
            verdict
        };
        while serve(&mut admission, now) == "waits" {}
        assert_eq!(serve(&mut admission, now), "refused");
        let mut refused = 0;
        while serve(&mut admission, now) == "refused" {
            refused += 1;
        }
        assert!(refused > 10_000, "{refused}");
        // Others are none the worse for it, and 4 MB are forgiven in each second.
        assert_eq!(offer(&mut admission, &call(":1.2", "ListServers"), now), "waits");
        let call = admission.next(now).unwrap();
        admission.sent(&reply(&call, 0), now);
        let later = now + Duration::from_secs(3);
        while serve(&mut admission, later) == "waits" {}
        assert!((17..=21).contains(&sent), "{sent}");
    }

    #[test]
    fn senders_of_whom_nothing_is_left_are_forgotten() {
        let mut now = Instant::now();
        let mut admission = Admission::new(now);
        for number in 0..10_000 {
            now += Duration::from_millis(1);
            let sender = format!(":1.{number}");
            let call = Message::method_call("/a", "Ping")
                .sender(&*sender)
                .interface("org.freedesktop.DBus.Peer")
                .build(&())
                .unwrap();
            assert_eq!(offer(&mut admission, &call, now), "waits");
            let call = admission.next(now).unwrap();
            admission.sent(&reply(&call, 100), now);
        }
        assert!(admission.senders.len() <= 128, "{}", admission.senders.len());
    }
}
