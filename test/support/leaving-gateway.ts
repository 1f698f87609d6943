import { parseUpstreamName } from '../../src/base/index.ts';
import { openStdioUpstream } from '../../src/gateway/upstream/index.ts';
import { FIRST_RUN } from './start-endpoint.ts';

// A program of its own: starts a stdio child that has a child, says their ids, and exits without ending them.
const [script = '', how] = process.argv.slice(2);
const name = parseUpstreamName('leaving');
if (name === undefined) throw new TypeError('bad name');
const upstream = openStdioUpstream(
  {
    name,
    command: process.execPath,
    args: [script],
    env: {},
    inherited: { PATH: process.env['PATH'] },
    timeoutMs: 10_000,
    resultBytes: 100_000,
  },
  { now: Date.now, log: { debug: () => undefined, warn: () => undefined } },
);
const ask = async (method: string, session?: string) =>
  upstream.send({
    method: 'POST',
    message: { jsonrpc: '2.0', id: method, method, params: {} },
    mcpHeaders: {},
    run: FIRST_RUN,
    signal: new AbortController().signal,
    ...(session === undefined ? {} : { session }),
  });
const { session = '' } = await ask('initialize');
const { body } = await ask('test/grandchild', session);
process.stdout.write(JSON.stringify(body));
if (how === 'throw') setImmediate(() => Promise.reject(new Error('on purpose')));
else process.exit(0);
