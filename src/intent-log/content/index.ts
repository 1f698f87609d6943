export {
  type ContentKey,
  commit,
  commitKey,
  contentKey,
  createDataKey,
  type DataKey,
  openDataKey,
  openSealed,
  type Part,
  runKey,
  sealPart,
} from './content-keys.ts';
export { type Redacted, type Redaction, redactSecrets } from './redact.ts';
