// Runs the connector as the child process of a real MCP client. Arguments: gateway URL, assertion.
import { runConnector } from '../../src/connector/index.ts';

const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());

const [gateway = '', attest = ''] = process.argv.slice(2);
await runConnector({
  gateway,
  upstream: 'sdk',
  attest,
  intent: { purpose: 'test', tools: ['sdk/*'] },
  stdin: process.stdin,
  stdout: process.stdout,
  signal: stop.signal,
  log: (message, fields) => console.error(message, JSON.stringify(fields ?? {})),
});
