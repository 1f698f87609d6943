import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type OpenGateway, openGateway } from '../../src/cli/open-gateway.ts';
import { createLogger, parseConfig } from '../../src/gateway/index.ts';
import { post, toolCall } from '../support/mcp-post.ts';
import { type LabSetting, prepareLab } from '../support/open-lab.ts';
import { readRecords } from '../support/open-ops-gateway.ts';
import { startWitness, type Witness } from '../support/witness.ts';
import { startUpstreamAuthority, type UpstreamAuthority } from './start-oidc-provider.ts';

describe.each(['oauth-client-credentials', 'token-exchange'] as const)(
  'an upstream behind an authorization server of its own: %s',
  (kind) => {
    let witness: Witness;
    let authority: UpstreamAuthority;
    let lab: LabSetting;
    let gateway: OpenGateway;

    beforeAll(async () => {
      witness = await startWitness();
      authority = await startUpstreamAuthority();
      const credential = { kind, issuer: authority.issuer, clientId: 'gateway', scope: 'tickets' };
      const transport = { kind: 'http', url: witness.url };
      lab = await prepareLab({ upstreams: [{ name: 'witness', transport, credential }] });
      await authority.trust(lab.publicUrl);
      gateway = await openGateway(parseConfig(lab.config, 'lab'), { log: createLogger('silent') });
    });
    afterAll(async () => {
      await gateway[Symbol.asyncDispose]();
      lab[Symbol.dispose]();
      await authority[Symbol.asyncDispose]();
      await witness[Symbol.asyncDispose]();
    });

    const sentToken = (): string => witness.seen.at(-1)?.headers.authorization?.slice('Bearer '.length) ?? '';
    const call = async (run: Awaited<ReturnType<LabSetting['startRun']>>): Promise<number> =>
      (await post(run, toolCall('look'), { upstream: 'witness' })).status;

    it('was described with a token of that server', () => {
      expect(authority.events).toContain('client_credentials.saved');
      expect(authority.events).not.toContain('grant.error');
    });

    it('gets a token that its server knows, for the resource that it is, the same within a run', async () => {
      await using run = await lab.startRun();
      expect(await call(run)).toBe(200);
      const token = sentToken();
      expect(await authority.introspect(token)).toMatchObject({
        active: true,
        client_id: 'gateway',
        scope: 'tickets',
      });
      expect(await call(run)).toBe(200);
      expect(sentToken()).toBe(token);
    });

    it('gets another token for another run', async () => {
      await using one = await lab.startRun();
      await using other = await lab.startRun();
      await call(one);
      const token = sentToken();
      await call(other);
      expect(sentToken()).not.toBe(token);
    });

    it('is not called any more with the token of a run that ended: its server revoked it', async () => {
      const run = await lab.startRun();
      await call(run);
      const token = sentToken();
      await run.end();
      for (let tries = 0; tries < 50 && (await authority.introspect(token))['active'] === true; tries++)
        await sleep(50);
      expect(await authority.introspect(token)).toEqual({ active: false });
      await sleep(50);
      const records = readRecords(lab.data).filter((record) => 'run' in record && record.run === run.id);
      const issued = records.find((record) => record.type === 'credential.issued');
      const revoked = records.find((record) => record.type === 'credential.revoked');
      expect(issued).toMatchObject({ upstream: 'witness', credential: { kind } });
      expect(revoked).toMatchObject({ credential: issued?.credential });
      expect(revoked).not.toHaveProperty('failure');
      expect(JSON.stringify(records)).not.toContain(token);
    });

    it('is not called without a token: when the server is gone, the call is refused and recorded', async () => {
      await using run = await lab.startRun();
      const before = witness.seen.length;
      await authority[Symbol.asyncDispose]();
      expect(await call(run)).toBe(502);
      expect(witness.seen.length).toBe(before);
      const outcome = readRecords(lab.data).findLast(
        (record) => record.type === 'outcome' && record.run === run.id,
      );
      expect(outcome).toMatchObject({
        status: 'upstream_failed',
        detail: expect.stringContaining('no_credential'),
      });
    });

    if (kind === 'token-exchange') {
      it('knows the run, not only the gateway', () => {
        expect(authority.exchangedFor.length).toBeGreaterThan(3);
        for (const subject of authority.exchangedFor)
          expect(subject).toMatch(/^spiffe:\/\/lab\.example\/agent\/.+\/run\//);
      });
    }
  },
);
