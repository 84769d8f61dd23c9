//! What stands behind the macros: each place that calls one keeps the handle it found.
//!
//! Public because macros expand in other crates; no part of the API.

mod cache;
mod text;

use std::fmt;
use std::sync::OnceLock;

pub use cache::{Cache, uncached};

use super::{Engine, global};
use crate::record::{Kind, SeriesSpec, Unit, is_label_name, is_metric_name};
use crate::ring::{Counter, Gauge, Handle, Histogram};

/// A series as the call site spells it: all but the labels' values.
#[derive(Debug)]
pub struct Spec<const N: usize> {
    name: &'static str,
    unit: Unit,
    help: &'static str,
    labels: [&'static str; N],
    /// File and line, for whoever has to mend it.
    at: (&'static str, u32),
}

impl<const N: usize> Spec<N> {
    /// Checks the names; run by the compiler, so that a name that is not allowed does not compile.
    ///
    /// # Panics
    /// If the metric's name or a label's is not allowed.
    #[must_use]
    pub const fn new(
        name: &'static str,
        unit: Unit,
        help: &'static str,
        labels: [&'static str; N],
        at: (&'static str, u32),
    ) -> Spec<N> {
        assert!(
            is_metric_name(name),
            "a metric name has letters, digits, '_' and ':', and does not start with a digit"
        );
        let mut label = 0;
        while label < N {
            assert!(
                is_label_name(labels[label]),
                "a label name has letters, digits and '_', does not start with a digit or '__', and is not 'le' or \
                 'quantile'"
            );
            label += 1;
        }
        Spec { name, unit, help, labels, at }
    }

    /// Registers the series, or finds it. A refusal is noted among the engine's parts, and the handle then records
    /// nowhere.
    #[cold]
    #[inline(never)]
    fn register<H: Kinded>(&self, engine: &Engine, values: [&str; N]) -> H {
        let spec = SeriesSpec {
            unit: self.unit,
            help: self.help.into(),
            labels: self.labels.iter().zip(values).map(|(&label, value)| (label.into(), value.into())).collect(),
            ..SeriesSpec::new(self.name, H::KIND)
        };
        engine.registry.register(spec).unwrap_or_else(|error| {
            let (file, line) = self.at;
            engine.view.set_part("macros", Some(format!("{file}:{line}: {error}")));
            H::of_nothing()
        })
    }
}

/// The handles that macros give.
pub trait Kinded: Handle + Copy + fmt::Debug {
    #[doc(hidden)]
    const KIND: Kind;
    #[doc(hidden)]
    fn of_nothing() -> Self;
}

macro_rules! kinded {
    ($($handle:ident),*) => {
        $(impl Kinded for $handle {
            const KIND: Kind = Kind::$handle;
            fn of_nothing() -> Self {
                $handle::noop()
            }
        })*
    };
}

kinded!(Counter, Gauge, Histogram);

/// A call site whose labels are all literals: one handle, found once.
#[derive(Debug)]
pub struct Fixed<H>(OnceLock<H>);

impl<H: Kinded> Fixed<H> {
    #[must_use]
    pub const fn new() -> Fixed<H> {
        Fixed(OnceLock::new())
    }

    /// The handle. After the first call with an engine installed: a load and a comparison.
    #[inline]
    pub fn get<const N: usize>(&self, spec: &Spec<N>, values: [&str; N]) -> H {
        match self.0.get() {
            Some(&handle) => handle,
            None => self.find(spec, values),
        }
    }

    #[cold]
    #[inline(never)]
    fn find<const N: usize>(&self, spec: &Spec<N>, values: [&str; N]) -> H {
        match global() {
            Some(engine) => *self.0.get_or_init(|| spec.register(engine, values)),
            // Not kept: an engine may be installed later.
            None => H::of_nothing(),
        }
    }
}

impl<H: Kinded> Default for Fixed<H> {
    fn default() -> Self {
        Fixed::new()
    }
}
