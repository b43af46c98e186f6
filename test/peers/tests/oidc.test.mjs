// oidc-provider, a certified OpenID Connect provider, and the real binary that
// logs people in with it.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createServer as listen } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Provider } from 'oidc-provider';

const tocsin = process.env.TOCSIN ?? fileURLToPath(new URL('../../../bin/tocsin', import.meta.url));
const search = fileURLToPath(new URL('../../../bin/leak-search', import.meta.url));
const patience = 60_000;

async function freePort() {
  const server = listen();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

// people are those whom the provider knows.
const people = {
  ana: { email: 'ana@example.com', email_verified: true, preferred_username: 'ana.garcia' },
  bo: { email: 'bo@example.com', email_verified: true, preferred_username: 'bo', groups: ['sre'] },
  eve: { email: 'eve@example.com', email_verified: true, preferred_username: 'eve' },
  mallory: { email: 'ana@example.com', email_verified: false, preferred_username: 'mallory' },
};

function key(kid, ...how) {
  const jwk = generateKeyPairSync(...how).privateKey.export({ format: 'jwk' });
  return { ...jwk, kid, use: 'sig' };
}

/** A provider on a port, for a client that is sent back to Tocsin. */
function newProvider(port, redirect, client) {
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: [{ client_id: 'tocsin', redirect_uris: [redirect], grant_types: ['authorization_code'], response_types: ['code'], ...client }],
    pkce: { required: () => true },
    scopes: ['openid', 'groups'],
    claims: { email: ['email', 'email_verified'], profile: ['preferred_username'], groups: ['groups'] },
    jwks: { keys: [key('rsa', 'rsa', { modulusLength: 2048 }), key('ec', 'ec', { namedCurve: 'P-256' })] },
    ttl: { Interaction: 600, Session: 600, Grant: 600, AccessToken: 60, IdToken: 60, AuthorizationCode: 60 },
    cookies: { keys: ['a key of the test'] },
    findAccount: (_, id) => people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
  });
  return createServer(provider.callback());
}

/** Keeps cookies as a browser does, per origin. */
class Browser {
  jars = new Map();

  async go(url, init = {}) {
    for (let hops = 0; hops < 20; hops++) {
      const { origin } = new URL(url);
      const jar = this.jars.get(origin) ?? new Map();
      this.jars.set(origin, jar);
      const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
      const response = await fetch(url, { redirect: 'manual', ...init, headers: { accept: 'text/html', cookie, ...init.headers } });
      for (const line of response.headers.getSetCookie()) {
        const [pair, ...attributes] = line.split(';');
        const [name, value] = pair.split(/=(.*)/s);
        const gone = value === '' || attributes.some((a) => /max-age=0|expires=thu, 01 jan 1970/i.test(a));
        if (gone) jar.delete(name); else jar.set(name, value);
      }
      const to = response.headers.get('location');
      if (!to) return { url, status: response.status, text: await response.text() };
      url = new URL(to, url).href;
      init = {};
    }
    return assert.fail('it leads nowhere');
  }

  /** Fills in the forms of the provider: who it is, and that Tocsin may know. */
  async logIn(url, login) {
    let page = await this.go(url);
    for (let forms = 0; forms < 3 && page.url.includes('/interaction/'); forms++) {
      const action = /action="([^"]+)"/.exec(page.text)[1];
      const prompt = /name="prompt" value="([^"]+)"/.exec(page.text)[1];
      page = await this.go(new URL(action, page.url).href, { method: 'POST', body: new URLSearchParams({ prompt, login, password: 'any' }) });
    }
    return page;
  }
}

/** The real binary, with an OpenID Connect provider. */
async function startTocsin(port, issuer, secret, more = '') {
  const folder = await mkdtemp(join(tmpdir(), 'tocsin-oidc-'));
  const url = `http://127.0.0.1:${port}`;
  await writeFile(join(folder, 'tocsin.yml'), `
server: {listen: "127.0.0.1:${port}", external_url: "${url}"}
storage: {path: data, ballast: 0MiB, min_free: 1MiB}
auth:
  oidc: {issuer: "${issuer}", client_id: tocsin, ${secret ? `client_secret: ${secret},` : ''} scopes: [openid, profile, email, groups]${more}}
  group_roles: [{group: sre, role: manager}]
users: [{name: ana, email: ana@example.com, role: admin, login: ana.garcia}]
route: {receiver: hook}
receivers: [{name: hook, webhook_configs: [{url: "http://127.0.0.1:9/"}]}]
`);
  const child = spawn(tocsin, ['serve', '--config.file', join(folder, 'tocsin.yml'), '--log.format', 'json'], { stdio: ['ignore', 'inherit', 'pipe'] });
  let log = '';
  child.stderr.on('data', (b) => { log += b; });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  for (const until = Date.now() + patience; ;) {
    if (await fetch(`${url}/-/ready`).then((r) => r.ok, () => false)) break;
    assert.ok(Date.now() < until && child.exitCode === null, `Tocsin does not start: ${log}`);
    await sleep(50);
  }
  return {
    url,
    log: () => log,
    stored: () => readFile(join(folder, 'data', 'tocsin.db')),
    stop: async () => {
      child.kill('SIGTERM');
      assert.equal(await ended, 0, log);
      await writeFile(join(folder, 'log'), log);
      execFileSync(search, [folder]); // fails where it finds a secret
      await rm(folder, { recursive: true });
    },
  };
}

const me = async (browser, url) => JSON.parse((await browser.go(`${url}/api/v1/me`)).text);

for (const [how, secret, client, more] of [
  ['a secret client, RS256', 'canary-secret-of-the-client', {}, ''],
  ['a public client, ES256', '', { token_endpoint_auth_method: 'none', id_token_signed_response_alg: 'ES256' }, ', name_claim: preferred_username'],
]) {
  describe(`oidc-provider: ${how}`, async () => {
    const [port, at] = [await freePort(), await freePort()];
    const issuer = `http://127.0.0.1:${at}`;
    const world = await startTocsin(port, issuer, secret, more);
    const server = newProvider(at, `${world.url}/login/callback`, secret ? { client_secret: secret, ...client } : client);
    after(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await world.stop();
    });

    it('starts while the provider is away, and finds it when it is there', async () => {
      const away = await new Browser().go(`${world.url}/login/start`);
      assert.equal(away.status, 503);
      assert.match(away.text, /does not answer/);
      await new Promise((resolve) => server.listen(at, '127.0.0.1', resolve));
      for (const until = Date.now() + patience; ;) {
        const page = await new Browser().go(`${world.url}/login/start`);
        if (page.url.startsWith(issuer)) break;
        assert.ok(Date.now() < until, page.text);
        await sleep(500);
      }
    });

    it('a link to a page leads there by way of the log-in', async () => {
      const browser = new Browser();
      const page = await browser.logIn(`${world.url}/oncall?from=chat`, 'ana');
      assert.equal(page.url, `${world.url}/oncall?from=chat`, page.text);
      assert.equal(page.status, 200);
      assert.deepEqual(await me(browser, world.url), { name: 'ana', role: 'admin', rights: ['view', 'respond', 'manage', 'admin'], via: 'API' });

      const jar = browser.jars.get(world.url);
      assert.deepEqual([...jar.keys()], ['tocsin_session']);
      const secret = jar.get('tocsin_session');
      assert.ok(!(await world.stored()).includes(secret), 'only a hash of the cookie is kept');
      const headers = { cookie: `tocsin_session=${secret}` };
      assert.equal((await fetch(`${world.url}/api/v1/me`, { headers })).status, 200);

      assert.equal((await browser.go(`${world.url}/logout`, { method: 'POST' })).url, `${world.url}/login`);
      assert.equal((await fetch(`${world.url}/api/v1/me`, { headers })).status, 401, 'the cookie is worth nothing any more');
    });

    it('a group gives a role', async () => {
      const browser = new Browser();
      assert.equal((await browser.logIn(world.url, 'bo')).status, 200);
      assert.equal((await me(browser, world.url)).role, 'manager');
      assert.equal((await browser.go(`${world.url}/api/v1/tokens`)).status, 403);
    });

    it('who has no role, or no address that is verified, is told so', async () => {
      for (const login of ['eve', 'mallory']) {
        const browser = new Browser();
        const page = await browser.logIn(world.url, login);
        assert.equal(page.status, 403, login);
        assert.match(page.text, /role|verified/);
        assert.equal((await browser.go(`${world.url}/api/v1/me`)).status, 401);
      }
    });

    it('says no secret', async () => {
      if (secret) assert.ok(!world.log().includes(secret) && !(await world.stored()).includes(secret));
      assert.doesNotMatch(world.log(), /eyJ|code=/);
    });
  });
}
