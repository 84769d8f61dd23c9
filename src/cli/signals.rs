//! Ctrl-C and SIGTERM: an orderly end.

use std::sync::Arc;

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::sync::{AtomicBool, Ordering};

/// Becomes true at the first SIGINT or SIGTERM. A second one ends the process at once.
#[derive(Clone, Debug)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Installs the handlers.
    pub(crate) fn on_signals() -> Result<Stop, String> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag unset and sets it, the second finds it set and ends.
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&flag))
                .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&flag)))
                .map_err(|error| format!("cannot watch for signals: {error}"))?;
        }
        Ok(Stop(flag))
    }

    /// Whether a signal has come.
    pub(crate) fn asked(&self) -> bool {
        // Relaxed: the flag is all there is to see.
        self.0.load(Ordering::Relaxed)
    }
}
