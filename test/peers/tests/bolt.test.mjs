// @slack/bolt, Slack's own framework, takes what the emulator signs; and Tocsin
// takes what is signed by Slack's documentation and Node's crypto alone.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import bolt from '@slack/bolt';
import { payloadOf, typecheck } from '../lib/types.mjs';
import { alert, sign, silent, startWorld } from '../lib/world.mjs';

const { App, HTTPReceiver, isValidSlackRequest } = bolt;
const form = (payload) => `payload=${encodeURIComponent(JSON.stringify(payload))}`;

describe('@slack/bolt takes what the emulator sends', () => {
  let world, app, base;
  const handled = [];
  // What the handlers were given, to be checked against the types they are promised.
  const payloads = [];
  const took = (kind) => handled.filter((h) => h.kind === kind).at(-1);

  before(async () => {
    world = await startWorld();
    const receiver = new HTTPReceiver({
      signingSecret: world.signingSecret, endpoints: ['/slack/interactions', '/slack/commands', '/slack/events'], logger: silent,
    });
    app = new App({ token: world.peerToken, receiver, logger: silent, clientOptions: { slackApiUrl: `${world.slack}/api/` } });
    app.action('peer_button', async ({ ack, action, body, respond, client }) => {
      await ack();
      handled.push({ kind: 'button', action, body });
      await respond({ text: 'clicked', response_type: 'ephemeral', replace_original: false });
      await client.views.open({ trigger_id: body.trigger_id, view: modal });
      handled.push({ kind: 'opened' });
    });
    app.action('peer_menu', async ({ ack, action, body }) => {
      await ack();
      handled.push({ kind: 'menu', action, body });
    });
    for (const kind of ['overflow', 'checkboxes']) {
      app.action(`peer_${kind}`, async ({ ack, action, body }) => {
        await ack();
        handled.push({ kind, action, body });
      });
    }
    app.view('peer_modal', async ({ ack, view, body }) => {
      const text = view.state.values.text.text.value;
      if (text === 'wrong') return ack({ response_action: 'errors', errors: { text: 'Not this.' } });
      handled.push({ kind: 'view', view, body });
      return ack();
    });
    app.command('/tocsin', async ({ ack, command, respond }) => {
      await ack({ response_type: 'in_channel', text: `you said ${command.text}` });
      handled.push({ kind: 'command', command });
      await respond('and later');
      handled.push({ kind: 'responded' });
    });
    app.event('app_mention', async ({ event, body, context }) => { handled.push({ kind: 'event', event, body, context }); });
    const server = await app.start({ port: 0, host: '127.0.0.1' });
    base = `http://127.0.0.1:${server.address().port}`;
    await world.callbacks(base);
  });
  after(async () => {
    await app?.stop();
    await world?.stop();
  });

  const modal = {
    type: 'modal', callback_id: 'peer_modal', private_metadata: 'kept', title: { type: 'plain_text', text: 'Peer' }, submit: { type: 'plain_text', text: 'Go' },
    blocks: [{ type: 'input', block_id: 'text', label: { type: 'plain_text', text: 'Text' }, element: { type: 'plain_text_input', action_id: 'text' } }],
  };
  let posted;

  it('a click on a button, with its respond() and views.open()', async () => {
    posted = await app.client.chat.postMessage({
      channel: '#peers', text: 'click',
      blocks: [{ type: 'actions', block_id: 'b', elements: [
        { type: 'button', action_id: 'peer_button', value: 'v:1', text: { type: 'plain_text', text: 'Ünïcode & "quotes"' } },
        { type: 'static_select', action_id: 'peer_menu', options: [{ text: { type: 'plain_text', text: 'One' }, value: '1' }] },
        { type: 'overflow', action_id: 'peer_overflow', options: [{ text: { type: 'plain_text', text: 'Two' }, value: '2' }] },
        { type: 'checkboxes', action_id: 'peer_checkboxes', options: ['3', '4'].map((value) => ({ text: { type: 'mrkdwn', text: `*${value}*` }, value })) },
      ] }],
    });
    const answer = await world.do('click', { channel: '#peers', ts: posted.ts, user: 'U0ANA', action: 'peer_button' });
    assert.deepEqual(answer, { status: 200 });
    await world.until('the handler has run', () => took('opened'));
    const { action, body } = took('button');
    assert.equal(action.value, 'v:1');
    assert.equal(action.block_id, 'b');
    assert.equal(action.text.text, 'Ünïcode & "quotes"');
    assert.equal(body.user.id, 'U0ANA');
    assert.equal(body.channel.id, posted.channel);
    assert.equal(body.message.ts, posted.ts);
    assert.equal(body.container.message_ts, posted.ts);
    payloads.push(['a button', 'BlockAction<ButtonAction>', body]);
    assert.deepEqual((await world.see('ephemerals', { user: 'U0ANA' })).map((e) => e.Text), ['clicked']);
  });

  it('a choice from an overflow menu, and boxes that are ticked and unticked', async () => {
    const choose = async (kind, choice) => {
      handled.length = 0;
      assert.deepEqual(await world.do('click', { channel: '#peers', ts: posted.ts, user: 'U0BO', action: `peer_${kind}`, choice: [choice] }), { status: 200 });
      const { action } = await world.until('the handler has run', () => took(kind));
      return action;
    };
    const boxes = async (choice) => (await choose('checkboxes', choice)).selected_options.map((o) => o.value);
    assert.equal((await choose('overflow', '2')).selected_option.value, '2');
    payloads.push(['an overflow menu', 'BlockAction<OverflowAction>', took('overflow').body]);
    assert.deepEqual(await boxes('4'), ['4']);
    payloads.push(['check boxes', 'BlockAction<CheckboxesAction>', took('checkboxes').body]);
    assert.deepEqual(await boxes('3'), ['3', '4']);
    assert.deepEqual(await boxes('4'), ['3']);
  });

  it('a choice from a menu', async () => {
    await world.do('click', { channel: '#peers', ts: posted.ts, user: 'U0BO', action: 'peer_menu', choice: ['One'] });
    const { action } = await world.until('the handler has run', () => took('menu'));
    assert.equal(action.selected_option.value, '1');
    payloads.push(['a menu', 'BlockAction<StaticSelectAction>', took('menu').body]);
  });

  it('a modal: first complained of, then taken', async () => {
    const wrong = await world.do('submit', { user: 'U0ANA', values: { text: 'wrong' } });
    assert.equal(wrong.status, 200);
    assert.deepEqual((await world.see('view', { user: 'U0ANA' })).Errors, { text: 'Not this.' });
    const right = await world.do('submit', { user: 'U0ANA', values: { text: 'a note\nof two lines' } });
    assert.deepEqual(right, { status: 200 });
    const { view, body } = took('view');
    assert.equal(view.state.values.text.text.value, 'a note\nof two lines');
    assert.equal(view.private_metadata, 'kept');
    assert.equal(view.root_view_id, view.id);
    assert.equal(view.previous_view_id, null);
    assert.equal(view.app_id, body.api_app_id);
    payloads.push(['a modal', 'ViewSubmitAction', body]);
    assert.equal(body.user.id, 'U0ANA');
    assert.equal(await world.see('view', { user: 'U0ANA' }), undefined, 'the modal is closed');
  });

  it('a slash command, with its ack() and respond()', async () => {
    const answer = await world.do('command', { user: 'U0ANA', channel: '#peers', text: 'list --open "a & b" +1 ü' });
    assert.equal(answer.error, undefined);
    assert.equal(JSON.parse(answer.body).response_type, 'in_channel');
    const { command } = took('command');
    assert.equal(command.text, 'list --open "a & b" +1 ü');
    assert.equal(command.user_id, 'U0ANA');
    assert.equal(command.channel_name, 'peers');
    await world.until('respond() went out', () => took('responded'));
    const texts = (await world.see('messages', { channel: 'peers' })).map((m) => m.Text);
    assert.ok(texts.includes('you said list --open "a & b" +1 ü'), texts.join());
    assert.ok((await world.see('ephemerals', { user: 'U0ANA' })).some((e) => e.Text === 'and later'));
  });

  it('an event, and the challenge of the events URL', async () => {
    assert.deepEqual(await world.do('verify-url'), {});
    await world.do('event', { payload: {
      token: 't', team_id: 'T0TOCSIN01', api_app_id: 'A0TOCSIN01', type: 'event_callback', event_id: 'Ev1', event_time: 1,
      authorizations: [{ enterprise_id: null, team_id: 'T0TOCSIN01', user_id: 'U0TOCSIN01', is_bot: true, is_enterprise_install: false }],
      event: { type: 'app_mention', user: 'U0ANA', text: '<@U0TOCSIN01> list', ts: '1.000001', channel: posted.channel, event_ts: '1.000001' },
    } });
    const { event, context } = await world.until('the handler has run', () => took('event'));
    assert.equal(event.text, '<@U0TOCSIN01> list');
    assert.equal(context.botUserId, 'U0TOCSIN01');
  });

  it('clicks, modals and commands have the types that its handlers are promised', async () => {
    const checks = payloads.map((p) => payloadOf(...p));
    const [, , body] = payloads.find(([, type]) => type === 'ViewSubmitAction');
    const { bot_id, ...view } = body.view;
    assert.match(bot_id, /^B/);
    checks.push(
      { what: 'a command', type: 'SlashCommand', value: took('command').command },
      { wrong: 'a view without a bot_id', what: 'a modal', type: 'ViewSubmitAction', value: payloadOf('', 'ViewSubmitAction', { ...body, view }).value },
    );
    assert.equal(await typecheck('payloads', checks), 7);
  });

  it('refuses what another secret has signed', async () => {
    const before = handled.length;
    await world.callbacks(base, 'another secret');
    for (const verb of ['click', 'command', 'event']) {
      const answer = await world.do(verb, {
        channel: '#peers', ts: posted.ts, user: 'U0ANA', action: 'peer_button', text: 'list', payload: { type: 'event_callback', event: { type: 'app_mention' } },
      });
      assert.equal(answer.status, 401, verb);
    }
    assert.equal(handled.length, before, 'no handler has run');
  });
});

describe('Tocsin takes what an independent implementation signs', () => {
  let world, incident, message;
  const interactions = (body, headers) =>
    fetch(`${world.tocsin}/slack/interactions`, { method: 'POST', body, headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers } });
  const state = async () => (await world.incident('NodeDown on a')).state;
  const now = () => Math.floor(Date.now() / 1000);
  const click = async (action, user = 'U0BO') =>
    JSON.parse((await world.do('payload', { channel: '#incidents', ts: message.TS, user, action })).body);

  before(async () => {
    world = await startWorld();
    await world.fire(alert('NodeDown', 'a', 'critical'));
    incident = await world.until('the incident opens', () => world.incident('NodeDown on a'));
    message = await world.message('#incidents', incident);
  });
  after(() => world?.stop());

  it('refuses what is forged, stale, of a time to come, or changed on the way', async () => {
    const body = form(await click('tocsin_acknowledge'));
    const { 'X-Slack-Signature': signature, ...stamp } = sign(world.signingSecret, body);
    for (const [what, headers, sent = body] of [
      ['another secret', sign('canary31b10e8888abcd99yyyzzz85a6', body)],
      ['stale', sign(world.signingSecret, body, now() - 310)],
      ['of a time to come', sign(world.signingSecret, body, now() + 310)],
      ['unsigned', {}],
      ['no signature', stamp],
      ['another version', { ...stamp, 'X-Slack-Signature': signature.replace('v0=', 'v1=') }],
      ['another time', { 'X-Slack-Request-Timestamp': String(now() - 1), 'X-Slack-Signature': signature }],
      ['changed', { ...stamp, 'X-Slack-Signature': signature }, body.replace('U0BO', 'U0CY')],
    ]) {
      assert.equal((await interactions(sent, headers)).status, 401, what);
      assert.equal(await state(), 'triggered', what);
    }
  });

  it('acts on what is signed by the documentation, once', async () => {
    const body = form(await click('tocsin_acknowledge'));
    const headers = sign(world.signingSecret, body);
    assert.equal((await interactions(body, headers)).status, 200);
    assert.equal(await state(), 'acknowledged');
    assert.equal((await world.incident('NodeDown on a')).acknowledgedBy, 'bo');
    assert.equal((await interactions(body, headers)).status, 401, 'the same request again');
    const events = await fetch(`${world.tocsin}/slack/events`, (() => {
      const challenge = JSON.stringify({ type: 'url_verification', challenge: 'c-1', token: 't' });
      return { method: 'POST', body: challenge, headers: { 'Content-Type': 'application/json', ...sign(world.signingSecret, challenge) } };
    })());
    assert.equal(await events.text(), 'c-1');
  });

  it("is of one mind with bolt's own verifier", async () => {
    const body = form({ type: 'block_actions', team: { id: 'T0TOCSIN01' } });
    const at = now();
    for (const [what, secret, time, valid] of [
      ['as it should be', world.signingSecret, at, true],
      ['another secret', 'another', at, false],
      ['stale', world.signingSecret, at - 310, false],
    ]) {
      const signed = sign(secret, body, time);
      const options = {
        signingSecret: world.signingSecret, body,
        headers: { 'x-slack-signature': signed['X-Slack-Signature'], 'x-slack-request-timestamp': time },
      };
      assert.equal(isValidSlackRequest(options), valid, what);
      // A payload that is no click of ours is refused as such, once its signature holds.
      assert.equal((await interactions(body, signed)).status, valid ? 400 : 401, what);
    }
  });
});
