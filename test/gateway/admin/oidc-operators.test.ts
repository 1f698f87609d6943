import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../src/base/index.ts';
import { createOidcOperators } from '../../../src/gateway/admin/oidc-operators.ts';
import { mayDo, PERMISSIONS } from '../../../src/gateway/admin/permissions.ts';
import { AdminEntry, ROLES } from '../../../src/gateway/config-identity.ts';
import { createTestIssuer } from '../../support/issuer.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const ADMIN = 'http://127.0.0.1:8475';
const ISSUER = 'https://login.example.org';

function setup(changes: object = {}) {
  const clock = manualClock();
  const issuer = createTestIssuer(ISSUER, clock.now, ADMIN);
  const file = join(temporaryFolder(), 'jwks.json');
  writeFileSync(file, JSON.stringify(issuer.jwks()));
  const { oidc } = AdminEntry.parse({
    oidc: {
      issuer: ISSUER,
      jwks: { file },
      roles: [
        { claims: { groups: 'platform' }, roles: ['operator'] },
        { claims: { groups: 'audit', country: 'ch' }, roles: ['investigator'] },
      ],
      ...changes,
    },
  });
  if (oidc === undefined) throw new Error('no oidc');
  const check = createOidcOperators(oidc, {
    adminUrl: ADMIN,
    ownIssuer: 'http://127.0.0.1:8474',
    now: clock.now,
  });
  const ask = (claims: JsonObject = {}, header: JsonObject = {}) =>
    check(issuer.sign({ sub: 'robin', groups: ['platform'], ...claims }, header));
  return { clock, issuer, check, ask };
}

describe('an operator of an OpenID Connect provider', () => {
  it('has the roles of the groups in the token, and is called by who it is', async () => {
    const { ask } = setup();
    expect(await ask()).toEqual({ name: 'robin', roles: ['operator'] });
    expect(await ask({ groups: ['audit'], country: 'ch', email: 'r@example.org' })).toEqual({
      name: 'r@example.org (robin)',
      roles: ['investigator'],
    });
  });

  it.each<[string, JsonObject, JsonObject]>([
    ['no role', { groups: ['sales'] }, {}],
    ['a role that needs more', { groups: ['audit'] }, {}],
    ['a group that begins the same', { groups: ['platform-guests'] }, {}],
    ['another issuer', { iss: 'https://evil.example.org' }, {}],
    ['another audience', { aud: 'https://other.example.org' }, {}],
    ['several audiences', { aud: [ADMIN, 'https://other.example.org'] }, {}],
    ['no subject', { sub: '' }, {}],
    ['no end', { exp: null }, {}],
    ['a life of a month', { exp: 1_800_000_000 + 30 * 86_400 }, {}],
    ['the type of a proof', {}, { typ: 'dpop+jwt' }],
    ['no key id', {}, { kid: null }],
    ['an algorithm that is not pinned', {}, { alg: 'none' }],
  ])('is nobody with %s', async (_what, claims, header) => {
    expect(await setup().ask(claims, header)).toBeUndefined();
  });

  it('is nobody when the token is over', async () => {
    const { clock, issuer, check } = setup();
    const token = issuer.sign({ sub: 'robin', groups: ['platform'] });
    clock.advance(306);
    expect(await check(token)).toBeUndefined();
  });

  it('is never taken from the tokens that the gateway gives to agents', () => {
    expect(() => setup({ issuer: 'http://127.0.0.1:8474' })).toThrow('for agents');
  });
});

describe('the permission table', () => {
  it('lets no single role but the operator change agents, and none approve and write policies at once', () => {
    for (const role of ROLES) {
      const one = { name: 'x', roles: [role] };
      expect(mayDo(one, 'agents.write')).toBe(role === 'operator');
      expect(mayDo(one, 'approvals.decide') && mayDo(one, 'policies.write')).toBe(false);
      expect(PERMISSIONS[role]).toContain('status.read');
    }
    expect(mayDo({ name: 'x', roles: [] }, 'status.read')).toBe(false);
  });
});
