import { randomUUID } from 'node:crypto';
import { err, type JsonObject, ok, type Result } from '../base/index.ts';
import { type CredentialFailure, type MintDeps, mintRunAssertion } from '../identity/index.ts';
import { exchange, type Fetch } from './exchange.ts';
import type { Issued, RunCredentialIssuer } from './run-credentials.ts';

export type AwsStsOptions = {
  /** The STS endpoint of the region. */
  readonly endpoint: string;
  readonly region: string;
  readonly roleArn: string;
  /** Cuts the role's rights further; the session has what both allow. */
  readonly sessionPolicy?: JsonObject;
  /** Audience that the identity provider in IAM expects. */
  readonly audience: string;
};

/** Nothing shorter is given (AssumeRoleWithWebIdentity). */
const MIN_SECONDS = 900;
/** What a role allows unless it was raised. */
const MAX_SECONDS = 3600;

/**
 * A session of an AWS role for each run, for a token of ours: no key of AWS is kept anywhere. It lives at least 15
 * minutes and cannot be taken back one by one; the session's name is the run, by which IAM can deny it.
 */
export function awsStsIssuer(
  options: AwsStsOptions,
  deps: MintDeps & { readonly fetch: Fetch },
): RunCredentialIssuer {
  return {
    kind: 'aws-sts',
    async issue(caller): Promise<Result<Issued, CredentialFailure>> {
      const [run] = caller.chain;
      const left = Math.floor(run.envelope.expiresAt - deps.now() / 1000);
      const body = new URLSearchParams({
        Action: 'AssumeRoleWithWebIdentity',
        Version: '2011-06-15',
        RoleArn: options.roleArn,
        RoleSessionName: run.id,
        WebIdentityToken: mintRunAssertion(caller, { audience: options.audience, id: randomUUID() }, deps),
        DurationSeconds: String(Math.min(Math.max(left, MIN_SECONDS), MAX_SECONDS)),
        ...(options.sessionPolicy === undefined ? {} : { Policy: JSON.stringify(options.sessionPolicy) }),
      });
      const answer = await exchange(options.endpoint, { method: 'POST', body }, deps.fetch);
      if (!answer.ok) return answer;
      const { status, text } = answer.value;
      if (status !== 200)
        return err({ detail: `STS refused: ${status} ${elementOf(text, 'Code') ?? ''}`.trim() });
      return readSession(text, options.region);
    },
  };
}

function readSession(xml: string, region: string): Result<Issued, CredentialFailure> {
  const id = elementOf(xml, 'AccessKeyId');
  const secret = elementOf(xml, 'SecretAccessKey');
  const session = elementOf(xml, 'SessionToken');
  const expiresAt = Math.floor(Date.parse(elementOf(xml, 'Expiration') ?? '') / 1000);
  if (id === undefined || secret === undefined || session === undefined || !Number.isSafeInteger(expiresAt)) {
    return err({ detail: 'STS answered without a whole set of credentials' });
  }
  return ok({
    kind: 'aws-sts',
    id, // an access key id is no secret
    expiresAt,
    reuseUntil: expiresAt - MIN_SECONDS / 3,
    environment: {
      AWS_ACCESS_KEY_ID: id,
      AWS_SECRET_ACCESS_KEY: secret,
      AWS_SESSION_TOKEN: session,
      AWS_REGION: region,
    },
  });
}

/** The text of an element that must be there once: what STS sends has neither attributes nor escapes in these. */
function elementOf(xml: string, name: string): string | undefined {
  const found = [...xml.matchAll(new RegExp(`<${name}>([A-Za-z0-9+/=_:.-]{1,4096})</${name}>`, 'g'))];
  return found.length === 1 ? found[0]?.[1] : undefined;
}
