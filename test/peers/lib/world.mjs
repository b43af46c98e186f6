// The emulators and the real binary, as `world` runs them.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));

// How long something may take: the machine may be busy with much else.
const patience = 120_000;

/**
 * Starts a world; socket: Tocsin speaks Socket Mode; folder: where its files are, when
 * they are not those built in. Its stop() fails where Tocsin did not end well.
 */
export async function startWorld({ socket = false, folder = '' } = {}) {
  const flags = ['-tocsin', `${root}bin/tocsin`, ...(socket ? ['-socket'] : []), ...(folder ? ['-folder', folder] : [])];
  const child = spawn(`${root}bin/peers-world`, flags, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const line = await Promise.race([
    new Promise((resolve) => createInterface(child.stdout).once('line', resolve)),
    ended.then((code) => assert.fail(`the world ended with ${code} before it began: run it by make test-peers`)),
  ]);
  return new World(JSON.parse(line), async () => {
    child.stdin.end();
    assert.equal(await ended, 0, 'the world, or Tocsin, did not end well');
  });
}

class World {
  constructor(places, stop) {
    Object.assign(this, places);
    this.stop = stop;
  }

  /** Has a person do something in Slack; see world/control.go. */
  async do(verb, what = {}) {
    const response = await fetch(`${this.control}/do/${verb}`, { method: 'POST', body: JSON.stringify(what) });
    assert.equal(response.status, 200, verb);
    return response.json();
  }

  async see(verb, what = {}) {
    const { value, error } = await this.do(verb, what);
    assert.equal(error, undefined, verb);
    return value ?? undefined;
  }

  /** Points the emulator's callbacks at Tocsin, or at what else listens at a URL. */
  callbacks(base = this.tocsin, secret = this.signingSecret) {
    return this.do('callbacks', {
      secret, interactions: `${base}/slack/interactions`, commands: `${base}/slack/commands`, events: `${base}/slack/events`,
    });
  }

  /** Ends Tocsin and starts it again, elsewhere. */
  async restart() {
    this.tocsin = await this.see('restart');
  }

  /** Sends alerts as Alertmanager does. */
  async fire(...alerts) {
    const response = await this.post('/webhook/alertmanager', {
      version: '4', groupKey: '{}', truncatedAlerts: 0, status: 'firing', receiver: 'tocsin', groupLabels: {}, commonLabels: {},
      commonAnnotations: {}, externalURL: 'http://alertmanager', alerts,
    });
    assert.equal(response.status, 200, await response.text());
  }

  post(path, body, headers = {}) {
    return fetch(this.tocsin + path, {
      method: 'POST', headers: { 'Content-Type': 'application/json', ...headers }, body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  }

  async get(path) {
    const response = await fetch(this.tocsin + path);
    assert.equal(response.status, 200, path);
    return response.json();
  }

  /** The incident of a title; undefined where there is none. */
  async incident(title) {
    const { incidents } = await this.get('/api/v1/incidents?state=triggered&state=acknowledged&state=resolved');
    return incidents.find((i) => i.title === title);
  }

  /** Waits until find gives something, and returns it. */
  async until(what, find) {
    const deadline = Date.now() + patience;
    for (;;) {
      const found = await find();
      if (found) return found;
      if (Date.now() > deadline) {
        const log = await readFile(this.log, 'utf8');
        assert.fail(`did not happen within ${patience / 1000} s: ${what}\nTocsin's log:\n${log.slice(-3000)}`);
      }
      await sleep(20);
    }
  }

  /** The message of an incident in a channel. */
  message(channel, incident, holds = () => true) {
    return this.until(`a message of ${incident.id} in ${channel}`, async () => {
      const messages = (await this.see('messages', { channel })) ?? [];
      return messages.find((m) => JSON.stringify(m.Blocks ?? []).includes(incident.id) && holds(m));
    });
  }
}

/** An alert as Alertmanager sends it. */
export function alert(alertname, instance, severity, more = {}) {
  return {
    status: 'firing', startsAt: new Date().toISOString(), endsAt: '0001-01-01T00:00:00Z', generatorURL: 'http://prometheus/graph',
    labels: { alertname, instance, severity }, annotations: { summary: `${alertname} on ${instance}` }, ...more,
  };
}

/** A logger for Slack's clients, which say on their own account what a test provokes. */
export const silent = { debug() {}, info() {}, warn() {}, error() {}, setLevel() {}, getLevel: () => 'error', setName() {} };

/**
 * The headers of a request that Slack signs, made by
 * https://docs.slack.dev/authentication/verifying-requests-from-slack alone.
 */
export function sign(secret, body, at = Math.floor(Date.now() / 1000)) {
  const mac = createHmac('sha256', secret).update(`v0:${at}:${body}`).digest('hex');
  return { 'X-Slack-Request-Timestamp': String(at), 'X-Slack-Signature': `v0=${mac}` };
}
