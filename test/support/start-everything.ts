import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

export { startEverything } from '../../examples/upstreams/everything.ts';

const { resolve } = createRequire(import.meta.url);

/** The entry files of published MCP servers, to be run with this Node.js. */
export const EVERYTHING = join(
  dirname(resolve('@modelcontextprotocol/server-everything/package.json')),
  'dist/index.js',
);
export const FILESYSTEM = join(
  dirname(resolve('@modelcontextprotocol/server-filesystem/package.json')),
  'dist/index.js',
);
