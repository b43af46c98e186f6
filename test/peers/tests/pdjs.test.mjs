// @pagerduty/pdjs, PagerDuty's own client, at Tocsin's door and at the emulator.
// It speaks https alone: the world has a front with a certificate of its own.
import assert from 'node:assert/strict';
import { Agent } from 'node:https';
import { connect } from 'node:tls';
import { after, before, describe, it } from 'node:test';
import pdjs from '@pagerduty/pdjs';
import { startWorld } from '../lib/world.mjs';

const { acknowledge, api, change, event, resolve, trigger } = pdjs;

describe('@pagerduty/pdjs at the PagerDuty-compatible intake', () => {
  let world, to;
  const payload = (summary, more = {}) => ({
    summary, source: 'db-1', severity: 'critical', component: 'postgres', group: 'prod', class: 'DiskFull', timestamp: new Date().toISOString(),
    custom_details: { free: 3, nested: { path: '/var' } }, ...more,
  });

  before(async () => {
    world = await startWorld();
    to = { server: world.tocsinTLS, agent: new Agent({ ca: world.certificate }) };
  });
  after(() => world?.stop());

  const about = (dedup_key, more = {}) => ({ ...to, data: { routing_key: world.routingKey, dedup_key, ...more } });

  it('trigger, acknowledge, resolve', async () => {
    const opened = await event({ ...to, data: {
      routing_key: world.routingKey, event_action: 'trigger', payload: payload('disk full'), client: 'nagios', client_url: 'https://nagios.example.com',
      links: [{ href: 'https://wiki.example.com/disk', text: 'wiki' }], images: [{ src: 'https://graphs.example.com/disk.png', alt: 'graph' }],
    } });
    assert.equal(opened.response.status, 202);
    assert.equal(opened.data.status, 'success');
    assert.equal(opened.data.message, 'Event processed');
    const key = opened.data.dedup_key;
    assert.ok(key, 'a key is made where none was sent');
    const incident = await world.incident('disk full');
    assert.equal(incident.state, 'triggered');
    assert.equal(incident.severity, 'critical');

    assert.equal((await acknowledge(about(key))).data.dedup_key, key);
    assert.equal((await world.incident('disk full')).state, 'acknowledged');
    assert.equal((await resolve(about(key))).response.status, 202);
    assert.equal((await world.incident('disk full')).state, 'resolved');
  });

  it('a trigger that is repeated opens nothing', async () => {
    const again = about('twice', { payload: payload('replica lags', { class: 'ReplicaLags' }) });
    for (let n = 0; n < 3; n++) assert.equal((await trigger(again)).response.status, 202);
    const { incidents } = await world.get('/api/v1/incidents');
    assert.equal(incidents.filter((i) => i.title === 'replica lags').length, 1);
  });

  it('a change event', async () => {
    const sent = await change({ ...to, data: {
      routing_key: world.routingKey, payload: { summary: 'deployed 1.2.3', source: 'ci', timestamp: new Date().toISOString(), custom_details: { build: '7' } },
      links: [{ href: 'https://ci.example.com/7', text: 'build' }],
    } });
    assert.equal(sent.response.status, 202);
    assert.equal(sent.data.status, 'success');
    assert.equal(sent.data.message, 'Change event processed');
    assert.deepEqual(await world.see('changes'), ['deployed 1.2.3 https://ci.example.com/7'], 'it is in the event stream');
  });

  it('refusals as PagerDuty writes them', async () => {
    for (const [what, data] of [
      ['no summary', { routing_key: world.routingKey, event_action: 'trigger', payload: payload('') }],
      ['no such severity', { routing_key: world.routingKey, event_action: 'trigger', payload: payload('x', { severity: 'fatal' }) }],
      ['no dedup_key', { routing_key: world.routingKey, event_action: 'resolve' }],
      ['an unknown key', { routing_key: 'f'.repeat(32), event_action: 'trigger', payload: payload('x') }],
    ]) {
      const refused = await event({ ...to, data });
      assert.equal(refused.response.status, 400, what);
      assert.equal(refused.data.status, 'invalid event', what);
      assert.ok(refused.data.errors.length > 0, what);
    }
  });
});

// Host is connected to the emulator whatever port it names: pdjs reads the kind of
// an answer off a URL that ends in .com.
class Emulator extends Agent {
  constructor(world) {
    super({ ca: world.certificate });
    [, this.port] = world.pagerdutyTLS.split(':');
  }

  createConnection(options, callback) {
    return connect({ ...options, host: '127.0.0.1', port: this.port }, callback);
  }
}

describe('@pagerduty/pdjs drives the emulator', () => {
  let world, pd, agent;
  const events = () => ({ server: 'events.example.com', agent });
  const key = 'a'.repeat(32);

  before(async () => {
    world = await startWorld();
    agent = new Emulator(world);
    pd = api({ token: world.apiToken, server: 'api.example.com', agent });
  });
  after(() => world?.stop());

  it('events', async () => {
    const data = { routing_key: key, dedup_key: 'd-1', event_action: 'trigger', payload: { summary: 's', source: 'x', severity: 'error' } };
    assert.equal((await event({ ...events(), data })).data.dedup_key, 'd-1');
    await acknowledge({ ...events(), data });
    assert.deepEqual((await world.see('pages')).map((i) => i.Status), ['acknowledged']);
    await resolve({ ...events(), data });
    assert.deepEqual((await world.see('pages')).map((i) => i.Status), ['resolved']);
    const refused = await event({ ...events(), data: { ...data, payload: undefined } });
    assert.equal(refused.response.status, 400);
    assert.deepEqual(refused.data.errors, ["'payload' is missing or blank"]);
  });

  it('the REST API: incidents, notes, abilities', async () => {
    for (let n = 2; n < 40; n++) {
      await trigger({ ...events(), data: { routing_key: key, dedup_key: `d-${n}`, payload: { summary: `s${n}`, source: 'x', severity: 'critical' } } });
    }
    const open = await pd.get('/incidents', { queryParameters: { 'statuses[]': ['triggered', 'acknowledged'], limit: '10' } });
    assert.equal(open.resource.length, 10);
    assert.equal(open.data.more, true);
    const all = await pd.all('/incidents', { queryParameters: { 'statuses[]': ['triggered', 'acknowledged'] } });
    assert.equal(all.resource.length, 38, "the client's own paging finds all");
    assert.equal(new Set(all.resource.map((i) => i.id)).size, 38);

    const { id } = open.resource[0];
    const one = await pd.get(`/incidents/${id}`);
    assert.equal(one.data.incident.id, id);
    const note = await pd.post(`/incidents/${id}/notes`, { data: { note: { content: 'looked at' } }, headers: { From: 'ana@example.com' } });
    assert.equal(note.response.status, 201);
    assert.equal(note.data.note.content, 'looked at');
    assert.ok((await pd.get('/abilities')).resource.includes('teams'));
    assert.deepEqual((await pd.get('/webhook_subscriptions')).data.webhook_subscriptions, []);
  });

  it('who is on call, page by page', async () => {
    const all = await pd.all('/oncalls', { queryParameters: { 'include[]': ['users'] } });
    assert.equal(all.resource.length, 30);
    assert.equal(all.resource[0].user.type, 'user');
    assert.equal(all.resource[0].escalation_policy.type, 'escalation_policy_reference');
  });

  it('refusals', async () => {
    const stranger = await api({ token: 'wrong', server: 'api.example.com', agent, endpoint: '/incidents' });
    assert.equal(stranger.response.status, 401);
    const none = await pd.get('/incidents/QNONE');
    assert.equal(none.response.status, 404);
    assert.equal(none.data.error.code, 2100);
  });
});
