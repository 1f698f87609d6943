import { type KeyObject, sign } from 'node:crypto';
import { type Clock, err, isJsonObject, ok, type Result, sha256, toEpochSeconds } from '../base/index.ts';
import type { CredentialFailure } from '../identity/index.ts';
import { exchange, type Fetch, isHeaderToken, parseDocument } from './exchange.ts';
import type { Issued, RunCredentialIssuer } from './run-credentials.ts';

export type GitHubAppOptions = {
  /** `https://api.github.com`, or that of a server of one's own. */
  readonly api: string;
  readonly clientId: string;
  readonly installation: number;
  /** The token is for these and no others; at least one. */
  readonly repositories: readonly string[];
  /** The token has these rights and no others; at least one. */
  readonly permissions: Readonly<Record<string, 'read' | 'write'>>;
  /** Name of the variable for a child process; else it is sent as a bearer token. */
  readonly variable?: string;
};

export type GitHubAppDeps = { readonly key: KeyObject; readonly now: Clock; readonly fetch: Fetch };

const BACKDATED_SECONDS = 30;
const LIFE_SECONDS = 300;

/** An installation token for each run, cut down to repositories and rights. It lives an hour, or until the run ends. */
export function gitHubAppIssuer(options: GitHubAppOptions, deps: GitHubAppDeps): RunCredentialIssuer {
  const { api, installation, repositories, permissions } = options;
  const headers = { accept: 'application/vnd.github+json', 'x-github-api-version': '2022-11-28' };

  async function revoke(token: string): Promise<void> {
    const init = { method: 'DELETE', headers: { ...headers, authorization: `Bearer ${token}` } };
    const answer = await exchange(`${api}/installation/token`, init, deps.fetch);
    if (!answer.ok) throw new Error(answer.error.detail);
    // 401: it is no token any more, which is what was wanted.
    if (![204, 401].includes(answer.value.status))
      throw new Error(`revocation answered ${answer.value.status}`);
  }

  return {
    kind: 'github-app',
    async issue(): Promise<Result<Issued, CredentialFailure>> {
      const url = `${api}/app/installations/${installation}/access_tokens`;
      const answer = await exchange(
        url,
        {
          method: 'POST',
          headers: {
            ...headers,
            authorization: `Bearer ${appToken(options, deps)}`,
            'content-type': 'application/json',
          },
          body: JSON.stringify({ repositories, permissions }),
        },
        deps.fetch,
      );
      if (!answer.ok) return answer;
      if (answer.value.status !== 201) return err({ detail: `GitHub refused: ${answer.value.status}` });
      return readAnswer(parseDocument(answer.value.text), options, deps.now, revoke);
    },
  };
}

function readAnswer(
  body: unknown,
  { permissions, variable }: GitHubAppOptions,
  now: Clock,
  revoke: (token: string) => Promise<void>,
): Result<Issued, CredentialFailure> {
  const answer = isJsonObject(body) ? body : {};
  const { token, expires_at: expires, permissions: granted } = answer;
  const expiresAt = typeof expires === 'string' ? Math.floor(Date.parse(expires) / 1000) : Number.NaN;
  if (!isHeaderToken(token) || !Number.isSafeInteger(expiresAt)) {
    return err({ detail: 'GitHub gave no installation token' });
  }
  if (!isNoWider(granted, permissions)) return err({ detail: 'GitHub gave more rights than were asked for' });
  const nowSeconds = now() / 1000;
  return ok({
    kind: 'github-app',
    id: sha256(token).slice(0, 16),
    expiresAt,
    reuseUntil: nowSeconds + (expiresAt - nowSeconds) / 2,
    ...(variable === undefined
      ? { authorization: `Bearer ${token}` }
      : { environment: { [variable]: token } }),
    revoke: () => revoke(token),
  });
}

/** `metadata: read` comes with every token. */
function isNoWider(granted: unknown, asked: GitHubAppOptions['permissions']): boolean {
  if (!isJsonObject(granted)) return false;
  return Object.entries(granted).every(([name, right]) => {
    if (name === 'metadata' && right === 'read') return true;
    return asked[name] === right || (asked[name] === 'write' && right === 'read');
  });
}

/** The app itself (RS256, which GitHub wants), for the one request. */
function appToken({ clientId }: GitHubAppOptions, { key, now }: GitHubAppDeps): string {
  const iat = toEpochSeconds(now()) - BACKDATED_SECONDS;
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const input = `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode({ iss: clientId, iat, exp: iat + LIFE_SECONDS })}`;
  return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`;
}
