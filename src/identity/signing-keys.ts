import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import { err, type JsonObject, ok, type Result, SallyportError } from '../base/index.ts';
import { fromDer } from './ecdsa-signature.ts';
import { type KeyFile, type KeyFileOptions, newStoredKey, openKeyFile, writeKeyFile } from './key-file.ts';
import {
  type Changed,
  type KeyChange,
  type KeyEntry,
  type KeyRefusal,
  pruneKeys,
  removeKey,
  rotateKeys,
  stateOf,
} from './key-rotation.ts';
import { type EcPublicJwk, exportEcPublicJwk } from './public-key.ts';

/** One entry of the published key set (RFC 7517). */
export type PublishedKey = EcPublicJwk & {
  readonly kid: string;
  readonly use: 'sig';
  readonly alg: 'ES256';
};

/** The gateway's ES256 keys: one signs, all of them verify. They may change between two calls. */
export interface SigningKeys {
  readonly activeKid: string;
  /** A compact JWS by the active key, its header exactly `{alg, typ, kid}`. */
  sign(typ: string, claims: JsonObject): string;
  /** What `/.well-known/jwks.json` publishes: public halves only, of keys that will sign, do, or did. */
  jwks(): { readonly keys: readonly PublishedKey[] };
  /** Undefined for a key that is not, or no longer, ours. */
  verificationKey(kid: string): KeyObject | undefined;
  /** Grows with every change of the set (`spiffe_sequence`, SPIFFE Trust Domain and Bundle §4.1.2). */
  readonly sequence: number;
}

/** The same with what an operator does to them. A change is durable and in force when it resolves; one at a time. */
export interface KeyRing extends SigningKeys {
  list(): readonly KeyEntry[];
  /** The next key signs from now on. `too_soon`: not every verifier can know it yet. */
  rotate(): Promise<Result<readonly KeyChange[], KeyRefusal>>;
  /** Nothing this key signed is accepted from now on. */
  remove(kid: string): Promise<Result<readonly KeyChange[], KeyRefusal>>;
  /** Takes away retired keys of which nothing is left. */
  prune(): Promise<readonly KeyChange[]>;
}

/** Opens the keys in `<folder>/keys`, made at the first start. Throws `ERR_KEY_INVALID` (see `openKeyFile`). */
export async function openSigningKeys(options: KeyFileOptions): Promise<KeyRing> {
  let file = await openKeyFile(options);
  const live = createLiveKeys(file);
  let changing: Promise<unknown> = Promise.resolve();

  /** On disk first: a key that signs must be there after a crash. */
  function change<T>(make: () => Result<Changed, T>): Promise<Result<readonly KeyChange[], T>> {
    const done = changing.then(async () => {
      const changed = make();
      if (!changed.ok) return err(changed.error);
      writeKeyFile(changed.value.file, options);
      file = changed.value.file;
      live.replace(file);
      return ok(changed.value.changes);
    });
    changing = done.catch(() => undefined);
    return done;
  }

  return {
    ...live.keys,
    get activeKid() {
      return live.keys.activeKid;
    },
    get sequence() {
      return live.keys.sequence;
    },
    list: () => file.keys.map(({ privateKey: _, ...key }) => ({ ...key, state: stateOf(file, key) })),
    rotate: () => change(() => rotateKeys(file, newStoredKey(options.now), options.now())),
    remove: (kid) => change(() => removeKey(file, kid, newStoredKey(options.now), options.now())),
    async prune() {
      if (pruneKeys(file, options.now()) === undefined) return [];
      const pruned = await change(() => {
        const changed = pruneKeys(file, options.now());
        return changed === undefined ? err(undefined) : ok(changed);
      });
      return pruned.ok ? pruned.value : [];
    },
  };
}

/** The key set over keys that are already in memory. */
export function createSigningKeys(file: KeyFile): SigningKeys {
  return createLiveKeys(file).keys;
}

type Ring = {
  readonly file: KeyFile;
  readonly signer: KeyObject;
  readonly publicKeys: ReadonlyMap<string, KeyObject>;
  readonly published: readonly PublishedKey[];
  /** Encoded JWS headers by `typ`. */
  readonly headers: Map<string, string>;
};

/** What signs and verifies, and how it is replaced: as a whole, so that no call sees half of a change. */
function createLiveKeys(first: KeyFile): { readonly keys: SigningKeys; replace(file: KeyFile): void } {
  let ring = toRing(first);
  return {
    replace(file) {
      ring = toRing(file);
    },
    keys: {
      get activeKid() {
        return ring.file.active;
      },
      get sequence() {
        return ring.file.sequence;
      },
      sign(typ, claims) {
        const { signer } = ring;
        const input = `${headerOf(typ, ring)}.${encode(claims)}`;
        const signature = fromDer(sign('sha256', Buffer.from(input, 'latin1'), signer));
        return `${input}.${signature.toString('base64url')}`;
      },
      jwks: () => ({ keys: ring.published }),
      verificationKey: (kid) => ring.publicKeys.get(kid),
    },
  };
}

function toRing(file: KeyFile): Ring {
  const signer = file.keys.find((key) => key.kid === file.active)?.privateKey;
  if (signer === undefined)
    throw new SallyportError('ERR_KEY_INVALID', 'active must be the id of one of the keys');
  const publicKeys = new Map(file.keys.map(({ kid, privateKey }) => [kid, createPublicKey(privateKey)]));
  const published = [...publicKeys].map(([kid, key]) => publish(kid, key));
  return { file, signer, publicKeys, published, headers: new Map() };
}

function headerOf(typ: string, { file, headers }: Ring): string {
  const known = headers.get(typ);
  if (known !== undefined) return known;
  const header = encode({ alg: 'ES256', typ, kid: file.active });
  headers.set(typ, header);
  return header;
}

function publish(kid: string, key: KeyObject): PublishedKey {
  const jwk = exportEcPublicJwk(key);
  if (jwk === undefined) throw new SallyportError('ERR_KEY_INVALID', 'signing keys must be P-256 keys');
  return { ...jwk, kid, use: 'sig', alg: 'ES256' };
}

function encode(value: JsonObject): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
