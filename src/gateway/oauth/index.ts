export { type OAuthRoutesDeps, oauthRoutes } from './routes.ts';
