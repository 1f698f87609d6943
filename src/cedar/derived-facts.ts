import type { JsonObject } from '../base/index.ts';
import type { ToolAnnotations } from './annotations.ts';
import { valuesAt } from './argument-values.ts';
import { domainsOf, foldersOf, hostOf, inAll, normalPath } from './derived-places.ts';
import { wordsOf } from './tool-words.ts';

/** What the arguments of a call name, read the way the upstream would: policies compare this, not raw text. */
export type DerivedFacts = {
  /** Paths without detours, slashes as separators. */
  readonly paths: readonly string[];
  /** Folders that hold every path, a path itself included; none when there is no path, or one cannot be read. */
  readonly folders: readonly string[];
  /** Some path leaves its beginning, or where it leads cannot be told from its text. */
  readonly climbs: boolean;
  /** Hosts of URLs, mail addresses and host names, also of links inside content. */
  readonly hosts: readonly string[];
  /** Domains that hold every host. */
  readonly domains: readonly string[];
  /** Values of address arguments, trimmed, in lower case. */
  readonly addresses: readonly string[];
  /** Length of the arguments as JSON, in UTF-8. */
  readonly bytes: number;
};

const PATH_WORDS = new Set(
  'path paths file files filename filenames filepath folder folders directory directories dir cwd root'.split(
    ' ',
  ),
);
const LOOKS_LIKE_PATH = /^(?:[/~]|\.{1,2}[/\\]|file:|[A-Za-z]:\\)/;
const LINK = /\b(?:https?|ftp|wss?):[/\\]{1,2}[^\s<>"'`)\]]+/gi;
const PART = /[^\s,;]+/g;
const MAX_FACTS = 256;
/** More are not read, one by one, out of the arguments of a call. */
const MAX_HOSTS = 1_024;
const MAX_LENGTH = 1_024;

export function derivedFacts(args: JsonObject, annotations: ToolAnnotations): DerivedFacts {
  const paths: (string | undefined)[] = [];
  const hosts: (string | undefined)[] = [];
  const addresses: string[] = [];
  let isCut = false;
  const addHosts = (names: Iterable<string>): void => {
    for (const name of names) {
      if (hosts.length >= MAX_HOSTS) {
        isCut = true;
        return;
      }
      hosts.push(hostOf(name));
    }
  };
  const texts = (path: string): readonly string[] => {
    const found = valuesAt(args, path);
    isCut ||= found.isCut;
    return found.values.map((value) => String(value).toWellFormed());
  };
  for (const { path, kind } of annotations.keyArguments) {
    const isPath = wordsOf(path.slice(path.lastIndexOf('.') + 1)).some((word) => PATH_WORDS.has(word));
    for (const text of texts(path)) {
      if (kind === 'address') {
        addresses.push(text.trim().toLowerCase());
        addHosts(eachMatch(text, PART));
      } else if (isPath || LOOKS_LIKE_PATH.test(text)) paths.push(pathOf(text));
    }
  }
  for (const path of annotations.contentArguments) {
    for (const text of texts(path)) {
      addHosts(eachMatch(text, LINK));
      if (LOOKS_LIKE_PATH.test(text) && !text.includes('\n')) paths.push(pathOf(text));
    }
  }
  return collect(paths, hosts, addresses, isCut, args);
}

function* eachMatch(text: string, pattern: RegExp): Iterable<string> {
  for (const [match] of text.matchAll(pattern)) yield match;
}

/** Also undefined for what is too long to show. */
function pathOf(text: string): string | undefined {
  return text.length > MAX_LENGTH ? undefined : normalPath(text);
}

function collect(
  paths: readonly (string | undefined)[],
  hosts: readonly (string | undefined)[],
  addresses: readonly string[],
  isCut: boolean,
  args: JsonObject,
): DerivedFacts {
  const known = present(paths);
  const named = present(hosts);
  const climbs = isCut || known.length > MAX_FACTS || paths.includes(undefined);
  const isUnclear = isCut || named.length > MAX_FACTS;
  return {
    paths: known.slice(0, MAX_FACTS),
    folders: climbs ? [] : inAll(known.map(foldersOf)),
    climbs,
    hosts: named.slice(0, MAX_FACTS),
    domains: isUnclear ? [] : inAll(named.map(domainsOf)),
    addresses: [...new Set(addresses)].slice(0, MAX_FACTS).sort(),
    bytes: Buffer.byteLength(JSON.stringify(args)),
  };
}

function present(values: readonly (string | undefined)[]): readonly string[] {
  return [...new Set(values)].filter((value) => value !== undefined).sort();
}
