export { type Admitted, type AgentRequest, admitRequest } from './admit.ts';
export { type AdmissionRules, checkSite, type Headers } from './admit-http.ts';
export type { AgentMessage } from './admit-message.ts';
export { type AdmitReason, type AdmitRefusal, type AdmitWire, admitRefusalToWire } from './admit-refusal.ts';
export { createEventIds, type EventIds } from './event-ids.ts';
export { filterPinned, filterToolsList, keepPrivate, type Pin, withoutLookAlikes } from './filter-list.ts';
export { nameHeaderOf } from './header-agreement.ts';
export { checkParamHeaders, paramHeadersOf } from './param-headers.ts';
export { createSessions, type Sessions, type SessionsDeps } from './sessions.ts';
export {
  agentGone,
  type Relayed,
  type WriteOptions,
  writeAnswer,
} from './write-answer.ts';
