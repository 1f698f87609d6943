/** Where a program of a suite is, and what its environment needs beyond ours; undefined when it is nowhere. */
export function locate(
  suite: 'redis' | 'postgres',
  program: string,
): { readonly file: string; readonly env: Readonly<Record<string, string>> } | undefined;

/** Makes the programs of a suite available. Ends the process with a clear message when that cannot be done. */
export function provide(suite: 'redis' | 'postgres'): void;
