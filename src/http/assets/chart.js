// The large chart of one series.

import { byId, make, setText, token } from './dom.js';
import { clock, quantity } from './format.js';

/** The lines of each kind of series: key in the history, caption, colour token. */
const LINES = {
  histogram: [['p50', 'p50', '--q50'], ['p95', 'p95', '--q95'], ['p99', 'p99', '--q99'], ['max', 'max', '--qmax']],
  gauge: [['last', 'last', '--q95'], ['min', 'min', '--q50'], ['max', 'max', '--qmax']],
  counter: [['rate', 'per second', '--q95']],
};

/** Seconds that the chart covers at least. */
const LEAST_SPAN = 60;

/** Steps of an axis in bytes. */
const POWERS_OF_TWO = Array.from({ length: 51 }, (_, power) => 2 ** power);

/** Positions of values without a neighbour, which no line would show. */
function lonely(values) {
  const known = (at) => values[at] !== null && values[at] !== undefined;
  const found = [];
  for (let at = 0; at < values.length; at++) if (known(at) && !known(at - 1) && !known(at + 1)) found.push(at);
  return found.length ? found : null;
}

export class Chart {
  constructor() {
    this.box = byId('chart');
    this.anomalies = [];
    new ResizeObserver(() => this.plot?.setSize(this.#size())).observe(this.box);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#build());
  }

  /** Shows a history of `/api/history` with the anomalies of its series. */
  show(history, anomalies) {
    this.history = history;
    this.anomalies = anomalies;
    const { series } = history;
    if (this.id !== series.id || this.kind !== series.kind || !this.plot) {
      this.id = series.id;
      this.kind = series.kind;
      setText(byId('detail-name'), series.name);
      const labels = Object.entries(series.labels).map(([name, value]) => make('span', 'label', `${name}=${value}`));
      byId('detail-labels').replaceChildren(...labels);
      setText(byId('detail-help'), series.help);
      this.#build();
    } else {
      this.plot.setData(this.#data());
    }
    this.#legend();
  }

  clear() {
    this.plot?.destroy();
    this.plot = this.history = this.id = undefined;
  }

  #lines() {
    return LINES[this.history.series.kind] ?? LINES.gauge;
  }

  #data() {
    return [this.history.t, ...this.#lines().map(([key]) => this.history[key])];
  }

  #size() {
    return { width: Math.max(200, this.box.clientWidth), height: Math.max(160, this.box.clientHeight) };
  }

  #build() {
    if (!this.history) return;
    this.plot?.destroy();
    const { unit, kind } = this.history.series;
    const [text, grid] = [token('--muted'), token('--grid')];
    const font = '11px system-ui, sans-serif';
    const axis = { stroke: text, font, grid: { stroke: grid, width: 1 }, ticks: { show: false } };
    const lines = this.#lines().map(([, label, colour]) => ({
      label,
      stroke: token(colour),
      width: label === 'max' || (kind === 'gauge' && label === 'min') ? 1 : 1.75,
      dash: label === 'max' || (kind === 'gauge' && label === 'min') ? [3, 3] : undefined,
      points: { show: false, size: 4, filter: (plot, line) => lonely(plot.data[line]) },
      spanGaps: false,
    }));
    if (kind === 'counter') lines[0].fill = token('--accent-soft');
    const bands = { histogram: [{ series: [3, 1], fill: token('--accent-soft') }], gauge: [{ series: [3, 2], fill: token('--accent-soft') }] };
    this.plot = new globalThis.uPlot({
      ...this.#size(),
      legend: { show: false },
      cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
      padding: [12, 36, 0, 4],
      scales: {
        x: { time: true, range: (_, low, high) => [Math.min(low, high - LEAST_SPAN), high] },
        y: { range: (_, low, high) => this.#range(low, high) },
      },
      axes: [
        { ...axis, size: 30, space: 62, values: (_, splits, axis, space, step) => splits.map((at) => clock(at).slice(0, step < 60 ? 8 : 5)) },
        { ...axis, size: 74, space: 36, incrs: unit === 'bytes' ? POWERS_OF_TWO : undefined, values: (_, splits) => splits.map((value) => quantity(value, unit)) },
      ],
      series: [{}, ...lines],
      bands: bands[kind] ?? [],
      hooks: { draw: [(plot) => this.#marks(plot)], setCursor: [() => this.#legend()] },
    }, this.#data(), this.box);
  }

  /** From 0 where that does not flatten the line: a quantity that never comes near 0 gets its own range. */
  #range(low, high) {
    if (low === null || high === null || low === undefined || high === undefined) return [0, 1];
    const span = high - low || Math.abs(high) * 0.1 || 1;
    const bottom = low >= 0 && low < 2 * span ? 0 : low - 0.08 * span;
    return [bottom, high + 0.08 * span];
  }

  /** Marks anomalies: a line over the height of the chart, and a ring at the value. */
  #marks(plot) {
    const { ctx, bbox } = plot;
    const ratio = window.devicePixelRatio || 1;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width + 8 * ratio, bbox.height);
    ctx.clip();
    // The plot leaves the dashes of its last line behind.
    ctx.setLineDash([]);
    for (const anomaly of this.anomalies) {
      const x = plot.valToPos(anomaly.time_ns / 1e9, 'x', true);
      if (x < bbox.left) continue;
      const colour = token(`--${anomaly.severity}`);
      ctx.strokeStyle = colour;
      ctx.lineWidth = ratio;
      ctx.globalAlpha = 0.45;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.globalAlpha = 1;
      if (this.history.series.kind === 'counter') continue;
      const y = plot.valToPos(anomaly.value, 'y', true);
      ctx.beginPath();
      ctx.arc(x, Math.max(bbox.top + 6 * ratio, y), 4.5 * ratio, 0, 7);
      ctx.fillStyle = token('--card');
      ctx.fill();
      ctx.lineWidth = 2 * ratio;
      ctx.stroke();
    }
    ctx.restore();
  }

  /** The values under the cursor, or the latest. */
  #legend() {
    if (!this.history) return;
    const { t, series } = this.history;
    const at = this.plot?.cursor.idx ?? t.length - 1;
    const items = this.#lines().map(([key, label, colour]) => ({ label, colour, text: quantity(this.history[key][at], series.unit) + (key === 'rate' ? '/s' : '') }));
    items.push({ label: 'at', text: clock(t[at]) });
    const list = byId('legend');
    if (list.childElementCount !== items.length) {
      list.replaceChildren(...items.map(() => {
        const item = make('li');
        item.append(make('i'), make('span'), make('b'));
        return item;
      }));
    }
    items.forEach(({ label, colour, text }, index) => {
      const [swatch, caption, value] = list.children[index].children;
      swatch.hidden = !colour;
      if (colour) swatch.style.background = `var(${colour})`;
      setText(caption, label);
      setText(value, text);
    });
  }
}
