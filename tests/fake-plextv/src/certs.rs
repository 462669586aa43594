//! Certificates for plex.tv's names and for simulated servers, from an authority made on the spot that only the test's
//! client trusts.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use crate::model::Certificate;

/// Whom the certificate is for. The last stands for the names that plex.tv gives to servers.
const NAMES: [&str; 8] = [
    "plex.tv",
    "www.plex.tv",
    "app.plex.tv",
    "clients.plex.tv",
    "localhost",
    "127.0.0.1",
    "::1",
    "*.0123456789abcdef0123456789abcdef.plex.direct",
];

/// Where a certificate and its key are.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Files {
    pub(crate) fn named(dir: &Path, name: &str) -> Self {
        Self { cert: dir.join(format!("{name}.pem")), key: dir.join(format!("{name}-key.pem")) }
    }

    fn exist(&self) -> bool {
        self.cert.exists() && self.key.exists()
    }
}

impl Certificate {
    const ALL: [Self; 4] = [Self::Good, Self::WrongName, Self::Expired, Self::Untrusted];

    /// The name of its files.
    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::Good => "plex",
            Self::WrongName => "wrong-name",
            Self::Expired => "expired",
            Self::Untrusted => "untrusted",
        }
    }

    fn params(self) -> Result<CertificateParams, rcgen::Error> {
        let names: Vec<String> = match self {
            Self::WrongName => vec!["another-machine.example".into()],
            _ => NAMES.map(str::to_owned).into(),
        };
        let mut leaf = CertificateParams::new(names)?;
        leaf.distinguished_name.push(DnType::CommonName, NAMES[0]);
        leaf.use_authority_key_identifier_extension = true;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        if self == Self::Expired {
            leaf.not_before = date_time_ymd(2020, 1, 1);
            leaf.not_after = date_time_ymd(2021, 1, 1);
        }
        Ok(leaf)
    }
}

/// Writes `ca.pem`, and a certificate and key of each kind (`plex.pem`, `plex-key.pem`, …) to `dir`, unless all are
/// there already: a restart keeps the authority that clients were told to trust. The authority's own key is not kept.
///
/// # Errors
///
/// The folder can't be written.
pub(crate) fn make(dir: &Path) -> io::Result<Files> {
    let ca_file = dir.join("ca.pem");
    let files = Files::named(dir, Certificate::Good.file());
    if ca_file.exists() && Certificate::ALL.iter().all(|c| Files::named(dir, c.file()).exist()) {
        return Ok(files);
    }
    fs::create_dir_all(dir)?;

    let mut ca = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "fake-plextv authority, for tests only");
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_key = KeyPair::generate().map_err(io::Error::other)?;
    fs::write(ca_file, ca.self_signed(&ca_key).map_err(io::Error::other)?.pem())?;
    let issuer = Issuer::new(ca, ca_key);

    for certificate in Certificate::ALL {
        let (cert, key) = leaf(certificate, &issuer).map_err(io::Error::other)?;
        let files = Files::named(dir, certificate.file());
        fs::write(&files.cert, cert)?;
        let mut key_file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&files.key)?;
        key_file.write_all(key.as_bytes())?;
    }
    Ok(files)
}

/// Certificate and key as PEM.
fn leaf(
    certificate: Certificate,
    issuer: &Issuer<'_, KeyPair>,
) -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let params = certificate.params()?;
    let signed = match certificate {
        Certificate::Untrusted => params.self_signed(&key)?,
        _ => params.signed_by(&key, issuer)?,
    };
    Ok((signed.pem(), key.serialize_pem()))
}
