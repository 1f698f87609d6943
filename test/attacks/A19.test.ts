import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/base/index.ts';
import type { JwtAttestorEntry } from '../../src/identity/index.ts';
import { createTestIssuer } from '../support/issuer.ts';
import { jwtAttestor } from '../support/jwt-attestor.ts';
import { manualClock } from '../support/manual-clock.ts';

const GITHUB = 'https://token.actions.githubusercontent.com';
const CLUSTER = 'https://oidc.cluster.example.org';
const IDS = { repository_id: '1', repository_owner_id: '2' };

function attestorFor(
  issuer: string,
  claims: Record<string, string>,
  changes: Partial<JwtAttestorEntry> = {},
) {
  const clock = manualClock();
  const signer = createTestIssuer(issuer, clock.now);
  const rules = [{ agent: 'ops-desk', claims }];
  const attestor = jwtAttestor(signer, clock, { rules, algorithms: ['ES256'], ...changes });
  return (token: JsonObject) => attestor.attest(signer.sign(token), undefined);
}

describe('A19: a rule that lets in more than was meant', () => {
  it.each<[string, string, JwtAttestorEntry['preset'], Record<string, string>, string]>([
    ['GitHub by name', GITHUB, undefined, { repository: 'o/r' }, 'repository_id'],
    ['GitHub by subject', GITHUB, 'github-actions', { sub: 'repo:o/r:ref:refs/heads/main' }, 'repository_id'],
    ['GitHub by ids alone', GITHUB, undefined, IDS, 'job_workflow_ref or environment'],
    ['GitHub by a pattern', GITHUB, undefined, { ...IDS, environment: 'prod*' }, 'without "*"'],
    ['an enterprise of GitHub', `${GITHUB}/acme`, undefined, { sub: 'x' }, 'repository_id'],
    ['GitLab by path', 'https://gitlab.com', undefined, { project_path: 'g/p' }, 'project_id'],
    ['GitLab by project alone', 'https://git.example.org', 'gitlab', { project_id: '1' }, 'ref_protected or'],
    [
      'Kubernetes by name',
      CLUSTER,
      'kubernetes',
      { sub: 'system:serviceaccount:prod:desk' },
      '/kubernetes.io/namespace',
    ],
    ['AWS by account', 'https://a1.tokens.sts.global.api.aws', 'aws', { aws_account: '1' }, 'add sub'],
    ['Google by mail', 'https://accounts.google.com', undefined, { email: 'a@b.example' }, 'add sub'],
    [
      'Azure by application',
      'https://sts.windows.net/11111111-2222-3333-4444-555555555555/',
      undefined,
      { appid: 'x' },
      'tid',
    ],
    ['an empty value', CLUSTER, undefined, { sub: ' ' }, 'must not be empty'],
  ])('is refused when the configuration is read: %s', (_what, issuer, preset, claims, message) => {
    expect(() => attestorFor(issuer, claims, { preset })).toThrow(message);
  });

  it.each<[JwtAttestorEntry['preset'], string]>([
    ['github-actions', 'https://token.actions.githubusercontent.com.evil.example.org'],
    ['aws', 'https://tokens.sts.evil.example.org'],
    ['gcp', 'https://accounts.google.com.evil.example.org'],
    ['azure', 'https://login.microsoftonline.com/common/v2.0'],
  ])('is refused for an issuer that is none of %s', (preset, issuer) => {
    const claims = { ...IDS, environment: 'e', sub: 's', tid: 't', oid: 'o' };
    expect(() => attestorFor(issuer, claims, { preset })).toThrow('is not an issuer of');
  });
});

describe('A19: a workflow', () => {
  const rule = { ...IDS, job_workflow_ref: 'o/r/.github/workflows/desk.yml@refs/heads/main' };
  const good = { ...rule, repository: 'o/r', run_id: '77', event_name: 'push' };

  it('is let in by the ids of its repository and the workflow itself, and its run is in the evidence', async () => {
    const attest = attestorFor(GITHUB, rule);
    expect(await attest(good)).toMatchObject({ value: { evidence: { claims: { run_id: '77', ...rule } } } });
  });

  it.each<[string, JsonObject]>([
    ['of a fork', { repository_id: '9', repository_owner_id: '9', event_name: 'pull_request' }],
    ['of a repository that took over the name', { repository_id: '9' }],
    ['of an owner that took over the name', { repository_owner_id: '9' }],
    ['that is another one', { job_workflow_ref: 'o/r/.github/workflows/evil.yml@refs/heads/main' }],
    ['of another branch', { job_workflow_ref: 'o/r/.github/workflows/desk.yml@refs/heads/evil' }],
    ['with an id that is a number', { repository_id: 1 }],
    ['with an id in a list', { repository_id: ['1'] }],
    ['without audience', { aud: null }],
    ['for the audience that GitHub takes by itself', { aud: 'https://github.com/o' }],
  ])('is kept out: one %s', async (_what, claims) => {
    expect((await attestorFor(GITHUB, rule)({ ...good, ...claims })).ok).toBe(false);
  });
});

describe('A19: a pod', () => {
  const rule = { '/kubernetes.io/namespace': 'prod', '/kubernetes.io/serviceaccount/uid': 'sa-1' };
  const inside = {
    namespace: 'prod',
    serviceaccount: { name: 'desk', uid: 'sa-1' },
    pod: { name: 'p', uid: 'pod-1' },
  };
  const attest = (changes: JsonObject) =>
    attestorFor(CLUSTER, rule, { preset: 'kubernetes' })({ 'kubernetes.io': { ...inside, ...changes } });

  it('is let in by namespace and service account, and its own uid is in the evidence', async () => {
    expect(await attest({})).toMatchObject({
      value: { evidence: { claims: { '/kubernetes.io/pod/uid': 'pod-1' } } },
    });
  });

  it.each<[string, JsonObject]>([
    ['in another namespace', { namespace: 'dev' }],
    ['of a service account made again under the name', { serviceaccount: { name: 'desk', uid: 'sa-2' } }],
    ['that is none: a token bound to no pod', { pod: {} }],
    ['that is none: a token of a secret', { pod: null }],
  ])('is kept out: one %s', async (_what, changes) => {
    expect((await attest(changes)).ok).toBe(false);
  });

  it('is kept out without the claims of Kubernetes, and with ones that look like them', async () => {
    const attestAny = attestorFor(CLUSTER, rule, { preset: 'kubernetes' });
    expect((await attestAny({ sub: 'x' })).ok).toBe(false);
    expect(
      (await attestAny({ '/kubernetes.io/namespace': 'prod', '/kubernetes.io/serviceaccount/uid': 'sa-1' }))
        .ok,
    ).toBe(false);
  });
});
