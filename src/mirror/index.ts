export {
  type DatabaseConfig,
  isLocalHost,
  type MirrorConfig,
  mirrorConfigSchema,
  type OriginConfig,
  parseDatabaseConfig,
  parseMirrorConfig,
} from './config.ts';
export { type FollowedOrigins, followOrigins, type MirrorTeller } from './follow-origins.ts';
export { cosignHeld, createIntake, type OriginIntake } from './intake.ts';
export { openRemoteLog, type RemoteLog, type RemoteLogDeps } from './remote-log.ts';
export { type Intake, type TakeInDeps, takeIn } from './take-in.ts';
