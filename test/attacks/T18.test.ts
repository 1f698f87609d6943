import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAgentKey } from '../support/agent-key.ts';
import { post, toolCall } from '../support/mcp-post.ts';
import { type Lab, openLab } from '../support/open-lab.ts';
import { asUpstream, sendJson, startWitness, type Witness } from '../support/witness.ts';

let witness: Witness;
let lab: Lab;
let canary: string;
const fetched: string[] = [];
const trap = createServer((request, response) => {
  fetched.push(request.url ?? '');
  response.writeHead(200, { 'content-type': 'application/json' }).end('{"keys":[]}');
});

beforeAll(async () => {
  await new Promise<void>((done) => trap.listen(0, '127.0.0.1', done));
  canary = `http://127.0.0.1:${(trap.address() as AddressInfo).port}`;
  witness = await startWitness();
  lab = await openLab({ upstreams: [asUpstream(witness)] });
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await witness[Symbol.asyncDispose]();
  trap.closeAllConnections();
  trap.close();
});

async function askForToken(form: Record<string, string>, proof: object = {}): Promise<number> {
  const url = `${lab.publicUrl}/oauth/token`;
  const dpop = createAgentKey(Date.now).prove({ url, header: proof as Record<string, string> });
  const body = new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    authorization_details: JSON.stringify([{ type: 'sallyport_intent', purpose: 'test' }]),
    resource: `${lab.publicUrl}/mcp`,
    ...form,
  });
  return (await fetch(url, { method: 'POST', headers: { dpop }, body })).status;
}

async function foreignAssertion(header: object, issuer: string): Promise<string> {
  const { privateKey } = await generateKeyPair('ES256');
  return new SignJWT({ jti: 'x' })
    .setProtectedHeader({ alg: 'ES256', kid: 'lab', ...header })
    .setIssuer(issuer)
    .setSubject('lab-agent')
    .setAudience(lab.publicUrl)
    .setIssuedAt()
    .setExpirationTime('1m')
    .sign(privateKey);
}

describe('T18: a URL that somebody wants fetched', () => {
  it('in an assertion is not fetched: jku, x5u, an issuer to be discovered', async () => {
    for (const header of [{ jku: `${canary}/jku` }, { x5u: `${canary}/x5u` }, { kid: `${canary}/kid` }]) {
      expect(await askForToken({ assertion: await foreignAssertion(header, 'https://lab.example') })).toBe(
        400,
      );
    }
    expect(await askForToken({ assertion: await foreignAssertion({}, canary) })).toBe(400);
    expect(fetched).toEqual([]);
  });

  it('in a token request is not fetched: client id, redirect, metadata, resource, request', async () => {
    for (const name of [
      'client_id',
      'redirect_uri',
      'resource',
      'jwks_uri',
      'request_uri',
      'client_metadata',
    ]) {
      await askForToken({ assertion: await lab.assertion(), [name]: `${canary}/${name}` });
    }
    expect(fetched).toEqual([]);
  });

  it('in a proof or a run token is not fetched', async () => {
    await askForToken(
      { assertion: await lab.assertion() },
      { jku: `${canary}/proof`, x5u: `${canary}/proof` },
    );
    const authorization = `DPoP ${await foreignAssertion({ jku: `${canary}/token`, typ: 'at+jwt' }, canary)}`;
    await fetch(`${lab.publicUrl}/mcp/witness`, { method: 'POST', headers: { authorization }, body: '{}' });
    expect(fetched).toEqual([]);
  });

  it('in a call is not fetched: uris, $ref in a schema, content of the agent', async () => {
    await using run = await lab.startRun();
    const params = { uri: `${canary}/resource`, _meta: { $schema: `${canary}/schema` } };
    await post(run, { jsonrpc: '2.0', id: 1, method: 'resources/read', params });
    await post(run, toolCall('echo', { text: `${canary}/argument`, $ref: `${canary}/ref` }));
    expect(fetched).toEqual([]);
  });

  it('in an answer of an upstream is not fetched: redirect, challenge, link, icon, resource', async () => {
    await using run = await lab.startRun();
    for (const status of [301, 302, 303, 307, 308]) {
      witness.answer = (_, response) =>
        void response.writeHead(status, { location: `${canary}/moved` }).end();
      expect((await post(run, toolCall('look'))).status).toBe(502);
    }
    const challenge = `Bearer resource_metadata="${canary}/prm", authorization_uri="${canary}/authorize"`;
    for (const status of [401, 403]) {
      witness.answer = (_, response) =>
        void response.writeHead(status, { 'www-authenticate': challenge }).end();
      const response = await post(run, toolCall('look'));
      expect(response.status).toBe(502);
      expect(response.headers.get('www-authenticate')).toBeNull();
    }
    witness.answer = ({ message }, response) => {
      const content = [
        { type: 'resource_link', uri: `${canary}/link`, name: 'x', icons: [{ src: `${canary}/icon` }] },
      ];
      sendJson(
        response,
        { jsonrpc: '2.0', id: message['id'], result: { content } },
        { link: `<${canary}/l>; rel=preload` },
      );
    };
    expect((await post(run, toolCall('look'))).status).toBe(200);
    expect(fetched).toEqual([]);
  });

  it('is contacted only where the configuration says so', async () => {
    await fetch(canary); // the trap works
    expect(fetched).toEqual(['/']);
  });
});
