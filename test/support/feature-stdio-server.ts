import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { createFeatureServer } from './feature-server.ts';

// A program of its own: the feature server over stdio. Says on stderr when a tool was cancelled.
const cancelled: string[] = [];
const push = (name: string): number => {
  process.stderr.write(`cancelled ${name}\n`);
  return cancelled.length;
};
const legacy = process.argv[2] === 'modern-only' ? 'reject' : 'serve';
serveStdio(() => createFeatureServer({ cancelled: Object.assign([], { push }) }), { legacy });
