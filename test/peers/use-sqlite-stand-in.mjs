// For `node --import`: gives DBHub the stand-in wherever it asks for `better-sqlite3`.
import { registerHooks } from 'node:module';

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === 'better-sqlite3'
      ? { url: new URL('./sqlite-stand-in.mjs', import.meta.url).href, shortCircuit: true }
      : next(specifier, context),
});
