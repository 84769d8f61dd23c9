//! Builds and wires the parts, and owns their threads.

mod view;

pub use view::{PartStatus, View};
