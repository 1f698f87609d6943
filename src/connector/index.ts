export { type AssertionClaims, assertionFromKeyFile } from './attest-key.ts';
export type { ConnectorLog } from './bridge.ts';
export { type ConnectorOptions, runConnector } from './connector.ts';
export { type Loopback, type LoopbackOptions, startLoopback } from './loopback.ts';
