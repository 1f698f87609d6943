import { err, ok, type Result } from '../../base/index.ts';
import type { Form } from '../../identity/index.ts';

const MAX_FIELDS = 64;

/**
 * Reads a form body. A field that comes twice is refused, and so is what no form writer makes: two readers
 * could take different values (RFC 6749 §3.2). The error is fit for the caller.
 */
export function parseForm(body: string): Result<Form, string> {
  const fields = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(body)) {
    if (fields.has(name)) return err('a field of the form was sent twice; send each once');
    if (!value.isWellFormed() || value.includes('\uFFFD')) return err('a field of the form is not UTF-8');
    if (fields.size >= MAX_FIELDS) return err(`the form has more than ${MAX_FIELDS} fields`);
    fields.set(name, value);
  }
  return ok(fields);
}
