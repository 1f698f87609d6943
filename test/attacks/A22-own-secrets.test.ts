import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type OpenGateway, openGateway } from '../../src/cli/open-gateway.ts';
import { startRun } from '../../src/client/index.ts';
import { createLogger, parseConfig, readOperatorKey, signOperatorToken } from '../../src/gateway/index.ts';
import { createKeySealer, openSealingKeyFile } from '../../src/identity/index.ts';
import { createAgentKey } from '../support/agent-key.ts';
import { post, toolCall } from '../support/mcp-post.ts';
import { type LabSetting, openBareRun, prepareLab } from '../support/open-lab.ts';
import { readRecords } from '../support/open-ops-gateway.ts';
import { asUpstream, startWitness, type Witness } from '../support/witness.ts';

const STATIC = 'canary-static-secret-of-the-gateway';
/** Prints the key, as it must, and says it aloud where it must not. */
const UNWRAP = `
  let wrapped = '';
  process.stdin.on('data', (chunk) => { wrapped += chunk; }).on('end', () => {
    const key = wrapped.split('').reverse().join('');
    console.error('unwrapped', key);
    console.log(key);
  });
`;

const secrets = new Map<string, string>();
const operatorLog: string[] = [];
const told: string[] = [];
let witness: Witness;
let lab: LabSetting;
let gateway: OpenGateway;
let config: Record<string, unknown>;
let operator: NonNullable<ReturnType<typeof readOperatorKey>>;

const log = () => createLogger('debug', { write: (line: string) => void operatorLog.push(line) });
const keyFile = (name: string): string => readFileSync(join(lab.data, 'keys', name), 'utf8');

beforeAll(async () => {
  process.env['LAB_OWN_STATIC'] = STATIC;
  witness = await startWitness();
  lab = await prepareLab({
    upstreams: [
      asUpstream(witness),
      {
        name: 'fixed',
        transport: { kind: 'http', url: witness.url },
        credential: { kind: 'static', secret: { env: 'LAB_OWN_STATIC' } },
      },
    ],
    more: { staticSecrets: true },
  });
  lab.config['attestors'] = [...(lab.config['attestors'] as object[]), { kind: 'join-token' }];
  await (await openGateway(parseConfig(lab.config, 'lab'), { log: log() }))[Symbol.asyncDispose]();
  secrets.set('the log key', keyFile('log-key.pem').split('\n')[1] ?? '');
  const signing = JSON.parse(keyFile('signing-keys.json')) as { keys: { jwk: { d: string } }[] };
  for (const [i, { jwk }] of signing.keys.entries()) secrets.set(`signing key ${i}`, jwk.d);
  operator = readOperatorKey(lab.data) ?? { kty: 'EC' };
  secrets.set('the operator key', operator.d ?? '');
  const kek = randomBytes(32).toString('base64');
  secrets.set('what the KMS gave', kek);
  secrets.set('the static secret', STATIC);
  const wrappedKey = join(lab.folder, 'kek.wrapped');
  writeFileSync(wrappedKey, kek.split('').reverse().join(''));
  config = { ...lab.config, keys: { kms: { command: [process.execPath, '-e', UNWRAP], wrappedKey } } };
  gateway = await openGateway(parseConfig(config, 'lab'), { log: log() });
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  lab[Symbol.dispose]();
  await witness[Symbol.asyncDispose]();
  delete process.env['LAB_OWN_STATIC'];
});

async function ask(url: string, init: RequestInit = {}): Promise<Response> {
  const answer = await fetch(url, init);
  told.push(`${JSON.stringify([...answer.headers])}\n${await answer.clone().text()}`);
  return answer;
}

async function admin(path: string, method = 'GET', body?: object): Promise<Response> {
  const token = await signOperatorToken(operator, lab.adminUrl, Date.now);
  secrets.set(`operator token for ${method} ${path.slice(0, 12)}`, token.split('.')[2] ?? '');
  return ask(`${lab.adminUrl}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
}

function tokenRequest(form: Record<string, string>): Promise<Response> {
  const url = `${lab.publicUrl}/oauth/token`;
  const dpop = createAgentKey(Date.now).prove({ url });
  return ask(url, { method: 'POST', headers: { dpop }, body: new URLSearchParams(form) });
}

/** In the clear, and as somebody might write it down. */
function expectClean(place: string, text: string): void {
  for (const [name, secret] of secrets) {
    expect(secret.length, name).toBeGreaterThan(20);
    const bytes = Buffer.from(secret);
    for (const form of [
      secret,
      bytes.toString('base64').replace(/=+$/, ''),
      bytes.toString('base64url'),
      bytes.toString('hex'),
      encodeURIComponent(secret),
    ]) {
      expect(text.includes(form), `${name} in ${place}`).toBe(false);
    }
  }
}

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const INTENT = JSON.stringify([{ type: 'sallyport_intent', purpose: 'test' }]);

describe('A22: a secret that the gateway lives by', () => {
  it('does its work: calls, renewals, rotation and removal of keys, end of runs', async () => {
    const joinToken = gateway.issueJoinToken('lab-agent');
    secrets.set('the join token', joinToken);
    const form = { grant_type: JWT_BEARER, authorization_details: INTENT, resource: `${lab.publicUrl}/mcp` };
    const joined = await tokenRequest({ ...form, assertion: joinToken });
    expect(joined.status).toBe(200);
    told.pop(); // the answer to the run itself holds its token
    expect((await tokenRequest({ ...form, assertion: joinToken })).status).toBe(400);
    const assertion = await lab.assertion();
    secrets.set('the client assertion', assertion.split('.')[2] ?? '');
    const intent = { purpose: 'test' };
    const run = await startRun({ gateway: lab.publicUrl, assertion: async () => assertion, intent });
    for (const upstream of ['witness', 'fixed']) {
      const answer = await post(run, toolCall('look'), { upstream });
      told.push(await answer.text());
    }
    expect((await tokenRequest({ ...form, assertion })).status, 'by another key').toBe(400);
    for (const bad of [`${assertion}x`, assertion.slice(0, -8), `${joinToken}x`]) {
      expect((await tokenRequest({ ...form, assertion: bad })).status).toBe(400);
    }
    const bare = await openBareRun(lab);
    secrets.set('a run token', bare.token.split('.')[2] ?? '');
    expect((await admin('/v1/keys/rotate', 'POST')).status).toBe(409);
    const { keys } = (await (await admin('/v1/keys')).json()) as { keys: { kid: string }[] };
    expect((await admin(`/v1/keys/${keys[0]?.kid}/remove`, 'POST')).status).toBe(200);
    await run.end();
  });

  it('stays where it is when somebody puts it where it does not belong', async () => {
    const { publicUrl, adminUrl } = lab;
    for (const secret of [...secrets.values()]) {
      const escaped = encodeURIComponent(secret);
      const bearer = { headers: { authorization: `Bearer ${secret}` } };
      const form = (fields: Record<string, string>) => ({
        method: 'POST',
        body: new URLSearchParams(fields),
      });
      await ask(`${publicUrl}/mcp/witness?access_token=${escaped}`, { method: 'POST', ...bearer });
      await ask(`${publicUrl}/mcp/${escaped}`, {
        headers: { dpop: secret, authorization: `DPoP ${secret}` },
      });
      await ask(`${publicUrl}/oauth/introspect`, form({ token: secret, client_assertion: secret }));
      await ask(`${publicUrl}/oauth/revoke`, form({ token: secret }));
      await ask(
        `${publicUrl}/oauth/token`,
        form({ grant_type: secret, assertion: secret, client_id: secret }),
      );
      await ask(`${adminUrl}/v1/status`, bearer);
      await ask(`${adminUrl}/v1/runs`, { headers: { authorization: `Basic ${btoa(`x:${secret}`)}` } });
    }
  });

  it('is in no answer of either plane, nor in what they tell of themselves', async () => {
    for (const path of ['status', 'runs', 'keys', 'tools', 'agents', 'stops']) await admin(`/v1/${path}`);
    await admin('/metrics');
    for (const path of ['jwks.json', 'spiffe/bundle.json', 'oauth-authorization-server']) {
      await ask(`${lab.publicUrl}/.well-known/${path}`);
    }
    expect(told.length).toBeGreaterThan(60);
    expectClean('an answer', told.join('\n'));
  });

  it('is said to be static where it is, and that is a finding', async () => {
    const status = (await (await admin('/v1/status')).json()) as Record<string, unknown>;
    expect(status['upstreams']).toMatchObject([
      { name: 'witness', credential: 'call-token', credentialOutlivesCall: false },
      { name: 'fixed', credential: 'static', credentialOutlivesCall: true },
    ]);
    expect(status['findings']).toMatchObject([{ finding: 'static-secret', upstream: 'fixed' }]);
  });

  it('is in no record and no file of the data folder', () => {
    const records = readRecords(lab.data);
    expect(records.filter(({ type }) => type === 'token.refusal').length).toBeGreaterThan(3);
    expectClean('a record', JSON.stringify(records));
    let files = 0;
    for (const file of readdirSync(lab.data, { recursive: true, encoding: 'utf8' })) {
      const path = join(lab.data, file);
      if (!statSync(path).isFile()) continue;
      files++;
      expectClean(file, readFileSync(path, 'latin1'));
    }
    expect(files).toBeGreaterThan(6);
  });

  it('is in no line of the operator’s log, at its most talkative', () => {
    expect(operatorLog.length).toBeGreaterThan(0);
    expectClean('the log', operatorLog.join(''));
  });

  it('is in no error of a gateway that cannot start', async () => {
    await gateway[Symbol.asyncDispose]();
    const wrong = join(lab.folder, 'wrong-kek');
    writeFileSync(wrong, randomBytes(32).toString('base64'), { mode: 0o600 });
    const fail = `${UNWRAP}; process.exitCode = 1`;
    const wrappedKey = join(lab.folder, 'kek.wrapped');
    const tries = [
      undefined,
      { encryption: { file: wrong } },
      { kms: { command: [process.execPath, '-e', fail], wrappedKey } },
      { kms: { command: [process.execPath, '-e', `${UNWRAP}; console.log(1)`], wrappedKey } },
      { kms: { command: ['/bin/cat'], wrappedKey } },
    ];
    secrets.set('the wrapped key', readFileSync(wrappedKey, 'utf8'));
    for (const keys of tries) {
      const error: unknown = await openGateway(parseConfig({ ...config, keys }, 'lab'), { log: log() }).catch(
        (refused: unknown) => refused,
      );
      expect(error).toMatchObject({ code: 'ERR_KEY_INVALID' });
      const { message, stack = '', cause } = error as Error;
      expectClean('an error', [message, stack, String(cause), JSON.stringify(error)].join('\n'));
    }
    expectClean('the log', operatorLog.join(''));
    const sealer = createKeySealer(await openSealingKeyFile(wrong));
    expect(() => readOperatorKey(lab.data, sealer)).toThrow('does not open');
    gateway = await openGateway(parseConfig(config, 'lab'), { log: log() });
  });
});
