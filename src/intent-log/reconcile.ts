import { isJsonObject, parseStrictJson } from '../base/index.ts';
import type { Finding } from './finding.ts';
import type { LogSource } from './log-source.ts';
import { type Hash, leafHash } from './merkle.ts';
import { headOf, scanHeader } from './record-header.ts';

/**
 * A credential as whoever accepted it wrote it down: its id (`jti`, which is the call id) and the leaf hash of
 * the intent that it names. Kept away from the gateway's host, these tell of calls that a rewritten log no
 * longer does, whoever holds its key.
 */
export type LedgerEntry = { readonly credential: string; readonly intent: Hash };

/** What the comparison of a ledger with a log came to. */
export type Reconciliation = {
  readonly entries: number;
  /** Accepted credentials whose intent is in the log. */
  readonly matched: number;
  /** `broken`: a credential was accepted for an intent that the log does not hold. */
  readonly findings: readonly Finding[];
};

const MAX_FINDINGS = 20;

/** Reads one line of a ledger, `{"jti": ..., "intent": ...}` and more; undefined when it is no entry. */
export function parseLedgerEntry(line: string): LedgerEntry | undefined {
  const parsed = parseStrictJson(line);
  if (!parsed.ok || !isJsonObject(parsed.value)) return undefined;
  const { jti, intent } = parsed.value;
  if (typeof jti !== 'string' || typeof intent !== 'string' || !/^[\w-]{43}$/.test(intent)) return undefined;
  return { credential: jti, intent };
}

/**
 * Looks for the intent of every accepted credential in the log. Says nothing of calls that needed no credential,
 * and nothing of whether the log itself holds: that is what the audit is for.
 */
export function reconcile(source: LogSource, ledger: Iterable<LedgerEntry>): Reconciliation {
  const missing = new Map<Hash, Set<string>>();
  const findings: Finding[] = [];
  const report = (what: string, idx = -1): void => {
    if (findings.length < MAX_FINDINGS) findings.push({ kind: 'broken', idx, what });
  };
  let entries = 0;
  for (const { credential, intent } of ledger) {
    entries++;
    missing.set(intent, (missing.get(intent) ?? new Set()).add(credential));
  }
  let matched = 0;
  for (const { idx, bytes } of source.records(0)) {
    const leaf = leafHash(bytes);
    const credentials = missing.get(leaf);
    if (credentials === undefined) continue;
    missing.delete(leaf);
    const header = scanHeader(headOf(bytes));
    for (const credential of credentials) {
      if (header?.type === 'intent' && header.call === credential) matched++;
      else report(`credential ${credential} names record ${idx}, which is not the intent of its call`, idx);
    }
  }
  for (const credentials of missing.values()) {
    for (const credential of credentials) {
      report(
        `credential ${credential} was accepted, but its intent is not in the log: records are gone or changed`,
      );
    }
  }
  return { entries, matched, findings };
}
