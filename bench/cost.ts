import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks a second in /proc; 100 on every Linux architecture that Node.js runs on. */
const TICKS = 100;

/**
 * CPU time a process has used, in milliseconds: all its threads, user and system, its children that live, and
 * those it has waited for. Resolution 10 ms.
 */
export function cpuMilliseconds(pid: number): number {
  let ticks = 0;
  for (const member of processTree(pid)) ticks += ticksOf(member);
  return (ticks * 1000) / TICKS;
}

/** Resident memory of a process and its children, in MB. */
export function residentMegabytes(pid: number): number {
  let kilobytes = 0;
  for (const member of processTree(pid)) {
    kilobytes += Number(/^VmRSS:\s+(\d+) kB/m.exec(readProc(member, 'status'))?.[1] ?? 0);
  }
  return kilobytes / 1024;
}

function ticksOf(pid: number): number {
  const stat = readProc(pid, 'stat');
  // The command in parentheses may hold anything, so fields are counted from the last one (proc_pid_stat(5)).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [utime = '0', stime = '0', cutime = '0', cstime = '0'] = fields.slice(11, 15);
  return Number(utime) + Number(stime) + Number(cutime) + Number(cstime);
}

function processTree(pid: number): number[] {
  const children = readdirTasks(pid).flatMap((task) =>
    readProc(pid, `task/${task}/children`).split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(processTree)];
}

function readdirTasks(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** A process or thread that ended meanwhile reads as empty: what it used is in its parent's account. */
function readProc(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch {
    return '';
  }
}
