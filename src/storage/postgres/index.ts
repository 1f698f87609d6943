export type { DatabaseAddress } from './database.ts';
export { type MirrorAdmin, type OriginStatus, openMirrorAdmin } from './mirror-admin.ts';
export { openMirrorQueries } from './mirror-queries.ts';
export { openMirrorStore } from './mirror-store.ts';
