import { randomUUID } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { type CryptoKey, calculateJwkThumbprint, importJWK, type JWK, SignJWT } from 'jose';
import { type Clock, isJsonObject, SallyportError, systemClock, toEpochSeconds } from '../base/index.ts';

const LIFE_SECONDS = 60;
const OTHERS = 0o077;

export type AssertionClaims = {
  /** `iss`: as the gateway's attestor expects it. */
  readonly issuer: string;
  /** `sub`: which workload this is. */
  readonly subject: string;
  /** `aud`: the gateway's issuer, that is its base URL. */
  readonly audience: string;
};

/**
 * Signs an assertion for the token endpoint (RFC 7523) with a private JWK (P-256) from a file: ES256, good for a
 * minute, a new `jti` each time; the `kid` is that of the JWK, else its thumbprint (RFC 7638). The file is read
 * anew each time, so a replaced key is taken up.
 * Throws `ERR_KEY_INVALID`, also when anyone but the file's owner may read it.
 */
export async function assertionFromKeyFile(
  file: string,
  claims: AssertionClaims,
  now: Clock = systemClock,
): Promise<string> {
  const jwk = parsePrivateJwk(await readPrivateFile(file), file);
  const key = await importKey(jwk, file);
  const issuedAt = toEpochSeconds(now());
  const kid = jwk.kid ?? (await calculateJwkThumbprint(jwk));
  return new SignJWT({ jti: randomUUID() })
    .setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid })
    .setIssuer(claims.issuer)
    .setSubject(claims.subject)
    .setAudience(claims.audience)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + LIFE_SECONDS)
    .sign(key);
}

/** Longest assertion in a file; the gateway takes no longer one. */
const MAX_ASSERTION = 16 * 1024;

/**
 * Reads a JWT that a platform keeps in a file, such as a projected token of Kubernetes or a JWT-SVID. Read anew each
 * time, because platforms replace it. Throws `ERR_KEY_INVALID` for a file that holds something else.
 */
export async function assertionFromFile(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new SallyportError('ERR_KEY_INVALID', `${file} cannot be read`, { cause });
  });
  const assertion = text.trim();
  if (assertion.length <= MAX_ASSERTION && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(assertion)) return assertion;
  throw new SallyportError('ERR_KEY_INVALID', `${file} holds no JWT; it must be one, and nothing else`);
}

/** Permissions are taken from the opened file, so that it cannot be swapped in between. */
async function readPrivateFile(file: string): Promise<string> {
  try {
    await using handle = await open(file, 'r');
    const { mode } = await handle.stat();
    if ((mode & OTHERS) !== 0) {
      throw new SallyportError('ERR_KEY_INVALID', `${file} can be read by others; run: chmod 600 ${file}`);
    }
    return await handle.readFile('utf8');
  } catch (cause) {
    if (cause instanceof SallyportError) throw cause;
    throw new SallyportError('ERR_KEY_INVALID', `${file} cannot be read`, { cause });
  }
}

function parsePrivateJwk(text: string, file: string): JWK {
  const invalid = `${file} is not a private key as JWK with kty "EC", crv "P-256", x, y and d`;
  let jwk: unknown;
  try {
    jwk = JSON.parse(text);
  } catch {
    throw new SallyportError('ERR_KEY_INVALID', invalid); // without the cause: its message quotes the file
  }
  if (!isJsonObject(jwk) || jwk['kty'] !== 'EC' || jwk['crv'] !== 'P-256' || typeof jwk['d'] !== 'string') {
    throw new SallyportError('ERR_KEY_INVALID', invalid);
  }
  return jwk as JWK;
}

async function importKey(jwk: JWK, file: string): Promise<CryptoKey> {
  try {
    return (await importJWK(jwk, 'ES256')) as CryptoKey;
  } catch {
    throw new SallyportError('ERR_KEY_INVALID', `${file} holds numbers that are not a key on curve P-256`);
  }
}
