import { describe, expect, it } from 'vitest';
import { openGateway } from '../../src/cli/open-gateway.ts';
import { createLogger, parseConfig } from '../../src/gateway/index.ts';
import { type AgentKey, createAgentKey } from '../support/agent-key.ts';
import { LEGACY_HEADERS, toolCall } from '../support/mcp-post.ts';
import { type LabSetting, openBareRun, prepareLab } from '../support/open-lab.ts';
import { asUpstream, startWitness } from '../support/witness.ts';

const start = (setting: LabSetting) =>
  openGateway(parseConfig(setting.config, 'lab'), { log: createLogger('silent') });

async function ask(setting: LabSetting, assertion: string, key: AgentKey): Promise<Record<string, unknown>> {
  const url = `${setting.publicUrl}/oauth/token`;
  const body = new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    assertion,
    authorization_details: JSON.stringify([{ type: 'sallyport_intent', purpose: 'test' }]),
  });
  return (await (
    await fetch(url, { method: 'POST', headers: { dpop: key.prove({ url }) }, body })
  ).json()) as Record<string, unknown>;
}

describe('T37: a request that is played back after a restart', () => {
  it('is refused: the proofs that were used come back from the log', async () => {
    await using witness = await startWitness();
    using setting = await prepareLab({ upstreams: [asUpstream(witness)] });
    const url = `${setting.publicUrl}/mcp/witness`;
    let recorded: RequestInit;
    {
      await using _gateway = await start(setting);
      const run = await openBareRun(setting);
      recorded = {
        method: 'POST',
        headers: { ...LEGACY_HEADERS, ...run.identify(url) },
        body: JSON.stringify(toolCall('echo')),
      };
      expect((await fetch(url, recorded)).status).toBe(200);
    }
    await using _again = await start(setting);
    expect((await fetch(url, recorded)).status).toBe(401);
  });

  it('is refused when it is an assertion: it still belongs to the key that opened or renewed a run with it', async () => {
    await using witness = await startWitness();
    using setting = await prepareLab({ upstreams: [asUpstream(witness)] });
    const key = createAgentKey(Date.now);
    const [opening, renewing] = [await setting.assertion(), await setting.assertion()];
    {
      await using _gateway = await start(setting);
      expect(await ask(setting, opening, key)).toHaveProperty('access_token');
      expect(await ask(setting, renewing, key)).toHaveProperty('access_token');
    }
    await using _again = await start(setting);
    for (const assertion of [opening, renewing]) {
      expect(await ask(setting, assertion, createAgentKey(Date.now))).toMatchObject({
        error: 'invalid_grant',
      });
      expect(await ask(setting, assertion, key)).toHaveProperty('access_token');
    }
  });
});
