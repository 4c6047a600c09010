//! Authorities of managers that have certificates of their own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use seaworthy_config::{Config, Manager};
use seaworthy_edge::client::{Dial, Network, Trust};

use crate::ask::FetchError;

/// Ways to managers, by the file with the certificates that are trusted there.
#[derive(Default)]
pub(crate) struct Authorities(Mutex<BTreeMap<PathBuf, Known>>);

/// What was read in a file, and the way that trusts it.
struct Known {
    text: String,
    way: Arc<dyn Dial>,
}

impl Authorities {
    /// The way to a manager. A file that has changed counts from the next fetch on.
    pub(crate) fn way_to(
        &self,
        manager: Manager,
        config: &Config,
        usual: &Arc<dyn Dial>,
    ) -> Result<Arc<dyn Dial>, FetchError> {
        let managers = &config.secret_managers;
        let file = match manager {
            Manager::Aws => &managers.aws.ca_file,
            Manager::Vault => &managers.vault.ca_file,
            Manager::Azure => &managers.azure.ca_file,
            Manager::Gcp => &managers.gcp.ca_file,
        };
        let Some(file) = file else {
            return Ok(Arc::clone(usual));
        };
        self.trusting(file)
            .map_err(|source| FetchError::Authorities {
                file: file.clone(),
                source,
            })
    }

    fn trusting(&self, file: &Path) -> Result<Arc<dyn Dial>, seaworthy_edge::BoxError> {
        let text = std::fs::read_to_string(file)?;
        let mut known = self.0.lock();
        if let Some(found) = known.get(file).filter(|found| found.text == text) {
            return Ok(Arc::clone(&found.way));
        }
        let trust = Trust {
            authorities: Some(&text),
            ..Trust::default()
        };
        let way: Arc<dyn Dial> = Arc::new(Network::trusting(&trust)?);
        let found = Known {
            way: Arc::clone(&way),
            text,
        };
        known.insert(file.to_owned(), found);
        Ok(way)
    }
}
