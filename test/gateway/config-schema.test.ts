import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { loadConfig } from '../../src/cli/load-config.ts';
import { configSchema } from '../../src/gateway/config.ts';

const root = resolve(import.meta.dirname, '../..');

it('the JSON schema that editors use is that of the gateway (else run "npm run schema")', async () => {
  const written = JSON.parse(await readFile(join(root, 'schema/config.schema.json'), 'utf8')) as unknown;
  expect(written).toEqual(JSON.parse(JSON.stringify(configSchema())));
});

it('every example configuration is good', async () => {
  const config = await loadConfig(join(root, 'examples/minimal/sallyport.json'));
  expect(config.policies).toBe(join(root, 'examples/minimal/policies'));
});
