//! One way to break each control that a checklist, a profile or the caller asks for.

use super::faults::Fault;

mod cloud;
mod compose;
mod manifests;
mod repository;
mod settings;

pub(crate) const ALL: [&[Fault]; 5] = [
    manifests::FAULTS,
    settings::FAULTS,
    repository::FAULTS,
    cloud::FAULTS,
    compose::FAULTS,
];
