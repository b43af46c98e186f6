// The world of test/peers with nodes that a remedy restarts, and browsers of people.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { accessSync, constants } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { startWorld } from '../../peers/lib/world.mjs';
import { Nodes } from './nodes.mjs';

const here = fileURLToPath(new URL('..', import.meta.url));
const token = 'canary-token-of-this-test-and-of-nothing-else';

// How long something may take: the machine may be busy with much else.
export const patience = 60_000;

/** Starts everything; stop() ends it. */
export async function start() {
  const nodes = await new Nodes().start();
  const folder = await mkdtemp(join(tmpdir(), 'tocsin-browser-'));
  await cp(join(here, 'world'), folder, { recursive: true });
  // The shipped script, which takes a while, so that its output can be seen to come.
  const script = `#!/bin/sh\necho "asking the supervisor"\nsleep 2\n${await readFile(join(here, '../../deploy/remedies/restart-node'), 'utf8')}`;
  await writeFile(join(folder, 'restart-node'), script, { mode: 0o755 });
  const values = {
    NODES_URL: nodes.url, NODES_PORT: nodes.port, SCRIPT_SHA256: createHash('sha256').update(script).digest('hex'),
    SCRIPT: join(folder, 'restart-node'), ALERTMANAGER_TOKEN: token,
  };
  const file = join(folder, 'tocsin.yml');
  let text = await readFile(file, 'utf8');
  for (const [name, value] of Object.entries(values)) text = text.replaceAll(name, value);
  await writeFile(file, text);
  const world = await startWorld({ folder });
  const browser = await chromium.launch({
    executablePath: browserPath(), chromiumSandbox: process.getuid?.() !== 0, args: ['--disable-dev-shm-usage', '--disable-gpu'],
  });
  return new Stage(world, nodes, browser, async () => {
    await browser.close();
    await world.stop();
    await nodes.stop();
    await rm(folder, { recursive: true });
  });
}

/** Where Chromium is: $CHROMIUM, or the first that is found. */
function browserPath() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  for (const path of names.flatMap((name) => process.env.PATH.split(delimiter).map((dir) => join(dir, name)))) {
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch { /* the next one */ }
  }
  return assert.fail('there is no chromium here: install it (Debian: apt-get install chromium), or say where it is: CHROMIUM=/path make test-browser');
}

class Stage {
  constructor(world, nodes, browser, stop) {
    Object.assign(this, { world, nodes, browser, stop, url: world.tocsin });
  }

  /** A page in a browser of a person's; problems are what its console complains of. */
  async person(name, options = {}) {
    const context = await this.browser.newContext({ baseURL: this.url, extraHTTPHeaders: name ? { 'X-Forwarded-User': name } : {}, timezoneId: 'UTC', ...options });
    context.setDefaultTimeout(patience);
    const page = await context.newPage();
    page.problems = [];
    page.on('pageerror', (error) => page.problems.push(String(error)));
    page.on('console', (m) => { if (m.type() === 'error' && !/status of 4\d\d/.test(m.text())) page.problems.push(m.text()); });
    return page;
  }

  /** Sends alerts as Alertmanager does. */
  async fire(...alerts) {
    const response = await this.world.post('/webhook/alertmanager', {
      version: '4', groupKey: '{}', truncatedAlerts: 0, status: 'firing', receiver: 'tocsin', groupLabels: {}, commonLabels: {},
      commonAnnotations: {}, externalURL: 'http://alertmanager', alerts,
    }, { Authorization: `Bearer ${token}` });
    assert.equal(response.status, 200, await response.text());
  }

  async get(path, who = 'bo') {
    const response = await fetch(this.url + path, { headers: { 'X-Forwarded-User': who } });
    assert.equal(response.status, 200, path);
    return response.json();
  }

  async post(path, body, who = 'bo') {
    const response = await this.world.post(path, body, { 'X-Forwarded-User': who });
    assert.ok(response.ok, `${path}: ${response.status} ${await response.clone().text()}`);
    return response.json();
  }

  /** The incident of a title, when there is one. */
  incident(title) {
    return this.world.until(`an incident ${title}`, async () => {
      const { incidents } = await this.get('/api/v1/incidents?state=triggered&state=acknowledged&state=resolved');
      return incidents.find((i) => i.title.includes(title));
    });
  }

  /** The run of a remedy for an incident, when it is in a state. */
  run(incident, state) {
    return this.world.until(`a run for ${incident.id} is ${state}`, async () => {
      const { remediations } = await this.get('/api/v1/remediations');
      return remediations.find((r) => r.incident === incident.id && r.state === state);
    });
  }

  /** Waits until the message of an incident in #incidents holds a text. */
  slack(incident, text) {
    return this.world.message('#incidents', incident, (m) => text.test(`${m.Text} ${JSON.stringify(m.Blocks)}`));
  }
}

/** A node that does not answer, as Prometheus's rule has it. */
export function nodeDown(node, more = {}) {
  return {
    status: 'firing', startsAt: new Date().toISOString(), endsAt: '0001-01-01T00:00:00Z',
    generatorURL: `http://prometheus/graph?g0.expr=${encodeURIComponent(`up{instance="${node}:9090"} == 0`)}`,
    labels: { alertname: 'NodeDown', instance: `${node}:9090`, severity: 'error', component: 'node', job: 'chain', host: node },
    annotations: { summary: `Node ${node} is down` }, ...more,
  };
}

/** Waits in the page itself, at each frame, until its text has something; returns when that was. */
export async function seen(page, selector, text) {
  await page.waitForFunction(([s, t]) => [...document.querySelectorAll(s)].some((e) => e.textContent.includes(t)), [selector, text], { polling: 'raf' });
  return Date.now();
}
