import { readFileSync } from 'node:fs';
import { isJsonObject, type JsonObject, parseStrictJson, SallyportError } from '../base/index.ts';
import type { Introspector } from '../identity/index.ts';
import type { Config } from './config.ts';

/** The upstreams that may ask about their call tokens. Throws `ERR_CONFIG_INVALID` for a key set that is none. */
export function introspectorsOf({ upstreams }: Config): readonly Introspector[] {
  return upstreams.flatMap(({ name, transport, credential }) => {
    if (credential.kind !== 'call-token' || credential.introspection === undefined) return [];
    const { jwks } = credential.introspection;
    const audience = credential.audience ?? (transport.kind === 'http' ? transport.url : '');
    return [{ name, audience, jwks: 'url' in jwks ? jwks : { keys: readKeys(jwks.file) } }];
  });
}

function readKeys(file: string): readonly JsonObject[] {
  const parsed = parseStrictJson(readText(file));
  const keys = parsed.ok && isJsonObject(parsed.value) ? parsed.value['keys'] : undefined;
  if (Array.isArray(keys) && keys.length > 0 && keys.every(isJsonObject)) return keys;
  throw new SallyportError('ERR_CONFIG_INVALID', `${file}: must be a JWK set with at least one key`);
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new SallyportError('ERR_CONFIG_INVALID', `${file}: cannot be read`, { cause });
  }
}
