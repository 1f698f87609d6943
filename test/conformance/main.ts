import { parseArgs } from 'node:util';
import { readRecords } from '../support/open-ops-gateway.ts';
import { checkClients, clientsToMarkdown } from './clients.ts';
import { type ConformanceGateway, openConformanceGateway } from './gateway.ts';
import { type Check, type Revision, runReferee } from './referee.ts';
import { lossesOf, type Results, toMarkdown, type Way, writeSection } from './report.ts';
import { serveConformanceHttp } from './server/index.ts';
import { openShim, type Shim } from './shim.ts';

// npm run test:conformance: the official suite against one server, directly and through the gateway, and its servers
// against `sallyport/client` and `sallyport connect`.

const DOCUMENT = new URL('../../docs/conformance.md', import.meta.url);

const print = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { write: { type: 'boolean', default: true } },
    allowNegative: true,
  });
  await using server = await serveConformanceHttp();
  await using shim = await openShim();
  await using gateway = await openConformanceGateway(server.url, [shim.origin]);
  const results: Results = {
    '2025-11-25': await checkAll('2025-11-25', server.url, gateway, shim),
    '2026-07-28': await checkAll('2026-07-28', server.url, gateway, shim),
  };
  const table = toMarkdown(results);
  print(`\n${table}\n`);
  const recorded = readRecords(gateway.data).length;
  print(`${recorded} records in the intent log`);
  const losses = lossesOf(results);
  const stories = await checkClients();
  const clients = clientsToMarkdown(stories);
  print(`\n${clients}\n`);
  if (values.write) {
    await writeSection(DOCUMENT, 'servers', table);
    await writeSection(DOCUMENT, 'clients', clients);
  }
  return losses.length === 0 && stories.every(({ isPassed }) => isPassed) ? 0 : 1;
}

async function checkAll(
  revision: Revision,
  url: string,
  gateway: ConformanceGateway,
  shim: Shim,
): Promise<Record<Way, readonly Check[]>> {
  const through = async (upstream: string): Promise<readonly Check[]> => {
    await using run = await gateway.startRun();
    shim.point(run, upstream);
    return await timed(`${revision} through the gateway, ${upstream}`, () => runReferee(shim.url, revision));
  };
  return {
    direct: await timed(`${revision} direct`, () => runReferee(url, revision)),
    http: await through('http'),
    stdio: await through('stdio'),
  };
}

async function timed<T>(what: string, act: () => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  const result = await act();
  print(`${what}: ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  return result;
}

process.exitCode = await main();
