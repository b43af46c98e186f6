// From the page to resolved: two people with a browser each, and Slack.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { nodeDown, seen, start } from '../lib/world.mjs';

// What has to be seen within a second is given more on a machine that is busy; what
// it took is printed.
const bound = 5000;

describe('the story', () => {
  let stage, ana, bo;
  before(async () => {
    stage = await start();
    ana = await stage.person('ana');
    bo = await stage.person('bo');
    await Promise.all([ana.goto('/'), bo.goto('/')]);
  });
  after(() => stage?.stop());

  /** Does something, and says how long it took until each sight was seen. */
  async function within(t, what, act, ...sights) {
    const waits = sights.map((sight) => sight());
    const began = Date.now();
    await act();
    const took = (await Promise.all(waits)).map((at) => at - began);
    t.diagnostic(`${what}: seen after ${took.join(' and ')} ms`);
    for (const one of took) assert.ok(one < bound, `${what}: seen after ${one} ms, not within ${bound} ms`);
  }

  it('is told by two browsers and Slack, which stay in step', async (t) => {
    const title = 'Node node-east-1 is down';
    stage.nodes.crash('node-east-1');
    const alert = nodeDown('node-east-1');
    await within(t, 'a page comes in', () => stage.fire(alert), () => seen(ana, '#list a', title), () => seen(bo, '#list a', title));
    const incident = await stage.incident(title);
    await stage.slack(incident, /Triggered/);
    await stage.run(incident, 'proposed');

    await ana.keyboard.press('j');
    await within(t, 'acknowledged by a key', () => ana.keyboard.press('a'),
      () => seen(bo, '#list .state', 'acknowledged by ana'), () => seen(ana, '#list .state', 'acknowledged by ana'));
    await stage.slack(incident, /Acknowledged/);

    await Promise.all([ana, bo].map((page) => page.goto(`/incidents/${incident.id}`)));
    await within(t, 'a step ticked', () => bo.locator('#steps > ol > li').first().getByRole('button', { name: /^Done/ }).click(), () => seen(ana, '#steps li', 'done by bo'));
    await stage.slack(incident, /1 of \d/);

    await ana.getByRole('link', { name: /Look and answer/ }).click();
    const running = [seen(ana, '#output', 'asking the supervisor'), seen(bo, '#remedies', 'verified')];
    await within(t, 'a remedy approved', () => ana.getByRole('button', { name: /^Approve/ }).click(), () => seen(ana, '#log', 'approved'));
    const [first] = await Promise.all(running);
    assert.equal(new URL(ana.url()).pathname.startsWith('/remediations/'), true, 'the page of the run');
    const last = await seen(ana, '#output', 'node-east-1 was restarted');
    assert.ok(last > first, 'the output was seen as it came');
    await seen(ana, '#run', 'verified');
    assert.ok(stage.nodes.runs('node-east-1'), 'it was really restarted');
    await stage.slack(incident, /verified/);

    await ana.goto(`/incidents/${incident.id}`);
    const resolved = { ...alert, status: 'resolved', endsAt: new Date().toISOString() };
    await within(t, 'it resolves', () => stage.fire(resolved), () => seen(ana, '#status', 'resolved'), () => seen(bo, '#status', 'resolved'));
    await stage.slack(incident, /Resolved/);
    await ana.goto('/');
    assert.equal(await ana.getByText(title).count(), 0, 'it is no longer in the list of open ones');
    assert.deepEqual([...ana.problems, ...bo.problems], [], 'the browsers complain of nothing');
  });
});
