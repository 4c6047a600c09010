//! A certificate authority for one drill, and the certificates that it makes for this machine.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// An authority that nobody trusts but the drill.
pub(super) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
    /// What a handshake shows of it.
    pub(super) leaf: Vec<u8>,
}

impl Authority {
    pub(super) fn new() -> Result<Self, String> {
        let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().map_err(failed)?;
        let pem = params.self_signed(&key).map_err(failed)?.pem();
        Ok(Self {
            pem,
            issuer: Issuer::new(params, key),
        })
    }

    /// Its own certificate.
    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// Another certificate for this machine.
    pub(super) fn pair(&self) -> Result<Pair, String> {
        let names = vec!["127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).map_err(failed)?;
        let key = KeyPair::generate().map_err(failed)?;
        let signed = params.signed_by(&key, &self.issuer).map_err(failed)?;
        Ok(Pair {
            certificate: signed.pem(),
            key: key.serialize_pem(),
            leaf: signed.der().to_vec(),
        })
    }
}

fn failed(error: impl std::fmt::Display) -> String {
    format!("a certificate of our own: {error}")
}
