//! Whether the engine is well, as `/health` says it.

use serde::Serialize;

use crate::aggregate::Snapshot;
use crate::engine::View;
use crate::sync::Arc;

/// A window is overdue after this many windows, and never before [`OVERDUE_NS`].
const OVERDUE_WINDOWS: i64 = 5;
const OVERDUE_NS: i64 = 5_000_000_000;

/// How well the engine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Healthy,
    Degraded,
    Critical,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Problem {
    pub(super) part: String,
    pub(super) status: Status,
    pub(super) message: String,
}

/// The document at `/health`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Health {
    pub(super) status: Status,
    pub(super) problems: Vec<Problem>,
    pub(super) window: Option<u64>,
    /// Since the latest window ended.
    pub(super) window_age_ms: Option<i64>,
    pub(super) uptime_ms: i64,
    pub(super) completeness: f64,
    pub(super) closes: bool,
}

/// Judges the engine at `now_ns`.
///
/// Critical: the engine is closed, or no window has ended for 5 windows (at least 5 s). Degraded: a part reports a
/// problem, the account does not close, or samples were dropped in the windows that are still kept (5 minutes, less
/// with very many series). The last is not taken over the whole run, for then one early loss would hide later ones.
pub(super) fn judge(view: &View, started_ns: i64, now_ns: i64) -> Health {
    let mut problems = Vec::new();
    let mut add = |part: &str, status, message: String| problems.push(Problem { part: part.into(), status, message });
    let windows = view.windows();
    let latest = windows.last();
    if view.is_closed() {
        add("engine", Status::Critical, "the engine was shut down".into());
    } else if let Some(problem) = overdue(latest, started_ns, now_ns) {
        add("aggregator", Status::Critical, problem);
    }
    for part in view.parts() {
        if let Some(problem) = part.problem {
            add(&part.name, Status::Degraded, problem);
        }
    }
    let ledger = view.ledger();
    // Before the first window there is no account yet.
    let closes = ledger.closes() || (latest.is_none() && !view.is_closed());
    if !closes {
        add("ledger", Status::Degraded, "recorded is not aggregated + dropped + in flight".into());
    }
    let dropped = ledger.dropped.total();
    // The oldest window's own losses count too where it is the first of all.
    let before = windows.first().filter(|oldest| oldest.window > 1).map_or(0, |oldest| oldest.ledger.dropped.total());
    if dropped > before {
        add("rings", Status::Degraded, format!("{} samples were dropped lately, see /api/ledger", dropped - before));
    }
    Health {
        status: problems.iter().map(|problem| problem.status).max().unwrap_or(Status::Healthy),
        problems,
        window: latest.map(|latest| latest.window),
        window_age_ms: latest.map(|latest| (now_ns - latest.end_ns) / 1_000_000),
        uptime_ms: (now_ns - started_ns) / 1_000_000,
        completeness: ledger.completeness(),
        closes,
    }
}

fn overdue(latest: Option<&Arc<Snapshot>>, started_ns: i64, now_ns: i64) -> Option<String> {
    let (since, length) =
        latest.map_or((started_ns, 0), |latest| (latest.end_ns, latest.end_ns.saturating_sub(latest.start_ns)));
    let age = now_ns.saturating_sub(since);
    let allowed = length.saturating_mul(OVERDUE_WINDOWS).max(OVERDUE_NS);
    (age > allowed).then(|| format!("no window has ended for {:.1} s", age as f64 / 1e9))
}
