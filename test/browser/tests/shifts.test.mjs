// Schedules and silences, as people change them with a mouse, with the keyboard and
// without a script.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { violations } from '../lib/look.mjs';
import { nodeDown, start } from '../lib/world.mjs';

describe('schedules and silences', () => {
  let stage, ana, bo;
  before(async () => {
    stage = await start();
    ana = await stage.person('ana');
    bo = await stage.person('bo');
  });
  after(() => stage?.stop());

  /** Drags over the timeline, from one part of its width to another. */
  async function drag(page, from, to) {
    const box = await page.locator('svg.timeline').first().boundingBox();
    const y = box.y + box.height / 2;
    await page.mouse.move(box.x + box.width * from, y);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * (from + to) / 2, y, { steps: 4 });
    assert.equal(await page.locator('.timeline .chosen').count(), 1, 'what is chosen is seen');
    await page.mouse.move(box.x + box.width * to, y, { steps: 4 });
    await page.mouse.up();
    assert.equal(await page.locator('.timeline .chosen').count(), 0);
  }

  /** The part of the drawing that a shift changed by an override takes: [from, to]. */
  const changed = (page) => page.$$eval('svg.timeline rect.changed', (rects) => rects.map((r) => {
    const { width } = r.ownerSVGElement.viewBox.baseVal;
    return [r.x.baseVal.value / width, (r.x.baseVal.value + r.width.baseVal.value) / width];
  }));

  const near = (got, want, what) => assert.ok(Math.abs(got - want) < .01, `${what}: ${got}, not ${want}`);

  it('an override is dragged over the timeline, made, and seen there', async () => {
    await bo.goto('/oncall');
    assert.deepEqual(await changed(bo), []);
    await drag(bo, .6, .4); // backwards, too
    const [from, to] = [await bo.inputValue('#override-from'), await bo.inputValue('#override-to')];
    assert.match(from, /^\d{4}-\d\d-\d\dT\d\d:(00|15|30|45)$/);
    assert.ok(from < to, `${from} to ${to}`);
    assert.equal(await bo.evaluate(() => document.activeElement.id), 'override-user', 'who is asked next');
    await bo.keyboard.type('ana');
    await bo.locator('#override-comment').fill('Moving house');
    await bo.getByRole('button', { name: 'Make the override' }).click();
    await bo.getByText('The override is made.').waitFor();
    const bars = await changed(bo);
    assert.ok(bars.length > 0, 'it is outlined');
    near(Math.min(...bars.map(([x]) => x)), .4, 'where it begins');
    near(Math.max(...bars.map(([, x]) => x)), .6, 'where it ends');
    const { overrides } = await stage.get('/api/v1/overrides');
    assert.equal(overrides[0].user, 'ana');
    await bo.locator('#override-list').getByRole('button', { name: /^Cancel/ }).click();
    await bo.getByText('The override is cancelled.').waitFor();
    assert.deepEqual(await changed(bo), []);
  });

  it('a click alone chooses nothing', async () => {
    await bo.goto('/oncall');
    await bo.locator('svg.timeline').first().click();
    assert.equal(await bo.locator('#override').getAttribute('open'), null);
    assert.equal(await bo.inputValue('#override-from'), '');
  });

  it('an override is made by keyboard alone', async () => {
    await bo.goto('/oncall');
    await bo.locator('#override > summary').focus();
    await bo.keyboard.press('Enter');
    const typed = { 'override-user': 'ana', 'override-comment': 'By keyboard' };
    const at = (days) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 16);
    for (let stops = 0; stops < 60; stops++) {
      await bo.keyboard.press('Tab');
      const { id, text } = await bo.evaluate(() => ({ id: document.activeElement.id, text: document.activeElement.textContent }));
      if (typed[id]) await bo.keyboard.type(typed[id]);
      // how a field for a time is typed into is the browser's, and the language's
      for (const [field, days] of [['override-from', 2], ['override-to', 3]]) {
        if (id === field && !await bo.inputValue(`#${field}`)) await bo.locator(`#${field}`).fill(at(days));
      }
      if (text === 'Make the override') break;
    }
    await bo.keyboard.press('Enter');
    await bo.getByText('The override is made.').waitFor();
    assert.match(await bo.locator('#override-list').innerText(), /ana takes over on primary[^]*By keyboard/);
  });

  it('a swap is asked for without a script, and accepted by the other one', async () => {
    const plain = await stage.person('ana', { javaScriptEnabled: false });
    await plain.goto('/oncall');
    await plain.locator('#swap > summary').click();
    assert.equal(await plain.inputValue('#swap-replaces'), 'ana', 'one asks for oneself');
    await plain.locator('#swap-user').fill('bo');
    await plain.locator('#swap-from').fill('2099-01-05T10:00');
    await plain.locator('#swap-to').fill('2099-01-06T10:00');
    await plain.locator('#swap-comment').fill('Concert');
    await plain.getByRole('button', { name: 'Ask', exact: true }).click();
    assert.match(await plain.locator('main').innerText(), /The swap is asked for/);
    assert.equal(await plain.getByRole('button', { name: /^Accept/ }).count(), 0, 'one does not answer oneself');
    await plain.context().close();
    await bo.goto('/oncall');
    assert.deepEqual(await violations(bo), []);
    await bo.getByRole('button', { name: /^Accept/ }).click();
    await bo.getByText('Accepted: the shift is yours.').waitFor();
    const { overrides } = await stage.get('/api/v1/overrides');
    assert.equal(overrides.find((o) => o.kind === 'swap').state, 'active');
  });

  it('somebody is away from all schedules, and the gap is seen', async () => {
    await ana.goto('/oncall');
    await ana.locator('#timeoff > summary').click();
    assert.equal(await ana.inputValue('#timeoff-user'), 'ana');
    await ana.locator('#timeoff-from').fill('2098-12-01T00:00');
    await ana.locator('#timeoff-to').fill('2098-12-08T00:00');
    await ana.getByRole('button', { name: 'Enter the time off' }).click();
    await ana.getByText('The time off is entered, for all schedules.').waitFor();
    assert.match(await ana.locator('#override-list').innerText(), /ana is away on all schedules/);
  });

  it('a silence is looked at, confirmed where it hides much, extended and expired', async () => {
    for (const n of [1, 2, 3]) await stage.fire(nodeDown(`node-north-${n}`));
    await stage.incident('node-north-3');
    await bo.goto('/silences');
    await bo.locator('#new > summary').click();
    await bo.locator('#matchers').fill('alertname="NodeDown"');
    await bo.locator('#comment').fill('The network is rebuilt');
    await bo.getByRole('button', { name: 'Preview' }).click();
    await bo.getByText('Now it would hide 3 firing alerts of 3 incidents.').waitFor();
    assert.deepEqual((await stage.get('/api/v1/silences')).silences, [], 'looking makes nothing');
    assert.deepEqual(await violations(bo), []);
    const confirm = bo.getByRole('button', { name: /^Silence until/ });
    await confirm.click();
    assert.match(bo.url(), /preview/, 'so much is not hidden by the way');
    await bo.getByRole('checkbox', { name: /Yes: hide 3 alerts of the 3 that fire/ }).check();
    await confirm.click();
    await bo.getByText('Silenced.').waitFor();
    await bo.locator('#active', { hasText: 'Holds back 3 alerts now.' }).waitFor();
    const [before] = (await stage.get('/api/v1/silences')).silences;
    await bo.locator('#active select').selectOption('4h');
    await bo.getByRole('button', { name: /^Extend/ }).click();
    await bo.getByText('Extended; it is yours now.').waitFor();
    const [longer] = (await stage.get('/api/v1/silences')).silences;
    assert.equal(Date.parse(longer.endsAt) - Math.floor(Date.parse(before.endsAt) / 1000) * 1000, 4 * 3_600_000);
    await bo.getByRole('button', { name: /^Expire/ }).click();
    await bo.getByText('Expired: what it held back and still fires pages.').waitFor();
    await bo.locator('#active', { hasText: 'None' }).waitFor();
    await bo.locator('#over > summary').click();
    await bo.getByRole('link', { name: /^Again/ }).click();
    await bo.waitForURL(/matchers=/);
    assert.equal(await bo.inputValue('#matchers'), 'alertname="NodeDown"', 'it is begun from again');
  });

  it('a token is made, shown once, and revoked', async () => {
    await bo.goto('/system/access');
    await bo.locator('#new-token > summary').click();
    await bo.locator('#t-name').fill('ci');
    await bo.getByRole('button', { name: 'Make the token' }).click();
    const secret = (await bo.locator('#secret').innerText()).trim();
    assert.match(secret, /^tocsin_[A-Z2-7]{59}$/);
    assert.ok(!bo.url().includes(secret));
    assert.deepEqual(await violations(bo), []);
    const me = () => fetch(`${stage.url}/api/v1/me`, { headers: { Authorization: `Bearer ${secret}` } });
    assert.equal((await (await me()).json()).name, 'ci');
    await bo.reload(); // the form is sent once more
    await bo.getByText('No other one was made.').waitFor();
    assert.ok(!(await bo.content()).includes(secret));
    assert.deepEqual(await violations(bo), []);
    await bo.goto('/system/access');
    assert.ok(!(await bo.content()).includes(secret), 'it is not shown again');
    await bo.getByText(/^Revoke/).first().click();
    await bo.getByRole('button', { name: /^Revoke it now/ }).click();
    await bo.getByText('The token is revoked.').waitFor();
    assert.equal((await me()).status, 401);
    await bo.goto('/system/audit');
    assert.match(await bo.locator('.events').innerText(), /revoked the token/);
    await bo.getByRole('button', { name: 'Verify now' }).click();
    await bo.getByText('✓ it fits').waitFor();
    assert.deepEqual([...ana.problems, ...bo.problems], [], 'the browsers complain of nothing');
  });
});
