//! The macros for programs with an installed engine.

/// A [`Counter`](crate::Counter) of the [installed](crate::install) engine: `counter!("requests").add(1)`.
///
/// See [`histogram!`](crate::histogram) for labels, units, help, and the cost.
///
/// ```
/// let route = String::from("/plan");
/// afferent::counter!("requests").add(1);
/// afferent::counter!("requests_by", "method" => "GET", "route" => route).add(1);
/// ```
#[macro_export]
macro_rules! counter {
    ($($series:tt)+) => { $crate::__series!(Counter, $($series)+) };
}

/// A [`Gauge`](crate::Gauge) of the [installed](crate::install) engine: `gauge!("queue_length").set(3.0)`.
///
/// See [`histogram!`](crate::histogram) for labels, units, help, and the cost.
///
/// ```
/// afferent::gauge!("memory_usage", unit: Bytes, "pool" => "belief").set(1048576.0);
/// ```
#[macro_export]
macro_rules! gauge {
    ($($series:tt)+) => { $crate::__series!(Gauge, $($series)+) };
}

/// A [`Histogram`](crate::Histogram) of the [installed](crate::install) engine:
/// `histogram!("planning_time", unit: Seconds).record(0.004)`.
///
/// After the name, each of them left out or given in this order:
/// * `unit:` and one of [`Unit`](crate::record::Unit)'s names,
/// * `help:` and one line of text,
/// * labels, as `"name" => value`. A value that is not a literal is anything that is `AsRef<str>`.
///
/// The metric's name and its help are constants. Whether they and the labels' names are allowed is checked by the
/// compiler.
///
/// ```
/// use std::time::Duration;
///
/// afferent::install(afferent::Engine::builder().start()?)?;
/// for agent in ["a1", "a2"] {
///     afferent::histogram!("planning_time", unit: Seconds, help: "Time to choose an action.", "agent_id" => agent)
///         .record(0.004);
/// }
/// if let Some(engine) = afferent::global() {
///     engine.shutdown(Duration::from_secs(1))?;
///     let snapshot = engine.view().latest().ok_or("no window")?;
///     assert_eq!(snapshot.get("planning_time", &[("agent_id", "a2")]).map(|row| row.total.count), Some(1));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// ```compile_fail
/// afferent::histogram!("planning time").record(0.004); // a blank in a name
/// ```
///
/// # Cost
/// *Literal values* (or no labels): after the first call a load and a comparison more than a handle that is kept.
///
/// *Other values*: some 6 ns for a look into a table that each thread has for each such place in the code. It
/// holds the last 64 combinations of values and grows with them (up to 100 bytes each with two labels, and a copy of
/// each value longer than 16 bytes). One that is not there is looked up in the catalogue, under a lock and with some
/// allocations, about a microsecond, and takes the place of the oldest. Where more than 64 combinations take turns
/// on one thread, keep handles instead.
///
/// # When it records nothing
/// Without an installed engine the handle records nowhere; the next call asks again. Where the engine refuses the
/// series (the metric exists with another kind or unit), the handle records nowhere, and the engine says so, with file
/// and line, as the part `macros` of [`View::parts`](crate::engine::View::parts) and at `/health`.
///
/// Not for signal handlers; nor is any other way of recording.
#[macro_export]
macro_rules! histogram {
    ($($series:tt)+) => { $crate::__series!(Histogram, $($series)+) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __series {
    (
        $handle:ident, $name:expr
        $(, unit: $unit:ident)? $(, help: $help:expr)? $(, $label:literal => $value:literal)* $(,)?
    ) => {{
        static __AFFERENT_SPEC: $crate::__site::Spec<{ $crate::__count!($($label)*) }> =
            $crate::__spec!($name, [$($unit)?], [$($help)?], [$($label),*]);
        static __AFFERENT_SITE: $crate::__site::Fixed<$crate::$handle> = $crate::__site::Fixed::new();
        __AFFERENT_SITE.get(&__AFFERENT_SPEC, [$($value),*])
    }};
    (
        $handle:ident, $name:expr
        $(, unit: $unit:ident)? $(, help: $help:expr)? $(, $label:literal => $value:expr)+ $(,)?
    ) => {{
        static __AFFERENT_SPEC: $crate::__site::Spec<{ $crate::__count!($($label)*) }> =
            $crate::__spec!($name, [$($unit)?], [$($help)?], [$($label),*]);
        ::std::thread_local! {
            static __AFFERENT_CACHE: $crate::__site::Cache<$crate::$handle, { $crate::__count!($($label)*) }> =
                const { $crate::__site::Cache::new() };
        }
        // A match, so that what the values borrow from lives as long as they do.
        match [$(::core::convert::AsRef::<str>::as_ref(&$value)),+] {
            values => match __AFFERENT_CACHE.try_with(|cache| cache.get(&__AFFERENT_SPEC, values)) {
                ::core::result::Result::Ok(handle) => handle,
                ::core::result::Result::Err(_) => $crate::__site::uncached(&__AFFERENT_SPEC, values),
            },
        }
    }};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __spec {
    ($name:expr, [], $help:tt, $labels:tt) => {
        $crate::__spec!($name, [None], $help, $labels)
    };
    ($name:expr, $unit:tt, [], $labels:tt) => {
        $crate::__spec!($name, $unit, [""], $labels)
    };
    ($name:expr, [$unit:ident], [$help:expr], $labels:tt) => {
        $crate::__site::Spec::new(
            $name,
            $crate::record::Unit::$unit,
            $help,
            $labels,
            (::core::file!(), ::core::line!()),
        )
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __count {
    ($($item:literal)*) => { <[&str]>::len(&[$($item),*]) };
}
