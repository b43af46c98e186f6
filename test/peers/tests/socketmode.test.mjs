// The real binary in Socket Mode: it has no signing secret, and nobody calls it.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { assertCalled, Scene, summary } from '../lib/scene.mjs';
import { payloadOf, typecheck } from '../lib/types.mjs';
import { alert, sign, startWorld } from '../lib/world.mjs';

describe('Tocsin in Socket Mode', () => {
  let world, scene, node, homeClick;
  const connected = (opened) =>
    world.until(`two connections of ${opened} are in use`, async () => {
      const now = await world.see('sockets');
      return now.connections === 2 && now.opened >= opened;
    });

  before(async () => {
    world = await startWorld({ socket: true });
    scene = new Scene(world);
    await connected(2);
    await world.fire(alert('NodeDown', 'a', 'critical'));
    node = await world.until('the incident opens', () => world.incident('NodeDown on a'));
    await scene.told('ana is paged', 'chat.postMessage', 'U0ANA');
  });
  after(() => world?.stop());

  it('has no door for callbacks', async () => {
    const body = 'payload=%7B%7D';
    for (const path of ['interactions', 'commands', 'events']) {
      const answer = await fetch(`${world.tocsin}/slack/${path}`, {
        method: 'POST', body, headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...sign(world.signingSecret, body) },
      });
      assert.ok(answer.status === 404 || answer.status === 405, `${path}: ${answer.status}`);
    }
  });

  it('clicks, check boxes, modals', async () => {
    await scene.click(node, 'U0STRANGER', 'tocsin_acknowledge');
    await scene.whispered('U0STRANGER', 'Tocsin');
    await scene.click(node, 'U0BO', 'tocsin_more', 'runbook');
    await scene.whispered('U0BO', 'systemctl restart');
    await scene.tick(node, 'U0BO');
    await scene.told('everybody sees who did it', 'chat.update', '1 of 3 steps done', 'bo');
    await scene.ask(node, 'U0BO', 'tocsin_more', 'person');
    await scene.act('submit', { user: 'U0BO', values: { person: 'U0STRANGER' } });
    assert.ok(Object.keys((await world.see('view', { user: 'U0BO' })).Errors).length, 'Tocsin knows no such person');
    await scene.act('submit', { user: 'U0BO', values: { person: 'U0CY', text: 'you know the disk' } });
    assert.equal(await world.see('view', { user: 'U0BO' }), undefined, 'the modal is closed');
    await scene.told('cy is paged', 'chat.postMessage', 'U0CY');
    await scene.click(node, 'U0ANA', 'tocsin_acknowledge');
    await scene.state('NodeDown on a', 'acknowledged');
    await scene.told('the message shows it', 'chat.update', 'Acknowledged');
  });

  it('commands, events, the Home tab', async () => {
    for (const text of ['', 'list', `show ${node.id}`, `note ${node.id} seen`, 'oncall', 'lst']) {
      const { body } = await scene.act('command', { user: 'U0BO', channel: '#incidents', text });
      assert.ok(body, `/tocsin ${text}`);
    }
    const { Channel, TS } = await world.message('#incidents', node);
    await scene.event('Ev1', { type: 'app_mention', user: 'U0CY', channel: Channel, ts: '2.000001', text: '<@U0TOCSIN01> list' });
    await scene.whispered('U0CY', node.id);
    await scene.event('Ev2', { type: 'reaction_added', user: 'U0BO', reaction: 'pushpin', item: { type: 'message', channel: Channel, ts: TS } });
    await scene.told('the message that was marked is read', 'conversations.replies', TS);
    await scene.act('open-home', { user: 'U0ANA' });
    await world.until('the Home tab of ana', async () => JSON.stringify((await world.see('home', { user: 'U0ANA' })) ?? '').includes(node.id));
  });

  it('nothing is lost when connections end', async () => {
    const { opened } = await world.see('sockets');
    assert.equal(await world.see('refresh'), true);
    await scene.act('command', { user: 'U0BO', channel: '#incidents', text: `note ${node.id} while one is told to leave` });
    await connected(opened + 1);
    assert.equal(await world.see('drop'), true);
    await scene.act('command', { user: 'U0BO', channel: '#incidents', text: `note ${node.id} while one is broken` });
    await connected(opened + 2);
    homeClick = JSON.parse((await world.do('home-payload', { user: 'U0ANA', block: `tocsin:${node.id}`, action: 'tocsin_resolve_firing' })).body);
    await scene.act('click-home', { user: 'U0ANA', block: `tocsin:${node.id}`, action: 'tocsin_resolve_firing' });
    await scene.state('NodeDown on a', 'resolved');
    await scene.told('the message shows it', 'chat.update', 'Resolved');
    const { timeline } = await world.get(`/api/v1/incidents/${node.id}?events=200`);
    for (const text of ['while one is told to leave', 'while one is broken']) {
      assert.equal(timeline.filter((e) => e.text?.includes(text)).length, 1, text);
    }
  });

  it("is correct for the emulator, and fits Slack's types", async (t) => {
    await scene.quiet();
    assert.deepEqual((await world.see('sockets')).violations ?? [], []);
    const { sent, methods, checks, answers } = await scene.everything();
    t.diagnostic(`methods: ${summary(methods)}`);
    assertCalled(
      methods, 'apps.connections.open', 'auth.test', 'chat.postMessage', 'chat.update', 'chat.postEphemeral', 'response_url', 'views.open', 'views.publish',
      'conversations.create', 'conversations.invite', 'conversations.setTopic', 'conversations.replies', 'pins.add',
    );
    checks.push(payloadOf('a click in the Home tab', 'HomeAction', homeClick));
    const different = await typecheck('socketmode', [...checks, ...answers]);
    t.diagnostic(`${different} different values of ${sent.length} calls fit`);
  });
});
