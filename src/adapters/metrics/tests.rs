use std::time::Duration;

use ::metrics::with_local_recorder;

use super::*;
use crate::aggregate::Snapshot;
use crate::record::Unit as Ours;

/// The last window of an engine that `record` recorded into through the facade.
fn recorded(record: impl FnOnce()) -> (Arc<Snapshot>, View) {
    let engine = Engine::builder().window(Duration::from_millis(50)).start().unwrap();
    let facade = Facade::new(&engine);
    with_local_recorder(&facade, record);
    let ledger = engine.shutdown(Duration::from_secs(10)).unwrap();
    assert!(ledger.closes() && ledger.dropped.total() == 0, "{ledger:?}");
    (engine.view().latest().unwrap(), engine.view())
}

#[test]
fn absolute_raises_and_never_lowers() {
    let (snapshot, _) = recorded(|| {
        let counter = ::metrics::counter!("external");
        counter.increment(64);
        counter.absolute(64);
        counter.absolute(70);
        counter.absolute(10);
        counter.increment(1);
        counter.absolute(71);
    });
    assert_eq!(snapshot.get("external", &[]).unwrap().total.sum, 71.0);
}

#[test]
fn a_counter_in_kibibytes_counts_bytes() {
    let (snapshot, _) = recorded(|| {
        ::metrics::describe_counter!("sent", ::metrics::Unit::Kibibytes, "Sent.");
        ::metrics::counter!("sent").increment(3);
        ::metrics::counter!("sent").absolute(4);
    });
    let row = snapshot.get("sent", &[]).unwrap();
    assert_eq!((row.info.unit, row.total.sum), (Ours::Bytes, 4096.0));
}

#[test]
fn gauges_go_up_and_down() {
    let (snapshot, _) = recorded(|| {
        let gauge = ::metrics::gauge!("open");
        gauge.increment(5.0);
        gauge.decrement(2.0);
        // Another key, the same series.
        ::metrics::gauge!("temp.now").set(20.0);
        ::metrics::gauge!("temp/now").increment(1.5);
    });
    assert_eq!(snapshot.get("open", &[]).unwrap().total.last, 3.0);
    assert_eq!(snapshot.get("temp_now", &[]).unwrap().total.last, 21.5);
}

#[test]
fn a_description_counts_until_the_first_series() {
    let (snapshot, view) = recorded(|| {
        ::metrics::describe_histogram!("a", "An earlier word.");
        ::metrics::describe_histogram!("a", ::metrics::Unit::Microseconds, "Time.");
        ::metrics::histogram!("a", "n" => "1").record(1e6);
        // Too late, and no reason to refuse the second series.
        ::metrics::describe_histogram!("a", ::metrics::Unit::Bytes, "Size.");
        ::metrics::histogram!("a", "n" => "2").record_many(2e6, 150);
    });
    assert!(view.parts().is_empty());
    for (n, count, sum) in [("1", 1, 1.0), ("2", 150, 300.0)] {
        let row = snapshot.get("a", &[("n", n)]).unwrap();
        assert_eq!((row.info.unit, &*row.info.help), (Ours::Seconds, "Time."));
        assert_eq!((row.total.count, row.total.sum), (count, sum));
    }
}

#[test]
fn many_equal_values_share_a_time_stamp() {
    let engine = Engine::builder().start().unwrap();
    with_local_recorder(&Facade::new(&engine), || ::metrics::histogram!("a").record_many(2.0, 3 * 64));
    engine.flush();
    let recent = engine.recent("a");
    let times: std::collections::BTreeSet<_> = recent.iter().map(|reading| reading.time_ns).collect();
    assert_eq!(recent.len(), 3 * 64);
    assert!(times.len() <= 3, "one for each group of 64 at most: {times:?}");
}

#[test]
fn what_is_refused_is_said_and_touches_nothing_else() {
    let (snapshot, view) = recorded(|| {
        // The first series: a handle that records nowhere carries its number.
        ::metrics::gauge!("first").set(1.0);
        ::metrics::counter!("first").increment(1);
        ::metrics::gauge!("second").set(2.0);
        ::metrics::histogram!("second").record(7.0);
        ::metrics::gauge!("first").increment(1.0);
    });
    assert_eq!(snapshot.get("first", &[]).unwrap().total.last, 2.0);
    assert_eq!(snapshot.get("second", &[]).unwrap().total.count, 1);
    let parts = view.parts();
    assert!(
        parts.iter().any(|part| part.name == "metrics" && part.problem.as_deref().unwrap().contains("another name"))
    );
}
