//! Asking segments: series by [`Selector`], ranges and steps over window starts, exact totals and merged quantiles.
//!
//! One evaluator serves the command line, the page, alert rules and back-tests. A series is its name and labels,
//! whichever file and whichever run of the engine its rows come from. Damage never fails a query: every intact block
//! counts, and what was damaged is listed in the result.

mod evaluate;
mod result;
mod selector;
mod stat;
mod tally;
#[cfg(test)]
mod tests;

pub use evaluate::{Query, evaluate};
pub use result::{EventRecord, LedgerRecord, QueryResult, SeriesResult, Step};
pub use selector::{Selector, SelectorError};
pub use stat::{Stat, StatError};
