// What is to be seen, and by whose rules it is looked at.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { nodeDown } from './world.mjs';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export const looks = [['light', 1280], ['dark', 1280], ['dark', 360], ['light', 360]];

/** Hostile text, as an alert may have it in any field. */
export const markup = '"><img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script><b id="owned">';

/** Has something happen that fills the pages. Returns the incidents that are looked at. */
export async function fill(stage) {
  for (const node of ['node-east-1', 'node-west-1']) {
    stage.nodes.crash(node);
    await stage.fire(nodeDown(node));
  }
  await stage.fire(
    { ...nodeDown('node-east-2'), labels: { alertname: 'RegionDown', severity: 'critical', region: 'us-east', component: 'region' }, annotations: { summary: 'Region us-east is down' } },
    { ...nodeDown('node-east-2'), labels: { alertname: 'LatencyHigh', severity: 'warning', service: 'search' }, annotations: { summary: 'Search answers slowly' } },
    { ...nodeDown('node-east-2'), labels: { alertname: 'HighPendingTransactions', severity: 'warning', instance: 'node-eu-1:9090' }, annotations: { summary: '1400 transactions wait' } },
  );
  const [east, west, region] = [await stage.incident('node-east-1'), await stage.incident('node-west-1'), await stage.incident('us-east')];
  await stage.post(`/api/v1/incidents/${region.id}/acknowledge`, {});
  await stage.post('/api/v1/silences', {
    matchers: ['service="search"'], startsAt: new Date().toISOString(),
    endsAt: new Date(Date.now() + 3_600_000).toISOString(), comment: 'The index is rebuilt',
  });
  const hour = (n) => new Date(Math.ceil(Date.now() / 3_600_000) * 3_600_000 + n * 3_600_000).toISOString();
  await stage.post('/api/v1/overrides', { kind: 'replace', schedule: 'primary', user: 'ana', from: hour(30), to: hour(54), comment: 'Moving house' });
  await stage.post('/api/v1/overrides', { kind: 'swap', schedule: 'primary', user: 'bo', replaces: 'ana', from: hour(200), to: hour(224), comment: 'Concert' }, 'ana');
  await stage.post('/api/v1/tokens', { name: 'ci', role: 'responder', expiresAt: hour(90 * 24) });
  const { id } = await stage.run(east, 'proposed');
  await stage.run(west, 'proposed');
  await stage.post(`/api/v1/remediations/${id}/approve`, {});
  const run = await stage.run(east, 'verified');
  return { east, west, region, run };
}

/** An alert that has markup in every field, and words that are too long for a line. */
export async function hostile(stage) {
  await stage.fire({
    ...nodeDown('node-east-2'), generatorURL: `javascript:${markup}`, labels: { alertname: `Hostile ${markup}`, severity: 'info', instance: markup, long: 'x'.repeat(300) },
    annotations: { summary: `Hostile ${markup} ${'y'.repeat(120)}`, description: markup, runbook_url: `javascript:${markup}` },
  });
  const incident = await stage.incident('Hostile');
  await stage.post(`/api/v1/incidents/${incident.id}/note`, { text: markup });
  return incident;
}

/** The pages by name: those that are known, and those that the navigation leads to. */
export async function pages(page, { east, west, hostile, run }) {
  await page.goto('/');
  const list = {
    incidents: '/', 'incidents-filter': '/?q=severity%3D', 'incidents-none': '/?q=severity%3D%22nothing%22&state=resolved', incident: `/incidents/${west.id}`,
    'incident-remedied': `/incidents/${east.id}`, ...(hostile && { 'incident-hostile': `/incidents/${hostile.id}` }), beside: `/incidents/${east.id}/beside`,
    plan: `/incidents/${west.id}/remedies/restart-node`, remediation: `/remediations/${run.id}`, runbook: '/runbooks/nodes%23a-node-is-down',
    'system-audit': '/system/audit', 'system-access': '/system/access', 'runbooks-coverage': '/runbooks-coverage', login: '/login', status: '/status', missing: '/incidents/nobody', nowhere: '/nowhere',
  };
  const preview = new URLSearchParams({ matchers: 'alertname="NodeDown"', for: '1h', comment: 'maintenance' });
  for (const path of await page.$$eval('header nav a', (links) => links.map((a) => a.getAttribute('href')))) {
    if (!Object.values(list).includes(path)) list[path.slice(1).replaceAll('/', '-')] = path;
  }
  return { ...list, why: `/incidents/${east.id}/why`, 'silences-preview': `/silences/preview?${preview}` };
}

/** What axe finds: rule, impact and where. */
export async function violations(page) {
  if (!await page.evaluate(() => Boolean(window.axe))) await page.evaluate(axe);
  return page.evaluate(async () => (await window.axe.run(document, { resultTypes: ['violations'] })).violations
    .flatMap(({ id, impact, nodes }) => nodes.slice(0, 3).map((n) => `${id} (${impact}): ${n.target} ${n.html.slice(0, 200)} ${n.any[0]?.message ?? n.failureSummary}`)));
}
