//! The `afferent` command line.

pub(crate) mod inspect;
pub(crate) mod query;
pub(crate) mod verify;
mod when;
