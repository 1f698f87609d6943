import { ok, type Result } from '../base/index.ts';
import type { AssertionForm } from './attestors/index.ts';
import { parseIntentDetails, type WantedIntent } from './intent-details.ts';
import { SCOPE } from './run-token.ts';
import { refuseToken, type TokenRefusal } from './token-refusal.ts';

/** The fields of a form body; a field that came twice never gets here. */
export type Form = ReadonlyMap<string, string>;

/** Grant types of the token endpoint. */
export const GRANT_TYPES = {
  clientCredentials: 'client_credentials',
  jwtBearer: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
  tokenExchange: 'urn:ietf:params:oauth:grant-type:token-exchange',
} as const;

/** Token type identifiers (RFC 8693 §3). */
export const TOKEN_TYPES = {
  accessToken: 'urn:ietf:params:oauth:token-type:access_token',
  jwt: 'urn:ietf:params:oauth:token-type:jwt',
} as const;

/** Client assertion types (RFC 7523 §2.2, draft-ietf-oauth-spiffe-client-auth §3). */
export const CLIENT_ASSERTION_TYPES = {
  jwtBearer: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  jwtSpiffe: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
} as const;

/** A run token wanted for an assertion or a delegation grant. */
export type AssertionRequest = {
  readonly grant: 'assertion';
  readonly form: AssertionForm;
  readonly assertion: string;
} & RunRequest;

/** A run token wanted for the client certificate of the connection (RFC 8705 §2). */
export type CertificateRequest = { readonly grant: 'certificate' } & RunRequest;

type RunRequest = {
  readonly resource: string;
  readonly intent?: WantedIntent;
  readonly clientId?: string;
};

/** A delegation grant wanted for a run token. */
export type DelegationRequest = {
  readonly grant: 'delegation';
  readonly subjectToken: string;
  readonly intent: WantedIntent;
};

/** A token request whose form is right. */
export type TokenRequest = AssertionRequest | CertificateRequest | DelegationRequest;

/** Parameters of one grant in a request of the other are a mix-up or an attempt to have the weaker check. */
const FOREIGN_FIELDS = {
  assertion: [
    'subject_token',
    'subject_token_type',
    'actor_token',
    'requested_token_type',
    'client_assertion',
    'client_assertion_type',
    'client_secret',
  ],
  client: [
    'assertion',
    'subject_token',
    'subject_token_type',
    'actor_token',
    'requested_token_type',
    'client_secret',
  ],
  delegation: ['assertion', 'actor_token', 'actor_token_type', 'client_assertion', 'client_secret'],
} as const;

/** Reads a token request. `resources`: what tokens can be for, the default first. */
export function parseTokenRequest(
  form: Form,
  { issuer, resources }: { readonly issuer: string; readonly resources: readonly string[] },
): Result<TokenRequest, TokenRefusal> {
  const scope = form.get('scope');
  if (scope !== undefined && scope !== SCOPE)
    return refuseToken('invalid_scope', `scope must be ${SCOPE} or absent`);
  const resource = form.get('resource') ?? resources[0];
  if (resource === undefined || !resources.includes(resource)) {
    return refuseToken('invalid_target', `resource must be ${resources[0]} or one of its upstreams`);
  }
  const intent = parseIntent(form.get('authorization_details'));
  if (!intent.ok) return intent;
  const grantType = form.get('grant_type');
  switch (grantType) {
    case GRANT_TYPES.jwtBearer:
      return parseAssertionRequest(form, resource, intent.value);
    case GRANT_TYPES.clientCredentials:
      return parseClientRequest(form, resource, intent.value);
    case GRANT_TYPES.tokenExchange:
      return parseDelegationRequest(form, issuer, intent.value);
    case undefined:
      return refuseToken('invalid_request', 'grant_type is missing');
    default:
      return refuseToken(
        'unsupported_grant_type',
        `grant_type must be one of ${Object.values(GRANT_TYPES).join(', ')}`,
      );
  }
}

function parseIntent(text: string | undefined): Result<WantedIntent | undefined, TokenRefusal> {
  if (text === undefined) return ok(undefined);
  const intent = parseIntentDetails(text);
  return intent.ok ? intent : refuseToken('invalid_authorization_details', intent.error);
}

function parseAssertionRequest(
  form: Form,
  resource: string,
  intent: WantedIntent | undefined,
): Result<TokenRequest, TokenRefusal> {
  const foreign = FOREIGN_FIELDS.assertion.find((field) => form.has(field));
  if (foreign !== undefined)
    return refuseToken('invalid_request', `${foreign} belongs to another grant; remove it`);
  const assertion = form.get('assertion');
  if (assertion === undefined || assertion === '') {
    return refuseToken(
      'invalid_request',
      'assertion is missing: a JWT of a trusted issuer, a join token or a delegation grant',
    );
  }
  return ok({
    grant: 'assertion',
    form: 'grant',
    assertion,
    ...runRequest(form, resource, intent),
  });
}

function runRequest(form: Form, resource: string, intent: WantedIntent | undefined): RunRequest {
  const clientId = form.get('client_id');
  return {
    resource,
    ...(intent === undefined ? {} : { intent }),
    ...(clientId === undefined ? {} : { clientId }),
  };
}

/** Client credentials (RFC 6749 §4.4): the client proves itself with an assertion or its connection. */
function parseClientRequest(
  form: Form,
  resource: string,
  intent: WantedIntent | undefined,
): Result<TokenRequest, TokenRefusal> {
  const foreign = FOREIGN_FIELDS.client.find((field) => form.has(field));
  if (foreign !== undefined)
    return refuseToken('invalid_request', `${foreign} has no place in client_credentials; remove it`);
  const run = runRequest(form, resource, intent);
  const assertion = form.get('client_assertion');
  const type = form.get('client_assertion_type');
  if (assertion === undefined && type === undefined) return ok({ grant: 'certificate', ...run });
  if (assertion === undefined || assertion === '')
    return refuseToken('invalid_request', 'client_assertion is missing');
  switch (type) {
    case CLIENT_ASSERTION_TYPES.jwtBearer:
      return ok({ grant: 'assertion', form: 'client-jwt', assertion, ...run });
    case CLIENT_ASSERTION_TYPES.jwtSpiffe:
      return ok({ grant: 'assertion', form: 'client-spiffe', assertion, ...run });
    default: {
      const known = Object.values(CLIENT_ASSERTION_TYPES).join(', ');
      return refuseToken('invalid_request', `client_assertion_type must be one of ${known}`);
    }
  }
}

function parseDelegationRequest(
  form: Form,
  issuer: string,
  intent: WantedIntent | undefined,
): Result<TokenRequest, TokenRefusal> {
  const foreign = FOREIGN_FIELDS.delegation.find((field) => form.has(field));
  if (foreign !== undefined)
    return refuseToken('invalid_request', `${foreign} has no place in a token exchange; remove it`);
  const subjectToken = form.get('subject_token');
  if (subjectToken === undefined || subjectToken === '') {
    return refuseToken(
      'invalid_request',
      'subject_token is missing: the run token of the run that delegates',
    );
  }
  if (form.get('subject_token_type') !== TOKEN_TYPES.accessToken) {
    return refuseToken('invalid_request', `subject_token_type must be ${TOKEN_TYPES.accessToken}`);
  }
  if (form.get('requested_token_type') !== TOKEN_TYPES.jwt) {
    return refuseToken('invalid_request', `requested_token_type must be ${TOKEN_TYPES.jwt}`);
  }
  if (form.has('audience') && form.get('audience') !== issuer) {
    return refuseToken('invalid_target', `audience must be ${issuer} or absent`);
  }
  if (intent === undefined) {
    return refuseToken(
      'invalid_authorization_details',
      'authorization_details must say what the sub-agent is for',
    );
  }
  return ok({ grant: 'delegation', subjectToken, intent });
}
