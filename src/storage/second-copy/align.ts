import { leafHash, type StoredRecord } from '../../intent-log/index.ts';
import type { BatchMac } from './batch-mac.ts';
import { contested, forked, longer, refused, takenOver, unavailable, wiped } from './copy-errors.ts';
import type { Appended, Batch, LocalLog, LogStream } from './second-copy.ts';

/** Records compared at the end of both copies. */
const COMPARED = 1024;
/** Records sent at a time when the stream lacks many. */
const STRETCH = 256;

export type AlignDeps = { readonly stream: LogStream; readonly local: LocalLog; readonly mac: BatchMac };

/** What it took to make both copies the same. */
export type Aligned = { readonly epoch: number; readonly sent: number; readonly adopted: number };

/**
 * Makes both copies the same and this process the only writer of the stream.
 *
 * What the stream lacks is sent. What it has beyond the local log is taken over in one case: when it is the one batch
 * that was on its way as this log stopped, complete and with our MAC. Anything more was acknowledged and is missing
 * here. Throws `ERR_LOG_COPY_REFUSED` then, when the two differ, and when there is no stream for a log that has
 * records; `begin` lets it make one.
 */
export async function align(deps: AlignDeps, { begin }: { readonly begin: boolean }): Promise<Aligned> {
  const { stream, local } = deps;
  const there = await stream.end();
  const here = local.end();
  if (there === 0 && here > 0 && !begin) throw wiped();
  await compareEnds(Math.min(here, there), deps);
  const adopted = there > here ? await adopt(here, there, deps) : 0;
  const taken = await stream.take(there, { begin: begin || here === 0 });
  if (taken.kind === 'gone') throw wiped();
  if (taken.kind === 'moved') throw contested();
  const sent = there < here ? await fill(there, here, taken.epoch, deps) : 0;
  return { epoch: taken.epoch, sent, adopted };
}

/** The last records that both have. What the stream no longer has is passed over: it was trimmed. */
async function compareEnds(size: number, { stream, local }: AlignDeps): Promise<void> {
  if (size === 0) return;
  const from = Math.max(0, size - COMPARED);
  const theirs = (await stream.read(from, size - from)).filter(({ idx }) => idx < size);
  if (theirs.at(-1)?.idx !== size - 1) throw forked(size - 1);
  const mine = new Map(local.read(from, size - from).map(({ idx, bytes }) => [idx, leafHash(bytes)]));
  const different = theirs.find(({ idx, bytes }) => mine.get(idx) !== leafHash(bytes));
  if (different !== undefined) throw forked(different.idx);
}

async function adopt(here: number, there: number, { stream, local, mac }: AlignDeps): Promise<number> {
  const [first] = await stream.read(here, 1);
  const batch = first?.idx === here ? first.batch : undefined;
  if (batch?.count !== there - here) throw longer(here, there);
  const entries = await stream.read(here, batch.count);
  const isWhole = entries.length === batch.count && entries.every(({ idx }, i) => idx === here + i);
  if (!isWhole) throw longer(here, there);
  const leaves = entries.map(({ bytes }) => leafHash(bytes));
  if (!mac.fits(batch.mac, here, leaves)) {
    throw refused(
      `the last ${batch.count} records there were not written by this log, or keys/copy-key was replaced; keep the stream as evidence, and run "sallyport log restore --from-remote" if you trust it`,
    );
  }
  local.insert(
    here,
    entries.map(({ bytes }) => bytes),
  );
  return entries.length;
}

/** Sends records from the local log; gives how many. */
export async function fill(
  from: number,
  to: number,
  epoch: number,
  { stream, local, mac }: AlignDeps,
): Promise<number> {
  for (let next = from; next < to; ) {
    const stretch = local.read(next, Math.min(STRETCH, to - next));
    if (stretch.length === 0) throw unavailable(`record ${next} cannot be read here`);
    const batch = toBatch(next, stretch);
    mustBeHeld(await stream.append(epoch, batch, mac.of(batch.first, batch.leaves)));
    next += stretch.length;
  }
  return to - from;
}

function toBatch(first: number, stored: readonly StoredRecord[]): Batch {
  const records = stored.map(({ bytes }) => bytes);
  return { first, records, leaves: records.map(leafHash) };
}

function mustBeHeld(appended: Appended): void {
  switch (appended.kind) {
    case 'held':
      return;
    case 'behind':
      throw unavailable('it lost records while it was filled');
    case 'differs':
      throw forked(appended.idx);
    case 'gone':
      throw wiped();
    case 'fenced':
      throw takenOver(appended.epoch);
  }
}
