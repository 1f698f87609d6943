import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import { describe, expect, it } from 'vitest';
import type { Clock } from '../../src/base/index.ts';
import { startRun } from '../../src/client/index.ts';
import { assertionFromKeyFile } from '../../src/connector/index.ts';
import { startRealAuthority } from '../support/real-authority.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const intent = { purpose: 'refund-desk', task: 'refunds', tools: ['files/*'], maxCalls: 10, maxDepth: 1 };
const narrower = { purpose: 'refund-desk', tools: ['files/read_file'], maxCalls: 3, expiresIn: 60 };

async function start(now?: Clock) {
  const folder = temporaryFolder();
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = await exportJWK(publicKey);
  const keyFile = join(folder, 'agent-key.json');
  const jwksFile = join(folder, 'jwks.json');
  await writeFile(keyFile, JSON.stringify(await exportJWK(privateKey)), { mode: 0o600 });
  await writeFile(jwksFile, JSON.stringify({ keys: [{ ...jwk, kid: await calculateJwkThumbprint(jwk) }] }));
  const config = {
    trustDomain: 'test.example',
    agents: [
      {
        name: 'desk',
        owner: { kind: 'team', name: 'operations', contact: 'ops@test.example' },
        purposes: ['refund-desk'],
        tools: ['files/*'],
        maxDepth: 2,
      },
    ],
    attestors: [
      { kind: 'join-token' },
      {
        kind: 'jwt',
        name: 'ci',
        issuer: 'https://ci.test.example',
        jwks: { file: jwksFile },
        algorithms: ['ES256'],
        rules: [{ agent: 'desk', claims: { sub: 'job-7' } }],
      },
    ],
    upstreams: [{ name: 'files', transport: { kind: 'http', url: 'http://127.0.0.1:1/mcp' } }],
  };
  return { authority: await startRealAuthority(folder, config, now), keyFile };
}

describe('the client and the authorization server', () => {
  it('agree on a run by join token, its requests, and its end', async () => {
    const { authority } = await start();
    await using _ = authority;
    const run = await startRun({ gateway: authority.url, assertion: authority.joinToken('desk'), intent });
    expect(authority.opened.map(({ id }) => id)).toEqual([run.id]);
    expect(authority.opened[0]?.intent.taskDigest).toMatch(/^[\w-]{43}$/);
    for (const method of ['POST', 'GET', 'DELETE']) {
      const response = await run.fetch(`${run.mcpUrl('files')}?x=1`, { method });
      expect(await response.json()).toEqual({ runs: [run.id] });
    }
    await run.end();
    expect(authority.ended).toEqual([run.id]);
    const response = await run.fetch(run.mcpUrl('files'));
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toContain('the run is over');
  });

  it('agree on a run by key file, also when it is renewed', async () => {
    let now = Date.now();
    const clock = () => now;
    const { authority, keyFile } = await start(clock);
    await using _ = authority;
    const claims = { issuer: 'https://ci.test.example', subject: 'job-7', audience: authority.url };
    let attested = 0;
    const assertion = () => {
      attested++;
      return assertionFromKeyFile(keyFile, claims, clock);
    };
    const declared = { ...intent, expiresIn: 900 };
    await using run = await startRun({ gateway: authority.url, assertion, intent: declared, now: clock });
    for (let renewals = 1; renewals <= 2; renewals++) {
      now += 301_000;
      expect((await run.fetch(run.mcpUrl('files'))).status).toBe(200);
      expect(attested).toBe(1 + renewals);
    }
    expect(authority.opened).toHaveLength(1);
  });

  it('agree on a run whose token was signed by a key that was removed, and on its calls and delegations', async () => {
    let now = Date.now();
    const clock = () => now;
    const { authority, keyFile } = await start(clock);
    await using _ = authority;
    const claims = { issuer: 'https://ci.test.example', subject: 'job-7', audience: authority.url };
    const assertion = () => assertionFromKeyFile(keyFile, claims, clock);
    const run = await startRun({ gateway: authority.url, assertion, intent, now: clock });
    const post = () => run.fetch(run.mcpUrl('files'), { method: 'POST', body: '{}' });
    await authority.removeActiveKey();
    const answers = await Promise.all([post(), post(), post()]);
    for (const answer of answers) expect(await answer.json()).toEqual({ runs: [run.id] });
    expect(authority.opened).toHaveLength(1);

    now += 2000; // attesting again rests for a second
    await authority.removeActiveKey();
    const grant = await run.delegate(narrower);
    await startRun({ gateway: authority.url, assertion: grant, intent: narrower, now: clock });
    await run.end();
    expect(authority.ended).toContain(run.id);
  });

  it('agree on a sub-agent, which ends with its parent', async () => {
    const { authority } = await start();
    await using _ = authority;
    const parent = await startRun({ gateway: authority.url, assertion: authority.joinToken('desk'), intent });
    const child = await startRun({
      gateway: authority.url,
      assertion: await parent.delegate(narrower),
      intent: narrower,
    });
    expect(authority.opened[1]?.envelope).toMatchObject({
      tools: ['files/read_file'],
      maxCalls: 3,
      maxDepth: 0,
    });
    const response = await child.fetch(child.mcpUrl('files'));
    expect(await response.json()).toEqual({ runs: [child.id, parent.id] });
    await parent.end();
    expect(authority.ended).toEqual([parent.id, child.id]);
    expect((await child.fetch(child.mcpUrl('files'))).status).toBe(401);
  });

  it('hear of a grant that asks for more than the parent has', async () => {
    const { authority } = await start();
    await using _ = authority;
    await using run = await startRun({
      gateway: authority.url,
      assertion: authority.joinToken('desk'),
      intent,
    });
    await expect(run.delegate({ ...narrower, tools: ['other/*'] })).rejects.toThrow(
      'invalid_authorization_details: tools:',
    );
    await expect(run.delegate({ ...narrower, maxCalls: 11 })).rejects.toThrow('max_calls must be at most');
  });

  it('hear of a purpose that the agent is not registered for, and of a join token that is none', async () => {
    const { authority } = await start();
    await using _ = authority;
    const assertion = authority.joinToken('desk');
    const other = { ...intent, purpose: 'payroll' };
    await expect(startRun({ gateway: authority.url, assertion, intent: other })).rejects.toThrow(/purpose/);
    await expect(startRun({ gateway: authority.url, assertion: 'sjt_forged', intent })).rejects.toThrow(
      'invalid_grant',
    );
  });
});
