// The series: only the rows in sight exist, so that ten thousand cost as much as ten.

import { byId, make, setText, token } from './dom.js';
import { quantity, rate } from './format.js';
import { SPARK } from './data.js';

/** Rows kept beyond either edge. */
const SPARE = 4;

/** The height of a row is the style sheet's business. */
const rowHeight = () => parseFloat(token('--row')) || 48;

export class Table {
  constructor(store, onSelect) {
    this.store = store;
    this.onSelect = onSelect;
    this.box = byId('rows');
    this.spacer = byId('spacer');
    this.pool = [];
    this.shown = [];
    this.active = 0;
    this.selected = undefined;
    this.terms = [];
    this.box.addEventListener('scroll', () => this.draw(), { passive: true });
    this.box.addEventListener('keydown', (event) => this.#key(event));
    new ResizeObserver(() => this.draw()).observe(this.box);
    byId('filter').addEventListener('input', (event) => {
      this.terms = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
      this.active = 0;
      this.box.scrollTop = 0;
      this.update();
    });
  }

  /** Applies the filter anew and draws. */
  update() {
    const all = this.store.series.filter(Boolean);
    this.shown = this.terms.length ? all.filter((row) => this.terms.every((term) => row.search.includes(term))) : all;
    const what = this.shown.length === all.length ? `${all.length}` : `${this.shown.length} of ${all.length}`;
    setText(byId('shown'), all.length ? what : '');
    this.draw();
  }

  select(id) {
    this.selected = id;
    this.draw();
  }

  draw() {
    const height = rowHeight();
    this.spacer.style.height = `${this.shown.length * height}px`;
    const first = Math.max(0, Math.floor(this.box.scrollTop / height) - SPARE);
    const count = Math.min(this.shown.length - first, Math.ceil(this.box.clientHeight / height) + 2 * SPARE);
    while (this.pool.length < count) this.pool.push(this.#row());
    this.palette = { line: token('--accent'), fill: token('--accent-soft'), dot: token('--accent') };
    this.pool.forEach((view, at) => {
      view.element.hidden = at >= count;
      if (at < count) this.#fill(view, first + at, height);
    });
    if (this.shown.length) this.box.setAttribute('aria-activedescendant', `row-${this.active}`);
    else this.box.removeAttribute('aria-activedescendant');
  }

  #row() {
    const element = make('div', 'row');
    element.setAttribute('role', 'option');
    const view = { element };
    const name = make('span', 'name');
    name.append((view.dot = make('i', 'dot')), (view.name = make('b')), (view.labels = make('small')));
    const trend = make('span', 'trend');
    trend.append((view.canvas = make('canvas')));
    element.append(name, (view.kind = make('span', 'kind')), trend, (view.now = make('span', 'num now')));
    for (const q of ['p50', 'p95', 'p99']) element.append((view[q] = make('span', 'num q')));
    element.addEventListener('click', () => {
      this.active = view.at;
      this.onSelect(this.shown[view.at].info.id);
    });
    this.box.append(element);
    return view;
  }

  #fill(view, at, height) {
    const row = this.shown[at];
    const { info } = row;
    view.at = at;
    view.element.id = `row-${at}`;
    view.element.style.transform = `translateY(${at * height}px)`;
    view.element.setAttribute('aria-selected', String(info.id === this.selected));
    view.element.classList.toggle('active', at === this.active);
    view.dot.className = this.store.isUnusual(row) ? `dot ${row.severity}` : 'dot none';
    view.dot.title = this.store.isUnusual(row) ? `${row.severity} within the last minute` : '';
    setText(view.name, info.name);
    setText(view.labels, row.labels);
    view.element.title = [info.name, row.labels, info.help].filter(Boolean).join('\n');
    setText(view.kind, info.kind);
    setText(view.now, info.kind === 'gauge' ? quantity(row.value, info.unit) : rate(row.rate));
    const distribution = info.kind === 'histogram';
    for (const q of ['p50', 'p95', 'p99']) setText(view[q], distribution ? quantity(row[q], info.unit) : '');
    this.#spark(view.canvas, this.store.spark(row));
  }

  #spark(canvas, points) {
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth || 120, canvas.clientHeight || 28];
    if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
    if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
    const draw = canvas.getContext('2d');
    draw.setTransform(ratio, 0, 0, ratio, 0, 0);
    draw.clearRect(0, 0, width, height);
    const known = points.filter((value) => !Number.isNaN(value));
    if (!known.length) return;
    let [low, high] = [Math.min(...known), Math.max(...known)];
    // A constant is a line in the middle, not noise blown up to full height.
    const least = Math.max(Math.abs(high) * 0.02, 1e-12);
    if (high - low < least) [low, high] = [(low + high - least) / 2, (low + high + least) / 2];
    const pad = 3;
    const x = (at) => pad + (at / (SPARK - 1)) * (width - 2 * pad);
    const y = (value) => height - pad - ((value - low) / (high - low)) * (height - 2 * pad);
    draw.beginPath();
    let pen = false;
    let last = -1;
    points.forEach((value, at) => {
      if (Number.isNaN(value)) {
        pen = false;
        return;
      }
      if (!pen) draw.moveTo(x(at), y(value));
      // Also where the pen was just set down: a value without neighbours becomes a dot.
      draw.lineTo(x(at), y(value));
      pen = true;
      last = at;
    });
    draw.strokeStyle = this.palette.line;
    draw.lineWidth = 1.5;
    draw.lineJoin = draw.lineCap = 'round';
    draw.stroke();
    draw.beginPath();
    draw.arc(x(last), y(points[last]), 2, 0, 7);
    draw.fillStyle = this.palette.dot;
    draw.fill();
  }

  #key(event) {
    const height = rowHeight();
    const page = Math.max(1, Math.floor(this.box.clientHeight / height) - 1);
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key];
    if (step !== undefined) {
      this.active = Math.min(this.shown.length - 1, Math.max(0, this.active + step));
      const top = this.active * height;
      if (top < this.box.scrollTop) this.box.scrollTop = top;
      if (top + height > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = top + height - this.box.clientHeight;
      this.draw();
    } else if ((event.key === 'Enter' || event.key === ' ') && this.shown[this.active]) {
      this.onSelect(this.shown[this.active].info.id);
    } else {
      return;
    }
    event.preventDefault();
  }
}
