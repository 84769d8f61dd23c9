//! The segment store as a sink: a thread and a bounded queue of its own, so that a stalled disk delays nobody.

use std::path::Path;

use super::{Sink, SinkError};
use crate::detect::Published;
use crate::segment::{Moment, Store, StoreConfig, StoreError};
use crate::sync::Arc;
use crate::time::{mono_ns, unix_ns};

/// Keeps every window and anomaly in segment files.
#[derive(Debug)]
pub(crate) struct Segments(Option<Store>);

impl Segments {
    /// Opens the store in `directory`, creating it if need be.
    pub(crate) fn open(directory: &Path) -> Result<Segments, StoreError> {
        let clock = || Moment { real_ns: unix_ns(), mono_ns: mono_ns() };
        Store::open(directory, StoreConfig::new(Arc::new(clock))).map(|store| Segments(Some(store)))
    }
}

impl Segments {
    /// Takes a window without committing it at once: for a replay, whose windows come by the hundred thousand.
    pub(crate) fn append(&mut self, published: &Published) -> Result<(), StoreError> {
        match &mut self.0 {
            Some(store) => store.append(published).map(|_| ()),
            None => Ok(()),
        }
    }
}

impl Sink for Segments {
    fn name(&self) -> &'static str {
        "segments"
    }

    fn publish(&mut self, published: &Published) -> Result<(), SinkError> {
        let Some(store) = &mut self.0 else { return Ok(()) };
        store
            .append(published)
            .and_then(|appended| if appended.committed { Ok(()) } else { store.commit() })
            .map_err(|error| SinkError::new(error.to_string()))?;
        // Committed, but a sync has failed: what the file holds may not survive a power cut.
        store.problem().map_or(Ok(()), |problem| Err(SinkError::new(problem)))
    }

    fn close(&mut self) -> Result<(), SinkError> {
        match self.0.take() {
            Some(store) => store.close().map(|_| ()).map_err(|error| SinkError::new(error.to_string())),
            None => Ok(()),
        }
    }
}
