/** One challenge of a `WWW-Authenticate` header (RFC 9110 §11.6.1). Scheme and names of parameters in lower case. */
export type Challenge = { readonly scheme: string; readonly params: ReadonlyMap<string, string> };

const SEPARATORS = /[\s,]*/y;
const TOKEN = /[!#$%&'*+\-.^_`|~\w]+/y;
const EQUALS = /\s*=\s*/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/y;

/**
 * Reads the challenges of a response. A header that is malformed, or that names a parameter twice, holds none: two
 * readers could see different challenges in it.
 */
export function parseChallenges(header: string | null): readonly Challenge[] {
  const text = header ?? '';
  const challenges: { scheme: string; params: Map<string, string> }[] = [];
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found !== null) at = pattern.lastIndex;
    return found?.[1] ?? found?.[0];
  };
  for (take(SEPARATORS); at < text.length; take(SEPARATORS)) {
    const name = take(TOKEN)?.toLowerCase();
    if (name === undefined) return [];
    if (take(EQUALS) === undefined) {
      challenges.push({ scheme: name, params: new Map() });
      continue;
    }
    const value = text[at] === '"' ? take(QUOTED)?.replace(/\\(.)/g, '$1') : take(TOKEN);
    const params = challenges.at(-1)?.params;
    if (value === undefined || params === undefined || params.has(name)) return [];
    params.set(name, value);
  }
  return challenges;
}

/** A parameter of the first challenge of schemes for access tokens that has it. */
export function challengeParam(response: Response, name: string): string | undefined {
  const challenges = parseChallenges(response.headers.get('www-authenticate'));
  const found = challenges.find(
    ({ scheme, params }) => (scheme === 'dpop' || scheme === 'bearer') && params.has(name),
  );
  return found?.params.get(name);
}
