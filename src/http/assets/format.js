// Numbers as people read them.

const THIN = '\u202f';

/** Three significant digits, whole numbers without a point, an exponent only where zeros would pile up. */
function digits(value) {
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size >= 1e6 || size < 1e-4) return value.toExponential(1).replace('e+', 'e');
  if (size >= 100 || Math.abs(value - Math.round(value)) < 1e-9 * size) return value.toFixed(0);
  return value.toPrecision(3);
}

function scaled(value, steps) {
  const size = Math.abs(value);
  // A value that rounds up to the next unit is written in it.
  const [factor, unit] = steps.find(([factor]) => size >= factor * 0.9995) ?? steps[steps.length - 1];
  return digits(value / factor) + (unit && THIN + unit);
}

/** No unit of ours has values this small: what is below came of rounding. */
const NOTHING = 1e-15;

const SECONDS = [[3600, 'h'], [60, 'min'], [1, 's'], [1e-3, 'ms'], [1e-6, 'µs'], [1e-9, 'ns']];
const BYTES = [[2 ** 50, 'PiB'], [2 ** 40, 'TiB'], [2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [2 ** 10, 'KiB'], [1, 'B']];
const COUNTS = [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k'], [1, '']];

/** A value in its unit; an en dash where there is none. */
export function quantity(value, unit) {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  if (Math.abs(value) < NOTHING) return { seconds: '0' + THIN + 's', bytes: '0' + THIN + 'B', ratio: '0' + THIN + '%' }[unit] ?? '0';
  switch (unit) {
    case 'seconds': return scaled(value, SECONDS);
    case 'bytes': return scaled(value, BYTES);
    case 'ratio': return digits(100 * value) + THIN + '%';
    default: return Math.abs(value) >= 1e4 ? scaled(value, COUNTS) : digits(value);
  }
}

export const rate = (value) => (Number.isNaN(value) || value === null ? '–' : quantity(value, '') + '/s');

/** A count in full, with thin spaces between thousands. */
export const count = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, THIN);

export function share(value) {
  if (value === 1) return '100' + THIN + '%';
  // Never round an incomplete account up to 100 %.
  return (Math.floor(value * 100_000) / 1_000).toString() + THIN + '%';
}

const two = (value) => String(value).padStart(2, '0');

/** Local time of day of Unix seconds. */
export function clock(seconds) {
  const date = new Date(seconds * 1000);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [days, hours, minutes] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  if (minutes) return `${minutes} min ${seconds % 60} s`;
  return `${seconds} s`;
}
