//! Managers whose certificates come from authorities of their own.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::faults::{configurations_with, well};
use crate::support::{Fake, secrets, value};

/// An authority, and what a server with a certificate of it needs.
fn authority() -> (String, TlsAcceptor) {
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_key = KeyPair::generate().unwrap();
    let pem = root.self_signed(&root_key).unwrap().pem();
    let issuer = Issuer::new(root, root_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(leaf.der().to_vec())],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    (pem, TlsAcceptor::from(Arc::new(config)))
}

#[tokio::test]
async fn every_manager_is_trusted_by_its_own_authority_and_by_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let (ours, tls) = authority();
    let (others, _) = authority();
    let fake = Fake::start_tls(well, tls).await;
    let option = format!("ca_file = \"{}\"\n", file.display());
    for (reference, config) in configurations_with("https", &fake, &option) {
        std::fs::write(&file, &ours).unwrap();
        let (secrets, _) = secrets();
        secrets.prepare(&config).await.unwrap();
        assert_eq!(value(&secrets, &config), "sk-1", "{reference}");
        // What cannot be used, and what is of somebody else, changes nothing that is known.
        for wrong in ["", "no certificate", &others] {
            std::fs::write(&file, wrong).unwrap();
            let told = secrets.refresh(&config).await;
            assert_eq!(told[0].failed.len(), 1, "{reference}: {told:?}");
            assert_eq!(value(&secrets, &config), "sk-1", "{reference}");
        }
        std::fs::remove_file(&file).unwrap();
        let (unprepared, _) = super::support::secrets();
        let error = unprepared.prepare(&config).await.unwrap_err();
        assert!(!error.is_passing(), "{reference}: {error}");
        assert!(error.to_string().contains("ca.pem"), "{error}");
        // It is read anew each time.
        std::fs::write(&file, &ours).unwrap();
        unprepared.prepare(&config).await.unwrap();
    }
    for (reference, config) in configurations_with("https", &fake, "") {
        let (secrets, _) = secrets();
        let error = secrets.prepare(&config).await.unwrap_err();
        assert!(error.is_passing(), "{reference}: {error}");
    }
}
