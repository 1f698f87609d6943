import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson, type JsonValue } from '../../../src/base/index.ts';
import { redactSecrets } from '../../../src/intent-log/index.ts';

const SECRETS: readonly (readonly [rule: string, text: string, secret: string])[] = [
  ['aws-access-key', 'key AKIAIOSFODNN7EXAMPLE here', 'AKIAIOSFODNN7EXAMPLE'],
  ['github-token', `x ghp_${'a1'.repeat(18)}`, `ghp_${'a1'.repeat(18)}`],
  ['jwt', 'eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl', 'eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl'],
  ['private-key', '-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----', 'MIIB'],
  ['authorization', 'Authorization: Bearer abcdefghijklmnop1234', 'abcdefghijklmnop1234'],
  ['url-password', 'postgres://app:hunter22@db/x', 'hunter22'],
  ['assignment', 'DB_PASSWORD=s3cr3t-value; ok', 's3cr3t-value'],
  ['slack-token', 'xoxb-1234567890-abc', 'xoxb-1234567890-abc'],
];

describe('redaction', () => {
  it.each(SECRETS)('takes out %s and says where it was', (rule, text, secret) => {
    const { text: rest, redactions } = redactSecrets({ a: 'x', note: text });
    expect(rest).not.toContain(secret);
    expect(redactions.map(({ rule: found }) => found)).toContain(rule);
    const at = redactions.find(({ rule: found }) => found === rule);
    expect(at?.text).toBe(3); // key a, its value, key note, its value
    expect(text.slice(at?.at, (at?.at ?? 0) + (at?.length ?? 0))).toContain(secret.slice(0, 4));
  });

  it('takes out the value of a field whose name says what it is, whatever it looks like', () => {
    const { text, redactions } = redactSecrets({ password: 'hi', db: { api_key: 'zz', port: 5 } });
    expect(text).toBe(
      '{"db":{"api_key":"[redacted: secret-field]","port":5},"password":"[redacted: secret-field]"}',
    );
    expect(redactions).toHaveLength(2);
  });

  it('finds a secret behind an escape, in a key, and nested in lists', () => {
    const { text } = redactSecrets([['a\nAKIAIOSFODNN7EXAMPLE'], { AKIAIOSFODNN7EXAMPLE: 1 }]);
    expect(text).not.toContain('AKIA');
  });

  it('leaves valid JSON and ordinary words alone', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const plain = JSON.parse(JSON.stringify(value)) as JsonValue;
        const { text, redactions } = redactSecrets(plain);
        expect(() => JSON.parse(text)).not.toThrow();
        if (redactions.length === 0) expect(text).toBe(canonicalJson(plain));
      }),
    );
    expect(redactSecrets({ note: 'the tokens of appreciation' }).redactions).toEqual([]);
  });

  it('ends on text made to keep it busy', () => {
    const hostile = `${'-----BEGIN PRIVATE KEY-----'.repeat(2000)}${'a'.repeat(50_000)}${'eyJ'.repeat(5000)}`;
    const begun = performance.now();
    redactSecrets({ hostile, url: 'a:'.repeat(30_000) });
    expect(performance.now() - begun).toBeLessThan(3000);
  });
});
