import { createHmac, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson, sha256 } from '../../../src/base/index.ts';
import {
  commit,
  commitKey,
  contentKey,
  createDataKey,
  openDataKey,
  openSealed,
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

  it('has a key of its own, one block of HKDF-Expand as node:crypto makes it', () => {
    const [bytes, call] = [createDataKey(), newCall()];
    const info = `sallyport content commit ${call} args\u0001`;
    const expected = createHmac('sha256', bytes).update(info).digest();
    const dataKey = openDataKey(bytes);
    bytes.fill(0); // what it was made from may go
    expect(commitKey(dataKey, call, 'args')).toEqual(expected);
    expect(commitKey(dataKey, call, 'args')).toEqual(expected);
  });

  it('differs for the same words in another call, another part and another run', () => {
    const [call, other] = [newCall(), newCall()];
    const macs = [
      commit(commitKey(key, call, 'args'), '{"n":7}'),
      commit(commitKey(key, other, 'args'), '{"n":7}'),
      commit(commitKey(key, call, 'result'), '{"n":7}'),
      commit(commitKey(openDataKey(createDataKey()), call, 'args'), '{"n":7}'),
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
    const mac = commit(commitKey(key, call, 'args'), secret);
    expect(dictionary.find((guess) => sha256(guess) === sha256(secret))).toBe(secret);
    const publicKeys = [Buffer.alloc(32), Buffer.from(call.padEnd(32, '0')), randomBytes(32)];
    expect(dictionary.some((guess) => sha256(guess) === mac)).toBe(false);
    expect(publicKeys.some((known) => dictionary.some((guess) => commit(known, guess) === mac))).toBe(false);
  });

  it('is opened by its own key, which opens no other part', () => {
    const call = newCall();
    const disclosed = commitKey(key, call, 'args');
    expect(commit(disclosed, '"yes"')).toBe(commit(commitKey(key, call, 'args'), '"yes"'));
    expect(disclosed.equals(commitKey(key, call, 'result'))).toBe(false);
    expect(disclosed.equals(contentKey(key).export())).toBe(false);
  });
});

describe('a sealed part', () => {
  const [run, call] = [newRun(), newCall()];
  const sealing = contentKey(key);
  const sealed = sealPart(sealing, run, call, 'args', '{"to":"Zoë"}');

  it('opens with its key, run, call and part', () => {
    expect(openSealed(sealing, run, call, 'args', sealed)).toBe('{"to":"Zoë"}');
  });

  it('does not open as the part of another run or call, as the other part, or with another key', () => {
    expect(openSealed(sealing, newRun(), call, 'args', sealed)).toBeUndefined();
    expect(openSealed(sealing, run, newCall(), 'args', sealed)).toBeUndefined();
    expect(openSealed(sealing, run, call, 'result', sealed)).toBeUndefined();
    expect(openSealed(contentKey(openDataKey(createDataKey())), run, call, 'args', sealed)).toBeUndefined();
  });

  it('does not open when any byte of it was changed, or any is missing', () => {
    for (let i = 0; i < sealed.length; i++) {
      const changed = Buffer.from(sealed);
      changed[i] = (changed[i] ?? 0) ^ 1;
      expect(openSealed(sealing, run, call, 'args', changed)).toBeUndefined();
      expect(openSealed(sealing, run, call, 'args', sealed.subarray(0, i))).toBeUndefined();
    }
  });

  it('never looks the same twice', () => {
    expect(
      sealPart(sealing, run, call, 'args', '{}').equals(sealPart(sealing, run, call, 'args', '{}')),
    ).toBe(false);
  });
});
