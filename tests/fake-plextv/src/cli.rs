//! The command line, whose `--help` is the manual.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Parser;

const AFTER_HELP: &str = "\
CONTROL, by plain HTTP with JSON bodies, on any of the addresses:
  POST   /fake/approve    {\"code\":\"7RQZ\"} or {\"which\":\"short\"|\"strong\"}  (none: the latest PIN)
  POST   /fake/deny       the same, or {\"all\":true}; \"status\": what polls get (404); also named expire
  POST   /fake/revoke     {} all tokens, or {\"tokens\":[...]}: refused with 401 (or \"status\":498|422, as a JWT) until restore
  POST   /fake/tokens     {\"repeat\":\"same\"|\"new\"}: what a client gets that signs in to the same account once more
  POST   /fake/presence   {\"id\":\"...\"|\"ids\":[...]|\"all\":true, \"present\":false, \"probe\":\"down\"}
  POST   /fake/server     {\"id\":\"...\", \"name\":\"...\", ...} adds one or changes fields; DELETE {\"id\":\"...\"}
  POST   /fake/servers    {\"count\":1000} replaces all servers with so many of four connections each
  POST   /fake/rotate     {\"id\":\"...\"|\"all\":true}: another access token for the server; restart: it forgets what it minted
  DELETE /fake/minted     {} all transient tokens, or {\"server\":\"...\"}; POST /fake/minting {\"expires_in_ms\":500}
  POST   /fake/auth-page  {\"forward\":\"any\"|\"origin\"|\"front\", \"ip_matches\":false, \"safe_origin\":false, \"trusted\":true}
  POST   /fake/account    {\"username\":\"...\", ...}; with another id: another account approves from now on
  POST   /fake/pins       {\"expires_in\":5} lifetime of new PINs in seconds
  POST   /fake/document   {\"endpoint\":\"v2\", \"body\":\"...\"} served verbatim; {\"endpoint\":\"v2\",\"clear\":true}
  POST   /fake/fault      {\"endpoint\":\"v2\"|\"*\", \"times\":1, \"status\":429, \"headers\":{\"Retry-After\":\"5\"}, \"body\":\"...\",
                           \"delay_ms\":0, \"mode\":\"answer\"|\"hang\"|\"reset\"|\"truncate\"|\"stall\"|\"huge\"|\"bomb\"}; DELETE: no faults
  GET    /fake/log        the requests so far; DELETE empties it
  GET    /fake/wait       ?endpoint=pin&after=N&timeout_ms=10000[&answered=1]: the next such request, once it has come
  GET    /fake/state      PINs with codes, tokens, servers
  POST   /fake/reset      back to the beginning

ENDPOINT NAMES:
  plex.tv: pins-create pins-link pins-info pins-qr pin user ping signin signout v2 v1 pms-servers servers-xml devices
           device-delete account features home-users switch friends claim auth-page link-page
  servers: identity server providers libraries sessions mint
  both:    other

EXAMPLES:
  fake-plextv --listen 127.0.0.1:8080
      and in another terminal: curl -d '{\"which\":\"short\"}' http://127.0.0.1:8080/fake/approve
  fake-plextv --make-certs certs --listen https://127.0.0.1:443 --listen http://127.0.0.1:8080
      for clients with fixed addresses: SSL_CERT_FILE=certs/ca.pem, and plex.tv pointed at 127.0.0.1

Fields, faults and the scenario file are described in the README beside the source.";

/// A stand-in for plex.tv on your own machine: sign-in by PIN, account, server lists, and the faults you order.
#[derive(Clone, Debug, Parser)]
#[command(version, after_help = AFTER_HELP, max_term_width = 120)]
pub struct Args {
    /// Address to listen on, repeatable: [http://|https://]IP:PORT. Port 0 is any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: Vec<String>,

    /// Serve https on addresses that don't say which.
    #[arg(long)]
    https: bool,

    /// Certificate chain (PEM) for https.
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with = "make_certs")]
    pub(crate) cert: Option<PathBuf>,

    /// Its key (PEM).
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,

    /// Make an authority (ca.pem) and certificates for plex.tv's names and for servers in DIR, or use those that are
    /// there.
    #[arg(long, value_name = "DIR")]
    pub(crate) make_certs: Option<PathBuf>,

    /// Account, servers and timed events (TOML).
    #[arg(long, value_name = "FILE")]
    pub(crate) scenario: Option<PathBuf>,

    /// Write the addresses here, one a line, once all are ready.
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,

    /// An account token that is valid from the start.
    #[arg(long)]
    pub(crate) token: Option<String>,

    /// Allow addresses other than loopback. Whoever reaches them controls the stand-in.
    #[arg(long)]
    allow_any_address: bool,
}

/// One address to listen on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Listen {
    pub(crate) https: bool,
    pub(crate) address: SocketAddr,
}

impl Listen {
    pub(crate) fn scheme(self) -> &'static str {
        if self.https { "https" } else { "http" }
    }
}

impl Args {
    /// The addresses, checked.
    pub(crate) fn listens(&self) -> Result<Vec<Listen>, String> {
        self.listen.iter().map(|text| self.listen_on(text)).collect()
    }

    fn listen_on(&self, text: &str) -> Result<Listen, String> {
        let (https, rest) = match text.split_once("://") {
            None => (self.https, text),
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some(_) => return Err(format!("--listen {text}: http:// or https:// is wanted")),
        };
        let rest = rest.trim_end_matches('/');
        let address = match rest.strip_prefix("localhost:") {
            Some(port) => {
                port.parse().ok().map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
            }
            None => rest.parse().ok(),
        }
        .ok_or_else(|| {
            format!("--listen {text}: an address and a port are wanted, such as 127.0.0.1:8080")
        })?;
        let loopback = match address.ip() {
            IpAddr::V4(ip) => ip.is_loopback(),
            IpAddr::V6(ip) => ip.is_loopback(),
        };
        if !loopback && !self.allow_any_address {
            return Err(format!(
                "--listen {text}: not a loopback address; --allow-any-address if you mean it"
            ));
        }
        Ok(Listen { https, address })
    }
}
