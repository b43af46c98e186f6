// @slack/web-api, Slack's own client, drives the emulator of Slack.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import slack from '@slack/web-api';
import { answerOf, typecheck } from '../lib/types.mjs';
import { silent, startWorld } from '../lib/world.mjs';

const { ErrorCode, WebClient, WebClientEvent, retryPolicies } = slack;

describe('@slack/web-api drives the emulator', () => {
  let world, client, channel;
  const connect = (token, options = {}) =>
    new WebClient(token, { slackApiUrl: `${world.slack}/api/`, logger: silent, retryConfig: retryPolicies.rapidRetryPolicy, ...options });
  const refused = (promise, code) =>
    assert.rejects(promise, (err) => {
      assert.equal(err.code, ErrorCode.PlatformError, String(err));
      assert.equal(err.data.ok, false);
      assert.equal(err.data.error, code);
      return true;
    });

  before(async () => {
    world = await startWorld();
    client = connect(world.peerToken);
    const { channels } = await client.conversations.list({ exclude_archived: true });
    channel = channels.find((c) => c.name === 'peers').id;
  });
  after(() => world?.stop());

  it('says who it is', async () => {
    const me = await client.auth.test();
    assert.match(me.team_id, /^T/);
    assert.match(me.user_id, /^U/);
    assert.match(me.bot_id, /^B/);
    assert.equal(me.is_enterprise_install, false);
    assert.equal((await client.api.test()).ok, true);
  });

  it('posts, replies, updates, reacts and deletes', async () => {
    const blocks = [
      { type: 'header', text: { type: 'plain_text', text: 'NodeDown' } },
      { type: 'section', text: { type: 'mrkdwn', text: '*a* is down' }, accessory: { type: 'button', action_id: 'x', text: { type: 'plain_text', text: 'X' } } },
      { type: 'divider' },
      { type: 'context', elements: [{ type: 'mrkdwn', text: 'since now' }] },
    ];
    const metadata = { event_type: 'peer', event_payload: { incident: '1', nested: { deep: [1, 2] } } };
    const posted = await client.chat.postMessage({ channel: '#peers', text: 'a <b> & "c"', blocks, metadata, unfurl_links: false });
    assert.equal(posted.channel, channel);
    assert.equal(posted.message.text, 'a <b> & "c"');
    assert.deepEqual(posted.message.blocks, blocks);

    const reply = await client.chat.postMessage({ channel, thread_ts: posted.ts, reply_broadcast: true, text: 'in the thread' });
    assert.equal(reply.message.thread_ts, posted.ts);
    const updated = await client.chat.update({ channel, ts: posted.ts, text: 'changed', attachments: [{ color: '#aa0000', fallback: 'f', text: 't' }] });
    assert.equal(updated.ts, posted.ts);

    const history = await client.conversations.history({ channel, include_all_metadata: true, limit: 10 });
    const seen = history.messages.find((m) => m.ts === posted.ts);
    assert.equal(seen.text, 'changed');
    assert.equal(seen.reply_count, 1);
    assert.equal(seen.blocks, undefined, 'a text alone takes the blocks away');
    assert.deepEqual(seen.metadata, metadata);
    assert.equal(seen.edited.user, seen.user);
    const thread = await client.conversations.replies({ channel, ts: posted.ts });
    assert.deepEqual(thread.messages.map((m) => m.ts), [posted.ts, reply.ts]);

    await client.reactions.add({ channel, timestamp: posted.ts, name: 'eyes' });
    await refused(client.reactions.add({ channel, timestamp: posted.ts, name: 'eyes' }), 'already_reacted');
    assert.equal((await client.chat.delete({ channel, ts: reply.ts })).ts, reply.ts);
    await refused(client.chat.update({ channel, ts: reply.ts, text: 'gone' }), 'message_not_found');
    const said = await world.see('say', { channel: 'peers', user: 'U0ANA', text: 'by a person' });
    await refused(client.chat.update({ channel, ts: said, text: 'not mine' }), 'cant_update_message');
  });

  it('whispers to one person', async () => {
    const told = await client.chat.postEphemeral({ channel, user: 'U0ANA', text: 'for you' });
    assert.match(told.message_ts, /^\d+\.\d{6}$/);
    assert.deepEqual((await world.see('ephemerals', { user: 'U0ANA' })).map((e) => e.Text), ['for you']);
    await refused(client.chat.postEphemeral({ channel, user: 'U0NOBODY', text: 'x' }), 'user_not_in_channel');
  });

  it('pages through conversations with its own paginator', async () => {
    for (let n = 0; n < 7; n++) await client.chat.postMessage({ channel: `page-${n}`, text: 'x' });
    const names = [];
    for await (const page of client.paginate('conversations.list', { limit: 3 })) names.push(...page.channels.map((c) => c.name));
    assert.equal(new Set(names).size, names.length);
    for (let n = 0; n < 7; n++) assert.ok(names.includes(`page-${n}`), names.join());

    const texts = [];
    for (let n = 0; n < 5; n++) await client.chat.postMessage({ channel: 'page-0', text: `m${n}` });
    const { id } = (await client.conversations.list({ limit: 999 })).channels.find((c) => c.name === 'page-0');
    for await (const page of client.paginate('conversations.history', { channel: id, limit: 2 })) texts.push(...page.messages.map((m) => m.text));
    assert.deepEqual(texts, ['m4', 'm3', 'm2', 'm1', 'm0', 'x']);
  });

  it('opens direct messages, joins, and finds people', async () => {
    const { channel: im } = await client.conversations.open({ users: 'U0ANA' });
    assert.deepEqual(im, { id: im.id }, 'the ID alone');
    assert.match(im.id, /^D/);
    const { channel: whole } = await client.conversations.open({ users: 'U0ANA', return_im: true });
    assert.equal(whole.user, 'U0ANA');
    assert.equal(whole.name, undefined);
    assert.equal((await client.chat.postMessage({ channel: 'U0ANA', text: 'hello' })).channel, im.id);
    assert.equal((await client.conversations.info({ channel: im.id })).channel.is_im, true);
    await refused(client.conversations.open({ users: 'U0NOBODY' }), 'user_not_found');

    const { channels } = await client.conversations.list();
    const elsewhere = channels.find((c) => c.name === 'elsewhere');
    assert.equal(elsewhere.is_member, false);
    await refused(client.chat.postMessage({ channel: elsewhere.id, text: 'x' }), 'not_in_channel');
    assert.equal((await client.conversations.join({ channel: elsewhere.id })).channel.is_member, true);
    await client.chat.postMessage({ channel: elsewhere.id, text: 'x' });

    const { user } = await client.users.info({ user: 'U0ANA' });
    assert.equal(user.profile.email, 'ana@example.com');
    assert.equal(user.tz, 'Europe/Madrid');
    assert.equal((await client.users.lookupByEmail({ email: 'bo@example.com' })).user.id, 'U0BO');
    await refused(client.users.lookupByEmail({ email: 'nobody@example.com' }), 'users_not_found');
    await refused(client.users.info({ user: 'U0NOBODY' }), 'user_not_found');

    assert.deepEqual((await client.usergroups.list()).usergroups.map((g) => [g.handle, g.users, g.user_count]), [['oncall', undefined, undefined]]);
    const [counted] = (await client.usergroups.list({ include_users: true, include_count: true })).usergroups;
    assert.deepEqual([counted.users.length, counted.user_count], [1, 1], 'as Tocsin has it');
    await client.usergroups.users.update({ usergroup: 'S0ONCALL', users: 'U0ANA,U0BO' });
    assert.deepEqual((await client.usergroups.users.list({ usergroup: 'S0ONCALL' })).users, ['U0ANA', 'U0BO']);
    await refused(client.usergroups.users.list({ usergroup: 'S0NONE' }), 'no_such_subteam');
  });

  it('opens, updates and publishes views', async () => {
    const modal = {
      type: 'modal', callback_id: 'note', private_metadata: 'p', title: { type: 'plain_text', text: 'Note' }, submit: { type: 'plain_text', text: 'Add' },
      blocks: [{ type: 'input', block_id: 'text', label: { type: 'plain_text', text: 'Note' }, element: { type: 'plain_text_input', action_id: 'text' } }],
    };
    const trigger_id = await world.see('trigger', { user: 'U0ANA' });
    const { view } = await client.views.open({ trigger_id, view: modal });
    assert.match(view.id, /^V/);
    assert.equal(view.callback_id, 'note');
    await refused(client.views.open({ trigger_id, view: modal }), 'exchanged_trigger_id');
    await refused(client.views.open({ trigger_id: 'none', view: modal }), 'invalid_trigger_id');
    await client.views.update({ view_id: view.id, view: { ...modal, title: { type: 'plain_text', text: 'Changed' } } });
    assert.equal((await world.see('view', { user: 'U0ANA' })).Title, 'Changed');
    await refused(client.views.update({ view_id: 'V0NONE', view: modal }), 'not_found');

    const home = await client.views.publish({ user_id: 'U0ANA', view: { type: 'home', blocks: [{ type: 'divider' }] } });
    assert.equal(home.view.type, 'home');

    const late = await world.see('trigger', { user: 'U0ANA' });
    const wrong = { ...modal, title: { type: 'plain_text', text: 'x'.repeat(25) } };
    await assert.rejects(client.views.open({ trigger_id: late, view: wrong }), (err) => {
      assert.equal(err.data.error, 'invalid_arguments');
      assert.match(err.data.response_metadata.messages.join(), /title/, 'the client is told where');
      return true;
    });
  });

  it('parses every refusal', async () => {
    await refused(client.chat.postMessage({ channel: 'C0NONE', text: 'x' }), 'channel_not_found');
    await refused(client.chat.postMessage({ channel: '#archived', text: 'x' }), 'is_archived');
    await refused(client.chat.postMessage({ channel, text: '' }), 'no_text');
    await refused(client.chat.postMessage({ channel, text: 'x', blocks: [{ type: 'section' }] }), 'invalid_blocks');
    await refused(client.conversations.history({ channel: 'C0NONE' }), 'channel_not_found');
    await refused(client.conversations.replies({ channel, ts: '1.000000' }), 'thread_not_found');
    await refused(client.apiCall('no.such.method'), 'unknown_method');
    await refused(connect('xoxb-unknown').auth.test(), 'invalid_auth');
    await refused(connect(world.revokedToken).auth.test(), 'token_revoked');
    await refused(connect(undefined).auth.test(), 'not_authed');
    await assert.rejects(connect(world.narrowToken).users.info({ user: 'U0ANA' }), (err) => {
      assert.equal(err.data.error, 'missing_scope');
      assert.equal(err.data.needed, 'users:read');
      assert.equal(err.data.provided, 'chat:write,channels:read');
      return true;
    });
  });

  it('waits as a 429 says, and goes on', async () => {
    await world.do('fault', { method: 'chat.postMessage', status: 429, retryAfter: 1, count: 1 });
    let waited;
    client.once(WebClientEvent.RATE_LIMITED, (seconds) => { waited = seconds; });
    const began = Date.now();
    const posted = await client.chat.postMessage({ channel, text: 'after the wait' });
    assert.equal(posted.ok, true);
    assert.equal(waited, 1);
    assert.ok(Date.now() - began >= 950, 'it waited');

    await world.do('fault', { method: 'chat.postMessage', status: 429, retryAfter: 30, count: 1 });
    await assert.rejects(connect(world.peerToken, { rejectRateLimitedCalls: true }).chat.postMessage({ channel, text: 'x' }), (err) => {
      assert.equal(err.code, ErrorCode.RateLimitedError);
      assert.equal(err.retryAfter, 30);
      return true;
    });
  });

  it('repeats what a 503 refused', async () => {
    await world.do('fault', { method: 'chat.update', status: 503, count: 2 });
    const { ts } = await client.chat.postMessage({ channel, text: 'x' });
    assert.equal((await client.chat.update({ channel, ts, text: 'y' })).text, 'y');
  });

  it("answers with nothing that the client's types do not know", async (t) => {
    const answered = (await world.see('peers-sent')).filter((c) => c.answer.startsWith('{') && c.method !== 'api.test' && JSON.parse(c.answer).ok);
    const checks = answered.map(answerOf);
    for (const { what, value } of checks) {
      // Two that Slack documents, and the samples that the types are made from lack.
      if (what.endsWith('conversations.info') && value.channel.is_im) delete value.channel.user;
      if (what.endsWith('conversations.replies')) for (const m of value.messages) if (m.subtype === 'thread_broadcast') delete m.subtype;
    }
    const different = await typecheck('answers', checks);
    t.diagnostic(`${different} different answers of ${answered.length} fit: ${[...new Set(answered.map((c) => c.method))].sort().join(', ')}`);
  });
});
