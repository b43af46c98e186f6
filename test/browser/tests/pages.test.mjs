// Each page, as those see it who see badly, at night, on a phone, without a script or
// with a keyboard alone.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fill, hostile, looks, markup, pages, violations } from '../lib/look.mjs';
import { seen, start } from '../lib/world.mjs';

// $IMAGES is a folder that is to hold pictures of the pages.
const images = process.env.IMAGES;
const pictured = ['incidents', 'incident', 'plan', 'remediation', 'remediations', 'runbooks', 'runbook', 'runbooks-coverage', 'oncall', 'silences', 'silences-preview', 'insights', 'system', 'system-audit', 'system-access', 'why', 'status', 'login'];

// What is answered where it is not 200.
const statuses = { missing: 404, nowhere: 404, 'incidents-filter': 400 };

async function picture(page, list) {
  await mkdir(images, { recursive: true });
  await page.setViewportSize({ width: 1060, height: 760 });
  for (const [name, path] of Object.entries(list).filter(([name]) => pictured.includes(name))) {
    await page.goto(path);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: join(images, `${name}-${colorScheme}.png`) });
    }
  }
}

describe('the pages', () => {
  let stage, page, what, list;
  before(async () => {
    stage = await start();
    page = await stage.person('bo');
    what = await fill(stage);
    if (images) await picture(page, await pages(page, what));
    what.hostile = await hostile(stage);
    list = await pages(page, what);
  });
  after(() => stage?.stop());

  it('have nothing that axe finds fault with, light and dark, wide and narrow, and do not scroll sideways', async (t) => {
    const found = [];
    for (const [name, path] of Object.entries(list)) {
      const status = (await page.goto(path)).status();
      if (status !== (statuses[name] ?? 200)) found.push(`${path}: HTTP ${status}`);
      await page.evaluate(() => { for (const d of document.querySelectorAll('details')) d.open = true; });
      for (const [scheme, width] of looks) {
        await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
        await page.setViewportSize({ width, height: 800 });
        const at = `${path}, ${scheme}, ${width} px`;
        found.push(...(await violations(page)).map((v) => `${at}: ${v}`));
        const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        if (over > 0) found.push(`${at}: scrolls ${over} px sideways`);
        if ((await page.content()).includes('canary')) found.push(`${at}: there is a secret`); // it is in all of the world's
      }
    }
    t.diagnostic(`looked at ${Object.keys(list).join(', ')}`);
    assert.deepEqual(found, []);
    assert.deepEqual(page.problems, [], 'the browser complains of nothing');
  });

  it('have buttons for a thumb on a phone, and the list before the filter', async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    for (const path of ['/', `/incidents/${what.west.id}`, '/oncall', '/silences', `/remediations/${what.run.id}`]) {
      await page.goto(path);
      const small = await page.$$eval('button, .button, header nav a, select', (all) => all.filter((e) => e.checkVisibility() && !e.matches('.quiet'))
        .map((e) => [e.textContent.trim().slice(0, 40), Math.round(e.getBoundingClientRect().height)]).filter(([, height]) => height < 44));
      assert.deepEqual(small, [], path);
    }
    await page.goto('/');
    assert.ok((await page.locator('.rows > li').first().boundingBox()).y < 400, 'the first incident is on the first screen');
    assert.equal(await page.locator('#q').isVisible(), false);
    await page.locator('body').press('/');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'q', 'the key opens the filter');
    await page.goto('/?severity=critical');
    assert.equal(await page.locator('#q').isVisible(), true, 'what is filtered by is seen');
  });

  it('show what alerts say as text', async () => {
    for (const path of ['/', `/incidents/${what.hostile.id}`, `/incidents/${what.hostile.id}/beside`]) {
      await page.goto(path);
      await page.waitForLoadState();
      assert.ok((await page.locator('main').innerText()).includes('<b id="owned">') || path.endsWith('/beside'), `${path} shows it as it is`);
      assert.doesNotMatch(await page.title(), /^owned/);
      assert.equal(await page.locator('#owned, main script, main img[src=x], a[href^="javascript:"], [onerror]').count(), 0, path);
    }
    assert.ok(markup.includes('onerror'));
  });

  it('do everything without a script', async () => {
    const plain = await stage.person('bo', { javaScriptEnabled: false });
    await plain.goto(`/incidents/${what.west.id}`);
    await plain.getByRole('button', { name: 'Acknowledge' }).click();
    assert.match(await plain.locator('#status').innerText(), /acknowledged/i);
    await plain.locator('#steps > ol > li').first().getByRole('button', { name: /^Done/ }).click();
    assert.match(await plain.locator('#steps > ol > li').first().innerText(), /done by bo/);
    await plain.getByRole('link', { name: /Look and answer/ }).click();
    await plain.getByRole('button', { name: /^Approve/ }).click();
    await stage.run(what.west, 'verified');
    await plain.reload();
    assert.match(await plain.locator('#output').innerText(), /was restarted/);
    await plain.context().close();
  });

  it('say that they may be old, when the server is not heard of any more', async () => {
    const lone = await stage.person('bo');
    await lone.clock.install();
    await lone.goto('/');
    const cut = lone.locator('#cut');
    await lone.waitForResponse((r) => r.url().includes('/events'), { timeout: 5000 }).catch(() => {}); // it may have been there already
    await lone.clock.fastForward(30_000);
    assert.equal(await cut.isVisible(), false, 'a quiet server is not one that is gone');
    await lone.route('**/*', (route) => route.abort()); // the connection stays as it is, and nothing comes of it
    await lone.clock.fastForward(60_000);
    await cut.waitFor({ state: 'visible' });
    assert.match(await cut.innerText(), /may be old/);
    await lone.unroute('**/*');
    await lone.clock.fastForward(60_000);
    await cut.waitFor({ state: 'hidden' });
    await lone.context().close();
  });

  it('are worked with by keyboard alone', async () => {
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.goto(`/incidents/${what.hostile.id}`);
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to the content', 'the first stop');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
    const reached = [];
    for (let stops = 0; stops < 60; stops++) {
      await page.keyboard.press('Tab');
      const stop = await page.evaluate(() => {
        const e = document.activeElement, s = getComputedStyle(e);
        return e === document.body ? null : { name: (e.textContent.trim() || e.id).slice(0, 60), seen: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0 };
      });
      if (!stop) break;
      assert.ok(stop.seen, `where the focus is can be seen at ${stop.name}`);
      reached.push(stop.name);
    }
    for (const name of ['Acknowledge', 'Resolve', 'note', 'Add note']) assert.ok(reached.includes(name), `${name} is reached by Tab: ${reached}`);
    await page.locator('body').press('?');
    assert.equal(await page.locator('dialog[open]').count(), 1, 'the help');
    await page.keyboard.press('Escape');
    assert.equal(await page.locator('dialog[open]').count(), 0, 'Escape closes it');
    await page.keyboard.press('a');
    await seen(page, '#status', 'by bo');
    await page.keyboard.press('r');
    await page.waitForLoadState();
    await page.getByRole('button', { name: 'Resolve anyway' }).waitFor();
    assert.deepEqual(await violations(page), [], 'the page that asks again');
    await page.keyboard.press('Tab');
    await page.getByRole('button', { name: 'Resolve anyway' }).focus();
    await page.keyboard.press('Enter');
    await seen(page, '#status', 'resolved');
  });
});
