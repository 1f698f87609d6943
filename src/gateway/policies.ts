import type { Logger } from 'pino';
import { SallyportError } from '../base/index.ts';
import {
  type Catalogue,
  type Decision,
  formatProblem,
  openPdp,
  type Pdp,
  type ReloadablePdp,
  type Reloaded,
} from '../cedar/index.ts';
import type { IntentLog } from '../intent-log/index.ts';
import type { Definitions } from './definitions.ts';

/** The PDP of a gateway from its start on: before policies can be loaded it refuses everything. */
export interface Policies extends Pdp, AsyncDisposable {
  readonly isLoaded: boolean;
  /** Loads, or loads again, for a catalogue. Rejects with `ERR_POLICY_INVALID` when a first load fails. */
  load(catalogue: Catalogue): Promise<void>;
}

export type PoliciesDeps = {
  readonly folder: string;
  readonly definitions: Definitions;
  readonly intentLog: IntentLog;
  readonly log: Logger;
};

const STARTING: Decision = {
  effect: 'forbid',
  code: 'pdp_failed',
  policies: [],
  revision: 'none',
  reason: 'the gateway has no policies in force yet',
};

export function createPolicies({ folder, definitions, intentLog, log }: PoliciesDeps): Policies {
  let pdp: ReloadablePdp | undefined;

  async function record(loaded: ReloadablePdp): Promise<void> {
    const { revision, source, policies, warnings } = loaded.loaded;
    for (const warning of warnings) log.warn({ revision }, warning);
    log.info({ revision, policies: policies.length }, 'policies in force');
    const digest = await definitions.keep(source);
    await intentLog.append({ type: 'policyset.load', revision, policies, digest });
  }

  function onReload(result: Reloaded): void {
    if (!result.ok) {
      const problems = result.error.map(formatProblem);
      log.error({ problems }, 'policies not changed: the folder holds a set that is not valid');
    } else if (pdp !== undefined) {
      record(pdp).catch((error: unknown) => log.error({ err: error }, 'policy change could not be recorded'));
    }
  }

  function onMismatch(detail: string): void {
    log.error(
      { revision: pdp?.revision, detail },
      'evaluators differ: the call is refused, Cedar decides alone',
    );
  }

  return {
    get revision() {
      return pdp?.revision ?? 'none';
    },
    get isLoaded() {
      return pdp !== undefined;
    },
    decide: (request) => pdp?.decide(request) ?? STARTING,
    visibleTools: (...about) => pdp?.visibleTools(...about) ?? new Set(),
    async load(catalogue) {
      if (pdp === undefined) {
        pdp = await openPdp({ folder, catalogue, onReload, onMismatch });
      } else {
        const result = await pdp.reload(catalogue);
        if (!result.ok) {
          throw new SallyportError('ERR_POLICY_INVALID', result.error.map(formatProblem).join('\n'));
        }
      }
      await record(pdp);
    },
    async [Symbol.asyncDispose]() {
      await pdp?.[Symbol.asyncDispose]();
    },
  };
}
