//! One engine for the whole process, for programs that do not want to carry a handle.

use std::fmt;
use std::sync::OnceLock;

use super::Engine;

static GLOBAL: OnceLock<Engine> = OnceLock::new();

/// An engine was installed before. Holds the one that came too late.
///
/// Dropping it shuts that engine down, as dropping any engine does.
pub struct InstallError {
    engine: Box<Engine>,
}

impl InstallError {
    /// The engine that was not installed, still running.
    #[must_use]
    pub fn into_engine(self) -> Engine {
        *self.engine
    }
}

impl fmt::Display for InstallError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(
            "an engine is installed already: install once, early in main, and use `afferent::global()` elsewhere",
        )
    }
}

impl fmt::Debug for InstallError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("InstallError").finish_non_exhaustive()
    }
}

impl std::error::Error for InstallError {}

/// Makes an engine the process's own, for [`global`] and the macros [`counter!`](crate::counter),
/// [`gauge!`](crate::gauge) and [`histogram!`](crate::histogram).
///
/// Once in a process's life, and early: what the macros record before goes nowhere. An installed engine is never
/// dropped, so a program ends it itself, or its last window is lost:
///
/// ```
/// use std::time::Duration;
/// use afferent::Engine;
///
/// afferent::install(Engine::builder().start()?)?;
/// afferent::counter!("requests", "route" => "/plan").add(1);
///
/// if let Some(engine) = afferent::global() {
///     let ledger = engine.shutdown(Duration::from_secs(1))?;
///     assert!(ledger.closes() && ledger.increments == 1);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If one is installed already, also if that was shut down since. The error gives the engine back.
pub fn install(engine: Engine) -> Result<&'static Engine, InstallError> {
    GLOBAL.set(engine).map_err(|engine| InstallError { engine: Box::new(engine) })?;
    // Set by the line above: there is nothing to wait for.
    Ok(GLOBAL.wait())
}

/// The installed engine, if there is one. Costs a load and a comparison.
pub fn global() -> Option<&'static Engine> {
    GLOBAL.get()
}
