import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createEmbeddedRuns,
  createEmbeddedSingleUse,
  openEmbeddedKillSwitches,
  openStopFile,
} from '../../../src/storage/index.ts';
import type { ManualClock } from '../../support/manual-clock.ts';
import { killSwitchContract } from '../contract/kill-switches.ts';
import { runHistoryContract } from '../contract/run-history.ts';
import { singleUseContract } from '../contract/single-use.ts';

async function open({ now }: ManualClock) {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-contract-'));
  const { thrown, ...switches } = await openEmbeddedKillSwitches(openStopFile(folder));
  const keyWasUsed = async (): Promise<boolean> => false;
  return {
    ...createEmbeddedRuns({ now, runs: [], proofs: [], keyWasUsed, stops: thrown }),
    singleUse: createEmbeddedSingleUse({ now }),
    switches,
    [Symbol.asyncDispose]: async () => rmSync(folder, { recursive: true, force: true }),
  };
}

runHistoryContract('embedded', open);
singleUseContract('embedded', open);
killSwitchContract('embedded', open);
