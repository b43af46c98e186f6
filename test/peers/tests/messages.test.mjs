// Everything that the real binary says to Slack in the life of incidents, checked
// against the types that Slack publishes.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { answerOf, argumentsOf, blocksOf, checksOf, typecheck } from '../lib/types.mjs';
import { alert, startWorld } from '../lib/world.mjs';

describe('every message that Tocsin sends fits @slack/types', () => {
  let world;
  // What Tocsin answered to callbacks, which is shown too.
  const bodies = [];
  const settled = () => world.until('nothing lags', async () => (await world.get('/api/v1/stats')).lagging === 0);
  /** Waits until what is said behind an answer has been said too. */
  const quiet = async () => {
    for (let before = -1, now = 0; before !== now;) {
      await settled();
      await sleep(500);
      [before, now] = [now, (await world.see('sent')).length];
    }
  };
  const act = async (verb, what) => {
    const answer = await world.do(verb, what);
    assert.equal(answer.status, 200, `${verb} ${JSON.stringify(what)}: ${JSON.stringify(answer)}`);
    if (answer.body?.startsWith('{')) bodies.push({ verb, body: JSON.parse(answer.body) });
    return answer;
  };
  const click = async (incident, user, action, ...choice) => {
    const { TS } = await world.message('#incidents', incident, (m) => JSON.stringify(m.Blocks).includes(`"${action}"`));
    return act('click', { channel: '#incidents', ts: TS, user, action, choice });
  };
  /** Chooses what opens a modal, and waits for it. */
  const ask = async (incident, user, action, choice) => {
    await click(incident, user, action, choice);
    return world.until(`a modal is open before ${user}`, () => world.see('view', { user }));
  };
  /** Ticks, or unticks, the first step of the runbook. */
  const tick = async (incident, user) => {
    const { Blocks, TS } = await world.message('#incidents', incident);
    const boxes = Blocks.flatMap((b) => [b.accessory, ...(b.elements ?? [])]).find((e) => e?.type === 'checkboxes');
    assert.ok(boxes, 'a runbook has check boxes');
    await act('click', { channel: '#incidents', ts: TS, user, action: boxes.action_id, choice: [boxes.options[0].value] });
  };
  const state = async (title, want) => world.until(`${title} is ${want}`, async () => (await world.incident(title))?.state === want);
  const whispered = (user, text) =>
    world.until(`${user} is told ${text}`, async () => JSON.stringify((await world.see('ephemerals', { user })) ?? []).includes(text));
  /** How many calls of a method had what is asked for in their arguments. */
  const said = async (method, ...texts) =>
    (await world.see('sent')).filter((c) => c.method === method && texts.every((t) => JSON.stringify(c.args ?? c.body).includes(t))).length;
  const told = (what, method, ...texts) => world.until(what, () => said(method, ...texts));

  before(async () => {
    world = await startWorld();
    await world.callbacks();
  });
  after(() => world?.stop());

  const hostile = '<!channel> <@U0ANA> *b* `c` @here https://evil.example.com \u202e\u0000 & "q" ' + 'long '.repeat(400);

  it('an incident: opened, paged, asked about, acknowledged, escalated, resolved', async () => {
    await world.fire(alert('NodeDown', 'a', 'critical', {
      labels: { alertname: 'NodeDown', instance: 'a', severity: 'critical', region: 'eu', evil: hostile },
      annotations: { summary: 'NodeDown on a', description: hostile, runbook_url: 'https://wiki.example.com/NodeDown' },
    }));
    const node = await world.until('it opens', () => world.incident('NodeDown on a'));
    await told('ana is paged', 'chat.postMessage', 'U0ANA');

    await click(node, 'U0STRANGER', 'tocsin_acknowledge');
    await whispered('U0STRANGER', 'Tocsin');
    await click(node, 'U0DEE', 'tocsin_acknowledge');
    await whispered('U0DEE', 'dee');
    await click(node, 'U0BO', 'tocsin_more', 'runbook');
    await whispered('U0BO', 'systemctl restart');
    await click(node, 'U0BO', 'tocsin_more', 'why');

    for (const user of ['U0BO', 'U0CY']) await tick(node, user);

    await ask(node, 'U0BO', 'tocsin_more', 'note');
    await act('submit', { user: 'U0BO', values: { text: 'looked at the disk\n<!here>' } });
    await ask(node, 'U0BO', 'tocsin_more', 'person');
    await act('submit', { user: 'U0BO', values: { person: 'U0STRANGER' } });
    assert.ok(Object.keys((await world.see('view', { user: 'U0BO' })).Errors).length, 'Tocsin knows no such person');
    await act('submit', { user: 'U0BO', values: { person: 'U0CY', text: 'you know the disk' } });
    await told('cy is paged', 'chat.postMessage', 'U0CY');
    await ask(node, 'U0BO', 'tocsin_silence', '1h');
    await act('submit', { user: 'U0BO', values: { text: 'known' } });
    await whispered('U0BO', 'Silenced');

    await click(node, 'U0BO', 'tocsin_escalate');
    await click(node, 'U0ANA', 'tocsin_acknowledge');
    await state('NodeDown on a', 'acknowledged');
    await told('the message shows it', 'chat.update', 'Acknowledged');
    await click(node, 'U0ANA', 'tocsin_snooze', '1h');
    const { TS } = await world.message('#incidents', node);
    const late = JSON.parse((await world.do('payload', { channel: '#incidents', ts: TS, user: 'U0CY', action: 'tocsin_resolve_firing' })).body);
    await click(node, 'U0ANA', 'tocsin_resolve_firing');
    await state('NodeDown on a', 'resolved');
    late.actions[0].action_ts = '1.000001';
    await act('interact', { payload: late });
    await whispered('U0CY', 'Nothing was done');
    await told('the message shows it', 'chat.update', 'Resolved');
    await told('the thread tells of the note', 'chat.postMessage', 'thread_ts', 'looked at the disk');
  });

  it('an incident that ends with its alert, and one that grows', async () => {
    await world.fire(alert('DiskFull', 'b', 'warning'), alert('DiskFull', 'c', 'warning'));
    await world.until('it opens', () => world.incident('DiskFull on b'));
    const grown = await world.until('it opens', () => world.incident('DiskFull on c'));
    await settled();
    await world.fire({ ...alert('DiskFull', 'b', 'warning'), status: 'resolved', endsAt: new Date().toISOString() });
    await state('DiskFull on b', 'resolved');
    const raised = await world.post(`/api/v1/incidents/${grown.id}/severity`, { id: 'raise-1', by: 'ana', severity: 'critical' });
    assert.equal(raised.status, 200, await raised.text());
    await settled();
    await world.fire(alert('DiskFull', 'b', 'warning'));
    await state('DiskFull on b', 'triggered');
    await settled();
  });

  it('a storm, told as a digest', async () => {
    await world.fire(...Array.from({ length: 25 }, (_, n) => alert('Bulk', `n${n}`, 'warning', {
      annotations: { summary: n % 5 === 0 ? `Bulk on n${n} ${hostile}` : `Bulk on n${n}` },
    })));
    await world.until('a digest', async () =>
      ((await world.see('messages', { channel: 'bulk' })) ?? []).some((m) => m.EventType.includes('digest')));
    await settled();
    await world.fire(...Array.from({ length: 25 }, (_, n) => ({ ...alert('Bulk', `n${n}`, 'warning'), status: 'resolved', endsAt: new Date().toISOString() })));
    await settled();
  });

  it('shifts, handoffs, user groups, and a gap ahead', async () => {
    const from = new Date(Date.now() + 1500);
    const put = async (override) => {
      const made = await world.post('/api/v1/overrides', { createdBy: 'cy', ...override });
      assert.equal(made.status, 200, await made.text());
    };
    await put({ schedule: 'primary', user: 'bo', from: from.toISOString(), to: new Date(from.getTime() + 7_200_000).toISOString() });
    await told('bo is told', 'chat.postMessage', 'U0BO', 'You are on call');
    await told('the channel is told', 'chat.postMessage', 'takes over');
    await told('the group follows', 'usergroups.users.update', 'U0BO');
    const away = new Date(Date.now() + 72 * 3_600_000);
    await put({ kind: 'time_off', user: 'ana', from: away.toISOString(), to: new Date(away.getTime() + 7_200_000).toISOString() });
    await told('the gap is told', 'chat.postMessage', 'will reach nobody');
    await settled();
  });

  it('commands, mentions, direct messages, the home tab', async () => {
    const open = await world.until('one is open', async () => (await world.get('/api/v1/incidents?state=triggered')).incidents[0]);
    for (const text of [
      '', 'help', 'list', `show ${open.id}`, `why ${open.id}`, 'oncall', 'oncall primary', 'silences', 'status', 'handoff', 'runbook NodeDown',
      `note ${open.id} seen`, `ack ${open.id}`, `ack ${open.id}`, 'silence alertname=Noise for 2h known', 'page @cy come and look', 'lst', 'list public',
    ]) {
      for (const user of ['U0BO', 'U0STRANGER']) await act('command', { user, channel: '#incidents', text });
    }
    const event = (id, inner) => act('event', { payload: {
      token: 't', team_id: 'T0TOCSIN01', api_app_id: 'A0TOCSIN01', type: 'event_callback', event_id: id, event_time: 1, event: { event_ts: '1.000001', ...inner },
    } });
    const { Channel, TS } = (await world.see('messages', { channel: 'incidents' }))[0];
    for (const user of ['U0ANA', 'U0BO', 'U0DEE', 'U0STRANGER']) await act('open-home', { user });
    await event('Ev1', { type: 'app_mention', user: 'U0BO', channel: Channel, ts: '2.000001', text: '<@U0TOCSIN01> list' });
    const [direct] = await world.see('messages', { channel: 'U0BO' });
    await event('Ev2', { type: 'message', channel_type: 'im', user: 'U0BO', channel: direct.Channel, ts: '2.000002', text: 'oncall' });
    await event('Ev3', { type: 'reaction_added', user: 'U0BO', reaction: 'pushpin', item: { type: 'message', channel: Channel, ts: TS } });
    await settled();
  });

  it("all of it compiles, and so do the emulator's answers", async (t) => {
    await quiet();
    const sent = await world.see('sent');
    const calls = sent.filter((c) => c.method !== 'auth.test');
    assert.deepEqual(calls.filter((c) => c.method !== 'response_url' && !JSON.parse(c.answer).ok).map((c) => `${c.method}: ${c.answer}`), [], 'Slack took all');
    const checks = calls.flatMap(checksOf);
    for (const { verb, body } of bodies) {
      if (verb === 'submit') checks.push({ what: 'the answer to a modal', type: 'ViewErrorsResponseAction', value: body });
      else checks.push({ what: `the answer to a ${verb}`, type: 'RespondArguments', value: body }, ...blocksOf(`the answer to a ${verb}`, body));
    }
    const blocks = checks.filter((c) => c.type === 'KnownBlock[]');
    const kinds = new Set(blocks.flatMap((c) => c.value.flatMap((b) => [b.type, ...[b.accessory, b.element, ...(b.elements ?? [])].map((e) => e?.type)])));
    for (const kind of ['header', 'section', 'context', 'actions', 'input', 'button', 'static_select', 'overflow', 'checkboxes', 'plain_text_input', 'users_select']) {
      assert.ok(kinds.has(kind), `no ${kind} was sent: the scenario has lost something`);
    }
    // The compiler is watched: what was sent, made wrong, must not compile.
    const post = calls.find((c) => c.method === 'chat.postMessage' && c.args.blocks);
    const [first, ...rest] = argumentsOf(post).blocks;
    checks.push(
      { wrong: 'a property too many', what: 'a message', type: 'KnownBlock[]', value: [{ ...first, invented: true }, ...rest] },
      { wrong: 'no such block', what: 'a message', type: 'KnownBlock[]', value: [{ ...first, type: 'invented' }, ...rest] },
      { wrong: 'an argument too many', what: 'a message', type: checksOf(post)[0].type, value: { ...argumentsOf(post), invented: true } },
    );
    const different = await typecheck('messages', [...checks, ...sent.filter((c) => c.method !== 'response_url').map(answerOf)]);
    const methods = {};
    for (const { method } of sent) methods[method] = (methods[method] ?? 0) + 1;
    t.diagnostic(`${different} different values of ${sent.length} calls fit; kinds of blocks and elements: ${[...kinds].filter(Boolean).sort().join(', ')}`);
    t.diagnostic(`methods: ${Object.entries(methods).map(([m, n]) => `${m} ${n}`).join(', ')}`);
  });
});
