export type { RunFacts } from '../identity/index.ts';
