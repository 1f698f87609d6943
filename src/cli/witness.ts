import { SallyportError, systemClock } from '../base/index.ts';
import { createCosigner, isKeyName, parseVerifierKey, type VerifierKey } from '../intent-log/index.ts';
import { cosign, followKeyChanges, openWitnessState, serveWitness } from '../witness/index.ts';
import { signalled } from './signalled.ts';

export type WitnessFlags = {
  readonly name: string;
  /** Verifier keys of the logs to watch. */
  readonly log: readonly string[];
  readonly state: string;
  /** `host:port`. */
  readonly listen: string;
};

/** Runs a witness until it is told to stop; prints the line that policies need. Exit code 0. */
export async function runWitness({
  name,
  log,
  state: folder,
  listen,
  out,
}: WitnessFlags & { readonly out: (line: string) => void }): Promise<number> {
  if (!isKeyName(name)) throw invalid('--name must be a name without spaces and plus signs');
  const logs = log.map(toKey);
  const { host, port } = parseListen(listen);
  const state = openWitnessState(folder);
  const cosigner = createCosigner(name, state.key);
  const deps = { logs, cosigner, state, now: systemClock };
  await using witness = await serveWitness({
    cosign: (body) => cosign(body, deps),
    addKey: (body) => followKeyChanges(body, deps),
    state,
    host,
    port,
  });
  out(`witness listening on ${witness.url}`);
  out('for the policy of whoever verifies:');
  for (const text of log) out(`  log ${text}`);
  out(`  witness ${name.replace(/[^A-Za-z0-9.-]/g, '-')} ${cosigner.verifierKey} ${witness.url}`);
  await signalled();
  return 0;
}

function toKey(text: string): VerifierKey {
  const key = parseVerifierKey(text);
  if (key !== undefined) return key;
  throw invalid('--log must be the public key of a log, as in the file log-public-key of its data folder');
}

function parseListen(listen: string): { readonly host: string; readonly port: number } {
  const parts = /^(.+):(\d{1,5})$/.exec(listen);
  const port = Number(parts?.[2]);
  if (parts === null || port > 65_535)
    throw invalid('--listen must be <host>:<port>, for example 127.0.0.1:8476');
  return { host: (parts[1] as string).replace(/^\[(.*)\]$/, '$1'), port };
}

function invalid(problem: string): SallyportError {
  return new SallyportError('ERR_CONFIG_INVALID', problem);
}
