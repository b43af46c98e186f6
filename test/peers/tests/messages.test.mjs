// Everything that the real binary says to Slack and to PagerDuty in the life of
// incidents, checked against the types that they publish.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { assertCalled, Scene, summary } from '../lib/scene.mjs';
import { argumentsOf, checksOf, typecheck } from '../lib/types.mjs';
import { alert, startWorld } from '../lib/world.mjs';

describe('every message that Tocsin sends fits @slack/types', () => {
  let world, scene;

  before(async () => {
    world = await startWorld();
    scene = new Scene(world);
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
    await scene.told('ana is paged', 'chat.postMessage', 'U0ANA');

    await scene.click(node, 'U0STRANGER', 'tocsin_acknowledge');
    await scene.whispered('U0STRANGER', 'Tocsin');
    await scene.click(node, 'U0DEE', 'tocsin_acknowledge');
    await scene.whispered('U0DEE', 'dee');
    await scene.click(node, 'U0BO', 'tocsin_more', 'runbook');
    await scene.whispered('U0BO', 'systemctl restart');
    await scene.click(node, 'U0BO', 'tocsin_more', 'why');

    await scene.tick(node, 'U0BO');
    await scene.told('everybody sees who did it', 'chat.update', '1 of 3 steps done', 'bo');
    await scene.tick(node, 'U0CY');

    await scene.ask(node, 'U0BO', 'tocsin_more', 'note');
    await scene.act('submit', { user: 'U0BO', values: { text: 'looked at the disk\n<!here>' } });
    await scene.ask(node, 'U0BO', 'tocsin_more', 'person');
    await scene.act('submit', { user: 'U0BO', values: { person: 'U0STRANGER' } });
    assert.ok(Object.keys((await world.see('view', { user: 'U0BO' })).Errors).length, 'Tocsin knows no such person');
    await scene.act('submit', { user: 'U0BO', values: { person: 'U0CY', text: 'you know the disk' } });
    await scene.told('cy is paged', 'chat.postMessage', 'U0CY');
    await scene.ask(node, 'U0BO', 'tocsin_silence', '1h');
    await scene.act('submit', { user: 'U0BO', values: { text: 'known' } });
    await scene.whispered('U0BO', 'Silenced');

    await scene.click(node, 'U0BO', 'tocsin_escalate');
    await scene.click(node, 'U0ANA', 'tocsin_acknowledge');
    await scene.state('NodeDown on a', 'acknowledged');
    await scene.told('the message shows it', 'chat.update', 'Acknowledged');
    await scene.click(node, 'U0ANA', 'tocsin_snooze', '1h');
    const { TS } = await world.message('#incidents', node);
    const late = JSON.parse((await world.do('payload', { channel: '#incidents', ts: TS, user: 'U0CY', action: 'tocsin_resolve_firing' })).body);

    const room = await world.until('its channel has everybody, and the message pinned', async () => {
      const [r] = await world.see('rooms', { channel: `inc-${node.id}` });
      return r?.Pins?.length === 1 && ['U0ANA', 'U0CY'].every((u) => r.People?.includes(u)) && r;
    });
    await scene.told('its topic follows', 'conversations.setTopic', room.ID, 'Acknowledged');

    await scene.click(node, 'U0ANA', 'tocsin_resolve_firing');
    await scene.state('NodeDown on a', 'resolved');
    late.actions[0].action_ts = '1.000001';
    await scene.act('interact', { payload: late });
    await scene.whispered('U0CY', 'Nothing was done');
    await scene.told('the message shows it', 'chat.update', 'Resolved');
    await scene.told('the thread tells of the note', 'chat.postMessage', 'thread_ts', 'looked at the disk');
    await scene.told('its topic follows', 'conversations.setTopic', room.ID, 'Resolved');
  });

  it('an incident that ends with its alert, and one that grows', async () => {
    await world.fire(alert('DiskFull', 'b', 'warning'), alert('DiskFull', 'c', 'warning'));
    await world.until('it opens', () => world.incident('DiskFull on b'));
    const grown = await world.until('it opens', () => world.incident('DiskFull on c'));
    await scene.settled();
    await world.fire({ ...alert('DiskFull', 'b', 'warning'), status: 'resolved', endsAt: new Date().toISOString() });
    await scene.state('DiskFull on b', 'resolved');
    const raised = await world.post(`/api/v1/incidents/${grown.id}/severity`, { id: 'raise-1', by: 'ana', severity: 'critical' });
    assert.equal(raised.status, 200, await raised.text());
    await scene.told('what has become critical gets a channel', 'conversations.create', `inc-${grown.id}`);
    await scene.settled();
    await world.fire(alert('DiskFull', 'b', 'warning'));
    await scene.state('DiskFull on b', 'triggered');
    await scene.settled();
  });

  it('a storm, told as a digest', async () => {
    await world.fire(...Array.from({ length: 25 }, (_, n) => alert('Bulk', `n${n}`, 'warning', {
      annotations: { summary: n % 5 === 0 ? `Bulk on n${n} ${hostile}` : `Bulk on n${n}` },
    })));
    await world.until('a digest', async () =>
      ((await world.see('messages', { channel: 'bulk' })) ?? []).some((m) => m.EventType.includes('digest')));
    await scene.settled();
    await world.fire(...Array.from({ length: 25 }, (_, n) => ({ ...alert('Bulk', `n${n}`, 'warning'), status: 'resolved', endsAt: new Date().toISOString() })));
    await scene.settled();
  });

  it('shifts, handoffs, user groups, and a gap ahead', async () => {
    const from = new Date(Date.now() + 3000);
    const put = async (override) => {
      const made = await world.post('/api/v1/overrides', { createdBy: 'cy', ...override });
      assert.equal(made.status, 200, await made.text());
    };
    await put({ schedule: 'primary', user: 'bo', from: from.toISOString(), to: new Date(from.getTime() + 7_200_000).toISOString() });
    await scene.told('bo is told', 'chat.postMessage', 'U0BO', 'You are on call');
    await scene.told('the channel is told', 'chat.postMessage', 'takes over');
    await scene.told('the group follows', 'usergroups.users.update', 'U0BO');
    const away = new Date(Date.now() + 72 * 3_600_000);
    await put({ kind: 'time_off', user: 'ana', from: away.toISOString(), to: new Date(away.getTime() + 7_200_000).toISOString() });
    await scene.told('the gap is told', 'chat.postMessage', 'will reach nobody');
    await scene.settled();
  });

  it('commands, mentions, direct messages, marks', async () => {
    const open = await world.until('one is open', async () => (await world.get('/api/v1/incidents?state=triggered')).incidents[0]);
    for (const text of [
      '', 'help', 'list', `show ${open.id}`, `why ${open.id}`, 'oncall', 'oncall primary', 'silences', 'status', 'handoff', 'runbook NodeDown', `runbook ${open.id}`,
      `note ${open.id} seen`, `ack ${open.id}`, `ack ${open.id}`, `unack ${open.id}`, `snooze ${open.id} 1h`, `add ${open.id} @cy you know it`, `escalate ${open.id}`,
      `channel ${open.id}`, 'silence alertname=Noise for 2h known', 'override primary @bo tomorrow 09:00 for 2h', 'page @cy come and look', 'lst', 'list public',
    ]) {
      for (const user of ['U0BO', 'U0STRANGER']) {
        const { body } = await scene.act('command', { user, channel: '#incidents', text });
        assert.ok(body, `/tocsin ${text}`);
      }
    }
    await scene.told('a channel on request', 'conversations.create', `inc-${open.id}`);
    const { Channel, TS } = (await world.see('messages', { channel: 'incidents' }))[0];
    await scene.event('Ev1', { type: 'app_mention', user: 'U0BO', channel: Channel, ts: '2.000001', text: '<@U0TOCSIN01> list' });
    await scene.whispered('U0BO', 'DiskFull');
    const [direct] = await world.see('messages', { channel: 'U0BO' });
    await scene.event('Ev2', { type: 'message', channel_type: 'im', user: 'U0BO', channel: direct.Channel, ts: '2.000002', text: 'oncall' });
    await scene.event('Ev3', { type: 'reaction_added', user: 'U0BO', reaction: 'pushpin', item: { type: 'message', channel: Channel, ts: TS } });
    await scene.told('the message that was marked is read', 'conversations.replies', TS);
    await scene.settled();
  });

  it('the Home tab, and clicks there', async () => {
    await world.fire(alert('LinkDown', 'h', 'critical'));
    const link = await world.until('it opens', () => world.incident('LinkDown on h'));
    for (const user of ['U0ANA', 'U0BO', 'U0DEE', 'U0STRANGER']) await scene.act('open-home', { user });
    const home = (user, text) => world.until(`the Home tab of ${user} says ${text}`, async () => JSON.stringify((await world.see('home', { user }))?.Blocks ?? '').includes(text));
    await world.until('bo, who is on call, sees it', async () => {
      await scene.act('open-home', { user: 'U0BO' });
      return JSON.stringify(await world.see('home', { user: 'U0BO' })).includes(link.id);
    });
    await home('U0STRANGER', 'U0STRANGER');
    await scene.act('click-home', { user: 'U0BO', block: `tocsin:${link.id}`, action: 'tocsin_acknowledge' });
    await scene.state('LinkDown on h', 'acknowledged');
    await home('U0BO', 'yours');
    await scene.settled();
  });

  it('what is paged by PagerDuty, and what is changed here', async () => {
    const bodies = async (change) => ((await world.see('told')) ?? []).filter((e) => e.change === change);
    await world.fire(alert('Paged', 'p', 'error', { annotations: { summary: 'Paged on p', description: hostile } }));
    const paged = await world.until('it opens', () => world.incident('Paged on p'));
    await world.until('PagerDuty is told', async () => (await bodies(false)).length === 1);
    for (const [n, verb] of ['acknowledge', 'resolve'].entries()) {
      const done = await world.post(`/api/v1/incidents/${paged.id}/${verb}`, { id: `p-${verb}`, by: 'ana', force: true });
      assert.equal(done.status, 200, await done.text());
      await world.until('PagerDuty is told', async () => (await bodies(false)).length === n + 2);
    }
    assert.equal((await world.do('reload', { before: 'digest_after: 2', after: 'digest_after: 3' })).error, undefined);
    const [change] = await world.until('PagerDuty is told of it', async () => (await bodies(true)).length && bodies(true));
    assert.equal(change.outcome, 'change');
    assert.match(change.body.payload.summary, /configuration reloaded: slack changed/);
    assert.deepEqual(await world.see('changes'), ['Tocsin configuration reloaded: slack changed'], 'it is in the event stream');
    // What the types do not know: a client and its URL, and that those that open nothing
    // need no payload (https://developer.pagerduty.com/docs/send-alert-event).
    const opening = 'EventPayloadV2 & { client?: string; client_url?: string }';
    const closing = "Omit<EventPayloadV2, 'payload'>";
    await typecheck('pagerduty', [
      ...(await bodies(false)).map((e) => ({ what: `an event (${e.outcome})`, type: e.outcome === 'opened' ? opening : closing, value: e.body })),
      ...(await bodies(true)).map((e) => ({ what: 'a change event', type: 'ChangePayload', value: e.body })),
      { wrong: 'no such action', what: 'an event', type: opening, value: { ...(await bodies(false))[0].body, event_action: 'invented' } },
      { wrong: 'a property too many', what: 'a change event', type: 'ChangePayload', value: { ...change.body, invented: true } },
    ]);
  });

  it('channels are archived when their time has come', async () => {
    await scene.quiet();
    const { id } = await world.incident('NodeDown on a');
    await world.restart(); // it looks at the start, and then every ten minutes
    await world.callbacks();
    await world.until('the channel is archived', async () => (await world.see('rooms', { channel: `inc-${id}` })).every((r) => r.Archived));
  });

  it("all of it compiles, and so do the emulator's answers", async (t) => {
    await scene.quiet();
    const { sent, methods, checks, answers } = await scene.everything();
    t.diagnostic(`methods: ${summary(methods)}`);
    assertCalled(
      methods, 'auth.test', 'chat.postMessage', 'chat.update', 'chat.postEphemeral', 'response_url', 'views.open', 'views.publish', 'conversations.create',
      'conversations.invite', 'conversations.setTopic', 'conversations.archive', 'conversations.replies', 'pins.add', 'usergroups.users.list', 'usergroups.users.update',
    );
    const blocks = checks.filter((c) => c.type === 'KnownBlock[]');
    const kinds = new Set(blocks.flatMap((c) => c.value.flatMap((b) => [b.type, ...[b.accessory, b.element, ...(b.elements ?? [])].map((e) => e?.type)])));
    for (const kind of ['header', 'section', 'context', 'actions', 'input', 'button', 'static_select', 'overflow', 'checkboxes', 'plain_text_input', 'users_select']) {
      assert.ok(kinds.has(kind), `no ${kind} was sent: the scenario has lost something`);
    }
    // The compiler is watched: what was sent, made wrong, must not compile.
    const post = sent.find((c) => c.method === 'chat.postMessage' && c.args.blocks);
    const [first, ...rest] = argumentsOf(post).blocks;
    const home = checks.find((c) => c.type === 'HomeView').value;
    const told = answers.find((a) => a.what.endsWith('conversations.create'));
    const updated = answers.find((a) => a.what.endsWith('chat.update'));
    checks.push(
      { wrong: 'a property too many', what: 'a message', type: 'KnownBlock[]', value: [{ ...first, invented: true }, ...rest] },
      { wrong: 'no such block', what: 'a message', type: 'KnownBlock[]', value: [{ ...first, type: 'invented' }, ...rest] },
      { wrong: 'an argument too many', what: 'a message', type: checksOf(post)[0].type, value: { ...argumentsOf(post), invented: true } },
      { wrong: 'a home tab with a title', what: 'a home tab', type: 'HomeView', value: { ...home, title: { type: 'plain_text', text: 'x' } } },
      { wrong: 'a property too many', what: 'an answer', type: told.type, value: { ...told.value, invented: true } },
      { wrong: 'a property too many, within', what: 'an answer', type: told.type, value: { ...told.value, channel: { ...told.value.channel, invented: true } } },
      { wrong: 'a ts', what: 'an answer', type: updated.type, value: { ...updated.value, message: { ...updated.value.message, ts: '1.000001' } } },
    );
    const different = await typecheck('messages', [...checks, ...answers]);
    t.diagnostic(`${different} different values of ${sent.length} calls fit; kinds of blocks and elements: ${[...kinds].filter(Boolean).sort().join(', ')}`);
  });
});
