import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SallyportError } from '../../../src/base/index.ts';
import { createAdminPlane } from '../../../src/gateway/admin/create-admin-plane.ts';
import type { Role } from '../../../src/gateway/config-identity.ts';
import {
  decodeEntryBundle,
  leafHash,
  type PublishedLog,
  parseVerifierKey,
  verifyCheckpoint,
} from '../../../src/intent-log/index.ts';
import { openLogReader } from '../../../src/storage/index.ts';
import { type Lab, openLab } from '../../support/open-lab.ts';
import { asUpstream, startWitness, type Witness } from '../../support/witness.ts';

type Ports = Parameters<typeof createAdminPlane>[0];

function planeOf(publishedLog: PublishedLog, roles: readonly Role[]) {
  const unused = {} as Ports;
  return createAdminPlane({
    ...unused,
    publishedLog,
    operator: async () => ({ name: 'somebody', roles }),
    allowedHosts: new Set(['localhost:80']),
    log: { warn: () => undefined, error: () => undefined } as unknown as Ports['log'],
  });
}

const LOG: PublishedLog = {
  checkpoint: async () => 'a note',
  keyChanges: async () => ['a statement'],
  tile: async (level, n, width) => (n === 7 ? undefined : Buffer.from(`${level} ${n} ${width}`)),
};

describe('the log on the admin plane', () => {
  it('is for investigators only', async () => {
    for (const role of ['operator', 'policy-author', 'approver'] as const) {
      const plane = planeOf(LOG, [role]);
      for (const path of ['checkpoint', 'key-changes', 'tile/0/000', 'tile/entries/000']) {
        expect((await plane.inject(`/v1/log/${path}`)).statusCode, `${role} ${path}`).toBe(403);
      }
    }
    const plane = planeOf(LOG, ['investigator']);
    expect((await plane.inject('/v1/log/checkpoint')).body).toBe('a note');
    expect((await plane.inject('/v1/log/key-changes')).json()).toEqual(['a statement']);
    expect((await plane.inject('/v1/log/tile/entries/x001/002.p/17')).body).toBe('entries 1002 17');
  });

  it('refuses paths that are none of a tile, and says of others that they are not there yet', async () => {
    const plane = planeOf(LOG, ['investigator']);
    expect((await plane.inject('/v1/log/tile/0/7')).statusCode).toBe(400);
    expect((await plane.inject('/v1/log/tile/0/%2e%2e/000')).statusCode).toBe(400);
    expect((await plane.inject('/v1/log/tile/0/007')).statusCode).toBe(404);
  });

  it('asks to come back when the log cannot be read at this moment', async () => {
    const unreadable = async (): Promise<never> => {
      throw new SallyportError('ERR_LOG_UNAVAILABLE', 'the intent log cannot be read: a test');
    };
    const broken = planeOf({ checkpoint: unreadable, tile: unreadable, keyChanges: unreadable }, [
      'investigator',
    ]);
    const unsigned = planeOf({ ...LOG, checkpoint: async () => undefined }, ['investigator']);
    for (const answer of [
      await broken.inject('/v1/log/tile/0/000'),
      await broken.inject('/v1/log/checkpoint'),
      await unsigned.inject('/v1/log/checkpoint'),
    ]) {
      expect(answer.statusCode).toBe(503);
      expect(answer.headers['retry-after']).toBe('1');
    }
  });
});

describe('a running gateway', () => {
  let witness: Witness;
  let lab: Lab;
  beforeAll(async () => {
    witness = await startWitness();
    lab = await openLab({ upstreams: [asUpstream(witness)] });
  });
  afterAll(async () => {
    await lab[Symbol.asyncDispose]();
    await witness[Symbol.asyncDispose]();
  });

  it('gives investigators its signed log over HTTP', async () => {
    const sizeLine = async (): Promise<number> =>
      Number((await (await lab.admin('/v1/log/checkpoint')).text()).split('\n')[1]);
    await expect.poll(sizeLine).toBeGreaterThan(0); // the first checkpoint may be that of an empty log
    using reader = openLogReader(lab.data);
    const key = parseVerifierKey(reader.verifierKey ?? '');
    const note = await (await lab.admin('/v1/log/checkpoint')).text();
    const head = key && verifyCheckpoint(note, key);
    if (head?.ok !== true) throw new Error('the checkpoint does not verify');
    const { size } = head.value;
    const bundle = await (await lab.admin(`/v1/log/tile/entries/000.p/${size}`)).arrayBuffer();
    const leaves = decodeEntryBundle(new Uint8Array(bundle), size)?.map(leafHash);
    expect(leaves).toEqual([...reader.records(0)].slice(0, size).map(({ bytes }) => leafHash(bytes)));
  });
});
