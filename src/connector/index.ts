export { type AssertionClaims, assertionFromFile, assertionFromKeyFile } from './attest-key.ts';
export type { ConnectorLog } from './bridge.ts';
export {
  type ConnectorOptions,
  carryLines,
  type LineStreams,
  type RunOptions,
  runConnector,
  startTarget,
  type Target,
} from './connector.ts';
export { type LoginPage, openLoginPage } from './login-page.ts';
export { type Listening, type Loopback, type LoopbackOptions, listen, startLoopback } from './loopback.ts';
