//! Families that say what they are before they have a value: an alert on one of them is then no alert
//! on a series that nobody exports.

use std::fmt::{Debug, Error};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;

/// A family that is never left out.
#[derive(Debug)]
pub(super) struct Announced<F>(pub(super) F);

impl<F: EncodeMetric> EncodeMetric for Announced<F> {
    fn encode(&self, encoder: MetricEncoder<'_>) -> Result<(), Error> {
        self.0.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        self.0.metric_type()
    }
}
