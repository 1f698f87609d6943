import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRedact } from '../../../src/gateway/upstream/redact-words.ts';

const SECRET = 'hunter2/Straße+42';
const KEY =
  '-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\nAgEGCCqGSM49AwEHBG0w\n-----END PRIVATE KEY-----';

describe('what a child says of itself', () => {
  const redact = createRedact([SECRET, KEY, '7', '']);

  it.each([
    ['as it is', SECRET],
    ['in base64', Buffer.from(SECRET).toString('base64')],
    ['in base64url', Buffer.from(SECRET).toString('base64url')],
    ['in hex', Buffer.from(SECRET).toString('hex')],
    ['in percent escapes', encodeURIComponent(SECRET)],
    ['in a line of a key', 'AgEGCCqGSM49AwEHBG0w'],
  ])('holds no secret that it was given: %s', (_, said) => {
    expect(redact(`connecting with ${said} now`)).toBe('connecting with [redacted] now');
  });

  it('holds no beginning of one where the line was cut', () => {
    const line = `${'x'.repeat(1010)} ${SECRET}`.slice(0, 1020);
    expect(redact(line)).not.toContain(SECRET.slice(0, 4));
    expect(redact(line)).toContain('[redacted]');
  });

  it('keeps what is only like a short value', () => {
    expect(redact('port 7 of 70 in 1997')).toBe('port [redacted] of 70 in 1997');
  });

  it.each([
    'Authorization: Bearer abcdefghijklmnop',
    'token=sk_live_0123456789abcdef',
    'got eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl',
    'ghp_0123456789abcdefABCDEF',
    'AKIAIOSFODNN7EXAMPLE',
    'postgres://app:pa55word@db.example/app',
    '"password": "correct-horse"',
    'api_key=0123456789',
  ])('holds nothing that looks like a credential: %s', (line) => {
    const clean = redact(line);
    expect(clean).toContain('[redacted]');
    expect(clean).not.toMatch(/abcdefghij|0123456789|c2lnbmF0|IOSFODNN|pa55word|correct-horse/);
  });

  it('leaves plain words alone', () => {
    const line = 'listening on http://127.0.0.1:8080/mcp, 3 tools, the token was fine';
    expect(redact(line)).toBe(line);
  });

  it('never holds a value of four characters or more, whatever stands around it', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 40 });
    const secret = fc
      .string({ unit: 'grapheme-ascii', minLength: 4, maxLength: 24 })
      .filter((value) => value.trim().length >= 4 && !'[redacted]'.includes(value.trim()));
    fc.assert(
      fc.property(secret, text, text, (value, before, after) => {
        expect(createRedact([value])(before + value + after)).not.toContain(value);
      }),
    );
  });

  it('is quick with a line that is made to be slow', () => {
    const started = performance.now();
    for (const part of ['token=', 'eyJ', 'a://', '-----BEGIN ', 'bearer ']) redact(part.repeat(2000));
    expect(performance.now() - started).toBeLessThan(500);
  });
});
