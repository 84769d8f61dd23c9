// Opens the live page in headless Chromium and watches it for some seconds.
//
//   node tests/browser/page.cjs URL [--hostile TEXT] [--anomaly-within SECONDS] [--watch SECONDS]
//                                   [--select NAME] [--screenshot FILE] [--width N] [--height N] [--dark]
//
// Needs Debian's chromium, and `npm ci` in this folder. Exits 1, with the reason on standard error, unless:
// - the window number moves, a series moves with it, and a sparkline and the chart are drawn;
// - with --watch, it stays so for that long;
// - with --anomaly-within, an anomaly is listed within that time;
// - with --hostile, a label that holds TEXT is shown as that text, and made no element;
// - the console stays empty, and nothing is fetched from anywhere else.

const { chromium } = require('playwright-core');

function options(args) {
  const found = { url: args[0], width: 1400, height: 1100 };
  for (let at = 1; at < args.length; at++) {
    const name = args[at].replace(/^--/, '');
    if (name === 'dark') found.dark = true;
    else found[name] = args[++at];
  }
  return found;
}

/** Tries until `check` gives something, at most `seconds`. */
async function until(what, seconds, check) {
  const end = Date.now() + 1000 * seconds;
  for (;;) {
    const result = await check();
    if (result) return result;
    if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s`);
    await new Promise((done) => setTimeout(done, 100));
  }
}

/** Runs in the page: whether a canvas that the selector finds differs from an empty one. */
const isDrawn = (selector) => [...document.querySelectorAll(selector)].some((canvas) => {
  const empty = Object.assign(document.createElement('canvas'), { width: canvas.width, height: canvas.height });
  return canvas.toDataURL() !== empty.toDataURL();
});

async function watch(page, asked) {
  const problems = [];
  page.on('console', (message) => problems.push(`console ${message.type()}: ${message.text()}`));
  page.on('dialog', (dialog) => {
    problems.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on('pageerror', (error) => problems.push(`error: ${error.message}`));
  const origin = new URL(asked.url).origin;
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(origin) && !url.startsWith('data:')) problems.push(`fetched ${url}`);
  });
  await page.goto(asked.url);
  const number = async () => Number((await page.textContent('#window')).replace(/\D/g, '')) || 0;
  const first = await until('a window', 10, number);
  const rows = async () => (await page.locator('.row:not([hidden])').allTextContents()).join('\n');
  const before = await rows();
  await until('the next windows', 10, async () => (await number()) >= first + 2);
  await until('a series that moves', 10, async () => (await rows()) !== before);
  await until('a sparkline', 10, () => page.evaluate(isDrawn, '.row:not([hidden]) canvas'));
  await until('the chart', 10, () => page.evaluate(isDrawn, '#chart canvas'));
  if (asked['anomaly-within']) await until('an anomaly', Number(asked['anomaly-within']), () => page.locator('.event').count());
  if (asked.hostile) {
    await page.fill('#filter', asked.hostile.split(/\s/)[0]);
    await until('the hostile label as text', 10, async () =>
      (await page.locator('.row:not([hidden])').allTextContents()).some((text) => text.includes(asked.hostile)));
    const made = await page.locator('main img, main script, main iframe').count();
    if (made) problems.push(`a label made ${made} elements`);
    await page.fill('#filter', '');
  }
  if (asked.select) {
    await page.locator('.row:not([hidden])', { hasText: asked.select }).first().click();
    await until('the selected series', 10, async () => (await page.textContent('#detail-name')) === asked.select);
  }
  if (asked.watch) {
    const last = first + Number(asked.watch);
    await until('window after window', Number(asked.watch) + 20, async () => (await number()) >= last);
  }
  if (asked.screenshot) {
    await page.evaluate(() => {
      document.activeElement?.blur();
      scrollTo(0, 0);
    });
    await page.screenshot({ path: asked.screenshot });
  }
  return problems;
}

async function main() {
  const asked = options(process.argv.slice(2));
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  try {
    const page = await browser.newPage({
      viewport: { width: Number(asked.width), height: Number(asked.height) },
      colorScheme: asked.dark ? 'dark' : 'light',
    });
    const problems = await watch(page, asked);
    if (problems.length) throw new Error(problems.join('\n'));
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
