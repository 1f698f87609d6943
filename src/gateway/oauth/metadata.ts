import type { JsonObject } from '../../base/index.ts';
import { type AuthorityUrls, GRANT_TYPES, INTENT_TYPE, SCOPE } from '../../identity/index.ts';

/** The authorization server as it describes itself (RFC 8414 §2, RFC 9396 §10, RFC 9449 §5.1). */
export function authorizationServerMetadata(urls: AuthorityUrls): JsonObject {
  return {
    issuer: urls.issuer,
    authorization_endpoint: urls.authorizationEndpoint,
    token_endpoint: urls.tokenEndpoint,
    revocation_endpoint: urls.revocationEndpoint,
    jwks_uri: urls.jwksUri,
    grant_types_supported: Object.values(GRANT_TYPES),
    response_types_supported: [],
    token_endpoint_auth_methods_supported: ['none', 'private_key_jwt', 'spiffe_jwt', 'tls_client_auth'],
    token_endpoint_auth_signing_alg_values_supported: ['ES256', 'ES384', 'EdDSA', 'RS256', 'PS256'],
    tls_client_certificate_bound_access_tokens: true,
    revocation_endpoint_auth_methods_supported: ['none'],
    scopes_supported: [SCOPE],
    dpop_signing_alg_values_supported: ['ES256'],
    authorization_details_types_supported: [INTENT_TYPE],
    code_challenge_methods_supported: ['S256'],
  };
}

/** The same for those that only know OpenID Connect discovery: clouds and vaults that federate with an issuer. */
export function openidConfiguration(urls: AuthorityUrls): JsonObject {
  return {
    ...authorizationServerMetadata(urls),
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
    claims_supported: ['iss', 'sub', 'aud', 'exp', 'iat', 'jti', 'client_id', 'act', 'txn'],
  };
}

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
