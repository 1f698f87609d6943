import { createRequire } from 'node:module';

/** The part of cedar-wasm that is used here. */
export type Cedar = Pick<
  typeof import('@cedar-policy/cedar-wasm/nodejs'),
  | 'policyToJson'
  | 'preparsePolicySet'
  | 'preparseSchema'
  | 'schemaToText'
  | 'statefulIsAuthorized'
  | 'validate'
>;

/**
 * A new instance of cedar-wasm with memory of its own. The first costs about 100 ms, later ones about 10 ms,
 * because V8 keeps the compiled code of equal modules; an instance nobody holds is collected.
 */
export function loadCedar(): Cedar {
  const require = createRequire(import.meta.url); // a new one each time, or it would hold every instance
  const path = require.resolve('@cedar-policy/cedar-wasm/nodejs');
  const loaded = require.cache[path];
  delete require.cache[path];
  try {
    return require(path) as Cedar;
  } finally {
    if (loaded === undefined) delete require.cache[path];
    else require.cache[path] = loaded;
  }
}
