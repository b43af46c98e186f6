// What people do in Slack, and what comes of it, however Slack reaches Tocsin.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { answerOf, blocksOf, checksOf } from './types.mjs';

export class Scene {
  constructor(world) {
    this.world = world;
    // What Tocsin answered to callbacks, which is shown too.
    this.bodies = [];
  }

  settled() {
    return this.world.until('nothing lags', async () => (await this.world.get('/api/v1/stats')).lagging === 0);
  }

  /** Waits until what is said behind an answer has been said too. */
  async quiet() {
    for (let before = -1, now = 0; before !== now;) {
      await this.settled();
      await sleep(500);
      [before, now] = [now, (await this.world.see('sent')).length];
    }
  }

  async act(verb, what) {
    const answer = await this.world.do(verb, what);
    assert.equal(answer.status, 200, `${verb} ${JSON.stringify(what)}: ${JSON.stringify(answer)}`);
    if (answer.body?.startsWith('{')) this.bodies.push({ verb, body: JSON.parse(answer.body) });
    return answer;
  }

  /** The message of an incident that has something to click. */
  clickable(incident, action, channel = '#incidents') {
    return this.world.message(channel, incident, (m) => JSON.stringify(m.Blocks).includes(`"${action}"`));
  }

  async click(incident, user, action, ...choice) {
    const { TS } = await this.clickable(incident, action);
    return this.act('click', { channel: '#incidents', ts: TS, user, action, choice });
  }

  /** Chooses what opens a modal, and waits for it. */
  async ask(incident, user, action, choice) {
    await this.click(incident, user, action, choice);
    return this.world.until(`a modal is open before ${user}`, () => this.world.see('view', { user }));
  }

  /** Ticks, or unticks, the first step of the runbook. */
  async tick(incident, user) {
    const { Blocks, TS } = await this.clickable(incident, 'checkboxes');
    const boxes = Blocks.flatMap((b) => [b.accessory, ...(b.elements ?? [])]).find((e) => e?.type === 'checkboxes');
    await this.act('click', { channel: '#incidents', ts: TS, user, action: boxes.action_id, choice: [boxes.options[0].value] });
  }

  state(title, want) {
    return this.world.until(`${title} is ${want}`, async () => (await this.world.incident(title))?.state === want);
  }

  whispered(user, text) {
    return this.world.until(`${user} is told ${text}`, async () => JSON.stringify((await this.world.see('ephemerals', { user })) ?? []).includes(text));
  }

  /** Waits until a call of a method has all that is asked for in its arguments. */
  told(what, method, ...texts) {
    return this.world.until(what, async () =>
      (await this.world.see('sent')).some((c) => c.method === method && texts.every((t) => JSON.stringify(c.args ?? c.body).includes(t))));
  }

  event(id, inner) {
    return this.act('event', { payload: {
      token: 't', team_id: 'T0TOCSIN01', api_app_id: 'A0TOCSIN01', type: 'event_callback', event_id: id, event_time: 1, event: { event_ts: '1.000001', ...inner },
    } });
  }

  /** Everything that Tocsin has said to Slack until now, and what is to be checked of it. */
  async everything() {
    const sent = await this.world.see('sent');
    const calls = sent.filter((c) => c.method !== 'response_url');
    assert.deepEqual(calls.filter((c) => !JSON.parse(c.answer).ok).map((c) => `${c.method}: ${c.answer}`), [], 'Slack took all');
    const checks = sent.flatMap(checksOf);
    for (const { verb, body } of this.bodies) {
      if (verb === 'submit') checks.push({ what: 'the answer to a modal', type: 'ViewErrorsResponseAction', value: body });
      else checks.push({ what: `the answer to a ${verb}`, type: 'RespondArguments', value: body }, ...blocksOf(`the answer to a ${verb}`, body));
    }
    const methods = {};
    for (const { method } of sent) methods[method] = (methods[method] ?? 0) + 1;
    return { sent, methods, checks, answers: calls.map(answerOf) };
  }
}

/** Says which of the methods were never called: a scenario that has lost something. */
export function assertCalled(methods, ...wanted) {
  assert.deepEqual(wanted.filter((m) => !methods[m]), [], 'these were never called');
}

/** What happened, for the report of the tests. */
export function summary(methods) {
  return Object.entries(methods).sort().map(([m, n]) => `${m} ${n}`).join(', ');
}
