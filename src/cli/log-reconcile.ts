import { readFileSync } from 'node:fs';
import { SallyportError } from '../base/index.ts';
import { type LedgerEntry, parseLedgerEntry, reconcile } from '../intent-log/index.ts';
import { openLogReader } from '../storage/index.ts';
import { type LogCommand, printable } from './log.ts';

/**
 * Compares the log with what upstreams wrote down of the credentials they accepted: one JSON object a line, with
 * `jti` and `intent` of the call token. Exit code 0 when each has its intent in the log, else 1.
 */
export function logReconcile(ledgers: readonly string[], { folder, out }: LogCommand): number {
  using reader = openLogReader(folder);
  const { entries, matched, findings } = reconcile(reader, ledgers.flatMap(readLedger));
  out(`${entries} accepted credentials, ${matched} with their intent in the log`);
  for (const { what } of findings) out(`  ${printable(what)}`);
  return findings.length === 0 && matched === entries ? 0 : 1;
}

function readLedger(path: string): LedgerEntry[] {
  const lines = readText(path).split('\n');
  return lines.flatMap((line, i) => {
    if (line.trim() === '') return [];
    const entry = parseLedgerEntry(line);
    if (entry !== undefined) return [entry];
    throw new SallyportError(
      'ERR_CONFIG_INVALID',
      `${path}: line ${i + 1} must be a JSON object with "jti" and "intent" of an accepted call token`,
    );
  });
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new SallyportError('ERR_DATA_FOLDER', `${path} cannot be read (${code}); name a ledger file`, {
      cause: error,
    });
  }
}
