// Header, account, anomalies, sinks.

import { byId, make, setText } from './dom.js';
import { clock, count, duration, quantity, rate, share } from './format.js';

const EVENTS = 100;

/** Causes in plain words, with what to do about them. */
const CAUSES = {
  ring_full: ['a ring was full', 'Give threads larger rings, or record less.'],
  not_finite: ['not a finite number', 'NaN or infinity: no window can hold it.'],
  after_close: ['after shutdown', 'Recorded after the engine was shut down.'],
  unknown_series: ['unknown series', 'The handle belongs to another engine.'],
  reentrant: ['as its thread ended', 'A destructor recorded after its thread had let go of its ring.'],
  engine_panic: ['an engine thread panicked', 'The samples it held are lost; see the problems above.'],
};

export function header(live) {
  const pill = byId('health');
  setText(pill, live.health.status);
  pill.className = `pill ${live.health.status}`;
  setText(byId('window'), live.window ? count(live.window) : '–');
  setText(byId('rate'), rate(live.rate));
  setText(byId('series-total'), count(live.series_total));
  setText(byId('uptime'), duration(live.health.uptime_ms));
  const list = byId('problems');
  list.hidden = !live.health.problems.length;
  list.replaceChildren(...live.health.problems.map(({ part, status, message }) => {
    const item = make('li', status);
    item.append(make('b', '', part), make('span', '', message));
    return item;
  }));
}

/** Says that the engine cannot be reached, or stops saying so. */
export function connection(lost, wait) {
  const notice = byId('notice');
  notice.hidden = !lost;
  document.body.classList.toggle('stale', lost);
  if (!lost) return;
  setText(byId('health'), 'disconnected');
  byId('health').className = 'pill disconnected';
  setText(notice, `The engine does not answer. What you see is the last it said. Trying again in ${Math.round(wait / 100) / 10} s.`);
}

export function ledger({ ledger }) {
  const closes = byId('closes');
  setText(closes, ledger.closes ? 'closes' : 'does not close');
  closes.className = `verdict ${ledger.closes ? 'good' : 'bad'}`;
  const dropped = Object.entries(ledger.dropped);
  const lost = dropped.reduce((sum, [, n]) => sum + n, 0);
  const rows = [
    ['Recorded', ledger.recorded, 'head', 'Samples that threads handed over'],
    ['= aggregated', ledger.aggregated, 'aggregated', 'Samples that entered a window'],
    ['+ dropped', lost, lost ? 'dropped' : 'zero', 'Samples that did not, by cause below'],
    ...dropped.map(([cause, n]) => [CAUSES[cause]?.[0] ?? cause, n, n ? 'cause lost' : 'cause zero', CAUSES[cause]?.[1] ?? '']),
    ['+ in flight', ledger.in_flight, ledger.in_flight ? 'flight' : 'zero', 'Samples that lie in rings right now'],
    ['Counter increments', ledger.increments, 'head', 'Counted apart: a full ring never costs an increment'],
    ['= gathered', ledger.gathered, 'aggregated', 'Increments that entered a window'],
  ];
  if (ledger.clamped) rows.push(['Clamped values', ledger.clamped, 'lost', 'Outside their histogram\u2019s range, in its outermost bucket']);
  const list = byId('account');
  if (list.childElementCount !== rows.length) {
    list.replaceChildren(...rows.map(() => {
      const row = make('div');
      row.append(make('dt'), make('dd'));
      return row;
    }));
  }
  rows.forEach(([name, value, className, title], at) => {
    const row = list.children[at];
    if (row.className !== className) row.className = className;
    row.title = title;
    setText(row.children[0], name);
    setText(row.children[1], count(value));
  });
  const split = byId('split');
  const parts = [['aggregated', ledger.aggregated], ['dropped', lost], ['flight', ledger.in_flight]];
  if (!split.childElementCount) split.append(...parts.map(([name]) => make('i', name)));
  parts.forEach(([, n], at) => {
    split.children[at].style.flexGrow = n / Math.max(1, ledger.recorded);
    split.children[at].hidden = !n;
  });
  setText(byId('completeness'), ledger.closes
    ? `Every sample is accounted for; ${share(ledger.completeness)} of them count.`
    : 'The threads\u2019 own counts and the aggregator\u2019s disagree: do not trust totals.');
}

export function anomalies(fresh, total, onSelect) {
  setText(byId('anomalies-total'), total ? count(total) : '');
  const list = byId('events');
  for (const anomaly of fresh) list.prepend(event(anomaly, onSelect));
  while (list.childElementCount > EVENTS) list.lastElementChild.remove();
  byId('no-events').hidden = list.childElementCount > 0;
}

function event(anomaly, onSelect) {
  const { series, verdicts, severity } = anomaly;
  const item = make('li');
  const button = make('button', `event ${severity}`);
  button.type = 'button';
  const top = make('span', 'top');
  top.append(make('span', `badge ${severity}`, severity), make('b', '', series.name), make('time', '', clock(anomaly.time_ns / 1e9)));
  const labels = Object.entries(series.labels).map(([name, value]) => `${name}=${value}`).join('  ');
  const strongest = verdicts.reduce((best, verdict) => (best && best.score >= verdict.score ? best : verdict), undefined);
  const facts = make('span', 'facts-line');
  facts.append(make('strong', '', quantity(anomaly.value, series.unit)));
  if (strongest) {
    const [low, high] = [strongest.low, strongest.high].map((value) => quantity(value, series.unit));
    facts.append(make('span', '', low === high ? `expected ${low}` : `expected ${low} to ${high}`));
  }
  facts.append(make('span', 'score', `${anomaly.score.toFixed(1)} σ`));
  button.append(top, make('span', 'where', labels), facts);
  if (anomaly.completeness < 1) button.append(make('span', 'where', `seen on ${share(anomaly.completeness)} of the samples`));
  button.title = verdicts.map((verdict) => `${verdict.detector}: ${verdict.score.toFixed(1)} σ`).join('\n');
  button.addEventListener('click', () => onSelect(series.id));
  item.append(button);
  return item;
}

export function sinks(list) {
  byId('sinks-card').hidden = !list.length;
  byId('sinks').replaceChildren(...list.map((sink) => {
    const item = make('li', sink.dropped || sink.failed ? 'lost' : '');
    item.append(make('b', '', sink.name), make('span', '', `${count(sink.published)} windows`));
    if (sink.dropped) item.append(make('span', 'bad', `${count(sink.dropped)} dropped`));
    if (sink.failed) item.append(make('span', 'bad', `${count(sink.failed)} failed`));
    if (sink.last_error) item.append(make('small', '', sink.last_error));
    return item;
  }));
}
