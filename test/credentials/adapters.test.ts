import { generateKeyPairSync } from 'node:crypto';
import { chmod, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import {
  awsStsIssuer,
  clientCredentialsIssuer,
  gitHubAppIssuer,
  readSecret,
  tokenExchangeIssuer,
} from '../../src/credentials/index.ts';
import type { Caller } from '../../src/identity/index.ts';
import { aChildOf, aRun } from '../support/a-run.ts';
import { testSigningKeys } from '../support/authority.ts';
import { manualClock } from '../support/manual-clock.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const clock = manualClock();
const keys = testSigningKeys();
const root = aRun({ issuedAt: clock.seconds() });
const caller: Caller = { chain: [aChildOf(root), root], pop: 'dpop', tokenId: 't', proofId: 'p' };
const ISSUER = 'https://as.example.org';
const OURS = 'https://gateway.example.org';
const OPTIONS = {
  issuer: ISSUER,
  clientId: 'gateway',
  resource: 'https://desk.example.org/mcp',
  scope: 'tickets',
};

type Sent = { readonly url: string; readonly init: RequestInit; readonly form: URLSearchParams };
type Answering = (url: string) => Response;

/** A network in which every request is answered by `answering` and written down. */
function network(answering: Answering) {
  const sent: Sent[] = [];
  const fetch = async (url: string, init: RequestInit): Promise<Response> => {
    sent.push({ url, init, form: new URLSearchParams(String(init.body ?? '')) });
    return answering(url);
  };
  return { sent, deps: { keys, issuer: OURS, now: clock.now, fetch } };
}

const METADATA = {
  issuer: ISSUER,
  token_endpoint: `${ISSUER}/token`,
  revocation_endpoint: `${ISSUER}/revoke`,
};
const TOKEN = { access_token: 'sk-upstream', token_type: 'Bearer', expires_in: 600 };
const server =
  (token: object, metadata: object = METADATA, status = 200): Answering =>
  (url) =>
    url.includes('/.well-known/') ? Response.json(metadata) : Response.json(token, { status });

describe('a token of the upstream’s own authorization server', () => {
  it('is asked for with a signed assertion for that server alone, and no secret', async () => {
    const { sent, deps } = network(server(TOKEN));
    const issued = await clientCredentialsIssuer(OPTIONS, deps).issue(caller);
    expect(issued).toMatchObject({
      ok: true,
      value: {
        authorization: 'Bearer sk-upstream',
        expiresAt: clock.seconds() + 600,
        reuseUntil: clock.seconds() + 60,
      },
    });
    expect(issued.ok && issued.value.id).not.toContain('sk-upstream');
    const [, { url, form, init } = {} as Sent] = sent;
    expect(url).toBe(`${ISSUER}/token`);
    expect(init.redirect).toBe('error');
    expect(form.get('resource')).toBe(OPTIONS.resource);
    expect(form.get('scope')).toBe('tickets');
    expect(form.get('client_secret')).toBeNull();
    const assertion = form.get('client_assertion') ?? '';
    expect(decodeJwt(assertion)).toMatchObject({ iss: 'gateway', sub: 'gateway', aud: ISSUER });
    expect(decodeProtectedHeader(assertion)).toMatchObject({ alg: 'ES256', typ: 'JWT', kid: keys.activeKid });
  });

  it('lives no longer in our hands than half its life', async () => {
    const { deps } = network(server({ ...TOKEN, expires_in: 40 }));
    const issued = await clientCredentialsIssuer(OPTIONS, deps).issue(caller);
    expect(issued.ok && issued.value.reuseUntil).toBe(clock.seconds() + 20);
  });

  it('is exchanged for who the run is and on whose behalf it acts', async () => {
    const { sent, deps } = network(server(TOKEN));
    await tokenExchangeIssuer(OPTIONS, deps).issue(caller);
    const subject = sent[1]?.form.get('subject_token') ?? '';
    const { payload } = await jwtVerify(
      subject,
      async ({ kid }) => {
        const key = keys.verificationKey(kid ?? '');
        if (key === undefined) throw new Error('not our key');
        return key;
      },
      { currentDate: new Date(clock.now()), audience: ISSUER, issuer: OURS, typ: 'JWT' },
    );
    expect(payload).toMatchObject({
      sub: caller.chain[0].spiffeId,
      act: { sub: caller.chain[0].spiffeId, act: { sub: root.spiffeId } },
      exp: clock.seconds() + 60,
    });
    expect(sent[1]?.form.get('grant_type')).toBe('urn:ietf:params:oauth:grant-type:token-exchange');
  });

  it('is given back there', async () => {
    const { sent, deps } = network(server(TOKEN));
    const issued = await clientCredentialsIssuer(OPTIONS, deps).issue(caller);
    await (issued.ok ? issued.value.revoke?.() : undefined);
    expect(sent.at(-1)?.url).toBe(`${ISSUER}/revoke`);
    expect(sent.at(-1)?.form.get('token')).toBe('sk-upstream');
  });

  it.each<[string, Answering]>([
    ['metadata of another issuer', server(TOKEN, { ...METADATA, issuer: 'https://evil.example' })],
    ['an endpoint in the clear', server(TOKEN, { ...METADATA, token_endpoint: 'http://as.example.org/t' })],
    ['no endpoint', server(TOKEN, { issuer: ISSUER })],
    ['a refusal', server({ error: 'invalid_client' }, METADATA, 401)],
    ['another token type', server({ ...TOKEN, token_type: 'DPoP' })],
    ['a token that breaks a header', server({ ...TOKEN, access_token: 'a\r\nb' })],
    ['no token', server({ token_type: 'Bearer' })],
    ['a life that is none', server({ ...TOKEN, expires_in: -1 })],
    ['no JSON', (url) => (url.includes('well-known') ? Response.json(METADATA) : new Response('<html>'))],
    ['two answers in one', () => new Response(`{"issuer":"${ISSUER}","issuer":"${ISSUER}"}`)],
    ['endless text', () => new Response('x'.repeat(300_000))],
    ['nothing at all', () => new Response(null, { status: 404 })],
  ])('is not taken from %s', async (_what, answering) => {
    const { deps, sent } = network(answering);
    const issued = await clientCredentialsIssuer(OPTIONS, deps).issue(caller);
    expect(issued).toMatchObject({ ok: false });
    expect(JSON.stringify(issued)).not.toContain('sk-upstream');
    for (const { url } of sent) expect(url.startsWith(ISSUER)).toBe(true);
  });

  it('is not given back in words only: an error of the server is an error', async () => {
    const { deps } = network((url) =>
      url.endsWith('/revoke') ? new Response(null, { status: 503 }) : server(TOKEN)(url),
    );
    const issued = await clientCredentialsIssuer(OPTIONS, deps).issue(caller);
    await expect(issued.ok ? issued.value.revoke?.() : undefined).rejects.toThrow('503');
  });
});

describe('a session of an AWS role', () => {
  const options = {
    endpoint: 'https://sts.eu-central-1.amazonaws.com/',
    region: 'eu-central-1',
    roleArn: 'arn:aws:iam::123456789012:role/agents',
    audience: 'sts.amazonaws.com',
    sessionPolicy: { Version: '2012-10-17', Statement: [] },
  };
  const element = (name: string, text: string): string => `<${name}>${text}</${name}>`;
  const session = (expiration = '2027-01-15T08:30:00Z'): string =>
    element(
      'AssumeRoleWithWebIdentityResponse',
      element(
        'Credentials',
        element('SessionToken', 'c2Vzc2lvbg==') +
          element('SecretAccessKey', 'c2VjcmV0') +
          element('Expiration', expiration) +
          element('AccessKeyId', 'ASIAEXAMPLE'),
      ),
    );

  it('is asked for with a token of the run, cut by the session policy, under the name of the run', async () => {
    const { sent, deps } = network(() => new Response(session()));
    const issued = await awsStsIssuer(options, deps).issue(caller);
    expect(issued).toMatchObject({
      ok: true,
      value: {
        id: 'ASIAEXAMPLE',
        expiresAt: Date.parse('2027-01-15T08:30:00Z') / 1000,
        environment: { AWS_ACCESS_KEY_ID: 'ASIAEXAMPLE', AWS_SECRET_ACCESS_KEY: 'c2VjcmV0' },
      },
    });
    expect(issued.ok && issued.value.revoke).toBeUndefined();
    const form = sent[0]?.form;
    expect(form?.get('RoleSessionName')).toBe(caller.chain[0].id);
    expect(form?.get('DurationSeconds')).toBe('3600');
    expect(JSON.parse(form?.get('Policy') ?? '')).toEqual(options.sessionPolicy);
    const token = form?.get('WebIdentityToken') ?? '';
    expect(decodeJwt(token)).toMatchObject({ aud: 'sts.amazonaws.com', sub: caller.chain[0].spiffeId });
  });

  it('is for at least the 15 minutes that STS insists on, however short the run is', async () => {
    const { sent, deps } = network(() => new Response(session()));
    const run = aRun({ envelope: { expiresAt: clock.seconds() + 30 } });
    await awsStsIssuer(options, deps).issue({ ...caller, chain: [run] });
    expect(sent[0]?.form.get('DurationSeconds')).toBe('900');
  });

  it.each<[string, Response]>([
    ['refuses', new Response('<Error><Code>AccessDenied</Code></Error>', { status: 403 })],
    ['leaves something out', new Response(element('AccessKeyId', 'A'))],
    ['says something twice', new Response(session() + session())],
    ['gives no date', new Response(session('soon'))],
  ])('is none when STS %s', async (_what, answer) => {
    const { deps } = network(() => answer);
    const issued = await awsStsIssuer(options, deps).issue(caller);
    expect(issued).toMatchObject({ ok: false });
    expect(JSON.stringify(issued)).not.toMatch(/c2Vj|c2Vz/);
  });
});

describe('an installation token of a GitHub App', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const options = {
    api: 'https://api.github.com',
    clientId: 'Iv1.abc',
    installation: 42,
    repositories: ['desk'],
    permissions: { contents: 'read', issues: 'write' } as const,
  };
  const given = {
    token: 'ghs_secret',
    expires_at: '2027-01-15T09:00:00Z',
    permissions: { contents: 'read', issues: 'write', metadata: 'read' },
  };

  it('is asked for with what it is to be good for, and given back at the end', async () => {
    const { sent, deps } = network((url) =>
      url.endsWith('/installation/token')
        ? new Response(null, { status: 204 })
        : Response.json(given, { status: 201 }),
    );
    const issued = await gitHubAppIssuer(options, { ...deps, key: privateKey }).issue(caller);
    expect(issued).toMatchObject({ ok: true, value: { authorization: 'Bearer ghs_secret' } });
    expect(sent[0]?.url).toBe('https://api.github.com/app/installations/42/access_tokens');
    expect(JSON.parse(String(sent[0]?.init.body))).toEqual({
      repositories: ['desk'],
      permissions: { contents: 'read', issues: 'write' },
    });
    const headers = sent[0]?.init.headers as Record<string, string>;
    const { payload } = await jwtVerify(headers['authorization']?.slice(7) ?? '', publicKey, {
      currentDate: new Date(clock.now()),
      algorithms: ['RS256'],
    });
    expect(payload.iss).toBe('Iv1.abc');
    await (issued.ok ? issued.value.revoke?.() : undefined);
    expect(sent[1]).toMatchObject({
      url: 'https://api.github.com/installation/token',
      init: { method: 'DELETE' },
    });
  });

  it('goes to a child in the variable that is configured', async () => {
    const { deps } = network(() => Response.json(given, { status: 201 }));
    const issuer = gitHubAppIssuer({ ...options, variable: 'GITHUB_TOKEN' }, { ...deps, key: privateKey });
    const issued = await issuer.issue(caller);
    expect(issued).toMatchObject({ ok: true, value: { environment: { GITHUB_TOKEN: 'ghs_secret' } } });
    expect(issued.ok && issued.value.authorization).toBeUndefined();
  });

  it.each<[string, object, number]>([
    ['more rights', { ...given, permissions: { contents: 'write' } }, 201],
    ['other rights', { ...given, permissions: { administration: 'read' } }, 201],
    ['no word on rights', { ...given, permissions: undefined }, 201],
    ['no date', { ...given, expires_at: 'later' }, 201],
    ['a refusal', { message: 'no' }, 404],
  ])('is not taken with %s', async (_what, body, status) => {
    const { deps } = network(() => Response.json(body, { status }));
    const issued = await gitHubAppIssuer(options, { ...deps, key: privateKey }).issue(caller);
    expect(issued).toMatchObject({ ok: false });
    expect(JSON.stringify(issued)).not.toContain('ghs_secret');
  });
});

describe('a secret of the gateway', () => {
  it('comes from a variable or a file that only its owner reads', async () => {
    const folder = temporaryFolder();
    const file = join(folder, 'secret');
    await writeFile(file, 'from file\n', { mode: 0o600 });
    expect(await readSecret({ file }, {})).toBe('from file');
    expect(await readSecret({ env: 'A' }, { A: 'from env' })).toBe('from env');
  });

  it('is missed aloud, and never quoted', async () => {
    const folder = temporaryFolder();
    const file = join(folder, 'secret');
    await writeFile(file, 'sk-open');
    await chmod(file, 0o644);
    const link = join(folder, 'link');
    await symlink(file, link);
    for (const place of [{ file }, { file: link }, { file: `${file}x` }, { env: 'UNSET' }]) {
      const reading = readSecret(place, {});
      await expect(reading).rejects.toMatchObject({ code: 'ERR_KEY_INVALID' });
      await expect(reading).rejects.not.toThrow('sk-open');
    }
  });
});
