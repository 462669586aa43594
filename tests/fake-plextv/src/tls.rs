//! TLS: one configuration for plex.tv's own names, and one for each certificate that a simulated server can show.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use axum_server::tls_rustls::RustlsConfig;

use crate::certs::{self, Files};
use crate::cli::{Args, Listen};
use crate::model::Certificate;

/// What the servers show.
pub(crate) type ServerCerts = HashMap<&'static str, RustlsConfig>;

/// The certificate of plex.tv's addresses, where any of them is https, and those of the servers.
///
/// # Errors
///
/// A sentence: what is missing or can't be used.
pub(crate) async fn configs(
    args: &Args,
    listens: &[Listen],
) -> Result<(Option<RustlsConfig>, Option<ServerCerts>), String> {
    let (files, servers) = match (&args.make_certs, &args.cert, &args.key) {
        (Some(dir), ..) => {
            let failed =
                |error: io::Error| format!("can't make certificates in {}: {error}", dir.display());
            (Some(certs::make(dir).map_err(failed)?), Some(of_servers(dir).await?))
        }
        (None, Some(cert), Some(key)) => {
            (Some(Files { cert: cert.clone(), key: key.clone() }), None)
        }
        _ => (None, None),
    };
    if !listens.iter().any(|listen| listen.https) {
        return Ok((None, servers));
    }
    let Some(files) = files else {
        return Err("https needs --make-certs DIR, or --cert FILE and --key FILE".into());
    };
    Ok((Some(config(&files).await?), servers))
}

async fn of_servers(dir: &Path) -> Result<ServerCerts, String> {
    let mut all = HashMap::new();
    for certificate in
        [Certificate::Good, Certificate::WrongName, Certificate::Expired, Certificate::Untrusted]
    {
        let name = certificate.file();
        all.insert(name, config(&Files::named(dir, name)).await?);
    }
    Ok(all)
}

async fn config(files: &Files) -> Result<RustlsConfig, String> {
    let config = RustlsConfig::from_pem_file(&files.cert, &files.key)
        .await
        .map_err(|error| format!("can't use the certificate {}: {error}", files.cert.display()))?;
    // Faults are made at the level of HTTP/1.1.
    let mut inner = (*config.get_inner()).clone();
    inner.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(RustlsConfig::from_config(Arc::new(inner)))
}
