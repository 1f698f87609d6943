import { z } from 'zod';
import { parseAgentName } from '../base/index.ts';
import { PRESETS } from '../identity/index.ts';
import { NAME_RULE, webUrl } from './config-names.ts';

const file = z.strictObject({ file: z.string().min(1) });
const url = z.strictObject({ url: webUrl });
const trustDomain = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,253}$/, {
  error: 'must be a lower-case SPIFFE trust domain such as "workloads.example.org"',
});
const algorithms = z.array(z.enum(['ES256', 'ES384', 'EdDSA', 'RS256', 'PS256'])).min(1);
const privateNetwork = z
  .boolean()
  .default(false)
  .describe('Lets its keys be fetched from private addresses; link-local ones stay closed.');

/** The name of an agent. */
export const agentName = z.string().transform((name, context) => {
  const parsed = parseAgentName(name);
  if (parsed !== undefined) return parsed;
  context.addIssue({ code: 'custom', message: NAME_RULE });
  return z.NEVER;
});

const claims = z
  .record(z.string(), z.string())
  .refine((entries) => Object.keys(entries).length > 0, { error: 'must name at least one claim' })
  .describe('Claims that must be equal, all of them; no wildcards. "/a/b" reads inside of a claim.');

const jwks = z
  .union([file, url, z.strictObject({ discovery: z.literal(true) })])
  .default({ discovery: true })
  .describe('Where the keys are; "discovery" asks the issuer (OpenID Connect).');

const spiffeRules = z
  .array(z.strictObject({ agent: agentName, spiffeId: z.string().startsWith('spiffe://') }))
  .min(1)
  .describe('Which workload is which agent, by whole SPIFFE ID.');

/** One way of proving where a run comes from. */
export const AttestorEntry = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('jwt').describe('A JWT from an issuer you trust: CI, Kubernetes, a cloud, your own.'),
    name: z.string().min(1),
    preset: z
      .enum(PRESETS)
      .optional()
      .describe('The platform behind the issuer: which claims a rule must name follows from it.'),
    issuer: z.string().min(1).describe('Exact "iss" claim.'),
    jwks,
    algorithms: algorithms.optional().describe('Those of the preset when none are given.'),
    rules: z.array(z.strictObject({ agent: agentName, claims })).min(1),
    maxLifetimeSeconds: z
      .int()
      .min(60)
      .max(86_400)
      .default(3600)
      .describe('Longest time between "iat" and "exp". None is accepted that is older than ten minutes.'),
    privateNetwork,
    tokenReview: z
      .strictObject({
        url: webUrl.describe('The API server, such as https://kubernetes.default.svc.'),
        ca: z.string().min(1).optional().describe('PEM file of its authorities; read again each time.'),
        token: z
          .string()
          .min(1)
          .describe('File with the token of the gateway’s own service account; read again each time.'),
        cacheSeconds: z
          .int()
          .min(0)
          .max(60)
          .default(0)
          .describe('How long a good answer is good; 0 asks for each token request.'),
        privateNetwork: z
          .boolean()
          .default(false)
          .describe('Lets the API server have a private address; link-local ones stay closed.'),
      })
      .optional()
      .describe('Preset kubernetes: asks the cluster whether the pod of a token is still there.'),
  }),
  z.strictObject({
    kind: z.literal('spiffe-jwt').describe('JWT-SVIDs of one SPIFFE trust domain.'),
    name: z.string().min(1),
    trustDomain,
    bundle: z.union([file, url]).describe('The trust bundle of the domain: a JWK set file or its endpoint.'),
    rules: spiffeRules,
    privateNetwork,
  }),
  z.strictObject({
    kind: z
      .literal('spiffe-x509')
      .describe('X509-SVIDs of one trust domain, on its listener in tlsListeners.'),
    name: z.string().min(1),
    trustDomain,
    rules: spiffeRules,
  }),
  z.strictObject({
    kind: z
      .literal('private-key-jwt')
      .describe('Agents that sign for themselves (RFC 7523): for where no platform vouches for them.'),
    name: z.string().min(1),
    algorithms: algorithms.default(['ES256']),
    clients: z.array(z.strictObject({ agent: agentName, jwks: z.union([file, url]) })).min(1),
    privateNetwork,
  }),
  z.strictObject({
    kind: z.literal('join-token').describe('One-time tokens for development; loopback listeners only.'),
    name: z.string().min(1).default('join-token'),
  }),
]);

/** A listener for the agents of one trust domain, who show X509-SVIDs. */
export const TlsListener = z.strictObject({
  trustDomain: trustDomain.describe('The trust domain whose certificates are accepted here, and no other.'),
  host: z.string().default('127.0.0.1'),
  port: z.int().min(1).max(65535),
  certificate: z.string().min(1).describe('PEM file: certificate chain of the listener.'),
  key: z.string().min(1).describe('PEM file: its private key, readable by its owner only.'),
  bundle: z
    .string()
    .min(1)
    .describe('PEM file: authorities of the trust domain; read again when it changes.'),
});

/** What operators may be. */
export const ROLES = ['operator', 'policy-author', 'approver', 'investigator'] as const;

/** Who may use the admin plane. */
export const AdminEntry = z.strictObject({
  localKeyRoles: z
    .array(z.enum(ROLES))
    .default([...ROLES])
    .describe('Roles of whoever holds the key in the data folder; none closes it.'),
  oidc: z
    .strictObject({
      issuer: z.string().min(1).describe('Exact "iss" claim of operators\' tokens.'),
      jwks,
      algorithms: algorithms.default(['RS256', 'ES256']),
      audience: z
        .string()
        .min(1)
        .optional()
        .describe('Exact "aud" claim; the URL of the admin plane when absent.'),
      roles: z
        .array(z.strictObject({ claims, roles: z.array(z.enum(ROLES)).min(1) }))
        .min(1)
        .describe('Who has these claims has these roles. A claim that is a list must contain the value.'),
      privateNetwork,
    })
    .optional()
    .describe('Operators who sign in at an OpenID Connect provider.'),
});

export type AttestorConfig = z.infer<typeof AttestorEntry>;
export type TlsListenerConfig = z.infer<typeof TlsListener>;
export type AdminConfig = z.infer<typeof AdminEntry>;
export type Role = (typeof ROLES)[number];

type IdentityConfig = {
  readonly trustDomain: string;
  readonly agentPlane: { readonly host: string; readonly port: number };
  readonly adminPlane: { readonly port: number };
  readonly attestors: readonly AttestorConfig[];
  readonly tlsListeners: readonly TlsListenerConfig[];
};

/** What is wrong with attestors and TLS listeners beside their form. */
export function identityProblems(config: IdentityConfig, agents: ReadonlySet<string>): string[] {
  const problems = listenerProblems(config);
  const names = config.attestors.map(({ name }) => name);
  if (new Set(names).size < names.length) problems.push('attestors: two have the same name');
  for (const attestor of config.attestors) {
    for (const agent of agentsOf(attestor)) {
      if (!agents.has(agent)) problems.push(`attestors.${attestor.name}: no agent is called "${agent}"`);
    }
    if (attestor.kind !== 'spiffe-x509') continue;
    if (!config.tlsListeners.some((listener) => listener.trustDomain === attestor.trustDomain)) {
      problems.push(`attestors.${attestor.name}: tlsListeners has none for "${attestor.trustDomain}"`);
    }
  }
  return problems;
}

function agentsOf(attestor: AttestorConfig): readonly string[] {
  switch (attestor.kind) {
    case 'jwt':
    case 'spiffe-jwt':
    case 'spiffe-x509':
      return attestor.rules.map(({ agent }) => agent);
    case 'private-key-jwt':
      return attestor.clients.map(({ agent }) => agent);
    case 'join-token':
      return [];
  }
}

function listenerProblems({ tlsListeners, agentPlane, adminPlane, attestors }: IdentityConfig): string[] {
  const problems: string[] = [];
  const ports = [agentPlane.port, adminPlane.port, ...tlsListeners.map(({ port }) => port)];
  const isCrowded = tlsListeners.length > 0 && new Set(ports).size < ports.length;
  if (isCrowded) problems.push('tlsListeners: each needs a port of its own');
  const domains = tlsListeners.map((listener) => listener.trustDomain);
  if (new Set(domains).size < domains.length)
    problems.push('tlsListeners: two are for the same trust domain');
  for (const domain of domains) {
    const isAttested = attestors.some((one) => one.kind === 'spiffe-x509' && one.trustDomain === domain);
    if (!isAttested) problems.push(`tlsListeners: no spiffe-x509 attestor is for "${domain}"`);
  }
  return problems;
}
