import { describe, expect, it } from 'vitest';
import { leafHash } from '../../../src/intent-log/index.ts';
import { align, createBatchMac, KeptCopy } from '../../../src/storage/second-copy/index.ts';
import { seeded } from '../../support/seeded.ts';
import { localInMemory, StreamInMemory } from '../../support/stream-in-memory.ts';

const mac = createBatchMac(Buffer.alloc(32, 1), 'test/log');
const LOOK = { begin: false };

function batchOf(first: number, texts: readonly string[]) {
  const records = texts.map((text) => Buffer.from(text));
  return { first, records, leaves: records.map((bytes) => leafHash(bytes)) };
}

async function copied(texts: readonly string[]) {
  const stream = new StreamInMemory();
  const local = localInMemory(texts);
  const { epoch } = await align({ stream, local, mac }, { begin: true });
  const said: (string | undefined)[] = [];
  const away = (why: string | undefined): void => void said.push(why);
  const copy = new KeptCopy({
    stream,
    local,
    mac,
    epoch,
    retryMs: 1,
    lookEveryMs: 60_000,
    trims: true,
    away,
  });
  const add = (...added: string[]): void => {
    const batch = batchOf(local.end(), added);
    copy.send(batch);
    local.insert(batch.first, batch.records);
  };
  const texted = (): string[] => stream.entries.map(({ bytes }) => Buffer.from(bytes).toString());
  return { stream, local, copy, add, said, texted, deps: { stream, local, mac } };
}

describe('the start', () => {
  it('begins a stream for a log without records, and for no other', async () => {
    const stream = new StreamInMemory();
    await expect(align({ stream, local: localInMemory(['a']), mac }, LOOK)).rejects.toThrow(
      'sallyport log copy',
    );
    expect(await align({ stream, local: localInMemory([]), mac }, LOOK)).toMatchObject({ epoch: 1, sent: 0 });
  });

  it('sends what the stream lacks', async () => {
    const { stream, texted } = await copied(['a']);
    const local = localInMemory(['a', 'b', 'c']);
    expect(await align({ stream, local, mac }, LOOK)).toEqual({ epoch: 2, sent: 2, adopted: 0 });
    expect(texted()).toEqual(['a', 'b', 'c']);
  });

  it('takes over the one batch that was on its way, and nothing that is not whole or not its own', async () => {
    const { stream } = await copied(['a']);
    const batch = batchOf(1, ['b', 'c']);
    const local = localInMemory(['a']);
    const attempt = () => align({ stream, local, mac }, LOOK);
    const foreign = createBatchMac(Buffer.alloc(32, 2), 'test/log');
    await stream.append(1, batch, foreign.of(1, batch.leaves));
    await expect(attempt()).rejects.toThrow('were not written by this log');
    stream.entries = stream.entries.slice(0, 2);
    await expect(attempt()).rejects.toMatchObject({ code: 'ERR_LOG_COPY_REFUSED' });
    expect(local.records).toHaveLength(1);
    stream.entries = stream.entries.slice(0, 1);
    await stream.append(1, batch, mac.of(1, batch.leaves));
    expect(await attempt()).toMatchObject({ adopted: 2 });
    expect(local.records.map(String)).toEqual(['a', 'b', 'c']);
  });

  it('refuses a local log that lost more than that: it was acknowledged', async () => {
    const { add, copy, stream } = await copied(['a']);
    add('b');
    await copy.held();
    add('c');
    await copy.held();
    const local = localInMemory(['a']);
    await expect(align({ stream, local, mac }, LOOK)).rejects.toThrow(
      'acknowledged records are missing here',
    );
    expect(local.records).toHaveLength(1);
  });

  it('refuses a fork, whichever of the two is longer', async () => {
    for (const texts of [['a', 'x'], ['a', 'x', 'c', 'd'], ['x']]) {
      const { stream } = await copied(['a', 'b', 'c']);
      await expect(align({ stream, local: localInMemory(texts), mac }, LOOK)).rejects.toThrow('two gateways');
    }
  });
});

describe('a kept copy', () => {
  it('holds everything once and in order, however often an attempt fails, before or after it was done', async () => {
    const { below } = seeded(7);
    const { stream, local, copy, add, texted, said } = await copied([]);
    for (let i = 0; i < 200; i++) {
      if (below(4) === 0) stream.failBefore = below(3);
      if (below(4) === 0) stream.failAfter = below(3);
      add(...Array.from({ length: 1 + below(4) }, (_, at) => `${i}.${at}`));
      if (below(2) === 0) await copy.held();
    }
    await copy.held();
    expect(copy.isBehind).toBe(false);
    expect(texted()).toEqual(local.records.map(String));
    expect(said.length).toBeGreaterThan(0);
    expect(said.at(-1)).toBeUndefined();
  });

  it('sends again what a failover lost', async () => {
    const { stream, local, copy, add, texted } = await copied(['a', 'b', 'c']);
    stream.entries = stream.entries.slice(0, 1);
    add('d');
    await copy.held();
    expect(texted()).toEqual(local.records.map(String));
  });

  it('sends a batch only when the one before it is held: the stream is never ahead by two', async () => {
    const { stream, copy, add } = await copied(['a']);
    stream.failBefore = 3;
    add('b');
    add('c');
    expect(stream.entries).toHaveLength(1);
    await copy.held();
    expect(stream.entries.filter(({ batch }) => batch !== undefined)).toHaveLength(3);
  });

  it.each<readonly [string, (stream: StreamInMemory) => void, string]>([
    ['the stream is wiped', (stream) => Object.assign(stream, { entries: [], held: undefined }), 'log copy'],
    ['only its records are gone', (stream) => Object.assign(stream, { entries: [] }), 'log copy'],
    ['another process takes it over', (stream) => Object.assign(stream, { held: 9 }), 'took it over'],
    [
      'somebody wrote into it',
      (stream) => void stream.entries.push({ idx: 1, bytes: Buffer.from('forged') }),
      'two gateways',
    ],
  ])('gives up for good when %s, and says what to do', async (_, happens, said) => {
    const { stream, copy, add } = await copied(['a']);
    happens(stream);
    add('b');
    await expect(copy.held()).rejects.toThrow(said);
    expect((await copy.failed).message).toContain(said);
    add('c');
    await expect(copy.held()).rejects.toThrow(said);
  });

  it('takes the stream again from a server that has forgotten whose it is', async () => {
    const { stream, copy, add, texted } = await copied(['a']);
    stream.held = 0;
    add('b');
    await copy.held();
    expect(texted()).toEqual(['a', 'b']);
  });

  it('lets confirmed records go, but never the last, by which it is known again', async () => {
    const { stream, local, copy, add, deps } = await copied(['a', 'b', 'c']);
    copy.confirmed(2);
    await expect.poll(() => stream.entries.length).toBe(1);
    copy.confirmed(3);
    add('d');
    await copy.held();
    expect(stream.entries.map(({ idx }) => idx)).toEqual([2, 3]);
    expect(await align(deps, LOOK)).toMatchObject({ sent: 0, adopted: 0 });
    expect(local.end()).toBe(4);
  });
});
