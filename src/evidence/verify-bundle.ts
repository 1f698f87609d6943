import { createHash } from 'node:crypto';
import { type RunId, sha256 } from '../base/index.ts';
import {
  type Commitment,
  commit,
  createPairingCheck,
  createStrandCheck,
  type Finding,
  headOf,
  type LogRecord,
  leafHash,
  type ProofDefect,
  parseTlogPolicy,
  parseTlogProof,
  parseVerifierKey,
  scanHeader,
  type TlogPolicy,
  type TlogProof,
  verifyTlogProof,
} from '../intent-log/index.ts';
import { decodeAll, type Evidence, fromFiles, toFiles } from './evidence.ts';
import { readTar, type TarFile, writeTar } from './tar.ts';

/**
 * The answer about a bundle. `verified`: every record is in the log that the policy believes, the strands of all
 * runs are whole from beginning to end, and all else in the bundle is what the records name. `failed`: something is
 * not. `undecided`: nothing is wrong, and something is not shown.
 */
export type BundleReport = {
  readonly verdict: 'verified' | 'failed' | 'undecided';
  readonly findings: readonly Finding[];
  readonly root?: RunId;
  readonly records: number;
  /** Size of the tree and name of the log that the records are proven to be in. */
  readonly checkpoint?: { readonly origin: string; readonly size: number };
  /** Parts of calls that were disclosed, and fit. */
  readonly disclosed: number;
  /** Runs whose content was destroyed, and the record that says so. */
  readonly erased: readonly { readonly run: RunId; readonly idx: number }[];
};

type Findings = {
  readonly list: Finding[];
  readonly broken: (what: string, idx?: number) => void;
  readonly unclear: (what: string, idx?: number) => void;
};

const MAX_FINDINGS = 20;

/** Verifies a bundle with nothing else at hand than what its reader believes. */
export function verifyBundle(bytes: Uint8Array, policy?: TlogPolicy): BundleReport {
  const findings = collectFindings();
  const files = readTar(bytes);
  const evidence = files.ok ? fromFiles(files.value) : files;
  if (!evidence.ok || !files.ok) {
    findings.broken(evidence.ok ? 'the archive is damaged' : evidence.error);
    return { ...verdictOf(findings), records: 0, disclosed: 0, erased: [] };
  }
  const { value } = evidence;
  const records = decodeAll(value.records);
  const checkpoint = checkProofs(value, policy, findings);
  checkStrands(value, records, findings);
  checkTree(value, records, findings);
  checkDefinitions(value, records, findings);
  const disclosed = checkContent(value, records, findings);
  checkFiles(value, files.value, findings);
  if (policy === undefined) {
    findings.unclear(
      "the key is the bundle's own word: say with --policy which log and witnesses you believe",
    );
  }
  const runs = new Set(records.flatMap((record) => (record.type === 'run.open' ? record.run : [])));
  const erased = records.flatMap((record) =>
    record.type === 'erasure'
      ? record.runs.filter((run) => runs.has(run)).map((run) => ({ run, idx: record.idx }))
      : [],
  );
  return {
    ...verdictOf(findings),
    root: value.root,
    records: records.length,
    ...(checkpoint === undefined ? {} : { checkpoint }),
    disclosed,
    erased,
  };
}

function collectFindings(): Findings {
  const list: Finding[] = [];
  const add =
    (kind: Finding['kind']) =>
    (what: string, idx = -1) => {
      if (list.length < MAX_FINDINGS || (kind === 'broken' && !list.some((known) => known.kind === kind)))
        list.push({ kind, idx, what });
    };
  return { list, broken: add('broken'), unclear: add('unclear') };
}

function verdictOf({ list }: Findings): Pick<BundleReport, 'verdict' | 'findings'> {
  if (list.length === 0) return { verdict: 'verified', findings: list };
  return { verdict: list.some(({ kind }) => kind === 'broken') ? 'failed' : 'undecided', findings: list };
}

const DEFECTS: Readonly<Record<ProofDefect, string>> = {
  malformed: 'has a proof that is none',
  unknown_log: 'is from a log that the policy does not name',
  bad_signature: 'has a proof whose checkpoint is not signed with the key of the log',
  not_in_tree: 'is not the one in the signed tree: it was changed, or the proof is of another',
  not_witnessed: 'is under a checkpoint that too few witnesses of the policy have seen',
};

function checkProofs(
  { records, verifierKey }: Evidence,
  policy: TlogPolicy | undefined,
  findings: Findings,
): BundleReport['checkpoint'] {
  const own = parseVerifierKey(verifierKey);
  const self = own === undefined ? undefined : parseTlogPolicy(`log ${verifierKey}\nquorum none\n`);
  if (self?.ok !== true) {
    findings.broken('log-public-key is not the public key of a log');
    return undefined;
  }
  let note: string | undefined;
  let checkpoint: BundleReport['checkpoint'];
  for (const { idx, bytes, proof: text } of records) {
    const proof = parseTlogProof(text) as TlogProof; // it was parsed when the bundle was read
    const leaf = leafHash(bytes);
    if (proof.index !== idx) findings.broken(`record ${idx} has the proof of record ${proof.index}`, idx);
    if (note !== undefined && proof.checkpoint !== note)
      findings.broken('the proofs are not of one tree', idx);
    note = proof.checkpoint;
    const inOwn = verifyTlogProof(leaf, proof, self.value);
    if (!inOwn.ok) findings.broken(`record ${idx} ${DEFECTS[inOwn.error]}`, idx);
    else checkpoint = { origin: inOwn.value.origin, size: inOwn.value.size };
    const inPolicy = policy === undefined ? inOwn : verifyTlogProof(leaf, proof, policy);
    if (!inPolicy.ok && inOwn.ok) {
      const report = inPolicy.error === 'bad_signature' ? findings.broken : findings.unclear;
      report(`record ${idx} ${DEFECTS[inPolicy.error]}`, idx);
    }
  }
  return checkpoint;
}

/** The strand of the gateway is here in parts; those of the runs must be whole. */
function checkStrands({ records }: Evidence, decoded: readonly LogRecord[], findings: Findings): void {
  const report = (kind: Finding['kind'], idx: number, what: string) => findings[kind](what, idx);
  const strands = createStrandCheck(report);
  const pairing = createPairingCheck(report);
  let last = -1;
  for (const { idx, bytes } of records) {
    if (idx <= last) findings.broken(`record ${idx} is out of order or there twice`, idx);
    last = idx;
    const header = scanHeader(headOf(bytes));
    if (header === undefined || header.idx !== idx) {
      findings.broken(`record ${idx} does not start like a record`, idx);
      continue;
    }
    if (header.strand === 'gateway') continue;
    strands.add(idx, leafHash(bytes), header);
    pairing.add(idx, leafHash(bytes), header);
  }
  for (const { call, idx } of pairing.open()) {
    findings.unclear(`record ${idx}: call ${call} has no outcome here: it was under way`, idx);
  }
  const closed = new Set(decoded.flatMap((record) => (record.type === 'run.close' ? record.run : [])));
  for (const record of decoded) {
    if (record.type === 'run.open' && !closed.has(record.run))
      findings.unclear(`run ${record.run} was not over: what it did later is not here`, record.idx);
  }
}

/** One delegation tree, and nothing of any other. */
function checkTree({ root }: Evidence, records: readonly LogRecord[], findings: Findings): void {
  const runs = new Map<string, number>();
  for (const record of records) {
    if (record.strand === 'gateway') continue;
    if (record.type === 'run.open') {
      const isRoot = record.run === root && record.parent === undefined;
      const isChild = record.root === root && record.parent !== undefined && runs.has(record.parent);
      if (!isRoot && !isChild)
        findings.broken(`run ${record.run} is not of the delegation tree of ${root}`, record.idx);
      runs.set(record.run, record.idx);
    }
  }
  if (!runs.has(root)) findings.broken(`the beginning of run ${root} is missing`);
}

function checkDefinitions(
  { definitions }: Evidence,
  records: readonly LogRecord[],
  findings: Findings,
): void {
  const named = new Set<string>();
  const revisions = new Map<string, string | undefined>();
  for (const record of records) {
    if (record.type === 'policyset.load') {
      if (record.digest !== undefined) named.add(record.digest);
      revisions.set(record.revision, record.digest);
      if (record.digest !== undefined && !record.digest.startsWith(record.revision))
        findings.broken(`record ${record.idx} names a policy set by a digest of another`, record.idx);
    } else if (record.type === 'toolset.pin') {
      for (const digest of Object.values({ ...record.tools, ...record.prompts })) named.add(String(digest));
      if (record.instructions !== undefined) named.add(record.instructions);
    } else if ((record.type === 'intent' || record.type === 'refusal') && record.subject?.pin !== undefined) {
      named.add(record.subject.pin);
    }
  }
  for (const [digest, text] of definitions) {
    if (sha256(text) !== digest) findings.broken(`definitions/${digest} is not what it is named after`);
    if (!named.has(digest)) findings.broken(`definitions/${digest} is named by no record`);
  }
  const missing = new Set<string>();
  for (const record of records) {
    if (record.type !== 'intent' && record.type !== 'refusal') continue;
    const { subject, decision } = record;
    if (subject?.pin !== undefined && !definitions.has(subject.pin))
      missing.add(`the definition of ${subject.tool}`);
    const revision = decision?.revision;
    if (revision === undefined || revision === 'none') continue;
    const digest = revisions.get(revision);
    if (digest === undefined || !definitions.has(digest)) missing.add(`policy set ${revision}`);
  }
  for (const what of missing) findings.unclear(`${what} was in force and is not in the bundle`);
}

/** Gives how many parts fit. */
function checkContent({ content }: Evidence, records: readonly LogRecord[], findings: Findings): number {
  const commitments = new Map<string, Commitment>();
  for (const record of records) {
    if (record.type === 'outcome' && record.result !== undefined)
      commitments.set(`${record.call} result`, record.result);
    if ((record.type === 'intent' || record.type === 'refusal') && record.subject?.args !== undefined)
      commitments.set(`${record.call} args`, record.subject.args);
  }
  let fitting = 0;
  for (const { call, part, key, text } of content) {
    const commitment = commitments.get(`${call} ${part}`);
    commitments.delete(`${call} ${part}`);
    const expected = commitment?.kept === 'redacted' ? commitment.keptMac : commitment?.mac;
    if (expected !== undefined && commit(Buffer.from(key, 'base64url'), text) === expected) fitting++;
    else
      findings.broken(`the ${part} of call ${call} are not what its record commits to, or are there twice`);
  }
  return fitting;
}

/** Every byte is accounted for: what was read from the files makes these files and no others. */
function checkFiles(evidence: Evidence, files: readonly TarFile[], findings: Findings): void {
  const expected = toFiles(evidence);
  const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  const known = new Map(expected.map(({ name, bytes }) => [name, digest(bytes)]));
  for (const { name, bytes } of files) {
    if (known.get(name) !== digest(bytes)) findings.broken(`${name} is not what the records make of it`);
    known.delete(name);
  }
  for (const name of known.keys()) findings.broken(`${name} is missing`);
  const isSame = writeTar(expected).equals(writeTar(files));
  if (!isSame && !findings.list.some(({ kind }) => kind === 'broken'))
    findings.broken('the files are not in the order of a bundle');
}
