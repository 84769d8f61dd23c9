// What the page knows of the engine, and how it learns more.

/** Windows in a sparkline. */
export const SPARK = 60;

const NONE = Number.NaN;

export class Store {
  constructor() {
    this.clear();
  }

  clear() {
    this.window = 0;
    this.series = [];
    this.anomalies = [];
    this.lastAnomaly = 0;
  }

  /** Takes the list of `/api/series`. Rows that are known keep their points. */
  learn(list) {
    for (const info of list) {
      if (this.series[info.id]) continue;
      const labels = Object.entries(info.labels).map(([name, value]) => `${name}=${value}`);
      this.series[info.id] = {
        info,
        labels: labels.join('  '),
        search: [info.name, ...labels, info.kind].join(' ').toLowerCase(),
        points: new Float32Array(SPARK).fill(NONE),
        value: NONE, rate: NONE, p50: NONE, p95: NONE, p99: NONE,
        anomalyWindow: -Infinity,
        severity: '',
      };
    }
  }

  /** Takes the windows and anomalies of `/api/live`. Returns the anomalies that are new. */
  take(live) {
    for (const window of live.windows) {
      if (window.window <= this.window) continue;
      // Skipped windows leave gaps.
      const first = Math.max(this.window + 1, window.window - SPARK + 1);
      for (let number = first; number <= window.window; number++) this.#blank(number % SPARK, number < window.window);
      this.#window(window);
      this.window = window.window;
    }
    const fresh = live.anomalies.filter((anomaly) => anomaly.id > this.lastAnomaly);
    for (const anomaly of fresh) {
      this.lastAnomaly = anomaly.id;
      const row = this.series[anomaly.series.id];
      if (row) Object.assign(row, { anomalyWindow: live.window, severity: anomaly.severity });
    }
    this.anomalies = [...fresh].reverse().concat(this.anomalies).slice(0, 500);
    return fresh;
  }

  /** Begins a window: whoever is not in it received nothing, which for a counter is a value. */
  #blank(slot, skipped) {
    for (const row of this.series) {
      if (!row) continue;
      row.points[slot] = row.info.kind === 'counter' && !skipped ? 0 : NONE;
      row.rate = 0;
    }
  }

  #window(window) {
    const slot = window.window % SPARK;
    window.id.forEach((id, at) => {
      const row = this.series[id];
      if (!row) return;
      row.points[slot] = row.value = window.value[at];
      row.rate = window.rate[at];
    });
    window.hist.forEach((id, at) => {
      const row = this.series[id];
      if (row) Object.assign(row, { p50: window.p50[at], p95: window.p95[at], p99: window.p99[at] });
    });
  }

  /** The points of a row, oldest first. */
  spark(row) {
    return Array.from({ length: SPARK }, (_, at) => row.points[(this.window + 1 + at) % SPARK]);
  }

  /** Whether a row had an anomaly within the sparkline. */
  isUnusual(row) {
    return this.window - row.anomalyWindow < SPARK;
  }
}

export async function get(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(8_000), headers: { accept: 'application/json' } });
  if (!response.ok) throw new Error(`${path} answered ${response.status}`);
  return response.json();
}

/**
 * Calls `turn` until the page goes away: once per window, not while hidden, and ever more slowly while it fails.
 * `turn` returns the milliseconds to wait; `failed` is told the error and the wait.
 */
export async function repeat(turn, failed) {
  let failures = 0;
  for (;;) {
    await visible();
    let wait;
    try {
      wait = await turn();
      failures = 0;
    } catch (error) {
      wait = Math.min(10_000, 500 * 2 ** failures++);
      failed(error, wait);
    }
    await new Promise((done) => setTimeout(done, wait));
  }
}

function visible() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((done) => {
    document.addEventListener('visibilitychange', function shown() {
      if (document.hidden) return;
      document.removeEventListener('visibilitychange', shown);
      done();
    });
  });
}
