// What was sent, checked by the TypeScript compiler against the types that Slack
// publishes: each value is written into a .ts file as a literal, because properties
// that do not exist are errors in literals alone.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const here = fileURLToPath(new URL('../', import.meta.url));
const tsc = `${here}node_modules/typescript/bin/tsc`;

const prelude = `// Made by lib/types.mjs; not kept.
import type { AppHomeOpenedEvent, HomeView, KnownBlock, ModalView } from '@slack/types';
import type { WebClient } from '@slack/web-api';
import type {
  BlockAction, ButtonAction, CheckboxesAction, OverflowAction, RespondArguments, SlashCommand, StaticSelectAction, ViewErrorsResponseAction, ViewOutput,
  ViewSubmitAction,
} from '@slack/bolt';
import type { ChangePayload, EventPayloadV2 } from '@pagerduty/pdjs/build/src/events.js';

type Call = (...args: any[]) => Promise<unknown>;
/** What the official client takes for a method, without what it adds itself. */
type Arguments<M extends Call> = NonNullable<Parameters<M>[0]>;
/** A click in the Home tab, which has no title, and cannot be answered. */
type HomeAction = Omit<BlockAction<ButtonAction>, 'response_url' | 'view'> & { view: Omit<ViewOutput, 'title'> };
type Answer<M extends Call> = Awaited<ReturnType<M>>;
`;

/** The type of the official client's method of a name such as "chat.postMessage". */
const methodType = (name) => `WebClient${name.split('.').map((part) => `['${part}']`).join('')}`;

// Arguments that are structures; the Web API takes them as JSON text in a form.
const structures = ['blocks', 'attachments', 'metadata', 'view'];
const numbers = ['limit', 'count'];
// slack-go writes some of them as 1.
const booleans = ['inclusive', 'include_all_metadata', 'exclude_archived', 'return_im', 'include_count', 'include_users'];

/** The arguments of a call as the official client would be given them. */
export function argumentsOf({ args, body }) {
  if (!args) return body ? JSON.parse(body) : {};
  const out = {};
  for (const [name, value] of Object.entries(args)) {
    if (structures.includes(name)) {
      if (value !== '') out[name] = JSON.parse(value);
    } else if (numbers.includes(name)) {
      out[name] = Number(value);
    } else {
      out[name] = value === 'true' || (booleans.includes(name) && value === '1') || (value === 'false' ? false : value);
    }
  }
  return out;
}

/** What is to be checked of a call: its arguments, and each list of blocks strictly. */
export function checksOf(call) {
  if (call.method === 'response_url') {
    const body = JSON.parse(call.body);
    return [{ what: 'a message to a response_url', type: 'RespondArguments', value: body }, ...blocksOf('a message to a response_url', body)];
  }
  const value = argumentsOf(call);
  const checks = [{ what: call.method, type: `Arguments<${methodType(call.method)}>`, value }, ...blocksOf(call.method, value)];
  if (value.view) checks.push({ what: `the view of ${call.method}`, type: call.method === 'views.publish' ? 'HomeView' : 'ModalView', value: value.view });
  return checks;
}

/**
 * What is to be checked of the emulator's answer to a call: all but the parts that
 * come back as they were sent, whose kinds are enums in the types of answers. Those
 * types are made from samples without null, which Slack sends where a view has no
 * submit, close or previous_view_id.
 */
export function answerOf(call) {
  const echoed = ['blocks', 'attachments', 'title', 'submit', 'close'];
  const value = JSON.parse(call.answer, (name, inner) => (inner === null || echoed.includes(name) ? undefined : inner));
  return { what: `the answer to ${call.method}`, type: `Answer<${methodType(call.method)}>`, value };
}

/**
 * What is to be checked of a payload that the emulator sent. Slack sends "enterprise":
 * null, and a user's username with views too, which the types do not know; block_actions
 * have it in theirs.
 */
export function payloadOf(what, type, payload) {
  const { username, ...user } = payload.user;
  return { what, type, value: { ...payload, enterprise: undefined, user: type === 'ViewSubmitAction' ? user : { ...user, username } } };
}

/**
 * The lists of blocks in a value. The client's own types take blocks of kinds that
 * they do not know, and so let everything pass.
 */
export function blocksOf(what, value) {
  if (value === null || typeof value !== 'object') return [];
  const out = [];
  for (const [name, inner] of Object.entries(value)) {
    if (name === 'blocks' && Array.isArray(inner)) out.push({ what: `the blocks of ${what}`, type: 'KnownBlock[]', value: inner });
    else if (name !== 'metadata') out.push(...blocksOf(what, inner));
  }
  return out;
}

/**
 * Compiles the checks; those that are wrong on purpose must not compile. Returns how
 * many different ones there were.
 */
export async function typecheck(name, checks) {
  const different = [...new Map(checks.map((c) => [`${c.wrong ?? ''} ${c.type} ${JSON.stringify(c.value)}`, c])).values()];
  const lines = prelude.split('\n');
  const at = new Map();
  for (const check of different) {
    if (check.wrong) lines.push('// @ts-expect-error');
    const literal = JSON.stringify(check.value);
    at.set(lines.push(`void (${literal} satisfies ${check.type});`), check);
  }
  const file = `generated/${name}.ts`;
  await mkdir(`${here}generated`, { recursive: true });
  await writeFile(here + file, `${lines.join('\n')}\n`);
  await writeFile(`${here}generated/${name}.json`, JSON.stringify({ extends: '../tsconfig.json', include: [`${name}.ts`, '../types/teeth.ts'] }));
  const { stdout, code, stderr } = await promisify(execFile)(process.execPath, [tsc, '-p', `generated/${name}.json`], { cwd: here, maxBuffer: 1 << 26 }).catch((err) => err);
  const problems = [];
  for (const [, line, text] of String(stdout).matchAll(/^generated\/[^(]*\((\d+),\d+\): (.*(?:\n .*)*)/gm)) {
    const check = at.get(Number(line)) ?? at.get(Number(line) + 1);
    problems.push(`${check?.wrong ? `this should not be accepted (${check.wrong}): ` : ''}${check?.what ?? file} (${file}:${line}): ${text}\n    ${JSON.stringify(check?.value)?.slice(0, 500)}`);
  }
  assert.equal(problems.length, 0, `${problems.length} do not fit:\n${problems.slice(0, 10).join('\n')}`);
  assert.equal(`${stdout}${stderr}`, '', 'the compiler complains of something else');
  assert.equal(code, undefined, 'the compiler did not run');
  return different.length;
}
