import { createHmac, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson, sha256 } from '../../../src/base/index.ts';
import {
  commit,
  createDataKey,
  openDataKey,
  openSealed,
  partKey,
  sealPart,
} from '../../../src/intent-log/index.ts';
import { newCall, newRun } from '../../support/records.ts';

const key = openDataKey(createDataKey());

describe('a commitment', () => {
  it('is HMAC-SHA256 as node:crypto makes it, for any key of 32 bytes and any text', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.string({ unit: 'binary' }),
        (bytes, text) => {
          expect(commit(bytes, text)).toBe(createHmac('sha256', bytes).update(text).digest('base64url'));
        },
      ),
    );
  });

  it('differs for the same words in another call, another part and another run', () => {
    const [call, other] = [newCall(), newCall()];
    const macs = [
      commit(partKey(key, 'commit', call, 'args'), '{"n":7}'),
      commit(partKey(key, 'commit', other, 'args'), '{"n":7}'),
      commit(partKey(key, 'commit', call, 'result'), '{"n":7}'),
      commit(partKey(openDataKey(createDataKey()), 'commit', call, 'args'), '{"n":7}'),
    ];
    expect(new Set(macs).size).toBe(4);
  });

  it('cannot be guessed from a dictionary of arguments, which a bare hash can', () => {
    const call = newCall();
    const secret = canonicalJson({ account: '0417' });
    const dictionary = Array.from(
      { length: 10_000 },
      (_, i) => `{"account":"${String(i).padStart(4, '0')}"}`,
    );
    const mac = commit(partKey(key, 'commit', call, 'args'), secret);
    expect(dictionary.find((guess) => sha256(guess) === sha256(secret))).toBe(secret);
    const publicKeys = [Buffer.alloc(32), Buffer.from(call.padEnd(32, '0')), randomBytes(32)];
    expect(dictionary.some((guess) => sha256(guess) === mac)).toBe(false);
    expect(publicKeys.some((known) => dictionary.some((guess) => commit(known, guess) === mac))).toBe(false);
  });

  it('is opened by its own key, which opens no other part', () => {
    const call = newCall();
    const disclosed = partKey(key, 'commit', call, 'args');
    expect(commit(disclosed, '"yes"')).toBe(commit(partKey(key, 'commit', call, 'args'), '"yes"'));
    expect(disclosed.equals(partKey(key, 'commit', call, 'result'))).toBe(false);
    expect(disclosed.equals(partKey(key, 'seal', call, 'args'))).toBe(false);
  });
});

describe('a sealed part', () => {
  const [run, call] = [newRun(), newCall()];
  const sealed = sealPart(key, run, call, 'args', '{"to":"Zoë"}');

  it('opens with its key, run, call and part', () => {
    expect(openSealed(key, run, call, 'args', sealed)).toBe('{"to":"Zoë"}');
  });

  it('does not open as the part of another run or call, as the other part, or with another key', () => {
    expect(openSealed(key, newRun(), call, 'args', sealed)).toBeUndefined();
    expect(openSealed(key, run, newCall(), 'args', sealed)).toBeUndefined();
    expect(openSealed(key, run, call, 'result', sealed)).toBeUndefined();
    expect(openSealed(openDataKey(createDataKey()), run, call, 'args', sealed)).toBeUndefined();
  });

  it('does not open when any byte of it was changed, or any is missing', () => {
    for (let i = 0; i < sealed.length; i++) {
      const changed = Buffer.from(sealed);
      changed[i] = (changed[i] ?? 0) ^ 1;
      expect(openSealed(key, run, call, 'args', changed)).toBeUndefined();
      expect(openSealed(key, run, call, 'args', sealed.subarray(0, i))).toBeUndefined();
    }
  });

  it('never looks the same twice', () => {
    expect(sealPart(key, run, call, 'args', '{}').equals(sealPart(key, run, call, 'args', '{}'))).toBe(false);
  });
});
