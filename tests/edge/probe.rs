//! Asking servers themselves, against servers on loopback that are what they say, or not.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::fixtures::{Answer, FakeHttp, http, nowhere, with};
use plex_account_core::probe::{ProbeRequest, Probed};
use plex_account_core::server::Connection;
use plex_account_core::words::Route;
use plex_accountd::probe::Prober;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
/// Long enough for every answer that comes at all.
const TIMEOUT: Duration = Duration::from_secs(60);

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// What the server with the id `ID` answers.
fn identity() -> Answer {
    http(200, &fixture("made/identity.xml"))
}

fn maintenance() -> Answer {
    http(503, &fixture("made/identity_startup_503.xml"))
}

fn connection(uri: impl AsRef<str>, route: Route) -> Connection {
    let (local, relay) = (route == Route::Local, route == Route::Relay);
    Connection { uri: uri.as_ref().into(), local, relay, ..Connection::default() }
}

/// A request to an owned server.
fn request(connections: impl Into<Vec<Connection>>) -> ProbeRequest {
    ProbeRequest {
        id: ID.into(),
        owned: true,
        connections: connections.into(),
        ..ProbeRequest::default()
    }
}

async fn probe(connections: impl Into<Vec<Connection>>) -> Probed {
    Prober::new(TIMEOUT).probe(request(connections)).await
}

/// The route and uri that answered.
fn answered(probed: Probed) -> (Route, String) {
    match probed {
        Probed::Answered { route, uri, latency, near } => {
            assert!(near, "loopback is as near as can be");
            assert!(latency < TIMEOUT);
            (route, uri)
        }
        other => panic!("{other:?}"),
    }
}

/// Why nothing answered.
fn why(probed: Probed) -> String {
    match probed {
        Probed::Silent { why } => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_answers_with_its_id_and_learns_nothing_of_us() {
    for file in ["made/identity.xml", "made/identity.json", "made/identity_unclaimed.xml"] {
        let server = FakeHttp::always(http(200, &format!("\u{feff}\n{}", fixture(file)))).await;
        for path in ["", "below/here/", "below/here?query#fragment"] {
            let uri = format!("{}{path}", server.url);
            let probed = probe([connection(&uri, Route::Local)]).await;
            assert_eq!(answered(probed), (Route::Local, uri), "{file}");
        }
        let asked = server.asked();
        assert_eq!(
            asked,
            ["GET /below/here/identity", "GET /below/here/identity", "GET /identity"]
        );
        for head in server.heads.lock().unwrap().iter() {
            assert!(!head.to_lowercase().contains("x-plex"), "{head}");
        }
    }
}

#[tokio::test]
async fn what_is_not_the_server_is_silence_with_a_reason() {
    let elsewhere = FakeHttp::always(identity()).await;
    let location = format!("Location: {}identity\r\n", elsewhere.url);
    let xml = |id: &str| http(200, &format!("<MediaContainer machineIdentifier=\"{id}\"/>"));
    let other = "another Plex Media Server answers at 127.0.0.1";
    let none = "what answers at 127.0.0.1 is no Plex Media Server";
    let status = |status| format!("127.0.0.1 answered with status {status}");
    let endless = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                   11\r\n<MediaContainer> \r\n";
    for (answer, reason) in [
        (xml("bbbb"), other),
        (xml(""), other),
        (xml(&ID[1..]), other),
        (xml(&ID.to_uppercase()), other),
        (xml(&format!("{ID} ")), other),
        (http(200, &fixture("captured/plexkit_identity.json")), other),
        (http(200, "<MediaContainer size=\"0\"/>"), none),
        (http(200, &format!("<Server machineIdentifier=\"{ID}\"/>")), none),
        (http(200, &format!("<MediaContainer machineIdentifier=\"{ID}\">")), none),
        (http(200, r#"{"MediaContainer":{"size":0}}"#), none),
        (http(200, r#"{"MediaContainer":[]}"#), none),
        (http(200, &format!(r#"{{"MediaContainer":{{"machineIdentifier":"{ID}"}}"#)), none),
        (http(200, &fixture("made/captive_portal_200.html")), none),
        (http(200, ID), none),
        (http(200, ""), none),
        (http(200, &format!("{}{}", fixture("made/identity.xml"), " ".repeat(65 * 1024))), none),
        (Answer::Endless(endless, " "), none),
        (http(401, &fixture("made/identity.xml")), &status(401)),
        (with(302, &location, ""), &status(302)),
        (http(503, ""), &status(503)),
        // Over http anybody may say so.
        (maintenance(), &status(503)),
        (Answer::HangUp, "the connection to 127.0.0.1 ended without an answer"),
    ] {
        let server = FakeHttp::always(answer).await;
        assert_eq!(why(probe([connection(&server.url, Route::Local)]).await), reason);
        let sent = server.sent.load(Ordering::Relaxed);
        assert!(sent < 32 * 1024 * 1024, "{sent} bytes were taken");
    }
    assert!(elsewhere.asked().is_empty());

    let nobody = connection(nowhere().await, Route::Local);
    assert_eq!(why(probe([nobody.clone()]).await), "127.0.0.1 refused the connection");
    // Something that answers tells more than nothing.
    let stranger = FakeHttp::always(http(200, "hello")).await;
    assert_eq!(why(probe([nobody, connection(&stranger.url, Route::Remote)]).await), none);
    assert_eq!(probe([connection("nothing", Route::Local)]).await, Probed::NothingToAsk);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_in_time() {
    let server = FakeHttp::always(Answer::Silence).await;
    let hasty = Prober::new(Duration::from_millis(300));
    let probed = hasty.probe(request([connection(&server.url, Route::Local)])).await;
    assert_eq!(why(probed), "none of its addresses answered within 300ms");
}

#[tokio::test]
async fn the_relay_is_asked_only_where_nothing_else_answers() {
    let relay = FakeHttp::always(identity()).await;
    let by_relay = connection(&relay.url, Route::Relay);
    let server = FakeHttp::always(identity()).await;
    let probed = probe([by_relay.clone(), connection(&server.url, Route::Remote)]).await;
    assert_eq!(answered(probed), (Route::Remote, server.url.to_string()));
    assert!(relay.asked().is_empty());

    let refused = connection(nowhere().await, Route::Remote);
    let stranger = FakeHttp::always(http(200, "hello")).await;
    let stranger = connection(&stranger.url, Route::Local);
    let silent = FakeHttp::always(Answer::Silence).await;
    let silent = connection(&silent.url, Route::Local);
    for (direct, timeout) in
        [(refused, TIMEOUT), (stranger, TIMEOUT), (silent, Duration::from_secs(6))]
    {
        let probed = Prober::new(timeout).probe(request([by_relay.clone(), direct])).await;
        assert_eq!(answered(probed), (Route::Relay, relay.url.to_string()));
    }
}

#[tokio::test]
async fn a_local_address_is_better_though_it_answers_later() {
    let remote_is_asked = Arc::new(Notify::new());
    let signal = Arc::clone(&remote_is_asked);
    let remote = FakeHttp::new(move |_| {
        signal.notify_one();
        identity()
    })
    .await;
    let local = FakeHttp::always(Answer::After(remote_is_asked, Box::new(identity()))).await;
    let connections =
        [connection(&remote.url, Route::Remote), connection(&local.url, Route::Local)];
    assert_eq!(answered(probe(connections).await).0, Route::Local);

    // One that never answers is not waited for to the end, and not left open either.
    let silent = FakeHttp::always(Answer::Silence).await;
    let connections =
        [connection(&remote.url, Route::Remote), connection(&silent.url, Route::Local)];
    let (timeout, begin) = (Duration::from_secs(8), Instant::now());
    let probed = Prober::new(timeout).probe(request(connections)).await;
    assert_eq!(answered(probed).0, Route::Remote);
    assert!(begin.elapsed() < timeout);
    silent.is_left().await;
}

#[tokio::test]
async fn every_address_is_asked_though_the_first_ones_hang() {
    let server = FakeHttp::new(|line| match line {
        "GET /19/identity" => identity(),
        _ => Answer::Silence,
    })
    .await;
    let connections: Vec<Connection> = (0..20)
        .map(|number| connection(format!("{}{number}", server.url), Route::Remote))
        .collect();
    let probed = Prober::new(Duration::from_millis(4500)).probe(request(connections)).await;
    assert_eq!(answered(probed).1, format!("{}19", server.url));
    assert_eq!(server.asked().len(), 20);
    assert_eq!(server.most.load(Ordering::Relaxed), 8, "connections at once");
}

#[tokio::test]
async fn a_silent_server_does_not_keep_others_waiting() {
    let silent = FakeHttp::always(Answer::Silence).await;
    let server = FakeHttp::always(identity()).await;
    let prober = Prober::new(TIMEOUT);
    let mut hanging = tokio::task::JoinSet::new();
    for _ in 0..15 {
        let connections: Vec<Connection> = (0..8)
            .map(|number| connection(format!("{}{number}", silent.url), Route::Remote))
            .collect();
        let prober = prober.clone();
        hanging.spawn(async move { prober.probe(request(connections)).await });
    }
    while silent.asked().len() < 15 * 8 {
        tokio::task::yield_now().await;
    }
    answered(prober.probe(request([connection(&server.url, Route::Remote)])).await);
}

#[tokio::test]
async fn a_server_of_somebody_else_can_not_send_us_to_this_machine() {
    let server = FakeHttp::always(identity()).await;
    let port = server.url.port().unwrap();
    let shared = |uris: &[String]| ProbeRequest {
        owned: false,
        public_address_matches: true,
        ..request(uris.iter().map(|uri| connection(uri, Route::Remote)).collect::<Vec<_>>())
    };
    let here = ["127.0.0.1", "localhost", "[::1]", "127-0-0-1.0123abcd.plex.direct", "0.0.0.0"];
    let uris = here.map(|host| format!("http://{host}:{port}"));
    assert_eq!(Prober::new(TIMEOUT).probe(shared(&uris)).await, Probed::NothingToAsk);
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn a_server_at_an_ipv6_address_is_asked_there() {
    if tokio::net::TcpListener::bind("[::1]:0").await.is_err() {
        eprintln!("skipped: this machine has no IPv6");
        return;
    }
    let server = FakeHttp::on("[::1]:0", None, |_| identity()).await;
    let probed = probe([connection(&server.url, Route::Local)]).await;
    assert_eq!(answered(probed), (Route::Local, server.url.to_string()));
}

#[tokio::test]
async fn plain_http_is_asked_only_where_https_is_not_needed_and_does_not_answer() {
    let server = FakeHttp::always(identity()).await;
    let plain = connection(&server.url, Route::Local);
    let https = connection(nowhere().await.as_str().replace("http:", "https:"), Route::Local);
    let mut request = request([plain, https]);
    let probed = Prober::new(TIMEOUT).probe(request.clone()).await;
    assert_eq!(answered(probed).1, server.url.as_str());

    request.https_required = true;
    let asked = server.asked().len();
    let probed = Prober::new(TIMEOUT).probe(request).await;
    assert_eq!(why(probed), "127.0.0.1 refused the connection");
    assert_eq!(server.asked().len(), asked);
}

/// Certificates made for one test, from an authority that the test trusts and one that it does
/// not.
struct Certificates {
    folder: std::path::PathBuf,
}

impl Certificates {
    /// For plex.direct names of this hash, and for 127.0.0.1.
    const GOOD: (&str, [&str; 2]) = ("good", ["*.0123abcd.plex.direct", "127.0.0.1"]);
    const OTHER_NAME: (&str, [&str; 2]) = ("other", ["*.beef.plex.direct", "plex.example"]);
    const UNTRUSTED: (&str, [&str; 2]) = ("untrusted", Self::GOOD.1);

    fn make(folder: &Path) {
        let authority = |name: &str| {
            let mut parameters = CertificateParams::new(Vec::new()).unwrap();
            parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
            let key = KeyPair::generate().unwrap();
            let pem = parameters.self_signed(&key).unwrap().pem();
            (pem, Issuer::new(parameters, key))
        };
        let (pem, trusted) = authority("trusted by a test");
        std::fs::write(folder.join("authority.pem"), pem).unwrap();
        let (_, untrusted) = authority("trusted by nobody");
        for ((name, names), issuer) in
            [(Self::GOOD, &trusted), (Self::OTHER_NAME, &trusted), (Self::UNTRUSTED, &untrusted)]
        {
            let key = KeyPair::generate().unwrap();
            let parameters = CertificateParams::new(names.map(str::to_owned)).unwrap();
            let pem = parameters.signed_by(&key, issuer).unwrap().pem();
            std::fs::write(folder.join(format!("{name}.pem")), pem).unwrap();
            std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
        }
    }

    fn acceptor(&self, (name, _): (&str, [&str; 2])) -> TlsAcceptor {
        let file = |kind| self.folder.join(format!("{name}.{kind}"));
        let certificate = CertificateDer::from_pem_file(file("pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(file("key")).unwrap();
        let config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        Arc::new(config).into()
    }

    /// A server with one of these certificates.
    async fn stand(
        &self,
        certificate: (&str, [&str; 2]),
        answer: impl Fn(&str) -> Answer + Send + Sync + 'static,
    ) -> FakeHttp {
        FakeHttp::on("127.0.0.1:0", Some(self.acceptor(certificate)), answer).await
    }
}

/// Runs a test in a process of its own, whose trust is the made authority: the environment says
/// so, as the daemon's would.
fn trusting<T: Future<Output = ()>>(name: &str, test: impl FnOnce(Certificates) -> T) {
    const FOLDER: &str = "PLEX_ACCOUNTD_TEST_CERTIFICATES";
    if let Some(folder) = std::env::var_os(FOLDER) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(test(Certificates { folder: folder.into() }));
    }
    let folder = tempfile::tempdir().unwrap();
    Certificates::make(folder.path());
    let name = format!("probe::{name}");
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture"])
        .env(FOLDER, folder.path())
        .env("SSL_CERT_FILE", folder.path().join("authority.pem"))
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&child.stdout);
    assert!(told.contains("1 passed"), "{told}{}", String::from_utf8_lossy(&child.stderr));
}

#[test]
fn a_name_of_plex_direct_is_not_looked_up_and_its_certificate_checked() {
    trusting(
        "a_name_of_plex_direct_is_not_looked_up_and_its_certificate_checked",
        async |certificates| {
            let uri = |server: &FakeHttp, name: &str| {
                format!("https://{name}:{}", server.url.port().unwrap())
            };
            let name = "127-0-0-1.0123abcd.plex.direct";
            let server = certificates.stand(Certificates::GOOD, |_| identity()).await;
            let uri_of = uri(&server, name);
            let probed = probe([connection(&uri_of, Route::Remote)]).await;
            assert_eq!(answered(probed), (Route::Remote, uri_of));
            let head = server.head().to_lowercase();
            assert!(head.contains(&format!("host: {name}")) && !head.contains("x-plex"), "{head}");

            for (certificate, reason) in [
                (
                    Certificates::OTHER_NAME,
                    format!("the certificate of {name} is for another name"),
                ),
                (
                    Certificates::UNTRUSTED,
                    format!(
                        "the certificate of {name} is not signed by an authority that this \
                         system trusts"
                    ),
                ),
            ] {
                for answer in [identity(), maintenance()] {
                    let server = certificates.stand(certificate, move |_| answer.clone()).await;
                    let probed = probe([connection(uri(&server, name), Route::Local)]).await;
                    assert_eq!(why(probed), reason);
                    assert!(server.asked().is_empty());
                }
            }

            if tokio::net::TcpListener::bind("[::1]:0").await.is_ok() {
                let tls = certificates.acceptor(Certificates::GOOD);
                let server = FakeHttp::on("[::1]:0", Some(tls), |_| identity()).await;
                let uri = uri(&server, "0-0-0-0-0-0-0-1.0123abcd.plex.direct");
                let probed = probe([connection(&uri, Route::Local)]).await;
                assert_eq!(answered(probed).1, uri);
            }
        },
    );
}

#[test]
fn maintenance_over_https_is_neither_an_answer_nor_silence() {
    trusting("maintenance_over_https_is_neither_an_answer_nor_silence", async |certificates| {
        let up = certificates.stand(Certificates::GOOD, |_| identity()).await;
        let starting = certificates.stand(Certificates::GOOD, |_| maintenance()).await;
        let relay = FakeHttp::always(identity()).await;
        let starting = connection(&starting.url, Route::Local);
        let relay_uri = connection(&relay.url, Route::Relay);
        let probed = probe([starting.clone(), relay_uri]).await;
        assert_eq!(probed, Probed::Maintenance);
        assert!(relay.asked().is_empty(), "a direct one has answered");
        let probed = probe([starting, connection(&up.url, Route::Remote)]).await;
        assert_eq!(answered(probed).0, Route::Remote);

        let gateway = http(503, &fixture("made/error_502_gateway.html"));
        let gateway = certificates.stand(Certificates::GOOD, move |_| gateway.clone()).await;
        let probed = probe([connection(&gateway.url, Route::Local)]).await;
        assert_eq!(why(probed), "127.0.0.1 answered with status 503");
    });
}

#[test]
fn http_is_left_alone_where_https_answers() {
    trusting("http_is_left_alone_where_https_answers", async |certificates| {
        let plain = FakeHttp::always(identity()).await;
        let secure = certificates.stand(Certificates::GOOD, |_| identity()).await;
        let connections =
            [connection(&plain.url, Route::Local), connection(&secure.url, Route::Remote)];
        let probed = probe(connections).await;
        assert_eq!(answered(probed), (Route::Remote, secure.url.to_string()));
        assert!(plain.asked().is_empty());
    });
}

#[tokio::test]
async fn for_a_person_each_address_is_asked_and_told_of() {
    let server = FakeHttp::new(|line| match line {
        "GET /hangs/identity" => Answer::Silence,
        "GET /gone/identity" => http(404, "no"),
        "GET /other/identity" => http(200, "<MediaContainer machineIdentifier=\"bbbb\"/>"),
        "GET /page/identity" => http(200, "<html>hello</html>"),
        _ => identity(),
    })
    .await;
    let url = &server.url;
    let no_tls = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tls = format!("https://{}", no_tls.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = no_tls.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        std::future::pending::<()>().await; // with the connection open
    });
    let closed = nowhere().await;
    let connections = [
        connection(url, Route::Local),
        connection(format!("{url}hangs"), Route::Remote),
        connection(format!("{url}gone"), Route::Remote),
        connection(format!("{url}other"), Route::Remote),
        connection(format!("{url}page"), Route::Remote),
        connection(&closed, Route::Remote),
        connection(&tls, Route::Remote),
        connection("https://nobody.invalid:32400", Route::Relay),
    ];
    let began = Instant::now();
    let reports =
        Prober::new(Duration::from_millis(1500)).probe_each(request(connections.clone())).await;
    assert!(began.elapsed() < Duration::from_secs(10), "they are asked together");
    assert_eq!(reports.len(), connections.len());
    for (connection, outcome) in connections.iter().zip([
        "ok",
        "timeout",
        "http-404",
        "other-server",
        "unreadable",
        "refused",
        "tls",
        "dns",
    ]) {
        let report = reports.iter().find(|report| report.uri == connection.uri).unwrap();
        assert_eq!(report.outcome.to_string(), outcome, "{}", connection.uri);
        assert_eq!(report.route == Route::Local, connection.local);
    }
}
