export {
  commit,
  createDataKey,
  type DataKey,
  openDataKey,
  openSealed,
  type Part,
  partKey,
  sealPart,
} from './content-keys.ts';
export { type Redacted, type Redaction, redactSecrets } from './redact.ts';
