import { isJsonObject, type JsonObject, type JsonValue } from '../../src/base/index.ts';
import { readRows } from './cases.ts';

/**
 * Whom the runs of each suite act for, as an identity provider would say it: names, mail addresses and accounts of
 * the environment's owner. Empty where the data has no environments.
 */
export function readPrincipals(folder: string): ReadonlyMap<string, readonly string[]> {
  const rows =
    readRows<{ suite: string; environment: JsonObject }>(folder, 'raw/agentdojo_suites.jsonl') ?? [];
  return new Map(rows.map(({ suite, environment }) => [suite, principalOf(environment)]));
}

const OWNER_FIELDS = new Set(['account_email', 'iban', 'first_name', 'last_name']);
const ABOUT_OWNER = new Set(['inbox', 'calendar', 'cloud_drive', 'bank_account', 'user_account']);

function principalOf(environment: JsonObject): string[] {
  const names = new Set<string>();
  for (const [part, state] of Object.entries(environment)) {
    if (!ABOUT_OWNER.has(part) || !isJsonObject(state)) continue;
    for (const [field, value] of Object.entries(state)) addText(names, field, value);
  }
  // what this bank calls the owner of the account in its lists of transactions
  if (environment['bank_account'] !== undefined) names.add('me');
  return [...names];
}

function addText(names: Set<string>, field: string, value: JsonValue): void {
  if (OWNER_FIELDS.has(field) && typeof value === 'string' && value !== '') names.add(value);
}
