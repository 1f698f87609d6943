import { generateKeyPairSync } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { fetchBounded } from '../../../src/identity/attestors/fetch-bounded.ts';
import { createIssuerKeys } from '../../../src/identity/attestors/key-set.ts';
import { manualClock } from '../../support/manual-clock.ts';

function jwk(kid: string) {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...publicKey.export({ format: 'jwk' }), kid };
}

function setup() {
  const clock = manualClock();
  const issuer = { keys: [jwk('one')] as object[], isDown: false, asked: 0 };
  const fetch = async () => {
    issuer.asked++;
    if (issuer.isDown) throw new Error('connection refused');
    return new Response(JSON.stringify({ keys: issuer.keys }));
  };
  const keys = createIssuerKeys({ url: 'https://ci.example.org/jwks' }, { now: clock.now, fetch });
  return { clock, issuer, keys };
}

describe('the keys of an issuer', () => {
  it('are fetched once for ten minutes', async () => {
    const { clock, issuer, keys } = setup();
    for (let minute = 0; minute < 10; minute++) {
      await keys.find('one');
      clock.advance(60);
    }
    expect(issuer.asked).toBe(1);
    clock.advance(1);
    await keys.find('one');
    expect(issuer.asked).toBe(2);
  });

  it('A3: are asked for at most every 30 s, however many unknown kids arrive', async () => {
    const { clock, issuer, keys } = setup();
    await keys.find('one');
    for (let second = 0; second < 90; second++) {
      await Promise.all(Array.from({ length: 20 }, (_, index) => keys.find(`unknown-${second}-${index}`)));
      clock.advance(1);
    }
    expect(issuer.asked).toBeLessThanOrEqual(4);
  });

  it('A4: include a new key soon after it is published, and drop one that was taken away', async () => {
    const { clock, issuer, keys } = setup();
    await keys.find('one');
    issuer.keys = [jwk('two')];
    clock.advance(30);
    const set = await keys.find('two');
    expect(set.jwks().keys.map(({ kid }) => kid)).toEqual(['two']);
  });

  it('A4: are used for an hour when the issuer is down, and not longer', async () => {
    const { clock, issuer, keys } = setup();
    await keys.find('one');
    issuer.isDown = true;
    clock.advance(3600);
    expect(await keys.find('one')).toBeDefined();
    clock.advance(1);
    await expect(keys.find('one')).rejects.toThrow('cannot be read');
  });

  it('are waited for together', async () => {
    const { issuer, keys } = setup();
    await Promise.all(Array.from({ length: 50 }, () => keys.find('one')));
    expect(issuer.asked).toBe(1);
  });

  it('do not hammer an issuer that never answered', async () => {
    const { clock, issuer, keys } = setup();
    issuer.isDown = true;
    for (let second = 0; second < 10; second++) {
      await expect(keys.find('one')).rejects.toThrow('cannot be read');
      clock.advance(1);
    }
    expect(issuer.asked).toBe(2);
  });

  it('leave out what is no public key with an id', async () => {
    const { issuer, keys } = setup();
    const { kid: _, ...nameless } = jwk('x');
    issuer.keys = [
      jwk('one'),
      nameless,
      { kty: 'oct', k: 'c2VjcmV0', kid: 'mac' },
      { ...jwk('private'), d: 'AA' },
    ];
    const set = await keys.find('one');
    expect(set.jwks().keys.map(({ kid }) => kid)).toEqual(['one']);
  });

  it.each(['', '[]', '{"keys":5}', 'null', '{"keys":[],"keys":[]}'])('are not %j', async (text) => {
    const { now } = manualClock();
    const keys = createIssuerKeys(
      { url: 'https://ci.example.org' },
      { now, fetch: async () => new Response(text) },
    );
    await expect(keys.find('one')).rejects.toThrow('cannot be read');
  });
});

describe('an issuer that published no keys', () => {
  it('has withdrawn those it had: every token is refused from then on', async () => {
    const { clock, issuer, keys } = setup();
    await keys.find('one');
    issuer.keys = [];
    clock.advance(601);
    expect((await keys.find('one')).jwks().keys).toEqual([]);
  });
});

describe('a document fetched over the network', () => {
  async function served(handler: RequestListener, check: (url: string) => Promise<void>) {
    const server = createServer(handler).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    try {
      await check(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }

  it('follows no redirect', async () => {
    let asked = 0;
    await served(
      (_request, response) => {
        asked++;
        response.writeHead(302, { location: '/elsewhere' }).end();
      },
      async (url) => {
        await expect(fetchBounded(url, fetch)).rejects.toThrow();
        expect(asked).toBe(1);
      },
    );
  });

  it('is given up when it is too large or not there', async () => {
    await served(
      (request, response) => {
        if (request.url === '/') response.end('x'.repeat(300_000));
        else response.writeHead(404).end('no');
      },
      async (url) => {
        await expect(fetchBounded(url, fetch)).rejects.toThrow('more than');
        await expect(fetchBounded(`${url}gone`, fetch)).rejects.toThrow('404');
      },
    );
  });
});
