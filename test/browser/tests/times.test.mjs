// Times, for somebody who does not live by UTC: New York's clock is neither the
// server's nor the schedule's.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { fill, pages, violations } from '../lib/look.mjs';
import { start } from '../lib/world.mjs';

const timezoneId = 'America/New_York';
const clock = { timeZone: timezoneId, hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit' };

/** An instant as New York's pages show it, but for the zone. */
function newYork(iso, look = clock) {
  const p = Object.fromEntries(new Intl.DateTimeFormat('en-US', look).formatToParts(new Date(iso)).map(({ type, value }) => [type, value]));
  return `${p.year}-${p.month}-${p.day} ${p.hour}:${p.minute}:${p.second}`;
}
const onUTC = (iso) => `${iso.slice(0, 19).replace('T', ' ')} UTC`;

describe('times', () => {
  let stage, bo, what, list;
  before(async () => {
    stage = await start();
    what = await fill(stage);
    bo = await stage.person('bo', { timezoneId });
    list = await pages(bo, what);
  });
  after(() => stage?.stop());

  /** The times of a page: [datetime, what is read, the title, on a schedule's clock]. */
  const times = (page) => page.$$eval('time', (all) => all.map((e) => [e.getAttribute('datetime'), e.textContent, e.title, 'own' in e.dataset]));

  const choose = (which) => bo.locator(`[data-times=${which}]`).click();

  it('are on the clock of whoever looks, on every page, with UTC beside it', async () => {
    let converted = 0;
    for (const path of Object.values(list)) {
      await bo.goto(path);
      for (const [at, text, title, own] of await times(bo)) {
        if (own) {
          assert.match(text, / CES?T$/, `${path}: a schedule keeps its own clock`);
          assert.match(title, / E[SD]T$/, `${path}: what that is here`);
          continue;
        }
        const seconds = /:\d\d:\d\d /.test(text);
        assert.ok(text.includes(seconds ? newYork(at) : newYork(at).slice(0, 16)), `${path}: ${at} is shown as ${text}`);
        assert.match(text, / E[SD]T$/, path);
        assert.ok(title.includes(seconds ? onUTC(at) : onUTC(at).slice(0, 16)), `${path}: ${at} has the title ${title}`);
        converted++;
      }
    }
    assert.ok(converted > 100, `${converted} times`);
    assert.deepEqual(bo.problems, [], 'the browser complains of nothing');
  });

  it('tell how long ago when pointed at', async () => {
    await bo.goto(`/incidents/${what.east.id}`);
    const opened = bo.locator('#facts time').first();
    await opened.hover();
    assert.match(await opened.getAttribute('title'), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, (less than 1m|\d+m) ago$/);
    await bo.locator('h1').hover();
    assert.match(await opened.getAttribute('title'), /UTC$/);
  });

  it('are in UTC where that is chosen, by keyboard, which is remembered', async () => {
    await bo.goto(`/incidents/${what.east.id}`);
    const here = bo.getByRole('group', { name: 'Times' }).getByRole('button', { name: /^E[SD]T America\/New_York$/ });
    const utc = bo.getByRole('group', { name: 'Times' }).getByRole('button', { name: 'UTC', exact: true });
    assert.deepEqual([await here.getAttribute('aria-pressed'), await utc.getAttribute('aria-pressed')], ['true', 'false']);
    await utc.focus();
    await bo.keyboard.press('Enter');
    const inUTC = async () => {
      assert.deepEqual([await here.getAttribute('aria-pressed'), await utc.getAttribute('aria-pressed')], ['false', 'true']);
      for (const [at, text, title] of await times(bo)) {
        assert.equal(text, onUTC(at));
        assert.match(title, / E[SD]T$/);
      }
    };
    await inUTC();
    assert.deepEqual(await violations(bo), []);
    await bo.reload();
    await inUTC();
    await bo.goto('/');
    await inUTC();
    await bo.locator('body').press('u');
    assert.equal(await here.getAttribute('aria-pressed'), 'true', 'and back with a key');
    await bo.reload();
    assert.match(await bo.locator('footer time').innerText(), / E[SD]T$/);
    assert.equal(await bo.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0);
  });

  it('that come later are shown so too, and what has not changed is left alone', async () => {
    await bo.goto(`/incidents/${what.west.id}`);
    await bo.evaluate(() => { document.querySelector('#alerts').kept = true; });
    const before = await bo.locator('#timeline time').count();
    await stage.post(`/api/v1/incidents/${what.west.id}/snooze`, { until: new Date(Date.now() + 7_200_000).toISOString() });
    await bo.waitForFunction((n) => document.querySelectorAll('#timeline time').length > n, before);
    await bo.locator('#timeline', { hasText: /snoozed by bo until/ }).waitFor();
    for (const text of await bo.locator('main time').allInnerTexts()) assert.match(text, / E[SD]T$/);
    assert.doesNotMatch(await bo.locator('#timeline').innerText(), /UTC/, 'nor in sentences');
    assert.ok(await bo.locator('#alerts time').count() > 0);
    assert.equal(await bo.evaluate(() => document.querySelector('#alerts').kept), true, 'a part with times that are the same is not put in anew');
  });

  it('of a schedule stay on its clock: what is dragged and typed is what is made', async () => {
    await bo.goto('/oncall');
    assert.match(await bo.locator('h2', { hasText: 'primary' }).innerText(), /in Europe\/Madrid/);
    const svg = bo.locator('svg.timeline').first();
    const [first, last] = await svg.evaluate((e) => [Date.parse(e.dataset.from), Date.parse(e.dataset.to)]);
    const box = await svg.boundingBox();
    await bo.mouse.move(box.x + box.width * .4, box.y + box.height / 2);
    await bo.mouse.down();
    await bo.mouse.move(box.x + box.width * .6, box.y + box.height / 2, { steps: 4 });
    await bo.mouse.up();
    const quarter = 900_000;
    const want = [.4, .6].map((part) => Math.round((first + (last - first) * part) / quarter) * quarter);
    assert.match(await bo.locator('label[for=override-from]').innerText(), /in Europe\/Madrid/);
    const hint = await bo.locator('#override [data-here]').innerText();
    for (const ms of want) assert.ok(hint.includes(newYork(ms).slice(0, 16)), `${hint} tells ${newYork(ms)}`);
    assert.match(hint, /^Where you are that is from .* E[SD]T to .* E[SD]T$/);
    assert.deepEqual(await violations(bo), []);
    await bo.locator('#override-user').fill('ana');
    await bo.locator('#override-comment').fill('Dragged in New York');
    await bo.getByRole('button', { name: 'Make the override' }).click();
    await bo.getByText('The override is made.').waitFor();
    const made = async (comment) => (await stage.get('/api/v1/overrides')).overrides.find((o) => o.comment === comment);
    const dragged = await made('Dragged in New York');
    assert.ok(Math.abs(Date.parse(dragged.from) - want[0]) <= quarter && Math.abs(Date.parse(dragged.to) - want[1]) <= quarter, JSON.stringify(dragged));
    assert.ok(hint.includes(newYork(dragged.from).slice(0, 16)) && hint.includes(newYork(dragged.to).slice(0, 16)), 'what was told is what was made');
    assert.match(await bo.locator('#override-list li', { hasText: 'Dragged' }).innerText(), / CES?T to /);

    await bo.locator('#override > summary').click();
    await bo.locator('#override-user').fill('bo');
    await bo.locator('#override-from').fill('2031-10-25T09:00');
    await bo.locator('#override-to').fill('2031-10-26T02:30');
    await bo.locator('#override-comment').fill('Typed in New York');
    assert.equal(await bo.locator('#override [data-here]').innerText(), 'Where you are that is from Sat 2031-10-25 03:00 EDT to Sat 2031-10-25 20:30 EDT', 'of an hour that comes twice, the first');
    await choose('utc');
    assert.equal(await bo.locator('#override [data-here]').innerText(), 'In UTC that is from Sat 2031-10-25 07:00 UTC to Sun 2031-10-26 00:30 UTC');
    await choose('here');
    await bo.getByRole('button', { name: 'Make the override' }).click();
    await bo.getByText('The override is made.').waitFor();
    const typed = await made('Typed in New York');
    assert.deepEqual([typed.from, typed.to], ['2031-10-25T07:00:00Z', '2031-10-26T00:30:00Z']);
  });

  it('of a silence are typed on the clock that is shown, and hold as they were previewed', async () => {
    await bo.goto('/silences');
    await bo.locator('#new > summary').click();
    assert.match(await bo.locator('label[for=until]').innerText(), /America\/New_York/);
    await bo.locator('#matchers').fill('alertname="Nothing"');
    await bo.locator('#comment').fill('Until the summer');
    await bo.locator('#until').fill('2027-07-01T09:00');
    await choose('utc');
    assert.equal(await bo.inputValue('#until'), '2027-07-01T13:00', 'the field goes with what is shown');
    assert.match(await bo.locator('label[for=until]').innerText(), /\(UTC\)/);
    await choose('here');
    assert.equal(await bo.inputValue('#until'), '2027-07-01T09:00');
    await bo.getByRole('button', { name: 'Preview' }).click();
    await bo.getByRole('button', { name: 'Silence until 2027-07-01 09:00:00 EDT' }).waitFor();
    await bo.locator('details', { hasText: 'Change it' }).locator('summary').click();
    assert.match(await bo.inputValue('#until'), /^2027-07-01T09:00/, 'it is changed from what it was');
    await bo.locator('#until').fill('2027-07-01T10:00');
    await bo.getByRole('button', { name: 'Preview' }).click();
    await bo.getByRole('button', { name: 'Silence until 2027-07-01 10:00:00 EDT' }).waitFor();
    await bo.goBack();
    await bo.getByRole('button', { name: 'Silence until 2027-07-01 09:00:00 EDT' }).waitFor();
    assert.match(await bo.inputValue('#until'), /^2027-07-01T(09|10):00/, 'nothing is moved twice by going back');
    assert.deepEqual(await violations(bo), []);
    await bo.getByRole('button', { name: /^Silence until/ }).click();
    await bo.getByText('Silenced.').waitFor();
    const { silences } = await stage.get('/api/v1/silences');
    assert.equal(silences.find((s) => s.comment === 'Until the summer').endsAt, '2027-07-01T13:00:00Z');
    assert.match(await bo.locator('#active').innerText(), /to 2027-07-01 09:00:00 EDT/);
    await bo.goto('/silences?matchers=a%3D%22b%22&until=2027-03-14T02:30');
    await bo.locator('#until').fill('2027-03-14T02:30');
    await bo.locator('#comment').fill('In the hour that is left out');
    await bo.getByRole('button', { name: 'Preview' }).click();
    assert.match(bo.url(), /\/silences\?/, 'a time that there is not is not sent');
  });

  it('are UTC without a script, and the switch is not there; nor where UTC is the clock', async () => {
    for (const options of [{ timezoneId, javaScriptEnabled: false }, { timezoneId: 'UTC' }]) {
      const plain = await stage.person('bo', options);
      for (const path of ['/', `/incidents/${what.east.id}`, '/status', '/silences']) {
        await plain.goto(path);
        for (const [at, text] of await times(plain)) assert.equal(text, onUTC(at), path);
        assert.equal(await plain.locator('#clocks').isVisible(), false);
      }
      await plain.goto('/oncall');
      assert.match(await plain.locator('label[for=override-from]').textContent(), /in Europe\/Madrid/);
      await plain.goto('/silences');
      assert.match(await plain.locator('label[for=until]').textContent(), /\(UTC\)/);
      await plain.context().close();
    }
  });

  it('are found fault with by axe nowhere, on a narrow screen too, and hostile ones are left as they are', async () => {
    const found = [];
    for (const path of ['/', `/incidents/${what.east.id}`, '/oncall', '/silences', '/status', list['silences-preview']]) {
      await bo.goto(path);
      await bo.evaluate(() => { for (const d of document.querySelectorAll('details')) d.open = true; });
      for (const width of [1280, 360]) {
        await bo.setViewportSize({ width, height: 800 });
        found.push(...(await violations(bo)).map((v) => `${path}, ${width} px: ${v}`));
        const over = await bo.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        if (over > 0) found.push(`${path}, ${width} px: scrolls ${over} px sideways`);
      }
    }
    assert.deepEqual(found, []);
    const left = await bo.evaluate(() => [
      ['2026-11-22T05:00:00Z', '<img src=x onerror=alert(1)> UTC'], ['x" onmouseover="alert(1)', '2026-11-22 05:00:00 UTC'], ['9999999-99-99', '2026-11-22 05:00:00 UTC'],
    ].map(([at, text]) => {
      const e = document.createElement('time');
      e.setAttribute('datetime', at);
      e.textContent = text;
      document.querySelector('main').append(e);
      times.show(document);
      return e.textContent === text && e.title === '' && !e.children.length;
    }));
    assert.deepEqual(left, [true, true, true]);
  });
});
