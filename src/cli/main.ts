#!/usr/bin/env -S MALLOC_ARENA_MAX=2 node --max-semi-space-size=16
// The version check comes before anything that an older Node.js could not even parse.
const MINIMUM_NODE = 24;
if (Number(process.versions.node.split('.')[0]) < MINIMUM_NODE) {
  process.stderr.write(
    `ERR_NODE_VERSION: sallyport needs Node.js >= ${MINIMUM_NODE}, this is ${process.versions.node}; start it with "npm start" or "npm run sallyport"\n`,
  );
  process.exit(1);
}
const { runCli } = await import('./run-cli.ts');
process.exitCode = await runCli(process.argv);
