import { err, ok, type Result } from '../../base/index.ts';

/** What a Redis says of itself. */
export type ServerFacts = {
  /** Of `INFO`, sections `server`, `replication` and `persistence`, by name. */
  readonly info: ReadonlyMap<string, string>;
  /** Of `CONFIG GET`; undefined when the server does not let us look. */
  readonly config: ReadonlyMap<string, string> | undefined;
};

/** Settings without which an acknowledged write can be lost, with the value that they must have. */
const REQUIRED = [
  ['appendonly', 'yes'],
  ['appendfsync', 'always'],
  ['no-appendfsync-on-rewrite', 'no'],
] as const;

/**
 * Does a server keep what it acknowledges? The error names the setting and the fix. With `isManaged` it may hide its
 * settings: then whoever runs it answers for them, and only what it does say is looked at.
 */
export function judgeServer({ info, config }: ServerFacts, isManaged: boolean): Result<void, string> {
  const role = info.get('role');
  if (role !== 'master')
    return err(`it is a ${role ?? 'server without a role'} and cannot be written to; name the master`);
  const status = info.get('aof_last_write_status');
  if (status !== undefined && status !== 'ok') return err(`its last write to disk failed (${status})`);
  if (config === undefined) {
    if (isManaged) return ok(undefined);
    return err(
      'it hides its settings (CONFIG GET), so nobody can see whether it syncs; if those who run it promise that it does, set log.remote.managed',
    );
  }
  for (const [name, value] of REQUIRED) {
    const found = config.get(name);
    if (found !== value) return err(`its setting ${name} is ${found ?? 'missing'} and must be ${value}`);
  }
  const policy = config.get('maxmemory-policy') ?? '';
  if (policy.startsWith('allkeys')) {
    return err(`its setting maxmemory-policy is ${policy}, which throws records away; set noeviction`);
  }
  return ok(undefined);
}

/** Reads the lines `name:value` of an answer to `INFO`. */
export function parseInfo(text: string): Map<string, string> {
  const lines = text.split('\n').map((line) => line.trim());
  return new Map(
    lines.flatMap((line) => {
      const at = line.indexOf(':');
      return at < 1 || line.startsWith('#') ? [] : [[line.slice(0, at), line.slice(at + 1)] as const];
    }),
  );
}
