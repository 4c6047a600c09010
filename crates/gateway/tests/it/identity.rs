//! Credentials other than plain keys, and how keys are replaced and looked after.

mod hostile;
mod idp;
mod jwt;
mod passwords;
mod practices;
mod rotation;
mod tokens;
