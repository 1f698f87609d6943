import { closeSync, fdatasyncSync, openSync, readFileSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { median } from './statistics.ts';

/** What a reader must know to compare figures. */
export type Machine = {
  readonly node: string;
  readonly openssl: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGigabytes: number;
  readonly kernel: string;
  /** File system of the folder the gateway's log is on. */
  readonly fileSystem: string;
  /** Median of a 1 KB append with fdatasync in that folder, in milliseconds. */
  readonly durableWriteMilliseconds: number;
  /** One-minute load average before the run. */
  readonly loadAverage: number;
};

const FILE_SYSTEMS = new Map([
  [0xef53, 'ext4'],
  [0x01021994, 'tmpfs (in memory: durable writes cost nothing here)'],
  [0x794c7630, 'overlayfs'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
]);

/** Describes this machine; takes a few hundred durable writes to do so. */
export function describeMachine(): Machine {
  const folder = tmpdir();
  const { type } = statfsSync(folder);
  return {
    node: process.versions.node,
    openssl: process.versions.openssl,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGigabytes: Math.round(totalmem() / 2 ** 30),
    kernel: readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim(),
    fileSystem: FILE_SYSTEMS.get(type) ?? `type 0x${type.toString(16)}`,
    durableWriteMilliseconds: durableWrite(folder),
    loadAverage: loadavg()[0] ?? 0,
  };
}

function durableWrite(folder: string): number {
  const path = join(folder, `sallyport-bench-${process.pid}.probe`);
  const file = openSync(path, 'wx', 0o600);
  const record = Buffer.alloc(1024, 'x');
  const times: number[] = [];
  try {
    for (let i = 0; i < 300; i++) {
      const start = performance.now();
      writeSync(file, record);
      fdatasyncSync(file);
      times.push(performance.now() - start);
    }
  } finally {
    closeSync(file);
    rmSync(path);
  }
  return median(times);
}
