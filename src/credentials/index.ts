export { type AwsStsOptions, awsStsIssuer } from './aws-sts.ts';
export { type GitHubAppOptions, gitHubAppIssuer } from './github-app.ts';
export {
  clientCredentialsIssuer,
  type OAuthCredentialOptions,
  tokenExchangeIssuer,
} from './oauth-credentials.ts';
export { type Database, type PostgresRoleOptions, postgresRoleIssuer } from './postgres-role.ts';
export { readSecret, type SecretPlace } from './read-secret.ts';
export {
  createRunCredentials,
  type Issued,
  type RunCredentialIssuer,
} from './run-credentials.ts';
export { staticSecretSource } from './static-secret.ts';
