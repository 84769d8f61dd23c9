// The live page: asks the engine once per window and shows what is new.

import { Store, get, repeat } from './data.js';
import { Chart } from './chart.js';
import { Table } from './table.js';
import * as panels from './panels.js';

const store = new Store();
const chart = new Chart();
const table = new Table(store, select);
let selected;

/** Shows a series in the large chart. */
function select(id) {
  selected = id;
  table.select(id);
  showHistory().catch(() => {});
}

async function showHistory() {
  const id = selected;
  if (id === undefined) return;
  const history = await get(`/api/history?series=${id}`);
  // Another series may have been chosen meanwhile.
  if (id === selected) chart.show(history, store.anomalies.filter((anomaly) => anomaly.series.id === id));
}

/** The series that says most at first sight: the distribution that was unusual last, or any, or whatever there is. */
function preferred() {
  const rows = store.series.filter(Boolean);
  const distributions = rows.filter((row) => row.info.kind === 'histogram' && row.rate > 0);
  const latest = distributions.reduce((best, row) => (row.anomalyWindow > best.anomalyWindow ? row : best), distributions[0]);
  return (latest ?? rows[0])?.info.id;
}

function restart() {
  store.clear();
  chart.clear();
  selected = undefined;
  document.getElementById('events').replaceChildren();
}

async function turn() {
  const live = await get(`/api/live?after=${store.window}&anomaly=${store.lastAnomaly}`);
  if (live.window < store.window || live.anomalies_total < store.lastAnomaly) {
    // A new engine behind the same address counts from the start.
    restart();
    return 0;
  }
  if (live.series_total > store.series.length) store.learn(await get('/api/series'));
  const moved = live.window > store.window;
  const fresh = store.take(live);
  panels.connection(false);
  panels.header(live);
  panels.ledger(live);
  panels.anomalies(fresh, live.anomalies_total, select);
  panels.sinks(live.sinks);
  if (moved || fresh.length) {
    selected ??= preferred();
    table.selected = selected;
    table.update();
    await showHistory();
  }
  // A little after the next window ends.
  const last = live.windows.at(-1);
  const length = live.window_ns / 1e6;
  const age = last ? live.now_ns / 1e6 - last.t * 1e3 : length / 2;
  return Math.min(5_000, Math.max(200, length - age + 60));
}

repeat(turn, (error, wait) => panels.connection(true, wait));
