import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import { type Clock, type JsonObject, SallyportError } from '../base/index.ts';
import { fromDer } from './ecdsa-signature.ts';
import { type KeyFile, openKeyFile } from './key-file.ts';
import { type EcPublicJwk, exportEcPublicJwk } from './public-key.ts';

/** One entry of the published key set (RFC 7517). */
export type PublishedKey = EcPublicJwk & {
  readonly kid: string;
  readonly use: 'sig';
  readonly alg: 'ES256';
};

/** The gateway's ES256 keys: one signs, all of them verify. */
export interface SigningKeys {
  readonly activeKid: string;
  /** A compact JWS by the active key, its header exactly `{alg, typ, kid}`. */
  sign(typ: string, claims: JsonObject): string;
  /** What `/.well-known/jwks.json` publishes: public halves only. */
  jwks(): { readonly keys: readonly PublishedKey[] };
  /** Undefined for a key that is not, or no longer, ours. */
  verificationKey(kid: string): KeyObject | undefined;
}

/** Opens the keys in `<folder>/keys`, made at the first start. Throws `ERR_KEY_INVALID` (see `openKeyFile`). */
export async function openSigningKeys(options: {
  readonly folder: string;
  readonly now: Clock;
}): Promise<SigningKeys> {
  return createSigningKeys(await openKeyFile(options.folder, options.now));
}

/** The key set over keys that are already in memory. */
export function createSigningKeys({ active, keys }: KeyFile): SigningKeys {
  const signer = keys.find((key) => key.kid === active)?.privateKey;
  if (signer === undefined)
    throw new SallyportError('ERR_KEY_INVALID', 'active must be the id of one of the keys');
  const publicKeys = new Map(keys.map(({ kid, privateKey }) => [kid, createPublicKey(privateKey)]));
  const published = [...publicKeys].map(([kid, key]) => publish(kid, key));
  const headers = new Map<string, string>();

  function headerOf(typ: string): string {
    const known = headers.get(typ);
    if (known !== undefined) return known;
    const header = encode({ alg: 'ES256', typ, kid: active });
    headers.set(typ, header);
    return header;
  }

  return {
    activeKid: active,
    sign(typ, claims) {
      const input = `${headerOf(typ)}.${encode(claims)}`;
      const signature = fromDer(sign('sha256', Buffer.from(input, 'latin1'), signer));
      return `${input}.${signature.toString('base64url')}`;
    },
    jwks: () => ({ keys: published }),
    verificationKey: (kid) => publicKeys.get(kid),
  };
}

function publish(kid: string, key: KeyObject): PublishedKey {
  const jwk = exportEcPublicJwk(key);
  if (jwk === undefined) throw new SallyportError('ERR_KEY_INVALID', 'signing keys must be P-256 keys');
  return { ...jwk, kid, use: 'sig', alg: 'ES256' };
}

function encode(value: JsonObject): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
