import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from './node-child.ts';
import { alignColumns } from './report.ts';

/** A stretch of time in microseconds of the monotonic clock. */
export type Window = { readonly start: number; readonly end: number };

/** Where the time of a process went: microseconds of self time by function and by area. */
export type SelfTimes = {
  readonly busy: number;
  readonly byFunction: ReadonlyMap<string, number>;
  readonly byArea: ReadonlyMap<string, number>;
};

type CallFrame = { readonly functionName: string; readonly url: string; readonly lineNumber: number };

/** The parts of a `.cpuprofile` that are read here; V8 writes one for each thread. */
type CpuProfile = {
  readonly nodes: readonly { readonly id: number; readonly callFrame: CallFrame }[];
  readonly startTime: number;
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
};

/** Flags that make Node.js write a profile of each thread into a folder when it exits. */
export function profileFlags(folder: string): string[] {
  return ['--cpu-prof', `--cpu-prof-dir=${folder}`, '--cpu-prof-interval=500'];
}

/** Adds up the profiles in a folder, samples outside the windows left out. */
export function readSelfTimes(folder: string, windows: readonly Window[]): SelfTimes {
  const byFunction = new Map<string, number>();
  const byArea = new Map<string, number>();
  let busy = 0;
  const files = readdirSync(folder).filter((name) => name.endsWith('.cpuprofile'));
  if (files.length === 0) throw new Error(`no CPU profile in ${folder}: the process did not exit by itself`);
  for (const file of files) {
    const profile = JSON.parse(readFileSync(join(folder, file), 'utf8')) as CpuProfile;
    for (const { frame, micros } of samplesIn(profile, windows)) {
      if (frame.functionName === '(idle)') continue;
      busy += micros;
      add(byFunction, functionOf(frame), micros);
      add(byArea, areaOf(frame), micros);
    }
  }
  return { busy, byFunction, byArea };
}

function* samplesIn(profile: CpuProfile, windows: readonly Window[]) {
  const frames = new Map(profile.nodes.map((node) => [node.id, node.callFrame]));
  let time = profile.startTime;
  for (const [i, id] of profile.samples.entries()) {
    time += profile.timeDeltas[i] ?? 0;
    const frame = frames.get(id);
    if (frame === undefined || !windows.some(({ start, end }) => time >= start && time < end)) continue;
    yield { frame, micros: profile.timeDeltas[i + 1] ?? 0 };
  }
}

function add(sums: Map<string, number>, key: string, micros: number): void {
  sums.set(key, (sums.get(key) ?? 0) + micros);
}

function functionOf(frame: CallFrame): string {
  const name = frame.functionName || '(anonymous)';
  return frame.url === '' ? name : `${name} ${placeOf(frame.url)}:${frame.lineNumber + 1}`;
}

function placeOf(url: string): string {
  if (!url.startsWith('file:')) return url;
  const path = fileURLToPath(url);
  return path.startsWith(root) ? path.slice(root.length + 1) : path;
}

/** A room of `src`, a package, a part of Node.js, or what V8 says when it knows no JavaScript function. */
function areaOf(frame: CallFrame): string {
  const place = placeOf(frame.url);
  const owned = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(place)?.[1];
  if (owned !== undefined) return owned;
  if (place.startsWith('wasm:')) return 'wasm';
  if (place.startsWith('src/')) return place.split('/').slice(0, 2).join('/');
  if (place.startsWith('node:'))
    return place.replace(/^node:internal\/(deps\/)?/, 'node:').split('/')[0] ?? place;
  if (place !== '') return place;
  return frame.functionName.startsWith('(') ? frame.functionName : 'native code of Node.js';
}

/** The areas, then the functions that took the most time themselves; microseconds for each of `calls` calls. */
export function profileText(times: SelfTimes, calls: number): string {
  const line = ([name, micros]: readonly [string, number]) => [
    name,
    (micros / calls).toFixed(1),
    `${((100 * micros) / times.busy).toFixed(1)}%`,
  ];
  const top = (sums: ReadonlyMap<string, number>, count: number) =>
    [...sums]
      .sort((a, b) => b[1] - a[1])
      .slice(0, count)
      .map(line);
  return [
    `${(times.busy / calls).toFixed(0)} us a call on all threads, with the profiler's own cost`,
    alignColumns([['area', 'us a call', 'share'], ...top(times.byArea, 15)]),
    alignColumns([['function (self time)', 'us a call', 'share'], ...top(times.byFunction, 25)]),
  ].join('\n\n');
}
