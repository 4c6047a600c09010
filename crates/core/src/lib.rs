//! The words of the domain and every decision that can be made without I/O.
