//! How TLS towards callers is doing.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Metrics;

/// The labels of a handshake.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandshakeLabels {
    listener: &'static str,
    result: &'static str,
}

/// The labels of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabels {
    listener: &'static str,
}

/// Counts what happens to TLS. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TlsMetrics {
    handshakes: Family<HandshakeLabels, Counter>,
    certificate_ends: Family<ListenerLabels, Gauge>,
    certificate_current: Family<ListenerLabels, Gauge>,
    reloads: Family<HandshakeLabels, Counter>,
}

impl Metrics {
    /// Counts what happens to TLS.
    #[must_use]
    pub fn tls(&self) -> TlsMetrics {
        self.tls.clone()
    }
}

impl TlsMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            handshakes: family!(
                registry,
                "tls_handshakes",
                "TLS handshakes by listener and result"
            ),
            certificate_ends: gauges!(
                registry,
                "tls_certificate_not_after_timestamp_seconds",
                "When the certificate in force ends, in seconds since 1970"
            ),
            certificate_current: gauges!(
                registry,
                "tls_certificate_current",
                "1 while the certificate in force is the one that is configured"
            ),
            reloads: family!(
                registry,
                "tls_certificate_reloads",
                "Attempts to change a certificate"
            ),
        }
    }

    /// Counts one handshake.
    pub fn count_handshake(&self, listener: &'static str, result: &'static str) {
        let labels = HandshakeLabels { listener, result };
        self.handshakes.get_or_create(&labels).inc();
    }

    /// Shows when the certificate in force ends, in seconds since 1970.
    pub fn show_end(&self, listener: &'static str, at: i64) {
        let labels = ListenerLabels { listener };
        self.certificate_ends.get_or_create(&labels).set(at);
    }

    /// Shows whether the certificate in force is the one that is configured.
    pub fn show_current(&self, listener: &'static str, is_current: bool) {
        let labels = ListenerLabels { listener };
        let gauge = self.certificate_current.get_or_create(&labels);
        gauge.set(i64::from(is_current));
    }

    /// Counts an attempt to change the certificate.
    pub fn count_reload(&self, listener: &'static str, succeeded: bool) {
        let result = if succeeded { "success" } else { "failure" };
        let labels = HandshakeLabels { listener, result };
        self.reloads.get_or_create(&labels).inc();
    }
}
