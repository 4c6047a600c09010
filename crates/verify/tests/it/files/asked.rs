//! One way to break each control that a checklist, a profile or the caller asks for.

use super::faults::Fault;

mod cloud;
mod compose;
mod conditions;
mod hollow;
mod impostors;
mod lookalikes;
mod manifests;
mod repository;
mod settings;
mod shams;

pub(crate) const ALL: [&[Fault]; 10] = [
    manifests::FAULTS,
    settings::FAULTS,
    repository::FAULTS,
    cloud::FAULTS,
    compose::FAULTS,
    shams::FAULTS,
    hollow::FAULTS,
    impostors::FAULTS,
    lookalikes::FAULTS,
    conditions::FAULTS,
];
