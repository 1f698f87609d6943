export { AgentChangeResult, AgentList, type AgentView } from './admin/agents-contract.ts';
export {
  EraseResult,
  ReviewedUpstream,
  type ReviewRequest,
  ReviewResult,
  RevokeResult,
  RunList,
  StopList,
  StopResult,
  ToolList,
} from './admin/contract.ts';
export { KeyChanges, KeyList, LogKeyChanged } from './admin/key-contract.ts';
export {
  openOperatorKey,
  operatorKeyFile,
  readOperatorKey,
  signOperatorToken,
} from './admin/operator-key.ts';
export { type PinnedCatalogue, readPinnedCatalogue } from './catalogue.ts';
export { type Config, parseConfig, type UpstreamConfig } from './config.ts';
export { createGateway, type Gateway } from './create-gateway.ts';
export { adminUrlOf, publicUrlOf } from './gateway-urls.ts';
export { createLogger } from './logger.ts';
export type { CredentialDeps } from './open-upstreams.ts';
export { requireKnownTools } from './tool-settings.ts';
