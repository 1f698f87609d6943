export { introspectionRoute } from './introspection-route.ts';
export { type OAuthRoutesDeps, oauthRoutes } from './routes.ts';
