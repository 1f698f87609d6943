import { describe, expect, it } from 'vitest';
import {
  EMPTY_ROOT,
  isKeyName,
  parseVerifierKey,
  type VerifierKey,
  verifyCheckpoint,
} from '../../src/intent-log/index.ts';
import { fixedSigner, newSigner } from '../support/log-in-memory.ts';

const ORIGIN = 'agents.example.org/log';
const signer = newSigner(ORIGIN);
const key = parseVerifierKey(signer.verifierKey) as VerifierKey;
const note = signer.sign({ size: 41, root: EMPTY_ROOT });

describe('a checkpoint', () => {
  it('is a signed note of origin, size and root', () => {
    const [origin, size, root, empty, signature] = note.split('\n');
    expect([origin, size, empty]).toEqual([ORIGIN, '41', '']);
    expect(Buffer.from(root ?? '', 'base64').toString('base64url')).toBe(EMPTY_ROOT);
    expect(signature).toMatch(/^— agents\.example\.org\/log [A-Za-z0-9+/]+=*$/);
  });

  it('verifies with the public key and gives back what was signed', () => {
    expect(verifyCheckpoint(note, key)).toEqual({
      ok: true,
      value: { origin: ORIGIN, size: 41, root: EMPTY_ROOT },
    });
  });

  it('is the same text for the same key and tree', () => {
    const [a, b] = [fixedSigner(ORIGIN), fixedSigner(ORIGIN)];
    expect(a.sign({ size: 1, root: EMPTY_ROOT })).toBe(b.sign({ size: 1, root: EMPTY_ROOT }));
  });

  it.each([
    ['another size', note.replace('\n41\n', '\n42\n'), 'bad_signature'],
    ['another root', note.replace(/\n41\n..../, '\n41\nAAAA'), 'bad_signature'],
    ['a size with a leading zero', note.replace('\n41\n', '\n041\n'), 'malformed'],
    ['a size beyond all integers', note.replace('\n41\n', '\n9999999999999999\n'), 'malformed'],
    [
      'another origin',
      newSigner('other.example.org/log').sign({ size: 41, root: EMPTY_ROOT }),
      'other_origin',
    ],
    ['the same name and another key', newSigner(ORIGIN).sign({ size: 41, root: EMPTY_ROOT }), 'not_signed'],
    ['no signature', note.slice(0, note.indexOf('—')), 'malformed'],
    ['no line end', note.slice(0, -1), 'malformed'],
    ['nothing', '', 'malformed'],
    ['a flipped signature bit', flipSignature(note), 'bad_signature'],
  ])('is refused with %s', (_, changed, reason) => {
    expect(verifyCheckpoint(changed, key)).toEqual({ ok: false, error: reason });
  });

  it('may carry signatures of others, which count for nothing', () => {
    const other = newSigner('witness.example.net').sign({ size: 41, root: EMPTY_ROOT });
    const cosigned = note + other.slice(other.indexOf('—'));
    expect(verifyCheckpoint(cosigned, key).ok).toBe(true);
    const onlyOther = note.slice(0, note.indexOf('—')) + other.slice(other.indexOf('—'));
    expect(verifyCheckpoint(onlyOther, key)).toEqual({ ok: false, error: 'not_signed' });
  });
});

describe('a verifier key', () => {
  const text = fixedSigner(ORIGIN).verifierKey;

  it('has the key id that signed-note prescribes', () => {
    const published = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
    expect(parseVerifierKey(published)?.name).toBe('PeterNeumann');
  });

  it.each([
    ['another id', text.replace(/\+[0-9a-f]{8}\+/, '+00000000+')],
    ['another name', text.replace('agents', 'agenty')],
    ['another algorithm', text.replace('+Aep', '+Bep')],
    ['a short key', text.slice(0, -8)],
    ['nothing', ''],
  ])('is refused with %s', (_, changed) => {
    expect(changed).not.toBe(text);
    expect(parseVerifierKey(changed)).toBeUndefined();
  });

  it('names an origin without spaces, plus signs and control characters', () => {
    expect(isKeyName('agents.example.org/log')).toBe(true);
    for (const bad of ['', 'a b', 'a+b', 'a\nb', 'a\u0000']) expect(isKeyName(bad)).toBe(false);
  });
});

function flipSignature(text: string): string {
  const at = text.length - 10;
  const other = text[at] === 'A' ? 'B' : 'A';
  return text.slice(0, at) + other + text.slice(at + 1);
}
