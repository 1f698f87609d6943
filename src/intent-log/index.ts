export type { IntentLog, Receipt } from './intent-log.ts';
export * from './record.ts';
