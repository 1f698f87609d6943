// Checks exported OCSF events against the published schema: npm run test:ocsf -- --data CHECKOUT_OF_ocsf-schema
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { exportLog } from '../../src/cli/export.ts';
import { openEmbeddedLog } from '../../src/storage/index.ts';
import { appendSampleRun } from '../support/sample-records.ts';
import { readOcsfSchema } from './schema.ts';

const { values } = parseArgs({ options: { data: { type: 'string' } } });
if (values.data === undefined) {
  process.stderr.write('nothing was checked: --data must name a checkout of github.com/ocsf/ocsf-schema\n');
  process.exit(2);
}
const schema = readOcsfSchema(values.data);
const folder = mkdtempSync(join(tmpdir(), 'sallyport-ocsf-'));
try {
  {
    const origin = 'agents.example.org/log';
    await using log = await openEmbeddedLog({
      folder,
      origin,
      now: Date.now,
      queueLimit: 1000,
      checkpointEveryMs: 60_000,
    });
    await appendSampleRun(log);
  }
  const to = join(folder, 'events.jsonl');
  const signal = new AbortController().signal;
  await exportLog({ data: folder, format: 'ocsf', to, signal, complain: () => {} });
  const events = readFileSync(to, 'utf8').trimEnd().split('\n');
  const problems = events.flatMap((line, i) => {
    const event = JSON.parse(line) as { readonly [name: string]: unknown };
    return schema.problems(event).map((problem) => `event ${i}: ${problem}`);
  });
  if (
    schema.problems({ class_uid: 6003, category_uid: 6, activity_id: 99, type_uid: 600_399 }).length === 0
  ) {
    problems.push('the check finds nothing wrong with an empty event: it checks nothing');
  }
  for (const problem of problems) process.stdout.write(`${problem}\n`);
  process.stdout.write(
    `${events.length} events against OCSF ${schema.version}: ${problems.length} problems\n`,
  );
  process.exitCode = problems.length === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
