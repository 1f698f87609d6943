const MAX_LENGTH = 4_096;
const MAX_FORMS = 8;
const MAX_DEPTH = 3;

/**
 * What a value may be an encoding of: percent-encoding (also twice), base64, hex, JSON escapes, a `mailto:` link.
 * Without the value itself. What is found only in such a form was not seen as it is, so it never vouches.
 */
export function decodedForms(value: string): readonly string[] {
  if (value.length > MAX_LENGTH) return [];
  const forms = new Set<string>();
  let layer = [value];
  for (let depth = 0; depth < MAX_DEPTH && layer.length > 0; depth++) {
    const next: string[] = [];
    for (const text of layer) {
      for (const form of decodeOnce(text)) {
        if (form === value || forms.has(form) || forms.size >= MAX_FORMS) continue;
        forms.add(form);
        next.push(form);
      }
    }
    layer = next;
  }
  return [...forms];
}

function decodeOnce(text: string): string[] {
  const forms: string[] = [];
  if (/%[0-9a-f]{2}/i.test(text)) forms.push(percentDecoded(text));
  if (/^(?:[0-9a-f]{2}){4,}$/i.test(text)) forms.push(...asText(Buffer.from(text, 'hex')));
  else if (/^[A-Za-z0-9+/_-]{8,}={0,2}$/.test(text)) forms.push(...asText(Buffer.from(text, 'base64')));
  if (/\\[u"\\/nrt]/.test(text)) forms.push(...unescaped(text));
  if (/^mailto:/i.test(text)) forms.push(text.slice('mailto:'.length).replace(/\?.*$/s, ''));
  return forms;
}

/** Escapes that are not UTF-8 stay as they are: the rest is still looked at. */
function percentDecoded(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (escapes) => {
    try {
      return decodeURIComponent(escapes);
    } catch {
      return escapes;
    }
  });
}

/** Bytes as text, if they are printable UTF-8. */
function asText(bytes: Buffer): string[] {
  const text = bytes.toString('utf8');
  return /^[^\p{C}\ufffd]{3,}$/u.test(text) ? [text] : [];
}

function unescaped(text: string): string[] {
  try {
    const value: unknown = JSON.parse(`"${text.replace(/(?<!\\)"/g, '\\"')}"`);
    return typeof value === 'string' ? [value] : [];
  } catch {
    return [];
  }
}
