//! Boxes that are filled where they are.

/// Boxes what `make` makes. `Box::new` takes it ready made, and copies it as a whole, the empty rooms
/// of a future included, for it has to be able to drop it when there is no memory.
pub(crate) fn boxed<T>(make: impl FnOnce() -> T) -> Box<T> {
    let room = Box::new_uninit();
    Box::write(room, make())
}
