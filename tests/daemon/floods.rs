//! Programs of the same user that call without end and do not read the answers: neither the
//! daemon nor the bus grows without bound, and nobody else waits for it.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::notification_server::soon;
use crate::session::{Daemon, Session};
use crate::vandal::{Vandal, call};

const ACCOUNT: &str = "org.plexaccountd.Account1";
const LIMITS_EXCEEDED: &str = "org.freedesktop.DBus.Error.LimitsExceeded";

/// A session with twenty servers of four connections each.
async fn with_twenty_servers() -> (Session, Daemon) {
    let session = Session::signed_in().await;
    session.fake.order("servers", json!({ "count": 20 })).await;
    let (daemon, ..) = session.daemon_with_servers().await;
    (session, daemon)
}

/// In kB.
fn memory(status: &str, field: &str) -> u64 {
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn memory_of(pid: i32, field: &str) -> u64 {
    memory(&std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap(), field)
}

/// How long calls of another program take, for so long; sorted.
async fn waits(session: &Session, time: Duration) -> Vec<Duration> {
    let other = session.bus.connect().await;
    let (begin, mut waits) = (Instant::now(), Vec::new());
    while begin.elapsed() < time {
        let before = Instant::now();
        let path = "/org/plexaccountd/Account1";
        let call = other.call_method(Some(ACCOUNT), path, Some(ACCOUNT), "LoginStatus", &());
        soon("an answer to another program", call).await.unwrap();
        waits.push(before.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    waits.sort();
    waits
}

fn p99(waits: &[Duration]) -> Duration {
    waits[waits.len() * 99 / 100]
}

#[tokio::test]
async fn who_calls_and_never_reads_costs_no_memory_and_nobody_waits_long() {
    let (session, daemon) = with_twenty_servers().await;
    let quiet = waits(&session, Duration::from_secs(2)).await;
    let before = memory_of(daemon.pid(), "VmRSS");
    let vandals: Vec<_> = (0..8)
        .map(|_| {
            let address = session.bus.address().to_owned();
            std::thread::spawn(move || {
                let mut vandal = Vandal::connect(&address);
                // Faster, and dbus-daemon itself keeps everybody waiting: it looks for the call of
                // each answer among all that are unanswered.
                for _ in 0..100 {
                    for _ in 0..45_000 / 8 / 100 {
                        vandal.call(ACCOUNT, "ListServers");
                    }
                    std::thread::sleep(Duration::from_millis(80));
                }
                vandal
            })
        })
        .collect();
    let busy = waits(&session, Duration::from_secs(9)).await;
    let vandals: Vec<_> = vandals.into_iter().map(|thread| thread.join().unwrap()).collect();
    let peak = memory_of(daemon.pid(), "VmHWM");
    let bus = memory_of(session.bus.pid(), "VmHWM");
    drop(vandals);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let after = memory_of(daemon.pid(), "VmRSS");
    println!(
        "45,000 unread ListServers of 8 clients: RSS {before} kB before, {peak} kB at most, {after} kB \
         5 s after; the bus {bus} kB at most; another's p99 {:?}, quiet {:?}, longest {:?}, {} calls",
        p99(&busy),
        p99(&quiet),
        busy.last().unwrap(),
        busy.len(),
    );
    assert!(peak <= 40_000, "{peak} kB");
    assert!(after <= before + 2000, "{before} kB before, {after} kB after");
    assert!(bus <= 300_000, "{bus} kB");
    // How long others wait is shown only: here dbus-daemon is what they wait for, and it has to
    // share the machine with this test.
    daemon.stop().await;
}

/// Ten seconds of it; sixty with this variable.
#[tokio::test]
async fn what_one_program_is_sent_is_bounded_and_the_bus_stays_small() {
    let (session, daemon) = with_twenty_servers().await;
    let seconds = std::env::var("FLOOD_SECONDS").map_or(10, |text| text.parse().unwrap());
    let before = memory_of(session.bus.pid(), "VmRSS");
    let address = session.bus.address().to_owned();
    let vandal = std::thread::spawn(move || {
        let mut vandal = Vandal::connect(&address);
        let begin = Instant::now();
        for second in 0..10 * seconds {
            for _ in 0..250 {
                vandal.call(ACCOUNT, "ListServers");
            }
            let next = begin + Duration::from_millis(100 * (second + 1));
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        vandal
    });
    let waits = waits(&session, Duration::from_secs(seconds)).await;
    let mut vandal = vandal.join().unwrap();
    let grown = memory_of(session.bus.pid(), "VmHWM") - before;
    println!(
        "2,500 unread ListServers a second for {seconds} s: the bus grew by {grown} kB; another's \
         p99 {:?}, longest {:?}",
        p99(&waits),
        waits.last().unwrap()
    );
    assert!(grown <= 300_000, "{grown} kB");
    assert!(*waits.last().unwrap() <= Duration::from_millis(500));
    // Told so, and served again once it has read.
    tokio::task::spawn_blocking(move || {
        assert!(vandal.count(LIMITS_EXCEEDED, Duration::from_millis(500)) > 1000);
        let served = (0..20).any(|_| {
            vandal.call(ACCOUNT, "ListServers");
            vandal.count(LIMITS_EXCEEDED, Duration::from_secs(1)) == 0
        });
        assert!(served);
    })
    .await
    .unwrap();
    daemon.stop().await;
}

#[tokio::test]
async fn a_message_of_100_mb_is_refused_and_not_taken_in() {
    let (session, daemon) = with_twenty_servers().await;
    let before = memory_of(daemon.pid(), "VmRSS");
    let mut vandal = Vandal::connect(session.bus.address());
    let refused = tokio::task::spawn_blocking(move || {
        // An array may have 64 MiB.
        let body = vec![0_u8; 50 << 20];
        let body = (&body, &body);
        for method in ["ListServers", "StartLogin"] {
            vandal.send(&call(ACCOUNT, method).build(&body).unwrap());
        }
        let signal = zbus::Message::signal("/a", "a.b", "C").destination(ACCOUNT);
        vandal.send(&signal.build(&body).unwrap());
        vandal.count(LIMITS_EXCEEDED, Duration::from_secs(3))
    });
    assert_eq!(refused.await.unwrap(), 2);
    let waits = waits(&session, Duration::from_secs(1)).await;
    let peak = memory_of(daemon.pid(), "VmHWM");
    println!("messages of 100 MB: RSS {before} kB before, {peak} kB at most, {:?}", p99(&waits));
    assert!(peak <= 40_000, "{peak} kB");
    daemon.stop().await;
}

#[tokio::test]
async fn calls_that_wait_are_bounded_for_each_program_and_others_are_served() {
    let (session, daemon) = with_twenty_servers().await;
    // Refreshes that last.
    tokio::time::sleep(Duration::from_secs(6)).await;
    session.fake.fault(json!({ "endpoint": "*", "mode": "hang" })).await;
    let mut vandal = Vandal::connect(session.bus.address());
    let refused = tokio::task::spawn_blocking(move || {
        for _ in 0..5000 {
            vandal.call(ACCOUNT, "Refresh");
        }
        let refused = vandal.count(LIMITS_EXCEEDED, Duration::from_secs(2));
        (vandal, refused)
    });
    let (_vandal, refused) = refused.await.unwrap();
    println!("of 5,000 calls that wait {refused} were refused");
    assert_eq!(refused, 5000 - 2048);
    session.account().await.start_login().await.unwrap_err(); // plex.tv is silent, not the daemon
    daemon.stop().await;
}

/// Libraries ask for many things at once, and read what they get.
#[tokio::test]
async fn a_program_that_asks_for_a_thousand_things_at_once_gets_them() {
    let (session, daemon) = with_twenty_servers().await;
    let account = session.account().await;
    let calls: Vec<_> = (0..1000)
        .map(|number| {
            let account = account.clone();
            tokio::spawn(async move {
                if number % 10 == 0 {
                    account.list_servers().await.map(drop)
                } else {
                    account.login_state().await.map(drop)
                }
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    daemon.stop().await;
}
