import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  auth,
  DpopSession,
  type OAuthClientProvider,
  type OAuthTokens,
  withDpopFromProvider,
} from '@modelcontextprotocol/client';
import Fastify from 'fastify';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import type { AgentName, UpstreamName } from '../../../src/base/index.ts';
import { oauthRoutes } from '../../../src/gateway/oauth/index.ts';
import {
  acceptedAudiences,
  authenticate,
  authFailureToChallenge,
  authorityUrls,
  createRunTokenVerifier,
  resourceMetadataUrl,
  upstreamResource,
} from '../../../src/identity/index.ts';
import { createTestAuthority, intentField, JWT_BEARER } from '../../support/authority.ts';
import { manualClock } from '../../support/manual-clock.ts';

const DESK = 'desk' as UpstreamName;

/** The authorization server and a resource that only says who called, on a port of their own. */
async function serve() {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const publicUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const clock = manualClock(Math.floor(Date.now() / 1000));
  const authority = createTestAuthority({}, clock);
  const urls = authorityUrls(publicUrl, [DESK]);
  const { now } = clock;
  const tokens = createRunTokenVerifier({ keys: authority.keys, issuer: publicUrl, now });
  const deps = { ...authority.deps, urls, tokens };

  const app = Fastify();
  oauthRoutes(app, {
    authority: deps,
    log: pino({ level: 'silent' }),
    recordRefusal: async () => undefined,
    perSourceAndMinute: 1000,
  });
  app.post('/mcp/desk', async (request, reply) => {
    const url = upstreamResource(publicUrl, DESK);
    const { authorization, dpop } = request.headers;
    const resources = acceptedAudiences(publicUrl, DESK);
    const known = await authenticate({ authorization, dpop, method: 'POST', url, resources }, deps);
    if (known.ok) return { run: known.value.caller.chain[0].id };
    const challenge = authFailureToChallenge(known.error, { resourceMetadataUrl: resourceMetadataUrl(url) });
    return reply
      .code(challenge.status)
      .headers({ ...challenge.headers })
      .send({ message: challenge.message });
  });
  await app.ready();
  server.on('request', app.routing);
  const close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await app.close();
  };
  return { publicUrl, authority, [Symbol.asyncDispose]: close };
}

function provider(
  joinToken: string,
  session: DpopSession,
): OAuthClientProvider & { saved: OAuthTokens | undefined } {
  const self: OAuthClientProvider & { saved: OAuthTokens | undefined } = {
    saved: undefined,
    redirectUrl: undefined,
    clientMetadata: { redirect_uris: [] },
    clientInformation: () => ({ client_id: 'spiffe://agents.example.org/agent/ops-desk' }),
    tokens: () => self.saved,
    saveTokens: (tokens) => {
      self.saved = tokens;
    },
    redirectToAuthorization: () => {
      throw new Error('no user is here');
    },
    saveCodeVerifier: () => undefined,
    codeVerifier: () => '',
    dpop: () => session,
    prepareTokenRequest: () =>
      new URLSearchParams({
        grant_type: JWT_BEARER,
        assertion: joinToken,
        authorization_details: intentField({ purpose: 'triage' }),
      }),
  };
  return self;
}

describe('the MCP client of the SDK', () => {
  it('finds us from our challenge, gets a bound token, and signs a proof for each request', async () => {
    await using served = await serve();
    const serverUrl = `${served.publicUrl}/mcp/desk`;
    const session = await DpopSession.create({ alg: 'ES256' });
    const client = provider(served.authority.joinTokens.issue('ops-desk' as AgentName), session);
    expect(await auth(client, { serverUrl })).toBe('AUTHORIZED');
    expect(client.saved).toMatchObject({ token_type: 'DPoP', expires_in: 300, scope: 'mcp' });
    const fetchWithProof = withDpopFromProvider(client)(fetch);
    const runs = [];
    for (let call = 0; call < 3; call++) {
      const response = await fetchWithProof(serverUrl, { method: 'POST' });
      expect(response.status).toBe(200);
      runs.push(((await response.json()) as { run: string }).run);
    }
    expect(new Set(runs).size).toBe(1);
  });

  it('is told where to go when it comes without a token', async () => {
    await using served = await serve();
    const response = await fetch(`${served.publicUrl}/mcp/desk`, { method: 'POST' });
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toContain(
      `resource_metadata="${served.publicUrl}/.well-known/oauth-protected-resource/mcp/desk"`,
    );
  });
});
