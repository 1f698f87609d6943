export { introspectionRoute } from './introspection-route.ts';
export { createRateLimit } from './rate-limit.ts';
export type { RecordRefusal } from './refusals.ts';
export { type OAuthRoutesDeps, oauthRoutes } from './routes.ts';
