import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { exportJWK, generateKeyPair, importJWK, type JWK, jwtVerify, SignJWT } from 'jose';
import { type Clock, SallyportError, sha256, toEpochSeconds } from '../../base/index.ts';
import {
  createSecret,
  type KeySealer,
  openSecret,
  readSecret,
  type SecretFile,
} from '../../identity/index.ts';
import type { Role } from '../config-identity.ts';
import type { Operator } from './permissions.ts';

/** Longest life of an operator token, seconds: one is made for each admin request. */
const TOKEN_SECONDS = 60;

/** Where a data folder keeps the key that opens the admin plane. */
export const operatorKeyFile = (dataFolder: string): string => join(dataFolder, 'keys', 'operator.jwk');

/**
 * The local operator's key: whoever can read the file, and the key that seals it if there is one, may use the admin
 * plane. Made at first start, mode 0600. Throws `ERR_KEY_INVALID` when others can read it or it is not a P-256 key.
 */
export async function openOperatorKey(dataFolder: string, sealer?: KeySealer): Promise<JWK> {
  const file = secretFile(dataFolder, sealer);
  await mkdir(dirname(file.path), { recursive: true, mode: 0o700 });
  return toKey(file.path, openSecret(file) ?? (await createOperatorKey(file)));
}

/** The same for who only uses it: changes nothing, and is undefined when the gateway has not made it yet. */
export function readOperatorKey(dataFolder: string, sealer?: KeySealer): JWK | undefined {
  const file = secretFile(dataFolder, sealer);
  const text = readSecret(file);
  return text === undefined ? undefined : toKey(file.path, text);
}

function secretFile(dataFolder: string, sealer: KeySealer | undefined): SecretFile {
  return { path: operatorKeyFile(dataFolder), purpose: 'operator key', sealer };
}

function toKey(path: string, text: string): JWK {
  const key = parseJwk(text);
  if (key?.kty === 'EC' && key.crv === 'P-256' && key.d !== undefined) return key;
  throw new SallyportError(
    'ERR_KEY_INVALID',
    `${path} is not a private P-256 JWK; remove it and start again`,
  );
}

function parseJwk(text: string): JWK | undefined {
  try {
    return JSON.parse(text) as JWK;
  } catch {
    return undefined;
  }
}

async function createOperatorKey(file: SecretFile): Promise<string> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const text = JSON.stringify(await exportJWK(privateKey));
  return createSecret(file, text) ? text : (readSecret(file) ?? text);
}

/** A token for one admin request. `audience` is the admin plane's URL. */
export async function signOperatorToken(key: JWK, audience: string, now: Clock): Promise<string> {
  const issuedAt = toEpochSeconds(now());
  return new SignJWT({})
    .setProtectedHeader({ alg: 'ES256', typ: 'sallyport-operator+jwt' })
    .setSubject('operator')
    .setJti(randomUUID())
    .setAudience(audience)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + TOKEN_SECONDS)
    .sign(await importJWK(key, 'ES256'));
}

/** More tokens than an operator can use while they are good: beyond it none is taken. */
const MAX_USED_TOKENS = 10_000;

/** Remembers the ids of tokens for as long as they are good; false for one that was seen, or that is too many. */
function createUsedTokens(now: Clock): (id: string) => boolean {
  const used = new Map<string, number>();
  return (id) => {
    for (const [oldest, until] of used) {
      if (until > now()) break;
      used.delete(oldest);
    }
    const key = sha256(id);
    if (used.has(key) || used.size >= MAX_USED_TOKENS) return false;
    used.set(key, now() + 2 * TOKEN_SECONDS * 1000);
    return true;
  };
}

/**
 * Says who holds an `Authorization` header's operator token; undefined when it is not good. Each token is good for
 * one request: one that was seen on its way opens nothing.
 */
export async function createOperatorCheck(
  key: JWK,
  audience: string,
  now: Clock,
  roles: readonly Role[],
): Promise<(token: string) => Promise<Operator | undefined>> {
  const isFirstUse = createUsedTokens(now);
  const { d: _private, ...publicKey } = key;
  const verifyKey = await importJWK(publicKey, 'ES256');
  return async (token) => {
    if (roles.length === 0) return undefined;
    try {
      const { payload } = await jwtVerify(token, verifyKey, {
        algorithms: ['ES256'],
        typ: 'sallyport-operator+jwt',
        audience,
        maxTokenAge: TOKEN_SECONDS,
        requiredClaims: ['sub', 'iat', 'exp', 'jti'],
        currentDate: new Date(now()),
      });
      const { sub, jti, exp = 0, iat = 0 } = payload;
      if (typeof sub !== 'string' || typeof jti !== 'string' || exp - iat > TOKEN_SECONDS) return undefined;
      return isFirstUse(jti) ? { name: sub, roles } : undefined;
    } catch {
      return undefined; // the caller answers 401: a bad token and no token are the same
    }
  };
}
