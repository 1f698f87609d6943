export type { AggregateDeps, AggregateResult, OwnAnswer } from './deps.ts';
export { handleAggregate } from './handle-aggregate.ts';
export { AGGREGATE } from './names.ts';
export { type AggregateSessions, createAggregateSessions } from './sessions.ts';
