// @slack/socket-mode, and @slack/bolt on top of it, over the emulator's Socket Mode.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import bolt from '@slack/bolt';
import socketMode from '@slack/socket-mode';
import slack from '@slack/web-api';
import { silent, startWorld } from '../lib/world.mjs';

const { App, SocketModeReceiver } = bolt;
const { SocketModeClient } = socketMode;
const { WebClient } = slack;

describe("@slack/bolt over the emulator's Socket Mode", () => {
  let world, app, posted;
  const handled = [];
  const took = (kind) => world.until(`${kind} is handled`, () => handled.filter((h) => h.kind === kind).at(-1));
  const connected = (opened) =>
    world.until(`connection ${opened} is in use`, async () => {
      const now = await world.see('sockets');
      return now.connections === 1 && now.opened >= opened;
    });
  const press = (user = 'U0ANA') => world.do('click', { channel: '#peers', ts: posted.ts, user, action: 'peer_button' });

  before(async () => {
    world = await startWorld();
    const clientOptions = { slackApiUrl: `${world.slack}/api/` };
    app = new App({
      token: world.peerToken, logger: silent, clientOptions,
      receiver: new SocketModeReceiver({ appToken: world.appToken, logger: silent, installerOptions: { clientOptions } }),
    });
    app.action('peer_button', async ({ ack, action, body, client }) => {
      await ack();
      handled.push({ kind: 'button', action, body });
      await client.views.open({ trigger_id: body.trigger_id, view: modal });
    });
    app.view('peer_modal', async ({ ack, view }) => {
      const text = view.state.values.text.text.value;
      if (text === 'wrong') return ack({ response_action: 'errors', errors: { text: 'Not this.' } });
      await ack();
      handled.push({ kind: 'view', text });
    });
    app.command('/tocsin', async ({ ack, command }) => {
      await ack(`you said ${command.text}`);
      handled.push({ kind: 'command', command });
    });
    app.event('app_mention', async ({ event }) => { handled.push({ kind: 'event', event }); });
    await app.start();
    await connected(1);
    posted = await app.client.chat.postMessage({
      channel: '#peers', text: 'click',
      blocks: [{ type: 'actions', elements: [{ type: 'button', action_id: 'peer_button', value: 'v', text: { type: 'plain_text', text: 'X' } }] }],
    });
  });
  after(async () => {
    await app?.stop();
    await world?.stop();
  });

  const modal = {
    type: 'modal', callback_id: 'peer_modal', title: { type: 'plain_text', text: 'Peer' }, submit: { type: 'plain_text', text: 'Go' },
    blocks: [{ type: 'input', block_id: 'text', label: { type: 'plain_text', text: 'Text' }, element: { type: 'plain_text_input', action_id: 'text' } }],
  };

  it('a click, its modal, a command, an event', async () => {
    assert.equal((await press()).error, undefined);
    const { action, body } = await took('button');
    assert.equal(action.value, 'v');
    assert.equal(body.user.id, 'U0ANA');
    await world.until('the modal is open', () => world.see('view', { user: 'U0ANA' }));
    await world.do('submit', { user: 'U0ANA', values: { text: 'wrong' } });
    assert.deepEqual((await world.see('view', { user: 'U0ANA' })).Errors, { text: 'Not this.' });
    await world.do('submit', { user: 'U0ANA', values: { text: 'right' } });
    assert.equal((await took('view')).text, 'right');
    assert.equal(await world.see('view', { user: 'U0ANA' }), undefined, 'the modal is closed');

    assert.equal((await world.do('command', { user: 'U0ANA', channel: '#peers', text: 'list "a & b"' })).error, undefined);
    assert.equal((await took('command')).command.text, 'list "a & b"');
    assert.ok((await world.see('ephemerals', { user: 'U0ANA' })).some((e) => e.Text === 'you said list "a & b"'));

    const answer = await world.do('event', { payload: {
      token: 't', team_id: 'T0TOCSIN01', api_app_id: 'A0TOCSIN01', type: 'event_callback', event_id: 'Ev1', event_time: 1,
      event: { type: 'app_mention', user: 'U0ANA', text: '<@U0TOCSIN01> list', ts: '1.000001', channel: posted.channel, event_ts: '1.000001' },
    } });
    assert.equal(answer.error, undefined);
    assert.equal((await took('event')).event.text, '<@U0TOCSIN01> list');
  });

  it('connects again when it is told to, and when the connection breaks', async () => {
    assert.equal(await world.see('refresh'), true);
    await connected(2);
    handled.length = 0;
    assert.equal((await press('U0BO')).error, undefined);
    assert.equal((await took('button')).body.user.id, 'U0BO');

    assert.equal(await world.see('drop'), true);
    await connected(3);
    handled.length = 0;
    assert.equal((await press('U0CY')).error, undefined);
    assert.equal((await took('button')).body.user.id, 'U0CY');
  });

  it("the emulator finds nothing wrong with Slack's own client", async () => {
    assert.deepEqual((await world.see('sockets')).violations ?? [], []);
  });
});

describe("@slack/socket-mode against the emulator's refusals", () => {
  let world;
  before(async () => { world = await startWorld(); });
  after(() => world?.stop());

  const options = () => ({ slackApiUrl: `${world.slack}/api/` });

  it('a token that is unknown, and one that is no app\'s', async () => {
    const client = new SocketModeClient({ appToken: 'xapp-unknown', logger: silent, clientOptions: options() });
    await assert.rejects(client.start(), (err) => {
      assert.equal(err.data?.error, 'invalid_auth', String(err));
      return true;
    });
    await assert.rejects(new WebClient(world.peerToken, { ...options(), logger: silent }).apps.connections.open(), (err) => {
      assert.equal(err.data?.error, 'not_allowed_token_type', String(err));
      return true;
    });
  });
});
