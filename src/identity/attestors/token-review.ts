import { readFile } from 'node:fs/promises';
import {
  type Clock,
  err,
  isJsonObject,
  type JsonObject,
  ok,
  parseStrictJson,
  type Result,
  sha256,
} from '../../base/index.ts';
import { invalid } from './assertion.ts';
import type { AttestationRefusal } from './attestor.ts';
import { postBounded } from './fetch-bounded.ts';
import { claimAt } from './presets.ts';
import { createSafeFetch, reachOf } from './safe-fetch.ts';

/** An API server of Kubernetes that is asked whether a pod's token is good now. */
export type TokenReviewEntry = {
  /** URL of the API server, without a path. */
  readonly url: string;
  /** PEM file of the authorities of the cluster; the system's when absent. Read again each time. */
  readonly ca?: string | undefined;
  /** File with the token of the gateway's own service account, which may create token reviews. Read each time. */
  readonly token: string;
  /** How long a good answer is taken to be still good; 0 asks each time. */
  readonly cacheSeconds: number;
  /** May the API server have a private address? */
  readonly privateNetwork: boolean;
};

/** Asks the cluster about a token whose signature, audience and claims were found good. */
export type ReviewToken = (token: string, claims: JsonObject) => Promise<Result<void, AttestationRefusal>>;

export type TokenReviewDeps = {
  /** The audience that the token must have: our own issuer. */
  readonly issuer: string;
  readonly now: Clock;
};

const MAX_CACHED = 1000;
const POD = 'authentication.kubernetes.io/pod-uid';

/** Reviews of one cluster (authentication.k8s.io/v1 TokenReview). A pod that is deleted fails its next one. */
export function createTokenReview(entry: TokenReviewEntry, { issuer, now }: TokenReviewDeps): ReviewToken {
  const goodUntil = new Map<string, number>();
  const fetchFor = rememberLast((ca) =>
    createSafeFetch({
      reach: reachOf(entry.url, entry.privateNetwork),
      ...(ca === undefined ? {} : { ca }),
    }),
  );

  async function ask(token: string): Promise<JsonObject> {
    const ca = entry.ca === undefined ? undefined : await readFile(entry.ca, 'utf8');
    const bearer = (await readFile(entry.token, 'utf8')).trim();
    const body = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token, audiences: [issuer] },
    };
    const url = `${entry.url}/apis/authentication.k8s.io/v1/tokenreviews`;
    const answer = await postBounded(url, { bearer, body: JSON.stringify(body) }, fetchFor(ca));
    const parsed = parseStrictJson(answer);
    const status = parsed.ok && isJsonObject(parsed.value) ? parsed.value['status'] : undefined;
    if (!isJsonObject(status)) throw new Error('answered something that is no token review');
    return status;
  }

  function remember(digest: string): void {
    if (entry.cacheSeconds === 0) return;
    goodUntil.set(digest, now() + entry.cacheSeconds * 1000);
    if (goodUntil.size > MAX_CACHED) goodUntil.delete(goodUntil.keys().next().value ?? digest);
  }

  return async (token, claims) => {
    const digest = sha256(token);
    if (now() < (goodUntil.get(digest) ?? 0)) return ok(undefined);
    goodUntil.delete(digest);
    const status = await ask(token).catch(() => undefined); // no word of it: it may hold the token
    if (status === undefined) {
      return err({ reason: 'issuer_unavailable', detail: 'its cluster cannot be asked about it now' });
    }
    const problem = problemIn(status, claims, issuer);
    if (problem !== undefined) return invalid(problem);
    remember(digest);
    return ok(undefined);
  };
}

/** Why an answer does not vouch for the pod in the claims; undefined when it does. */
function problemIn(status: JsonObject, claims: JsonObject, issuer: string): string | undefined {
  const { authenticated, audiences, user, error } = status;
  if (authenticated !== true || (error !== undefined && error !== '')) {
    return 'its cluster says that it is not good: its pod or service account is gone, or it was revoked';
  }
  if (!Array.isArray(audiences) || !audiences.includes(issuer)) {
    return 'its cluster did not confirm that it is for this gateway';
  }
  const { username, uid, extra } = isJsonObject(user) ? user : {};
  const [namespace, account, accountId, pod] = [
    'namespace',
    'serviceaccount/name',
    'serviceaccount/uid',
    'pod/uid',
  ].map((name) => claimAt(claims, `/kubernetes.io/${name}`));
  const pods = isJsonObject(extra) ? extra[POD] : undefined;
  const isSame =
    username === `system:serviceaccount:${String(namespace)}:${String(account)}` &&
    uid === accountId &&
    Array.isArray(pods) &&
    pods.length === 1 &&
    pods[0] === pod;
  return isSame ? undefined : 'its cluster says that it belongs to another pod or service account';
}

/** Makes a new value when the argument is another one than before. */
function rememberLast<T>(make: (argument: string | undefined) => T): (argument: string | undefined) => T {
  let last: { readonly argument: string | undefined; readonly value: T } | undefined;
  return (argument) => {
    if (last === undefined || last.argument !== argument) last = { argument, value: make(argument) };
    return last.value;
  };
}
