import { z } from 'zod';
import { isLoopback } from './loopback.ts';

/** When a record counts as durable. */
export const ack = z
  .enum(['local', 'local+remote'])
  .describe('When a record counts as durable: on the disk of `data`, or there and in `remote` as well.');

/** The second copy of the intent log: a stream on a Redis of another host. */
export const SecondCopyEntry = z
  .strictObject({
    url: z
      .string()
      .regex(/^rediss?:\/\//, { error: 'must be a redis:// or rediss:// URL' })
      .describe('Without a password: that comes from SALLYPORT_LOG_REDIS_PASSWORD or `passwordFile`.'),
    passwordFile: z
      .string()
      .min(1)
      .optional()
      .describe('File that holds the password; relative to the configuration file.'),
    prefix: z
      .string()
      .regex(/^[a-z][a-z0-9-]{0,31}$/, { error: 'must be a lower-case word' })
      .default('sallyport')
      .describe('First part of the keys; the name of the log is the rest.'),
    replicas: z
      .int()
      .min(0)
      .max(5)
      .default(0)
      .describe('Replicas that must have a record before it counts as durable (WAIT).'),
    managed: z
      .boolean()
      .default(false)
      .describe('Accepts a server that hides its settings: who runs it promises `appendfsync always`.'),
    timeoutMillis: z
      .int()
      .min(50)
      .max(10_000)
      .default(1000)
      .describe('How long a batch may take there before requests get 503.'),
    keep: z
      .enum(['all', 'unwitnessed'])
      .default('all')
      .describe('What stays in the stream: everything, or what no witness has cosigned yet.'),
  })
  .describe('The second copy of the intent log; see docs/operate-log.md.');

type LogConfig = {
  readonly ack: z.infer<typeof ack>;
  readonly remote?: z.infer<typeof SecondCopyEntry> | undefined;
  readonly witnesses: readonly unknown[];
};

/** What the schema of `log` cannot say. */
export function copyProblems({ ack: wanted, remote, witnesses }: LogConfig): string[] {
  if (remote === undefined) {
    return wanted === 'local' ? [] : ['log.remote: must be there for log.ack "local+remote"'];
  }
  const problems: string[] = [];
  if (wanted === 'local') problems.push('log.remote: has no effect with log.ack "local"; set "local+remote"');
  const url = URL.canParse(remote.url) ? new URL(remote.url) : undefined;
  if (url === undefined) return [...problems, 'log.remote.url: is not a URL'];
  if (url.password !== '') {
    problems.push(
      'log.remote.url: must not hold a password; set SALLYPORT_LOG_REDIS_PASSWORD or passwordFile',
    );
  }
  if (url.protocol === 'redis:' && !isLoopback(url.hostname)) {
    problems.push('log.remote.url: must be rediss:// beyond loopback, for the records travel there');
  }
  if (remote.keep === 'unwitnessed' && witnesses.length === 0) {
    problems.push('log.remote.keep: "unwitnessed" needs a witness in log.witnesses');
  }
  return problems;
}
