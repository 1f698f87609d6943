import { err, isJsonObject, type JsonObject, type JsonValue, ok, type Result } from '../base/index.ts';
import type { Hash } from './merkle.ts';
import type { TlogPolicy } from './tlog-policy.ts';
import { type ProofDefect, type TlogProof, verifyTlogProof } from './tlog-proof.ts';

/** A record as somebody outside holds it: its leaf hash, and its place if they were told. */
export type Held = { readonly leaf: Hash; readonly index?: number };

/**
 * What somebody outside holds about one call: an agent from `_meta["sallyport/receipt"]` of a result, an upstream from
 * the credential it accepted. Alone it proves nothing; the log that gave it cannot deny the call without being found out.
 */
export type CallReceipt = {
  readonly call: string;
  /** Name of the log. */
  readonly origin?: string;
  readonly intent: Held;
  readonly outcome?: Held;
};

/** Why a receipt is not borne out by a proof. `other_record`: the proof is about another place or log. */
export type ReceiptDefect = ProofDefect | 'other_record';

/** The name of a receipt in the `_meta` of a result. */
export const RECEIPT_META = 'sallyport/receipt';

/** A receipt as it stands in the `_meta` of a result. */
export function formatReceipt(
  call: string,
  origin: string,
  intent: Required<Held>,
  outcome: Required<Held>,
): JsonObject {
  return {
    origin,
    call,
    index: intent.index,
    intent: intent.leaf,
    outcomeIndex: outcome.index,
    outcome: outcome.leaf,
  };
}

/**
 * Reads a receipt: itself, a result or JSON-RPC response that holds it, or the line of a ledger (`jti` and `intent`).
 * Undefined when it is none of these.
 */
export function parseReceipt(value: JsonValue): CallReceipt | undefined {
  const found = receiptIn(value);
  if (found === undefined) return undefined;
  const { origin, jti, call = jti } = found;
  const intent = heldIn(found['intent'], found['index']);
  const outcome = heldIn(found['outcome'], found['outcomeIndex']);
  if (typeof call !== 'string' || intent === undefined) return undefined;
  if (origin !== undefined && typeof origin !== 'string') return undefined;
  if (found['outcome'] !== undefined && outcome === undefined) return undefined;
  return {
    call,
    intent,
    ...(origin === undefined ? {} : { origin }),
    ...(outcome === undefined ? {} : { outcome }),
  };
}

/** Checks that a record that a receipt names is in a tree that the policy believes. Gives the size of that tree. */
export function verifyHeld(
  held: Held,
  proof: TlogProof,
  { origin, policy }: { readonly origin: string | undefined; readonly policy: TlogPolicy },
): Result<number, ReceiptDefect> {
  if (held.index !== undefined && held.index !== proof.index) return err('other_record');
  const checked = verifyTlogProof(held.leaf, proof, policy);
  if (!checked.ok) return checked;
  return origin === undefined || origin === checked.value.origin
    ? ok(checked.value.size)
    : err('other_record');
}

function receiptIn(value: JsonValue): JsonObject | undefined {
  if (!isJsonObject(value)) return undefined;
  const { result, _meta: meta } = value;
  if (isJsonObject(result)) return receiptIn(result);
  if (!isJsonObject(meta)) return value;
  const receipt = meta[RECEIPT_META];
  return isJsonObject(receipt) ? receipt : undefined;
}

function heldIn(leaf: JsonValue | undefined, index: JsonValue | undefined): Held | undefined {
  if (typeof leaf !== 'string' || !/^[\w-]{43}$/.test(leaf)) return undefined;
  if (index === undefined) return { leaf };
  return Number.isSafeInteger(index) && Number(index) >= 0 ? { leaf, index: Number(index) } : undefined;
}
