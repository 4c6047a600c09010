//! One way to break each control that a checklist, a profile or the caller asks for.

use super::faults::Fault;

const fn fault(
    id: &'static str,
    file: &'static str,
    find: &'static str,
    replace: &'static str,
) -> Fault {
    Fault {
        id,
        file,
        find,
        replace,
        also: &[],
    }
}

/// A fault that breaks other controls as well.
const fn wide(
    id: &'static str,
    file: &'static str,
    find: &'static str,
    replace: &'static str,
    also: &'static [&'static str],
) -> Fault {
    Fault {
        id,
        file,
        find,
        replace,
        also,
    }
}

mod cloud;
mod manifests;
mod repository;
mod settings;

pub(crate) const ALL: [&[Fault]; 4] = [
    manifests::FAULTS,
    settings::FAULTS,
    repository::FAULTS,
    cloud::FAULTS,
];
