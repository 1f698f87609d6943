import { watch } from 'node:fs';
import { err, ok, type Result } from '../base/index.ts';
import type { Catalogue } from './catalogue.ts';
import { createPdpFor, type PdpDeps } from './create-pdp.ts';
import type { PolicyRevision } from './decision.ts';
import { createEngine } from './engine.ts';
import { type PolicyParser, parseInThread } from './parse-in-thread.ts';
import type { Pdp } from './pdp.ts';
import { readPolicyFolder } from './policy-folder.ts';
import { type PolicySet, parsePolicySet, policyError } from './policy-set.ts';
import type { Problem } from './policy-text.ts';

/** The revision now in force, or why the old one still is. */
export type Reloaded = Result<PolicyRevision, readonly Problem[]>;

export type Loaded = {
  readonly revision: PolicyRevision;
  /** The text behind the revision (`PolicySet.source`). */
  readonly source: string;
  /** Ids, sorted. */
  readonly policies: readonly string[];
  readonly warnings: readonly string[];
};

/** A PDP whose policies can change under it: whole sets only, and a bad one leaves the old in force. */
export interface ReloadablePdp extends Pdp, AsyncDisposable {
  /** What is in force. */
  readonly loaded: Loaded;
  /** Reads the folder again, for another catalogue if one is given. Runs one at a time, in the order of calls. */
  reload(catalogue?: Catalogue): Promise<Reloaded>;
}

export type OpenPdpOptions = {
  readonly folder: string;
  readonly catalogue: Catalogue;
  /** Told of every reload that a change in the folder caused. */
  readonly onReload?: (result: Reloaded) => void;
  /** How long the folder must be quiet before it is read; 0 does not watch it. Milliseconds. */
  readonly quietMillis?: number;
  /** Told when the compiled evaluator is given up for a revision, because it differs from Cedar. */
  readonly onMismatch?: (detail: string) => void;
  /** Where policies are parsed; in a thread of its own by default. */
  readonly parse?: PolicyParser;
};

const QUIET_MILLIS = 100;

/**
 * Opens the policies of a folder and follows its changes. One engine serves all revisions. Throws what
 * `createPdp` throws.
 */
export async function openPdp(options: OpenPdpOptions): Promise<ReloadablePdp> {
  const { folder, onReload, quietMillis = QUIET_MILLIS, onMismatch, parse = parseInThread } = options;
  let catalogue = options.catalogue;
  const starting = loadSet(folder, catalogue, options.parse ?? parseAtStart);
  starting.catch(() => undefined); // awaited below, unless the engine fails first
  const deps: PdpDeps = { engine: createEngine(), judge: onMismatch === undefined ? {} : { onMismatch } };
  const load = async (set: ReturnType<typeof loadSet>) => toLoading(await set, deps);
  const first = await load(starting);
  if (!first.ok) throw policyError(first.error);
  let current = first.value;
  let queue: Promise<unknown> = Promise.resolve();

  async function swap(): Promise<Reloaded> {
    const result = await load(loadSet(folder, catalogue, parse)).catch((error) => {
      return err([atFolder(folder, error)]);
    });
    if (!result.ok) return result;
    current = result.value;
    return ok(current.pdp.revision);
  }

  function reload(next?: Catalogue): Promise<Reloaded> {
    catalogue = next ?? catalogue; // kept even if the policies do not fit it yet: they are then mended for it
    const result = queue.then(swap);
    queue = result;
    return result;
  }

  const follower =
    quietMillis > 0
      ? follow(folder, quietMillis, (error) => {
          const result = error === undefined ? reload() : Promise.resolve(err([atFolder(folder, error)]));
          result.then(onReload, () => undefined);
        })
      : undefined;
  return {
    get revision() {
      return current.pdp.revision;
    },
    get loaded() {
      return current.loaded;
    },
    decide: (request) => current.pdp.decide(request),
    visibleTools: (...facts) => current.pdp.visibleTools(...facts),
    reload,
    async [Symbol.asyncDispose]() {
      follower?.close();
      await queue;
    },
  };
}

/** Nobody is held up by what is parsed before the first request, and a thread takes 0.2 s to start. Characters. */
const SMALL = 64 * 1024;

const parseAtStart: PolicyParser = async (sources, catalogue) => {
  const size = sources.reduce((sum, { text }) => sum + text.length, 0);
  return size > SMALL ? parseInThread(sources, catalogue) : parsePolicySet(sources, catalogue);
};

type Loading = { readonly pdp: Pdp; readonly loaded: Loaded };

async function loadSet(
  folder: string,
  catalogue: Catalogue,
  parse: PolicyParser,
): Promise<Result<PolicySet, readonly Problem[]>> {
  const sources = await readPolicyFolder(folder);
  return sources.ok ? parse(sources.value, catalogue) : sources;
}

function toLoading(
  set: Result<PolicySet, readonly Problem[]>,
  deps: PdpDeps,
): Result<Loading, readonly Problem[]> {
  if (!set.ok) return set;
  const { revision, source, policies, warnings } = set.value;
  const ids = policies.map((policy) => policy.id).sort();
  return ok({ pdp: createPdpFor(set.value, deps), loaded: { revision, source, policies: ids, warnings } });
}

/** Calls back once the folder has been quiet for a while after a change, or when it cannot be followed any more. */
function follow(folder: string, quietMillis: number, onChange: (error?: unknown) => void): { close(): void } {
  let timer: NodeJS.Timeout | undefined;
  const watcher = watch(folder, { persistent: false });
  watcher.on('change', () => {
    clearTimeout(timer);
    timer = setTimeout(onChange, quietMillis).unref();
  });
  watcher.on('error', onChange);
  return {
    close() {
      clearTimeout(timer);
      watcher.close();
    },
  };
}

/** What fails outside of the policies' own text: the folder, the catalogue, the engine. */
function atFolder(folder: string, error: unknown): Problem {
  return {
    file: folder,
    line: 1,
    column: 1,
    message: error instanceof Error ? error.message : String(error),
  };
}
