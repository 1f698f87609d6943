import type { JsonObject } from '../../base/index.ts';
import {
  type AuthorityDeps,
  type AuthorityUrls,
  GRANT_TYPES,
  INTENT_TYPE,
  SCOPE,
  type SigningKeys,
} from '../../identity/index.ts';

type MetadataSource = Pick<AuthorityDeps, 'urls' | 'attestors' | 'certificates'>;

/** The authorization server as it describes itself (RFC 8414 §2, RFC 9396 §10, RFC 9449 §5.1). */
export function authorizationServerMetadata(authority: MetadataSource): JsonObject {
  const { urls } = authority;
  return {
    issuer: urls.issuer,
    authorization_endpoint: urls.authorizationEndpoint,
    token_endpoint: urls.tokenEndpoint,
    revocation_endpoint: urls.revocationEndpoint,
    introspection_endpoint: urls.introspectionEndpoint,
    introspection_endpoint_auth_methods_supported: ['private_key_jwt'],
    introspection_endpoint_auth_signing_alg_values_supported: ['ES256'],
    jwks_uri: urls.jwksUri,
    grant_types_supported: Object.values(GRANT_TYPES),
    response_types_supported: [],
    ...clientAuthentication(authority),
    revocation_endpoint_auth_methods_supported: ['none'],
    scopes_supported: [SCOPE],
    dpop_signing_alg_values_supported: ['ES256'],
    authorization_details_types_supported: [INTENT_TYPE],
    code_challenge_methods_supported: ['S256'],
  };
}

/** The same for those that only know OpenID Connect discovery: clouds and vaults that federate with an issuer. */
export function openidConfiguration(authority: MetadataSource): JsonObject {
  return {
    ...authorizationServerMetadata(authority),
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
    claims_supported: ['iss', 'sub', 'aud', 'exp', 'iat', 'jti', 'client_id', 'act', 'txn'],
  };
}

/**
 * The keys as a SPIFFE bundle (SPIFFE Trust Domain and Bundle §4, https_web): whoever trusts this trust domain
 * verifies the JWT-SVIDs by it that runs are given for other authorities.
 */
export function spiffeBundle(keys: SigningKeys): JsonObject {
  return {
    keys: keys.jwks().keys.map(({ kty, crv, x, y, kid }) => ({ use: 'jwt-svid', kid, kty, crv, x, y })),
    spiffe_sequence: keys.sequence,
    spiffe_refresh_hint: BUNDLE_REFRESH_SECONDS,
  };
}

const BUNDLE_REFRESH_SECONDS = 300;

/** What a client must know to call a resource (RFC 9728 §2). */
export function protectedResourceMetadata(resource: string, urls: AuthorityUrls): JsonObject {
  return {
    resource,
    authorization_servers: [urls.issuer],
    scopes_supported: [SCOPE],
    bearer_methods_supported: ['header'],
    dpop_bound_access_tokens_required: true,
    dpop_signing_alg_values_supported: ['ES256'],
    authorization_details_types_supported: [INTENT_TYPE],
  };
}

/** Only what is configured: a client must not be told of a way in that does not exist. */
function clientAuthentication({ attestors, certificates = [] }: MetadataSource): JsonObject {
  const forms = new Set(attestors.flatMap((attestor) => attestor.forms));
  const hasCertificates = certificates.length > 0;
  return {
    token_endpoint_auth_methods_supported: [
      'none',
      ...(forms.has('client-jwt') ? ['private_key_jwt'] : []),
      ...(forms.has('client-spiffe') ? ['spiffe_jwt'] : []),
      ...(hasCertificates ? ['tls_client_auth', 'spiffe_x509'] : []),
    ],
    ...(forms.has('client-jwt')
      ? { token_endpoint_auth_signing_alg_values_supported: ['ES256', 'ES384', 'EdDSA', 'RS256', 'PS256'] }
      : {}),
    tls_client_certificate_bound_access_tokens: hasCertificates,
  };
}
