//! Certificates for plex.tv's names, from an authority made on the spot that only the test's client trusts.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// Whom the certificate is for.
const NAMES: [&str; 7] =
    ["plex.tv", "www.plex.tv", "app.plex.tv", "clients.plex.tv", "localhost", "127.0.0.1", "::1"];

/// Where the server's certificate and key are.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// Writes `ca.pem`, `plex.pem` and `plex-key.pem` to `dir`, unless all three are there already: a restart keeps the
/// authority that clients were told to trust. The authority's own key is not kept.
///
/// # Errors
///
/// The folder can't be written.
pub(crate) fn make(dir: &Path) -> io::Result<Files> {
    let ca_file = dir.join("ca.pem");
    let files = Files { cert: dir.join("plex.pem"), key: dir.join("plex-key.pem") };
    if [&ca_file, &files.cert, &files.key].iter().all(|file| file.exists()) {
        return Ok(files);
    }
    fs::create_dir_all(dir)?;
    let (ca, cert, key) = generate().map_err(io::Error::other)?;
    fs::write(ca_file, ca)?;
    fs::write(&files.cert, cert)?;
    let mut key_file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&files.key)?;
    key_file.write_all(key.as_bytes())?;
    Ok(files)
}

/// Authority, certificate and key as PEM.
fn generate() -> Result<(String, String, String), rcgen::Error> {
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "fake-plextv authority, for tests only");
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_key = KeyPair::generate()?;
    let ca_pem = ca.self_signed(&ca_key)?.pem();
    let issuer = Issuer::new(ca, ca_key);

    let mut leaf = CertificateParams::new(NAMES.map(str::to_owned))?;
    leaf.distinguished_name.push(DnType::CommonName, NAMES[0]);
    leaf.use_authority_key_identifier_extension = true;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let leaf_key = KeyPair::generate()?;
    let leaf_pem = leaf.signed_by(&leaf_key, &issuer)?.pem();
    Ok((ca_pem, leaf_pem, leaf_key.serialize_pem()))
}
