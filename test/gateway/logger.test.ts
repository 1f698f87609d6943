import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createLogger } from '../../src/gateway/logger.ts';

const CANARY = 'canary-4f1c9f';

function logged(fields: object): string {
  let text = '';
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString();
      done();
    },
  });
  createLogger('debug', sink).info(fields, 'message');
  return text;
}

describe('the operator log', () => {
  it.each([
    [{ authorization: `DPoP ${CANARY}` }],
    [{ headers: { authorization: CANARY, dpop: CANARY, cookie: CANARY } }],
    [{ request: { assertion: CANARY } }],
    [{ call: { args: { iban: CANARY } } }],
    [{ minted: { token: CANARY, credential: CANARY } }],
  ])('never writes the secret in %j', (fields) => {
    const text = logged(fields);
    expect(text).toContain('[redacted]');
    expect(text).not.toContain(CANARY);
  });
});
